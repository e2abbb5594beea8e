"""hypercorn with the raw ASGI application; it takes HTTP/2 by prior knowledge."""

import asyncio

import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

from benchmarks.servers import IDLE_TIMEOUT_SECONDS, port_argument
from benchmarks.servers.asgi_text import app

if __name__ == "__main__":
    config = Config()
    config.bind = [f"127.0.0.1:{port_argument()}"]
    config.accesslog = None
    config.loglevel = "WARNING"
    config.keep_alive_timeout = IDLE_TIMEOUT_SECONDS
    config.keep_alive_max_requests = 1_000_000_000
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app, config))  # type: ignore[arg-type]  # plain ASGI dicts
