"""Runs an ASGI application on uvicorn, with the same settings for every framework."""

from typing import Any

import uvicorn

from benchmarks.servers import IDLE_TIMEOUT_SECONDS, port_argument


def serve(app: Any, http: str = "httptools", **settings: Any) -> None:
    """Serve `app` on the port of the command line until the process is ended."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port_argument(),
        http=http,
        loop="uvloop",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=IDLE_TIMEOUT_SECONDS,
        **settings,
    )
