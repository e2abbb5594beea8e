"""Handshakes and registration: who is let in, and what can be a handler."""

from __future__ import annotations

import json

import pytest

from tarry.app.dispatch import Dispatcher
from tarry.app.errors import HttpError
from tarry.app.websocket_endpoints import websocket_endpoint
from tarry.app.websockets import WebSocket
from tests.app.serving import add_route, once
from tests.app.websocket_serving import client, echo, endpoint, refused, serving
from tests.websocket_frames import (
    Peer,
    request,
    text,
)
from tests.wire import Wire

# ── the handshake ─────────────────────────────────────────────────────────────────────────


def test_the_first_common_subprotocol_is_spoken():
    async def chat(socket: WebSocket) -> None:
        await socket.send(str(socket.subprotocol))

    with serving(endpoint(chat, subprotocols=["v2", "v1"])) as server:
        for offered, spoken in ((["v1", "v2"], "v2"), (["v1"], "v1"), (["v0"], None)):
            with client(server, subprotocols=offered) as socket:
                assert socket.subprotocol == spoken
                assert socket.recv() == str(spoken)


def test_pages_of_other_origins_are_refused():
    with serving(endpoint(echo)) as server:
        assert refused(server, origin="http://evil.example") == 403
        with client(server, origin=server.url) as socket:
            socket.send("same host")
            assert socket.recv() == "same host"


def test_origins_can_be_named():
    routes = endpoint(echo, "/some", origins=["https://friend.example"])
    routes |= endpoint(echo, "/all", origins="*")
    with serving(routes) as server:
        assert refused(server, "/some", origin=server.url) == 403
        with client(server, "/some", origin="https://friend.example"):
            pass
        with client(server, "/all", origin="https://evil.example"):
            pass


def test_addresses_and_arguments_are_checked_first():
    async def chat(socket: WebSocket, room: int) -> None:
        await socket.send(str(room))

    with serving(endpoint(chat, "/chat/{room}")) as server:
        assert refused(server, "/other") == 404
        assert refused(server, "/chat/x") == 400


def test_an_ordinary_request_is_told_to_upgrade():
    with serving(endpoint(echo)) as server, Wire(server.url) as wire:
        wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        reply = wire.read()
        assert reply.status == 426
        assert reply.get("upgrade") == "websocket"
        assert reply.get("sec-websocket-version") == "13"
        assert json.loads(reply.body)["detail"] == "this address is for WebSocket"
        wire.send(request(sec_websocket_version="8"))
        assert (wire.read().status, reply.get("sec-websocket-version")) == (426, "13")
        wire.send(request(method="POST", content_length="0"))
        assert wire.read().status == 405


@pytest.mark.parametrize(
    ("verdict", "status"), [(None, 101), (True, 101), (False, 403), (401, 401), (503, 503)]
)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_hook_decides_about_a_handshake(verdict, status, is_async):
    def decide(socket):
        socket.context = socket.request.headers["x-user"] + socket.path["room"]
        return verdict

    async def decide_async(socket):
        return decide(socket)

    async def chat(socket: WebSocket) -> None:
        await socket.send(socket.context)

    hook = decide_async if is_async else decide
    with serving(endpoint(chat, "/{room}", handshake=hook)) as server, Wire(server.url) as wire:
        wire.send(request("/1", x_user="me"))
        assert wire.read().status == status
        if status == 101:
            assert wire._exactly(5) == b"\x81\x03me1"


def test_a_hook_may_raise_and_must_not_say_nonsense():
    def deny(socket):
        raise HttpError(429, headers=[(b"retry-after", b"5")])

    routes = endpoint(echo, "/deny", handshake=deny)
    routes |= endpoint(echo, "/nonsense", handshake=lambda socket: "yes")
    with serving(routes) as server:
        assert refused(server, "/deny") == 429
        assert refused(server, "/nonsense") == 500


def test_headers_can_be_added_to_the_answer():
    plain = websocket_endpoint(echo)

    async def with_header(socket: WebSocket):
        upgrade = await plain(socket=socket)
        upgrade.headers["x-filter"] = "was here"
        return upgrade

    with serving({"/": with_header}) as server, Wire(server.url) as wire:
        wire.send(request())
        reply = wire.read()
        assert (reply.status, reply.get("x-filter")) == (101, "was here")


def test_a_header_that_would_break_the_answer_is_a_bug_of_ours_and_not_sent():
    plain = websocket_endpoint(echo)

    async def with_header(socket: WebSocket):
        upgrade = await plain(socket=socket)
        upgrade.headers["connection"] = "close"
        return upgrade

    with serving({"/": with_header}) as server, Wire(server.url) as wire:
        wire.send(request())
        assert wire.read().status == 500


def test_on_a_connection_that_knows_none_the_answer_is_501():
    dispatcher = Dispatcher()
    add_route(dispatcher, "/", ("GET",), websocket_endpoint(echo), inline=False)

    assert once(dispatcher).status == 501


def test_a_socket_of_another_route_cannot_be_used():
    async def plain(socket: WebSocket):
        return str(socket.closed)

    dispatcher = Dispatcher()
    add_route(dispatcher, "/", ("GET",), plain, inline=False)

    assert once(dispatcher).status == 500


# ── registering ───────────────────────────────────────────────────────────────────────────


def test_a_function_that_cannot_talk_is_refused():
    def blocking(socket: WebSocket):
        return socket

    async def without(room: str):
        return room

    with pytest.raises(TypeError, match=r"blocking \(.*must be an async def"):
        websocket_endpoint(blocking)
    with pytest.raises(TypeError, match=r"without \(.*takes no argument of type WebSocket"):
        websocket_endpoint(without)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"origins": "http://a"}, ValueError),
        ({"max_message_bytes": 0}, ValueError),
        ({"subprotocols": ["a b"]}, ValueError),
        ({"max_size": 1}, TypeError),
    ],
)
def test_options_that_make_no_sense_are_refused(options, error):
    with pytest.raises(error):
        websocket_endpoint(echo, **options)


def test_a_route_has_the_name_of_its_function():
    dispatcher = Dispatcher()

    assert (
        add_route(dispatcher, "/", ("GET",), websocket_endpoint(echo), inline=False).name == "echo"
    )


def test_a_path_parameter_without_an_argument_is_in_the_path_of_the_socket():
    async def chat(socket: WebSocket) -> None:
        await socket.send(socket.path["room"])

    with serving(endpoint(chat, "/{room}")) as server, client(server, "/caf%C3%A9") as socket:
        assert socket.recv() == "café"


def test_limits_of_an_endpoint_hold():
    with serving(endpoint(echo, max_message_bytes=10)) as server, Peer(server.url) as peer:
        peer.send(text("x" * 10))
        assert peer.read_text() == "x" * 10
        peer.send(text("x" * 11))
        assert peer.read_close() == 1009
