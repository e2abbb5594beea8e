"""An application that takes bodies in every way, with nothing but the limits of forms and routes.

Bodies may have a GiB, so that what is refused earlier is refused for itself.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

from tarry import App, Body, Form, Request, Upload

GIBIBYTE = 1024**3
SMALL_BYTES = 100_000
"""The limit of the routes below /small."""

app = App(max_body_bytes=GIBIBYTE)


@app.get("/neighbour", inline=True)
def neighbour():
    return "here"


@app.get("/query", inline=True)
def query(request: Request):
    return sum(len(values) for values in request.query.values())


@app.get("/parameter")
def parameter(a: str = ""):
    return a


@app.get("/headers", inline=True)
def headers(request: Request):
    return len((request.headers.joined("x") or "").split(", "))


@app.post("/form")
async def form(request: Request):
    """What a form has; the file as it could be saved."""
    read = await request.form()
    files = [upload for uploads in read.files.values() for upload in uploads]
    return {
        "fields": {name: len("".join(values)) for name, values in read.fields.items()},
        "files": [[upload.filename, upload.client_filename, upload.size_bytes] for upload in files],
    }


@app.post("/field")
def field(a: Annotated[str, Form]):
    return len(a)


@app.post("/narrowed", params="a=b")
def narrowed():
    return "narrowed"


@app.post("/upload")
def upload(file: Upload):
    return {"filename": file.filename, "bytes": file.size_bytes}


async def raw(body: Annotated[bytes, Body]):
    return len(body)


async def json(body: Annotated[Any, Body]):
    return len(body)


async def pieces(request: Request):
    return sum([len(piece) async for piece in request.stream()])


def file_like(request: Request):
    return len(request.file.read())


for function in (raw, json, pieces, file_like):
    app.post(f"/{function.__name__}")(function)
    app.post(f"/small/{function.__name__}", max_body_bytes=SMALL_BYTES)(function)
app.post("/small/form", max_body_bytes=SMALL_BYTES)(form)


if __name__ == "__main__":
    with app.start() as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()
