"""WebSockets in class style."""

from __future__ import annotations

import logging
from typing import ClassVar

import pytest

from tarry.app.websocket_classes import class_endpoint
from tests.app.websocket_serving import client, ends_with, refused, serving
from tests.websocket_frames import PING, PONG, Peer, close, frame, text


class Noting:
    """Notes what it is told."""

    made: ClassVar[int] = 0
    told: ClassVar[list] = []

    def __init__(self):
        type(self).made += 1
        self.number = type(self).made

    async def on_open(self, socket):
        self.told.append(("open", self.number, socket.path))
        await socket.send(f"{self.number}")

    async def on_text(self, socket, text):
        self.told.append(("text", self.number, text))
        await socket.send(text.upper())

    async def on_close(self, socket, code, reason):
        self.told.append(("close", self.number, code, reason))


@pytest.fixture
def noting():
    """A fresh class for each test."""
    return type("Fresh", (Noting,), {"made": 0, "told": []})


def test_each_connection_gets_an_object_of_its_own(noting):
    with serving({"/{room}": class_endpoint(noting)}) as server:
        for number, room in enumerate("ab", 1):
            with client(server, f"/{room}") as socket:
                assert socket.recv() == str(number)
                socket.send("hi")
                socket.send(b"for nobody")
                assert socket.recv() == "HI"
        server.until(lambda: len(noting.told) == 6)
    assert noting.told[:3] == [
        ("open", 1, {"room": "a"}), ("text", 1, "hi"), ("close", 1, 1000, ""),
    ]  # fmt: skip
    assert {number for _, number, *_ in noting.told[3:]} == {2}


def test_the_endpoint_has_the_name_of_the_class():
    """People find it by that in the site map."""
    assert class_endpoint(Noting).__name__ == "Noting"


def test_a_singleton_is_one_for_all(noting):
    with serving({"/": class_endpoint(noting, singleton=True)}) as server:
        for _ in range(2):
            with client(server) as socket:
                assert socket.recv() == "1"
    assert noting.made == 1


def test_every_kind_of_frame_has_its_method():
    told = []

    class All:
        async def on_binary(self, socket, data):
            told.append(("binary", data))

        async def on_ping(self, socket, data):
            told.append(("ping", data))

        async def on_pong(self, socket, data):
            told.append(("pong", data))

        async def on_close(self, socket, code, reason):
            told.append(("close", code, reason))

    with serving({"/": class_endpoint(All)}) as server, Peer(server.url) as peer:
        peer.send(
            frame(PING, b"1") + frame(PONG, b"2") + text("x") + frame(2, b"3") + close(4000, b"y")
        )
        assert peer.read_frame() == (PONG, True, b"1")
        server.until(lambda: len(told) == 4)
    assert told == [("ping", b"1"), ("pong", b"2"), ("binary", b"3"), ("close", 4000, "y")]


def test_an_object_that_fails_is_told_the_end_and_logged(caplog, noting):
    class Failing(noting):
        async def on_text(self, socket, text):
            raise ValueError(text)

    with serving({"/": class_endpoint(Failing)}) as server, client(server) as socket:
        assert socket.recv() == "1"
        socket.send("broken")
        assert ends_with(socket) == (1011, "")
        server.until(lambda: len(noting.told) == 2)
    assert noting.told[-1] == ("close", 1, 1011, "")
    assert [each for each in caplog.records if each.levelno == logging.ERROR]


def test_an_object_may_close(noting):
    class Closing(noting):
        async def on_text(self, socket, text):
            await socket.close(4002, text)

    with serving({"/": class_endpoint(Closing)}) as server, client(server) as socket:
        socket.recv()
        socket.send("bye")
        assert ends_with(socket) == (4002, "bye")
        server.until(lambda: len(noting.told) == 2)
    assert noting.told[-1] == ("close", 1, 4002, "bye")


@pytest.mark.parametrize(("verdict", "status"), [(False, 403), (402, 402)])
def test_an_object_decides_about_its_handshake(noting, verdict, status):
    class Choosy(noting):
        def on_handshake(self, request):
            return None if request.query_string == "please" else verdict

    with serving({"/": class_endpoint(Choosy)}) as server:
        assert refused(server) == status
        with client(server, "/?please") as socket:
            assert socket.recv() == "2"
    assert noting.told[0][0] == "open"


def test_what_an_object_learns_in_its_handshake_it_knows_later():
    class Knowing:
        async def on_handshake(self, request):
            self.user = request.headers["x-user"]

        async def on_open(self, socket):
            await socket.send(self.user)

    named = {"x-user": "me"}
    with (
        serving({"/": class_endpoint(Knowing)}) as server,
        client(server, additional_headers=named) as socket,
    ):
        assert socket.recv() == "me"


def test_options_are_those_of_functions(noting):
    with serving({"/": class_endpoint(noting, subprotocols=["a"], origins=[])}) as server:
        assert refused(server, origin=server.url) == 403
        with client(server, subprotocols=["a"]) as socket:
            assert socket.subprotocol == "a"


def test_classes_that_cannot_talk_are_refused():
    class Plain:
        def on_text(self, socket, text):
            return text

    class Empty:
        async def on_message(self, socket, text):
            return text

    with pytest.raises(TypeError, match=r"on_text .* must be an async def"):
        class_endpoint(Plain)
    with pytest.raises(TypeError, match="has none of on_open, on_text"):
        class_endpoint(Empty)
