"""An answer longer than the client's window comes, even if nobody reads the body of a request.

The window is opened by the client on the connection on which the body comes.
"""

from __future__ import annotations

import asyncio

import pytest

from tarry import App, Request, Stream
from tarry.testing import AsyncClient

LARGE = b"x" * 200_000
PIECES = [LARGE[:50_000]] * 4


@pytest.fixture(params=[False, True], ids=["http/1.1", "http/2"])
def http2(request):
    return request.param


def test_of_the_same_request(http2):
    app = App()
    app.post("/")(lambda: Stream(PIECES))
    with app.testing(http2=http2, timeout_s=5) as client:
        reply = client.post("/", data=LARGE)

    assert reply.body == LARGE


def test_and_what_is_read_late_is_whole(http2):
    async def echo(request: Request):
        async def pieces():
            for piece in PIECES:
                yield piece
            yield await request.body()

        return Stream(pieces())

    app = App()
    app.post("/")(echo)
    with app.testing(http2=http2, timeout_s=5) as client:
        reply = client.post("/", data=LARGE)

    assert reply.body == LARGE * 2


def test_of_another_request_on_the_connection():
    """Its body came first and is left unread until the answer is there."""
    answered = asyncio.Event()
    app = App()

    @app.post("/body")
    async def wait(request: Request):
        await answered.wait()
        return str(len(await request.body()))

    @app.get("/answer")
    async def large():
        return Stream(PIECES)

    async def run():
        async with AsyncClient(app, http2=True, timeout_s=5) as client:
            waiting = asyncio.create_task(client.post("/body", data=LARGE))
            reply = await client.get("/answer")
            answered.set()
            return reply, await waiting

    answer, body = asyncio.run(run())

    assert answer.body == LARGE
    assert body.body == b"200000"
