"""Files that the kernel sends: the same bytes, timeouts and ends as those that are read."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading

import pytest

from tarry.descriptors import Descriptor
from tarry.exchange import ClientGone
from tarry.message.heads import LengthError, ResponseHead
from tarry.server import sendfile
from tarry.server.sendfile import MIN_BYTES, SLICE_BYTES
from tests.wire import TIMEOUT_S, Wire

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
LATE_S = 0.5
SIZE = SLICE_BYTES + 12_345
"""More than the sockets of Linux hold, and than one call sends."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "big"
    path.write_bytes(os.urandom(1 << 20) * (SIZE >> 20) + os.urandom(SIZE % (1 << 20)))
    return path


@pytest.fixture
def calls(monkeypatch):
    """What `os.sendfile` sent in each call, and in which thread."""
    made = []
    real = os.sendfile

    def noting(*arguments):
        sent = real(*arguments)
        made.append((sent, threading.get_ident()))
        return sent

    monkeypatch.setattr(sendfile.os, "sendfile", noting)
    return made


class SendingFiles:
    """Answers each request with parts of a file; `outcome` is how the last one ended."""

    def __init__(self, path, parts=((0, SIZE),), *, length=True, announced=None):
        self.path = path
        self.parts = parts
        self.length = sum(count for _, count in parts) if announced is None else announced
        self.head = ResponseHead(200, [(b"content-length", b"%d" % self.length)] if length else [])
        self.outcome = None
        self.exchange = None

    def __call__(self, exchange):
        self.exchange = exchange
        exchange.context = asyncio.ensure_future(self.send(exchange))

    async def send(self, exchange):
        file = Descriptor(os.open(self.path, os.O_RDONLY))
        try:
            exchange.start(self.head)
            for offset, count in self.parts:
                await exchange.send_file(file, offset, count, asyncio.to_thread)
            exchange.end()
            self.outcome = "sent"
        except (ClientGone, LengthError, OSError) as error:
            exchange.abort()
            self.outcome = error
        finally:
            file.close()


