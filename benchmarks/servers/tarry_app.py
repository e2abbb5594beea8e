"""Tarry, with one handler for each of its lanes, and with filters if they are asked for."""

import sys
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import msgspec

from benchmarks.servers import port_argument
from tarry import Answered, App, Request

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


# ---- filters: one reads a request header, one adds a response header, one measures time ----


def reads(request: Request) -> Generator[None, Answered, None]:
    request.headers.get("authorization")
    yield


def adds(request: Request) -> Generator[None, Answered, None]:
    response = yield
    response.headers["x-version"] = "1"


def measures(request: Request) -> Generator[None, Answered, None]:
    started = time.perf_counter()
    yield
    request.state["elapsed_s"] = time.perf_counter() - started


Next = Callable[[Request], Awaitable[Answered]]


async def reads_async(request: Request, next: Next) -> Answered:
    request.headers.get("authorization")
    return await next(request)


async def adds_async(request: Request, next: Next) -> Answered:
    response = await next(request)
    response.headers["x-version"] = "1"
    return response


async def measures_async(request: Request, next: Next) -> Answered:
    started = time.perf_counter()
    response = await next(request)
    request.state["elapsed_s"] = time.perf_counter() - started
    return response


def add_filters(kind: str = "") -> None:
    """Have three filters of a kind around everything, or none."""
    if kind == "inline":
        for function in (reads, adds, measures):
            app.filter(inline=True)(function)
    elif kind == "async":
        for function in (reads_async, adds_async, measures_async):
            app.filter(function)


if __name__ == "__main__":
    add_filters(*sys.argv[2:])
    app.run(host="127.0.0.1", port=port_argument(), access_log=False)
