"""Falcon (ASGI) on uvicorn."""

import falcon.asgi
from falcon.asgi import Request, Response

from benchmarks.servers.items import decode_item
from benchmarks.servers.on_uvicorn import serve


class Text:
    """The 13 bytes."""

    async def on_get(self, request: Request, response: Response) -> None:
        response.content_type = falcon.MEDIA_TEXT
        response.text = "Hello, World!"


class User:
    """A typed path value and a typed query value."""

    async def on_get(self, request: Request, response: Response, id: int) -> None:
        verbose = request.get_param_as_bool("verbose", default=False)
        response.media = {"id": id, "verbose": verbose, "name": "Ada"}


class Items:
    """A checked document."""

    async def on_post(self, request: Request, response: Response) -> None:
        item = decode_item(await request.stream.read())
        response.media = {"id": 1, "name": item.name, "price": item.price, "tags": item.tags}


if __name__ == "__main__":
    app = falcon.asgi.App()
    app.add_route("/", Text())
    app.add_route("/async", Text())
    app.add_route("/users/{id:int}", User())
    app.add_route("/async/users/{id:int}", User())
    app.add_route("/items", Items())
    serve(app)
