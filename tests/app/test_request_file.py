"""`request.file`: the body like a file, for handlers that run in a thread."""

from __future__ import annotations

import pytest

from tarry import App, Request
from tests.seeds.lanes import message, served
from tests.wire import Wire

LINES = b"one\ntwo\n" + b"x" * 300_000 + b"\nlast"


def reply_of(handler, body, *, pieces=1, **options):
    """What a POST is answered with, and what another request then is."""
    app = App()
    app.post("/", **options)(handler)
    app.get("/")(lambda: "still there")
    size = len(body) // pieces + 1
    head = message("/", f"content-length: {len(body)}", method="POST")
    with served(app) as url, Wire(url) as wire:
        wire.send(head)
        for start in range(0, len(body), size):
            wire.send(body[start : start + size])
        reply = wire.read()
        wire.send(message("/"))
        assert wire.read().body == b"still there"
    return reply


@pytest.mark.parametrize("pieces", [1, 7])
def test_it_is_read_by_line_and_by_size(pieces):
    """Each use of `request.file` goes on where the one before stopped."""

    def handler(request: Request):
        lines = [request.file.readline(), request.file.read(2), *request.file]
        return [len(lines), *(line.decode() for line in lines if len(line) < 10)]

    assert reply_of(handler, LINES, pieces=pieces).body == b'[5,"one\\n","tw","o\\n","last"]'


def test_an_empty_body_is_an_empty_file():
    def handler(request: Request):
        return request.file.read() + request.file.read()

    reply = reply_of(handler, b"")
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("inline", [False, True])
def test_on_the_loop_it_is_refused_instead_of_waiting_for_itself(inline, caplog):
    def function(request: Request):
        return request.file.read()

    async def coroutine_function(request: Request):
        return request.file.read()

    handler = function if inline else coroutine_function
    assert reply_of(handler, b"body", inline=inline).status == 500
    assert "request.file waits for the loop, so it cannot be read on it" in caplog.text
