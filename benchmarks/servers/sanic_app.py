"""Sanic on its own server, in one process."""

from sanic import HTTPResponse, Request, Sanic, json, text

from benchmarks.servers import IDLE_TIMEOUT_SECONDS, port_argument
from benchmarks.servers.items import decode_item

app = Sanic("benchmark", configure_logging=False)
app.config.KEEP_ALIVE_TIMEOUT = IDLE_TIMEOUT_SECONDS


@app.get("/")
def text_inline(request: Request) -> HTTPResponse:
    return text("Hello, World!")


@app.get("/async")
async def text_async(request: Request) -> HTTPResponse:
    return text("Hello, World!")


@app.get("/users/<id:int>")
def user(request: Request, id: int) -> HTTPResponse:
    verbose = request.args.get("verbose") in ("1", "true")
    return json({"id": id, "verbose": verbose, "name": "Ada"})


@app.get("/async/users/<id:int>")
async def user_async(request: Request, id: int) -> HTTPResponse:
    verbose = request.args.get("verbose") in ("1", "true")
    return json({"id": id, "verbose": verbose, "name": "Ada"})


@app.post("/items")
async def add_item(request: Request) -> HTTPResponse:
    item = decode_item(request.body)
    return json({"id": 1, "name": item.name, "price": item.price, "tags": item.tags})


if __name__ == "__main__":
    app.run(
        host="127.0.0.1",
        port=port_argument(),
        single_process=True,
        access_log=False,
        motd=False,
    )
