"""Server-sent events over real connections: they arrive at once, and who leaves is noticed."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from tarry import App
from tarry.app.responses import Events, ServerEvent
from tests.both.clients import H2Client
from tests.wire import TIMEOUT_S

HEAD = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


class Ticks:
    """Two events and then silence; `closed` is set when nobody wants more."""

    def __init__(self):
        self.closed = threading.Event()

    async def items(self):
        try:
            yield ServerEvent({"n": 1}, event="tick", id="1")
            yield "two"
            await asyncio.Event().wait()
        finally:
            self.closed.set()


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def url(ticks):
    app = App()
    app.add_route("/", lambda: Events(ticks.items(), ping_s=0.01), inline=True)
    with app.start(access_log=False) as server:
        yield server.url


def test_http1(url, ticks):
    address, _, port = url.removeprefix("http://").rpartition(":")
    with socket.create_connection((address, int(port)), timeout=TIMEOUT_S) as client:
        client.sendall(HEAD)
        received = b""
        while received.count(b": ping\n\n") < 2:
            received += client.recv(65536)

        assert b"content-type: text/event-stream\r\n" in received.lower()
        assert b'event: tick\nid: 1\ndata: {"n":1}\n\n' in received
        assert b"data: two\n\n" in received
        assert not ticks.closed.is_set()
    assert ticks.closed.wait(TIMEOUT_S)


def test_http2(url, ticks):
    with H2Client(url) as client:
        stream_id = client.open(client.head())
        answer = client.answers[stream_id]
        while answer.body.count(b": ping\n\n") < 2:
            client.take()

        assert answer.get("content-type") == "text/event-stream"
        assert answer.body.startswith(b'event: tick\nid: 1\ndata: {"n":1}\n\ndata: two\n\n: ping')
        client.h2.reset_stream(stream_id)
        client.flush()
        assert ticks.closed.wait(TIMEOUT_S)