def slow(server, receive_bytes=65_536):
    """A client that holds little; the server's answers get stuck."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    wire = Wire.__new__(Wire)
    wire.socket = socket.socket()
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    wire.socket.settimeout(TIMEOUT_S)
    wire.socket.connect((host, int(port)))
    wire._received = b""
    return wire


def until_stuck(server):
    """Wait until a connection waits for its client; the bytes of the file that are left."""
    return server.until(
        lambda: next(
            (each.unsent_file_bytes for each in server.service.connections if each._writing_paused),
            None,
        )
    )


def open_descriptors():
    return len(list(os.scandir("/proc/self/fd")))


def body_of(wire):
    """The body of the next answer; `Wire.read` would copy it with each piece."""
    head = wire.until(b"\r\n\r\n").lower()
    if b"chunked" in head:
        return wire._chunks()
    size = int(head.partition(b"content-length:")[2].split(b"\r")[0])
    pieces = [wire._take(min(size, len(wire._received)))]
    size -= len(pieces[0])
    while size:
        pieces.append(wire.socket.recv(min(size, 1 << 20)))
        assert pieces[-1], "the connection was cut"
        size -= len(pieces[-1])
    return b"".join(pieces)


def test_a_file_is_sent_by_the_kernel_and_off_the_loop(serve, path, calls):
    server = serve(SendingFiles(path))
    with Wire(server.url) as wire:
        wire.send(GET)

        assert body_of(wire) == path.read_bytes()
    assert sum(sent for sent, _ in calls) == SIZE
    assert server.thread.ident not in {thread for _, thread in calls}


def test_the_connection_lives_on(serve, path, calls):
    server = serve(SendingFiles(path, [(0, MIN_BYTES)]))
    with Wire(server.url) as wire:
        for _ in range(3):
            wire.send(GET)
            assert len(body_of(wire)) == MIN_BYTES
        wire.send(GET * 3)
        for _ in range(3):
            assert len(body_of(wire)) == MIN_BYTES
        server.until(lambda: server.application.handle.exchange.answered)
    assert sum(sent for sent, _ in calls) == MIN_BYTES * 6


def test_parts_come_in_order_however_they_are_sent(serve, path, calls):
    parts = [(5, 3), (100, MIN_BYTES), (7, MIN_BYTES - 1), (0, MIN_BYTES + 1), (SIZE - 9, 9)]
    server = serve(SendingFiles(path, parts))
    content = path.read_bytes()
    with Wire(server.url) as wire:
        wire.send(GET)

        assert body_of(wire) == b"".join(content[at : at + count] for at, count in parts)
    assert sum(sent for sent, _ in calls) == MIN_BYTES * 2 + 1


def test_without_a_length_the_file_is_read_and_chunked(serve, path, calls):
    server = serve(SendingFiles(path, length=False))
    with Wire(server.url) as wire:
        wire.send(GET)

        assert body_of(wire) == path.read_bytes()
    assert not calls


def test_a_file_system_that_cannot_leaves_it_to_reading(serve, path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "not supported")

    monkeypatch.setattr(sendfile.os, "sendfile", refuse)
    server = serve(SendingFiles(path))
    with Wire(server.url) as wire:
        wire.send(GET)

        assert body_of(wire) == path.read_bytes()


def test_an_error_in_the_middle_leaves_the_rest_to_reading(serve, path, monkeypatch):
    real, calls = os.sendfile, []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError(errno.EIO, "failed")
        return real(*arguments[:3], min(arguments[3], 10_000))

    monkeypatch.setattr(sendfile.os, "sendfile", failing)
    server = serve(SendingFiles(path))
    with Wire(server.url) as wire:
        wire.send(GET)

        assert body_of(wire) == path.read_bytes()


def test_a_system_without_sendfile_reads(serve, path, monkeypatch):
    monkeypatch.delattr(sendfile.os, "sendfile")
    server = serve(SendingFiles(path))
    with Wire(server.url) as wire:
        wire.send(GET)

        assert body_of(wire) == path.read_bytes()


def test_a_server_without_free_descriptors_reads(serve, path, monkeypatch, calls):
    def refuse(_):
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr("tarry.server.connection.os.dup", refuse)
    server = serve(SendingFiles(path))
    with Wire(server.url) as wire:
        wire.send(GET)

        assert body_of(wire) == path.read_bytes()
    assert not calls


def test_what_was_written_before_goes_out_before(serve, path):
    """The transport still has a part of the body when the file comes."""
    first = os.urandom(SIZE)

    class Both(SendingFiles):
        async def send(self, exchange):
            exchange.start(ResponseHead(200, [(b"content-length", b"%d" % (2 * SIZE))]))
            exchange.send(first)
            file = Descriptor(os.open(path, os.O_RDONLY))
            await exchange.send_file(file, 0, SIZE, asyncio.to_thread)
            file.close()
            exchange.end()

    server = serve(Both(path))
    with slow(server) as wire:
        wire.send(GET)

        assert body_of(wire) == first + path.read_bytes()


def test_a_file_waits_for_the_answer_before_it(serve, path):
    first = b"x" * SIZE

    class Both(SendingFiles):
        def __call__(self, exchange):
            if exchange.head.path == b"/first":
                exchange.respond(ResponseHead(200), first)
            else:
                super().__call__(exchange)

    server = serve(Both(path))
    with slow(server) as wire:
        wire.send(b"GET /first HTTP/1.1\r\nhost: a\r\n\r\n" + GET)

        assert body_of(wire) == first
        assert body_of(wire) == path.read_bytes()


def test_a_request_that_comes_meanwhile_waits(serve, path):
    server = serve(SendingFiles(path))
    with slow(server) as wire:
        wire.send(GET)
        until_stuck(server)
        wire.send(GET)

        for _ in range(2):
            assert body_of(wire) == path.read_bytes()


# ── ends ──────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_is_cut_meanwhile_ends_the_connection(serve, tmp_path):
    path = tmp_path / "cut"
    path.write_bytes(bytes(SIZE))
    server = serve(SendingFiles(path))
    with slow(server) as wire:
        wire.send(GET)
        sent = SIZE - until_stuck(server)
        os.truncate(path, sent + 1000)
        rest = wire.rest()
        body = rest.partition(b"\r\n\r\n")[2]

        assert len(body) == sent + 1000
    server.until(lambda: server.application.handle.outcome)
    assert isinstance(server.application.handle.outcome, LengthError)


@pytest.mark.parametrize("more", [1, MIN_BYTES])
def test_more_than_announced_is_not_sent(serve, path, more):
    server = serve(SendingFiles(path, [(0, MIN_BYTES), (0, more)], announced=MIN_BYTES))
    with Wire(server.url) as wire:
        wire.send(GET)

        assert len(wire.rest().partition(b"\r\n\r\n")[2]) == MIN_BYTES
    assert isinstance(server.application.handle.outcome, LengthError)


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves(serve, path, reset):
    server = serve(SendingFiles(path))
    before = open_descriptors()
    with slow(server) as wire:
        wire.send(GET)
        until_stuck(server)
        if reset:
            linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    server.until(lambda: server.application.handle.outcome)
    server.until(lambda: not server.service.connections)

    assert isinstance(server.application.handle.outcome, ClientGone)
    server.until(lambda: open_descriptors() <= before)


def test_a_client_that_takes_nothing_is_cut(serve, path):
    server = serve(SendingFiles(path), send_timeout_s=60)
    with slow(server) as wire:
        wire.send(GET)
        until_stuck(server)
        server.jump(59)
        assert len(server.connections) == 1
        server.jump(1 + LATE_S)
        server.jump(60 + LATE_S)
        server.until(lambda: server.application.handle.outcome)
    assert isinstance(server.application.handle.outcome, ClientGone)


def test_a_client_that_takes_slowly_is_not_cut(serve, tmp_path):
    size = 30_000_000
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, size)
    server = serve(SendingFiles(path, [(0, size)]), send_timeout_s=60)
    with slow(server, 500_000) as wire:
        wire.send(GET)
        until_stuck(server)
        wire.until(b"\r\n\r\n")
        taken = len(wire._take(len(wire._received)))
        # Each part is more than the sockets of Linux hold, so the server sees that it is taken.
        for part in (8_000_000, 16_000_000, 24_000_000, size):
            while taken < part:
                data = wire.socket.recv(part - taken)
                assert data, "the connection was cut"
                taken += len(data)
            server.jump(59)
        server.until(lambda: server.application.handle.outcome)
    assert server.application.handle.outcome == "sent"


def test_a_stop_lets_the_file_go_out(serve, path):
    server = serve(SendingFiles(path), stop_timeout_s=30)
    with slow(server) as wire:
        wire.send(GET)
        until_stuck(server)
        server.stop_soon()

        assert body_of(wire) == path.read_bytes()
        assert wire.is_closed()


def test_a_stop_that_takes_too_long_cuts_it(serve, path):
    before = open_descriptors()
    server = serve(SendingFiles(path), stop_timeout_s=0.05)
    with slow(server) as wire:
        wire.send(GET)
        until_stuck(server)
        server.stop()

        assert len(wire.rest()) < SIZE
    assert isinstance(server.application.handle.outcome, ClientGone)
    assert open_descriptors() <= before
