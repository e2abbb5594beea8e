"""Litestar on uvicorn."""

from typing import Any

import msgspec
from litestar import Litestar, MediaType, get, post

from benchmarks.servers.on_uvicorn import serve


class Item(msgspec.Struct):
    """The document that `POST /items` accepts."""

    name: str
    price: float
    tags: list[str] = []


@get("/", media_type=MediaType.TEXT, sync_to_thread=False)
def text_inline() -> str:
    return "Hello, World!"


@get("/async", media_type=MediaType.TEXT)
async def text_async() -> str:
    return "Hello, World!"


@get("/threads", media_type=MediaType.TEXT, sync_to_thread=True)
def text_threads() -> str:
    return "Hello, World!"


@get("/users/{id:int}", sync_to_thread=False)
def user(id: int, verbose: bool = False) -> dict[str, Any]:
    return {"id": id, "verbose": verbose, "name": "Ada"}


@get("/async/users/{id:int}")
async def user_async(id: int, verbose: bool = False) -> dict[str, Any]:
    return {"id": id, "verbose": verbose, "name": "Ada"}


@post("/items", sync_to_thread=False)
def add_item(data: Item) -> dict[str, Any]:
    return {"id": 1, "name": data.name, "price": data.price, "tags": data.tags}


if __name__ == "__main__":
    handlers = [text_inline, text_async, text_threads, user, user_async, add_item]
    serve(Litestar(handlers, openapi_config=None))
