"""aiohttp with requests that wait: each handler awaits a future."""

import asyncio
from collections import deque

import uvloop
from aiohttp import web

from benchmarks.servers import IDLE_TIMEOUT_SECONDS, port_argument

routes = web.RouteTableDef()
parked: deque[asyncio.Future[str]] = deque()


@routes.get("/parked-awaited")
async def awaited(request: web.Request) -> web.Response:
    future = asyncio.get_running_loop().create_future()
    parked.append(future)
    return web.Response(text=await future)


@routes.get("/parked-count")
async def count(request: web.Request) -> web.Response:
    return web.Response(text=str(len(parked)))


@routes.get("/wake")
async def wake(request: web.Request) -> web.Response:
    for _ in range(int(request.query["count"])):
        parked.popleft().set_result("woken")
    return web.Response(text=str(len(parked)))


if __name__ == "__main__":
    app = web.Application()
    app.add_routes(routes)
    web.run_app(
        app,
        host="127.0.0.1",
        port=port_argument(),
        access_log=None,
        print=None,
        keepalive_timeout=IDLE_TIMEOUT_SECONDS,
        loop=uvloop.new_event_loop(),
    )
