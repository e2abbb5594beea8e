"""FastAPI on uvicorn."""

from typing import Any

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from benchmarks.servers.on_uvicorn import serve

app = FastAPI()


class Item(BaseModel):
    """The document that `POST /items` accepts."""

    name: str
    price: float
    tags: list[str] = []


@app.get("/", response_class=PlainTextResponse)
@app.get("/async", response_class=PlainTextResponse)
async def text() -> str:
    return "Hello, World!"


@app.get("/threads", response_class=PlainTextResponse)
def text_threads() -> str:
    return "Hello, World!"


@app.get("/users/{id}")
@app.get("/async/users/{id}")
async def user(id: int, verbose: bool = False) -> dict[str, Any]:
    return {"id": id, "verbose": verbose, "name": "Ada"}


@app.post("/items")
async def add_item(item: Item) -> dict[str, Any]:
    return {"id": 1, "name": item.name, "price": item.price, "tags": item.tags}


if __name__ == "__main__":
    serve(app)
