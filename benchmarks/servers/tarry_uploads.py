"""Tarry, with the ways to store a body on disk: as a stream, like a file, and as a form.

Each answers with the number of bytes that it has stored.
"""

import asyncio
import shutil
import sys
from pathlib import Path

from benchmarks.servers import port_argument
from tarry import App, Request, Upload

BODY_BYTES = 16 * 1024**3
COPY_BYTES = 256 * 1024

app = App(max_body_bytes=BODY_BYTES)


def target() -> Path:
    """The one file that all uploads go to, in the folder of the command line."""
    return Path(sys.argv[2]) / "stored"


@app.put("/stream")
async def stream(request: Request) -> dict[str, int]:
    size = 0
    with target().open("wb", buffering=0) as file:
        async for piece in request.stream():
            size += len(piece)
            await asyncio.to_thread(file.write, piece)
    return {"size": size}


@app.put("/file")
def like_a_file(request: Request) -> dict[str, int]:
    with target().open("wb") as file:
        shutil.copyfileobj(request.file, file, COPY_BYTES)
        return {"size": file.tell()}


@app.put("/form")
def form(file: Upload) -> dict[str, int]:
    file.save(target(), overwrite=True)
    return {"size": file.size_bytes}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=port_argument(), access_log=False)
