"""Tickets over real sockets: long-polls and streams go on while the server does other things."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tarry import App
from tarry.message.eventstream import EventStreamDecoder
from tests.wire import Wire


@pytest.fixture
def waits():
    return []


@pytest.fixture
def url(waits):
    app = App(store="memory")

    @app.post("/", inline=True)
    def park():
        waits.append(app.park(str, durable=True))
        return waits[-1]

    with app.start(access_log=False) as server:
        yield server.url


def ask(wire, line, *fields):
    wire.send("\r\n".join([f"{line} HTTP/1.1", "host: a", *fields, "", ""]).encode())


def ticket(url):
    with Wire(url) as wire:
        ask(wire, "POST /", "prefer: respond-async", "content-length: 0")
        return json.loads(wire.read().body)["links"]["self"]


def test_a_long_poll(url, waits):
    path = ticket(url)
    with Wire(url) as wire:
        ask(wire, f"GET {path}", 'if-none-match: "1"', "prefer: wait=25")
        # Another connection is answered meanwhile, and its answer is news for this one.
        with Wire(url) as other:
            body = '"here"'
            target = waits[0].url.partition("/-/")[2]
            ask(other, f"POST /-/{target}", "content-type: application/json",
                f"content-length: {len(body)}", "connection: close")  # fmt: skip
            other.send(body.encode())
            assert json.loads(other.read().body) == {"accepted": True, "state": "done"}
        reply = wire.read()
        assert reply.status == 303
        ask(wire, f"GET {reply.get('location')}")
        assert wire.read().body == b'"here"'


def test_a_stream(url, waits):
    path = ticket(url)
    with Wire(url) as wire:
        ask(wire, f"GET {path}", "accept: text/event-stream")
        head = wire.until(b"\r\n\r\n")
        assert b"content-type: text/event-stream" in head.lower()
        wire.until(b"event: progress\nid: 1\n")
        assert bool(waits[0].progress(1, 2))
        wire.until(b"event: progress\nid: 2\n")
        assert bool(waits[0].wake("here"))
        wire.until(b"event: done\nid: 3\n")
        wire.until(b"0\r\n\r\n")


def test_a_stream_comes_back_where_it_was(url, waits):
    path = ticket(url)
    with Wire(url) as wire:
        ask(wire, f"GET {path}", "accept: text/event-stream")
        wire.until(b"event: progress\nid: 1\n")
    for at in range(3):
        assert bool(waits[0].progress(at, 3))
    assert bool(waits[0].cancel())
    with Wire(url) as wire:
        ask(wire, f"GET {path}", "accept: text/event-stream", "last-event-id: 2")
        heard = EventStreamDecoder().feed(wire.read().body)
        assert [(each.id, each.event) for each in heard] == [
            ("3", "progress"), ("4", "progress"), ("5", "cancelled"),
        ]  # fmt: skip
        ask(wire, f"GET {path}", "accept: text/event-stream", "last-event-id: 5")
        assert wire.read().status == 204


# ---- WebSockets --------------------------------------------------------------------------------


def socket_of(url, path, **options):
    return connect(url.replace("http://", "ws://") + path, **options)


def heard(socket):
    return [(each["id"], each["event"]) for each in map(json.loads, socket)]


def test_a_websocket_has_the_same_events(url, waits):
    with socket_of(url, ticket(url)) as socket:
        first = json.loads(socket.recv(10))
        assert (first["id"], first["event"], first["data"]["rev"]) == ("1", "progress", 1)
        assert bool(waits[0].progress(1, 2))
        assert json.loads(socket.recv(10))["data"]["progress"]["at"] == 1
        assert bool(waits[0].wake("here"))
        last = json.loads(socket.recv(10))
        assert (last["event"], last["data"]["value"]) == ("done", "here")
        with pytest.raises(ConnectionClosed):
            socket.recv(10)
        assert socket.close_code == 1000


def test_a_websocket_cancels(url, waits):
    with socket_of(url, ticket(url)) as socket:
        socket.send('{"cancel": true}')
        assert heard(socket)[-1] == ("2", "cancelled")
    assert not waits[0].wake("too late")


@pytest.mark.parametrize("message", ["{", '{"cancel": false}', "[]", b"\xff", "null"])
def test_a_websocket_understands_nothing_else(url, waits, message):
    with socket_of(url, ticket(url)) as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            heard(socket)
        assert closed.value.rcvd.code == 1007
    assert bool(waits[0].wake("still"))


def test_a_websocket_that_leaves_is_forgotten(url, waits):
    path = ticket(url)
    with socket_of(url, path) as socket:
        socket.recv(10)
    with socket_of(url, path, additional_headers={"last-event-id": "1"}) as socket:
        assert bool(waits[0].cancel())
        assert heard(socket) == [("2", "cancelled")]


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [("/-/t/tk_nothing", None, 404), (None, "https://evil.example", 403)],
)
def test_a_websocket_that_is_refused(url, path, origin, status):
    with (
        pytest.raises(InvalidStatus) as refused,
        socket_of(url, path or ticket(url), origin=origin),
    ):
        pass
    assert refused.value.response.status_code == status
