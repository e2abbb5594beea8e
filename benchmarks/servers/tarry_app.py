"""Tarry, with one handler for each of its lanes."""

from typing import Any

import msgspec

from benchmarks.servers import port_argument
from tarry import App

app = App()


class Item(msgspec.Struct):
    """The document that `POST /items` accepts."""

    name: str
    price: float
    tags: list[str] = []


@app.get("/", inline=True)
def text_inline() -> str:
    return "Hello, World!"


@app.get("/async")
async def text_async() -> str:
    return "Hello, World!"


@app.get("/threads")
def text_threads() -> str:
    return "Hello, World!"


@app.get("/users/{id}", inline=True)
def user(id: int, verbose: bool = False) -> dict[str, Any]:
    return {"id": id, "verbose": verbose, "name": "Ada"}


@app.get("/async/users/{id}")
async def user_async(id: int, verbose: bool = False) -> dict[str, Any]:
    return {"id": id, "verbose": verbose, "name": "Ada"}


@app.post("/items")
async def add_item(item: Item) -> dict[str, Any]:
    return {"id": 1, "name": item.name, "price": item.price, "tags": item.tags}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=port_argument(), access_log=False)
