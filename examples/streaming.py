"""Answers in pieces, sent at the pace of the client: nothing is held in memory.

python examples/streaming.py

curl -i http://127.0.0.1:8000/count/5         # no length is known: chunked
curl -i http://127.0.0.1:8000/zeros/100000    # the length is known: Content-Length
curl -N http://127.0.0.1:8000/clock           # an async generator, a line each second
seq 1000000 | curl -T - http://127.0.0.1:8000/lines   # the other way: a body as it comes
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

from tarry import App, Request, Stream

app = App()


@app.get("/count/{last:int}")
def count(last: int) -> Stream:
    """A plain generator runs in a thread, so it may block."""
    return Stream(f"{number}\n" for number in range(1, last + 1))


@app.get("/zeros/{size:int}")
def zeros(size: int) -> Stream:
    """With `length` the client knows how much comes; more or less would break the answer off."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, size, 4096):
            yield bytes(min(4096, size - start))

    return Stream(pieces(), length=size, content_type="application/octet-stream")


@app.get("/clock")
async def clock(ticks: int = 10, every_s: float = 1.0) -> Stream:
    async def pieces() -> AsyncIterator[str]:
        for _ in range(ticks):
            yield f"{datetime.now(UTC):%H:%M:%S}\n"
            await asyncio.sleep(every_s)

    return Stream(pieces())


@app.put("/lines")
async def lines(request: Request) -> dict[str, int]:
    return {"lines": sum([piece.count(b"\n") async for piece in request.stream()])}


if __name__ == "__main__":
    app.run()
