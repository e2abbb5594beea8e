"""Bodies: JSON, forms, uploads, raw bytes, and streams to disk."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Annotated, Any

from tarry import Body, Form, Header, Request, Upload

READ_BYTES = 1024 * 1024
MAX_FILE_BYTES = 64 * 1024 * 1024


def add_bodies(app, lane, folder):
    @app.post("/post_json")
    @lane
    def post_json(json: Annotated[dict[str, Any], Body], host: Annotated[str, Header]):
        return OrderedDict(json)

    @app.post("/post_txt")
    @lane
    def post_txt(text: Annotated[str, Form("中文txt")], raw: Annotated[bytes, Body]):
        return {"text": text, "raw": raw.decode()}

    app.post("/upload")(lane.either(upload, upload_async))
    app.post("/chunked")(lane.either(chunked, chunked_async))

    def put_file(request: Request):
        body, size_bytes = request.file, 0
        with (folder / "put").open("wb") as file:
            while piece := body.read(READ_BYTES):
                size_bytes += file.write(piece)
        return {"size_bytes": size_bytes}

    async def put_file_async(request: Request):
        size_bytes = 0
        with (folder / "put").open("wb") as file:
            async for piece in request.stream():
                size_bytes += await asyncio.to_thread(file.write, piece)
        return {"size_bytes": size_bytes}

    app.put("/put/file", max_body_bytes=MAX_FILE_BYTES)(lane.either(put_file, put_file_async))


def upload(text: Annotated[str, Form("中文text")], img: Upload):
    return uploaded(text, img, img.read())


async def upload_async(text: Annotated[str, Form("中文text")], img: Upload):
    return uploaded(text, img, await img.read_async())


def uploaded(text, img, content):
    return {
        "text": text,
        "filename": img.filename,
        "content_type": img.content_type,
        "content": content.decode(),
    }


def chunked(request: Request):
    return {"code": 0, "data": request.file.read().decode()}


async def chunked_async(request: Request):
    return {"code": 0, "data": (await request.body()).decode()}
