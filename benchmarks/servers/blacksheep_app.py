"""BlackSheep on uvicorn."""

from dataclasses import dataclass, field

from blacksheep import Application, FromJSON, Response, json, text

from benchmarks.servers.on_uvicorn import serve

app = Application()


@dataclass
class Item:
    """The document that `POST /items` accepts."""

    name: str
    price: float
    tags: list[str] = field(default_factory=list)


@app.router.get("/")
def text_inline() -> Response:
    return text("Hello, World!")


@app.router.get("/async")
async def text_async() -> Response:
    return text("Hello, World!")


@app.router.get("/users/{id}")
def user(id: int, verbose: bool = False) -> Response:
    return json({"id": id, "verbose": verbose, "name": "Ada"})


@app.router.get("/async/users/{id}")
async def user_async(id: int, verbose: bool = False) -> Response:
    return json({"id": id, "verbose": verbose, "name": "Ada"})


@app.router.post("/items")
async def add_item(data: FromJSON[Item]) -> Response:
    item = data.value
    return json({"id": 1, "name": item.name, "price": item.price, "tags": item.tags})


if __name__ == "__main__":
    serve(app)
