"""Neither clients that stay after a refusal nor streams without end keep a server from stopping."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import threading

import pytest

from tarry import App, Compression
from tarry.app.responses import Events
from tests.both.clients import H2Client
from tests.server.http2_client import HTTP2Client
from tests.wire import TIMEOUT_S, Wire


def refused_http1(url):
    wire = Wire(url)
    wire.send(b"nonsense\r\n\r\n")
    assert wire.read().status == 400
    return wire


def refused_http2(url):
    client = H2Client(url)
    # A window update of nothing: the connection ends with a GOAWAY.
    client.socket.sendall(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00")
    while client.goaway is None:
        client.take()
    return client


def refused_stream(url):
    client = H2Client(url)
    bad = client.answer(client.open(client.head("GET", "/#fragment")))
    assert bad.status == 400
    return client


@pytest.mark.parametrize("refuse", [refused_http1, refused_http2, refused_stream])
def test_a_server_stops_while_a_refused_client_stays(refuse):
    server = App().start()
    with refuse(server.url):
        stopping = threading.Thread(target=server.stop, daemon=True)
        stopping.start()
        stopping.join(TIMEOUT_S)

        assert not stopping.is_alive()


# ── open streams of events ────────────────────────────────────────────────────────────────

STREAMS = 20
NEVER_S = 3600.0


class Streams:
    """An application with streams of events that never end by themselves."""

    def __init__(self, filters=()):
        self.open = 0
        self.opened = threading.Semaphore(0)
        self.app = App()
        self.app.get("/", filters=filters)(self.events)

    async def events(self):
        return Events(self.items(), ping_s=None)

    async def items(self):
        self.open += 1
        try:
            yield "hello"
            self.opened.release()
            await asyncio.Event().wait()
        finally:
            self.open -= 1

    def start(self):
        return self.app.start(access_log=False, stop_timeout_s=NEVER_S)

    def until_opened(self, count):
        for _ in range(count):
            assert self.opened.acquire(timeout=TIMEOUT_S)


def stop(server):
    """Stop, which ends long before the timeout of an hour."""
    stopping = threading.Thread(target=server.stop, daemon=True)
    stopping.start()
    stopping.join(TIMEOUT_S)
    assert not stopping.is_alive()


def is_whole(body):
    return re.fullmatch(rb"data: hello\n\nretry: [123]\d\d\d\n\n", body) is not None


def test_open_streams_of_events_end_whole_and_at_once_when_the_server_stops():
    streams = Streams()
    server = streams.start()
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.url)) for _ in range(STREAMS)]
        for wire in wires:
            wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        streams.until_opened(STREAMS)
        stop(server)

        replies = [wire.read() for wire in wires]  # fails if a chunked body has no end
        assert all(wire.is_closed() for wire in wires)
    assert [reply.status for reply in replies] == [200] * STREAMS
    assert all(is_whole(reply.body) for reply in replies)
    assert len({reply.body for reply in replies}) > 1, "all clients come back at the same time"
    assert streams.open == 0


def test_open_streams_of_events_end_over_http2_too():
    streams = Streams()
    server = streams.start()
    with HTTP2Client(server.url) as client:
        numbers = [client.request() for _ in range(STREAMS)]
        streams.until_opened(STREAMS)
        stop(server)
        answers = [client.read(number) for number in numbers]

    assert client.ended == set(numbers)
    assert all(status == 200 and is_whole(body) for status, body in answers)
    assert streams.open == 0


def test_compressed_streams_of_events_end_whole_too():
    streams = Streams([Compression(types=["text/event-stream"], codings=["gzip"]).filter])
    server = streams.start()
    with Wire(server.url) as wire:
        wire.send(b"GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n")
        streams.until_opened(1)
        stop(server)
        reply = wire.read()

    assert reply.get("content-encoding") == "gzip"
    assert is_whole(gzip.decompress(reply.body))
