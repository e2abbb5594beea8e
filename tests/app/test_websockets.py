"""Handlers of WebSockets: what they get, what they may do, and what the client sees."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from websockets.exceptions import ConnectionClosedOK

from tarry.app.errors import HttpError
from tarry.app.params import Query
from tarry.app.websockets import FILE_FRAGMENT_BYTES, WebSocket
from tarry.exchange import WebSocketClosed
from tests.app.websocket_serving import client, echo, endpoint, ends_with, serving
from tests.websocket_frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    TEXT,
    Peer,
    close,
    close_code,
    fragments,
    text,
)


def test_text_comes_as_str_and_binary_data_as_bytes():
    kinds = []

    async def chat(socket: WebSocket) -> None:
        async for message in socket:
            kinds.append(type(message))
            await socket.send(message)

    with serving(endpoint(chat)) as server, client(server) as socket:
        for message in ("grüße", b"\x00\xff"):
            socket.send(message)
            assert socket.recv() == message
    assert kinds == [str, bytes]


def test_fragments_are_one_message():
    with serving(endpoint(echo)) as server, Peer(server.url) as peer:
        peer.send(fragments(TEXT, b"Hello ", b"Websocket ", b"Frames!"))
        assert peer.read_text() == "Hello Websocket Frames!"


def test_arguments_are_bound_as_those_of_any_handler():
    async def chat(socket: WebSocket, room: int, name: str = Query("who")) -> None:
        await socket.send(json.dumps([room, name, socket.path, socket.request.url]))

    with (
        serving(endpoint(chat, "/chat/{room}")) as server,
        client(server, "/chat/7?who=me") as socket,
    ):
        room, name, path, url = json.loads(socket.recv())
    assert (room, name, path) == (7, "me", {"room": "7"})
    assert url == server.url + "/chat/7?who=me"


@pytest.mark.parametrize("message", [bytearray(b"abc"), memoryview(b"abc")])
def test_other_forms_of_bytes_can_be_sent(message):
    async def chat(socket: WebSocket) -> None:
        await socket.send(message)

    with serving(endpoint(chat)) as server, client(server) as socket:
        assert socket.recv() == b"abc"


@pytest.mark.parametrize("message", [None, 1, {"a": 1}])
def test_what_is_neither_text_nor_bytes_is_a_bug(message):
    errors = []

    async def chat(socket: WebSocket) -> None:
        try:
            await socket.send(message)
        except TypeError as error:
            errors.append(str(error))

    with serving(endpoint(chat)) as server, client(server) as socket:
        assert ends_with(socket) == (1000, "")
    assert errors == [f"send takes str or bytes, not {type(message).__name__}"]


def test_a_message_can_be_sent_in_fragments():
    async def chat(socket: WebSocket) -> None:
        await socket.send("abcdefg", fragment_bytes=3)

    with serving(endpoint(chat)) as server, Peer(server.url) as peer:
        frames = [peer.read_frame() for _ in range(3)]
    assert frames == [(TEXT, False, b"abc"), (CONT, False, b"def"), (CONT, True, b"g")]


def test_fragments_of_no_size_are_a_bug():
    errors = []

    async def chat(socket: WebSocket) -> None:
        for send in (socket.send("x", fragment_bytes=0), socket.send_file("x", fragment_bytes=-1)):
            try:
                await send
            except ValueError as error:
                errors.append(str(error))

    with serving(endpoint(chat)) as server, client(server) as socket:
        ends_with(socket)
    assert len(errors) == 2


def test_pings_can_be_sent():
    async def chat(socket: WebSocket) -> None:
        await socket.ping(b"there?")
        await socket.receive()

    with serving(endpoint(chat)) as server, Peer(server.url) as peer:
        assert peer.read_frame() == (PING, True, b"there?")


def test_several_tasks_may_send():
    async def chat(socket: WebSocket) -> None:
        await asyncio.gather(*(socket.send(str(number)) for number in range(50)))

    with serving(endpoint(chat)) as server, client(server) as socket:
        assert {socket.recv() for _ in range(50)} == {str(number) for number in range(50)}


# ── files ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("size", "fragment_bytes", "frames"),
    [
        (0, None, [0]),
        (23, None, [23]),
        (23, 10, [10, 10, 3]),
        (20, 10, [10, 10]),
        (FILE_FRAGMENT_BYTES, None, [FILE_FRAGMENT_BYTES]),
        (FILE_FRAGMENT_BYTES + 1, None, [FILE_FRAGMENT_BYTES, 1]),
        (300_000, None, [65_536] * 4 + [37_856]),
    ],
)
def test_a_file_is_one_binary_message(tmp_path, size, fragment_bytes, frames):
    path = tmp_path / "data"
    path.write_bytes(b"abcdefghij" * (size // 10) + b"x" * (size % 10))

    async def chat(socket: WebSocket) -> None:
        await socket.send_file(path, fragment_bytes=fragment_bytes)

    with serving(endpoint(chat)) as server, Peer(server.url) as peer:
        got = [peer.read_frame() for _ in frames]
    assert [len(payload) for _, _, payload in got] == frames
    assert [kind for kind, _, _ in got] == [BINARY] + [CONT] * (len(frames) - 1)
    assert [fin for _, fin, _ in got] == [False] * (len(frames) - 1) + [True]
    assert b"".join(payload for _, _, payload in got) == path.read_bytes()


def test_other_messages_wait_for_the_end_of_a_file(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"x" * 100_000)

    async def chat(socket: WebSocket) -> None:
        await asyncio.gather(socket.send_file(str(path), fragment_bytes=1000), socket.send("after"))

    with serving(endpoint(chat)) as server, client(server) as socket:
        assert socket.recv() == b"x" * 100_000
        assert socket.recv() == "after"


def test_a_file_that_is_not_there_sends_nothing(tmp_path):
    async def chat(socket: WebSocket) -> None:
        try:
            await socket.send_file(tmp_path / "none")
        except FileNotFoundError:
            await socket.send("no such file")

    with serving(endpoint(chat)) as server, client(server) as socket:
        assert socket.recv() == "no such file"


def test_a_file_that_is_broken_off_closes_the_socket(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"x" * 10_000_000)

    async def chat(socket: WebSocket) -> None:
        sending = asyncio.ensure_future(socket.send_file(path, fragment_bytes=1000))
        await socket.receive()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    with serving(endpoint(chat)) as server, Peer(server.url) as peer:
        kind, fin, _ = peer.read_frame()
        assert (kind, fin) == (BINARY, False)
        peer.send(text("stop"))
        while kind != CLOSE:
            kind, _, payload = peer.read_frame()
        assert close_code(payload) == 1011


# ── the end ───────────────────────────────────────────────────────────────────────────────


def test_a_handler_that_returns_closes_with_1000():
    async def chat(socket: WebSocket) -> None:
        await socket.send("bye")

    with serving(endpoint(chat)) as server, client(server) as socket:
        assert socket.recv() == "bye"
        with pytest.raises(ConnectionClosedOK):
            socket.recv()


def test_a_handler_can_close_with_a_code_and_a_reason():
    state = []

    async def chat(socket: WebSocket) -> None:
        state.append(socket.closed)
        await socket.close(4001, "grüße")
        await socket.close()
        state.append((socket.closed, socket.close_code, socket.close_reason))

    with serving(endpoint(chat)) as server, client(server) as socket:
        assert ends_with(socket) == (4001, "grüße")
        server.until(lambda: len(state) == 2)
    assert state == [False, (True, 4001, "grüße")]


def test_iteration_ends_when_the_peer_closes():
    ends = []

    async def chat(socket: WebSocket) -> None:
        async for _ in socket:
            pass
        ends.append((socket.closed, socket.close_code, socket.close_reason))

    with serving(endpoint(chat)) as server:
        with client(server) as socket:
            socket.close(4000, "enough")
        with Peer(server.url) as peer:
            peer.send(close())
        with Peer(server.url):
            pass
        server.until(lambda: len(ends) == 3)
    assert ends == [(True, 4000, "enough"), (True, 1005, ""), (True, 1006, "")]


def test_receive_and_send_raise_when_the_peer_closed():
    codes = []

    async def chat(socket: WebSocket) -> None:
        for call in (socket.receive, lambda: socket.send("x"), lambda: socket.ping()):
            try:
                await call()
            except WebSocketClosed as closed:
                codes.append((closed.code, closed.reason))
        await socket.close()

    with serving(endpoint(chat)) as server:
        with client(server) as socket:
            socket.close(4000, "enough")
        server.until(lambda: len(codes) == 3)
    assert codes == [(4000, "enough")] * 3


def test_a_handler_need_not_catch_the_end(caplog):
    async def chat(socket: WebSocket) -> None:
        while True:
            await socket.send(await socket.receive())

    with serving(endpoint(chat)) as server:
        with client(server) as socket:
            socket.send("a")
            assert socket.recv() == "a"
        with Peer(server.url):
            pass
        server.until_connected(0)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_handler_of_several_tasks_need_not_catch_the_end_either(caplog):
    async def chat(socket: WebSocket) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(socket.receive())

    with serving(endpoint(chat)) as server:
        with Peer(server.url):
            pass
        server.until_connected(0)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_the_end_of_another_socket_is_an_error_of_this_handler(caplog):
    sockets = []

    async def chat(socket: WebSocket) -> None:
        sockets.append(socket)
        await socket.receive()
        await sockets[0].send("to the first")

    with serving(endpoint(chat)) as server:
        with client(server) as first:
            server.until(lambda: sockets)
        assert first.close_code == 1000
        with client(server) as second:
            second.send("go")
            assert ends_with(second) == (1011, "")
    assert [each.levelno for each in caplog.records if each.name == "tarry"] == [logging.ERROR]


@pytest.mark.parametrize("error", [ValueError("broken"), HttpError(404), SystemExit(1)])
def test_an_error_is_logged_and_closes_with_1011(caplog, error):
    async def chat(socket: WebSocket) -> None:
        raise error

    with serving(endpoint(chat)) as server:
        for _ in range(2):
            with client(server) as socket:
                assert ends_with(socket) == (1011, "")
    errors = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert len(errors) == 2
    assert "the handler of GET /" in errors[0].getMessage()


def test_a_server_that_stops_ends_the_iteration():
    ends = []

    async def chat(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)
        ends.append(socket.close_code)

    with serving(endpoint(chat)) as server, client(server) as socket:
        socket.send("there")
        assert socket.recv() == "there"
        server.stop_soon()
        assert ends_with(socket)[0] == 1001
    assert ends == [1001]
