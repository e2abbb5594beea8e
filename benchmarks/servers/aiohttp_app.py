"""aiohttp on its own server."""

import uvloop
from aiohttp import web

from benchmarks.servers import IDLE_TIMEOUT_SECONDS, port_argument
from benchmarks.servers.items import decode_item

routes = web.RouteTableDef()


@routes.get("/")
@routes.get("/async")
async def text(request: web.Request) -> web.Response:
    return web.Response(text="Hello, World!")


@routes.get(r"/users/{id:\d+}")
@routes.get(r"/async/users/{id:\d+}")
async def user(request: web.Request) -> web.Response:
    verbose = request.query.get("verbose") in ("1", "true")
    answer = {"id": int(request.match_info["id"]), "verbose": verbose, "name": "Ada"}
    return web.json_response(answer)


@routes.post("/items")
async def add_item(request: web.Request) -> web.Response:
    item = decode_item(await request.read())
    answer = {"id": 1, "name": item.name, "price": item.price, "tags": item.tags}
    return web.json_response(answer)


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
