"""What a server waits for, and how long: a clock that jumps, real sockets."""

from __future__ import annotations

import json
import socket

import pytest

from tarry.protocol.engine import Reading
from tests.server.serving import OK, greet
from tests.wire import Wire

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n"
LATE_S = 0.5
"""Timers come less than two widths of a quarter of a second late."""


def connect(server):
    wire = Wire(server.url)
    server.until_connected()
    return wire


def read_408(wire, detail):
    reply = wire.read()
    assert reply.status == 408
    assert reply.closes
    assert json.loads(reply.body)["detail"] == detail
    assert wire.is_closed()


# ── heads ─────────────────────────────────────────────────────────────────────────────────


def test_a_head_that_does_not_come_to_its_end(serve):
    server = serve(greet, head_timeout_s=10)
    with connect(server) as wire:
        wire.send(GET[:-2])
        server.until_reading(Reading.HEAD)
        server.jump(9.9)
        assert len(server.connections) == 1
        server.jump(0.1 + LATE_S)

        read_408(wire, "the request head did not come in time")


def test_a_slow_head_is_not_given_more_time_for_more_bytes(serve):
    server = serve(greet, head_timeout_s=10)
    with connect(server) as wire:
        for at, byte in enumerate(GET[:8]):
            wire.send(bytes([byte]))
            server.until(lambda at=at: server.service.connections and held(server) == at + 1)
            server.jump(1.2)
        server.jump(0.4 + LATE_S)

        read_408(wire, "the request head did not come in time")


def held(server):
    (connection,) = server.service.connections
    return connection.engine.held_bytes


def test_the_time_for_a_head_begins_with_its_first_byte(serve):
    server = serve(greet, head_timeout_s=10, idle_timeout_s=75)
    with connect(server) as wire:
        wire.send(GET)
        assert wire.read().status == 200
        server.jump(60)
        wire.send(GET[:5])
        server.until_reading(Reading.HEAD)
        server.jump(9.9)
        wire.send(GET[5:])

        assert wire.read().status == 200


def test_a_connection_that_never_says_anything_is_closed_without_an_answer(serve):
    server = serve(greet, head_timeout_s=10)
    with connect(server) as wire:
        server.jump(9.9)
        assert len(server.connections) == 1
        server.jump(0.1 + LATE_S)

        assert wire.is_closed()


# ── bodies ────────────────────────────────────────────────────────────────────────────────


def test_a_body_that_stops(serve, keeping):
    server = serve(keeping, body_timeout_s=30)
    gone = []
    with connect(server) as wire:
        wire.send(POST + b"12345")
        server.until(lambda: keeping.exchanges)
        server.call(keeping.exchanges[0].on_gone, lambda: gone.append(True))
        server.until_reading(Reading.BODY)
        server.jump(30 + LATE_S)

        read_408(wire, "the request body did not come in time")
    assert gone == [True]


def test_a_slow_body_that_goes_on_is_taken(serve):
    def answer_with_body(exchange):
        exchange.body.on_complete(lambda body: exchange.respond(OK, body), pytest.fail)

    server = serve(answer_with_body, body_timeout_s=30)
    with connect(server) as wire:
        wire.send(POST)
        for at in range(10):
            wire.send(b"x")
            if at < 9:
                server.until(lambda at=at: left(server) == 9 - at)
                server.jump(29)

        assert wire.read().body == b"x" * 10


def left(server):
    (connection,) = server.service.connections
    return connection.engine._coming


def test_a_reader_that_is_behind_is_not_the_fault_of_the_client(serve, keeping):
    server = serve(keeping, body_timeout_s=30)
    size = 10_000_000
    with connect(server) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size)
        wire.send(bytes(70_000))
        server.until(lambda: keeping.exchanges and keeping.exchanges[0].body.full)
        server.jump(60)
        server.jump(60)
        assert not keeping.exchanges[0].gone

        server.answer(keeping.exchanges[0])
        assert wire.read().status == 200


# ── idle connections ──────────────────────────────────────────────────────────────────────


def test_an_idle_connection_is_closed(serve):
    server = serve(greet, idle_timeout_s=75)
    with connect(server) as wire:
        for _ in range(3):
            wire.send(GET)
            assert wire.read().status == 200
            server.jump(74.9)
            assert len(server.connections) == 1
        server.jump(0.1 + LATE_S)

        assert wire.is_closed()


def test_a_handler_may_take_any_time(serve, keeping):
    server = serve(keeping)
    with connect(server) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        for _ in range(20):
            server.jump(100)
        server.answer(keeping.exchanges[0])
        assert wire.read().status == 200

        server.jump(74.9)
        assert len(server.connections) == 1
        server.jump(0.1 + LATE_S)
        assert wire.is_closed()


# ── answers ───────────────────────────────────────────────────────────────────────────────

BIG = bytes(8_000_000)


def slow_client(server, buffer_bytes=4096):
    """A connection whose client takes little at once."""
    wire = Wire.__new__(Wire)
    wire.socket = socket.socket()
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    wire.socket.settimeout(10)
    host, port = server.url.removeprefix("http://").split(":")
    wire.socket.connect((host, int(port)))
    wire._received = b""
    server.until_connected()
    return wire


def stuck(server):
    """Whether all that the client takes has been taken, and bytes are left."""
    (connection,) = server.service.connections
    return connection._writing_paused


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET,
        b"GET / HTTP/1.0\r\n\r\n",
    ],
    ids=["keep-alive", "close"],
)
def test_a_client_that_reads_nothing_is_cut(serve, request_bytes):
    server = serve(lambda exchange: exchange.respond(OK, BIG), send_timeout_s=60)
    with slow_client(server) as wire:
        wire.send(request_bytes)
        server.until(lambda: stuck(server))
        server.jump(59)
        assert len(server.connections) == 1
        server.jump(1 + LATE_S)
        for _ in range(2):  # What left meanwhile counts as taken once.
            server.jump(60 + LATE_S)

        server.until(lambda: not server.service.connections, within_s=2)


def test_the_send_timeout_is_not_put_off_by_the_idle_timeout(serve):
    server = serve(
        lambda exchange: exchange.respond(OK, BIG), send_timeout_s=60, idle_timeout_s=1000
    )
    with slow_client(server) as wire:
        wire.send(GET)
        server.until(lambda: stuck(server))
        for _ in range(3):
            server.jump(60 + LATE_S)

        server.until(lambda: not server.service.connections, within_s=2)


def test_a_client_that_reads_slowly_is_not_cut(serve):
    huge = bytes(30_000_000)
    server = serve(lambda exchange: exchange.respond(OK, huge), send_timeout_s=60)
    with slow_client(server, 500_000) as wire:
        wire.send(GET)
        server.until(lambda: stuck(server))
        wire.until(b"\r\n\r\n")
        taken_bytes = len(wire._take(len(wire._received)))
        # Each part is more than the sockets of Linux hold, so the server sees that it is taken.
        for part in (8_000_000, 16_000_000, 24_000_000, len(huge)):
            while taken_bytes < part:
                taken = wire.socket.recv(part - taken_bytes)
                assert taken, "the connection was cut"
                taken_bytes += len(taken)
            server.jump(60 + LATE_S)


# ── lingering close ───────────────────────────────────────────────────────────────────────


def test_a_refused_client_that_goes_on_sending_can_read_why(serve):
    server = serve(greet, linger_timeout_s=1)
    with connect(server) as wire:
        wire.send(b"NONSENSE\r\n\r\n")
        reply = wire.read()
        wire.send(bytes(100_000))

        assert (reply.status, reply.closes) == (400, True)
        assert wire.is_closed()
        assert len(server.connections) == 1
        server.jump(1 + LATE_S)
        server.until(lambda: not server.service.connections)


def test_a_refused_client_cannot_go_on_for_ever(serve):
    server = serve(greet)
    with connect(server) as wire:
        wire.send(b"NONSENSE\r\n\r\n")
        assert wire.read().status == 400
        try:
            for _ in range(100):
                wire.send(bytes(100_000))
        except OSError:
            pass
        else:
            pytest.fail("the server took 10 MB of a client that it had refused")
        server.until(lambda: not server.service.connections)


def test_a_refused_client_that_closes_is_let_go_at_once(serve):
    server = serve(greet)
    with connect(server) as wire:
        wire.send(b"NONSENSE\r\n\r\n")
        assert wire.read().status == 400
        wire.half_close()

        server.until(lambda: not server.service.connections)


def test_lingering_does_not_cut_an_answer_that_is_still_being_read(serve):
    server = serve(lambda exchange: exchange.respond(OK, BIG), linger_timeout_s=1)
    with slow_client(server) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9000000\r\n\r\n")
        server.until(lambda: stuck(server))
        server.jump(1 + LATE_S)

        assert len(server.connections) == 1


# ── parked ────────────────────────────────────────────────────────────────────────────────


def test_a_connection_whose_request_is_parked_has_no_deadline_until_it_is_idle(serve, keeping):
    server = serve(keeping, head_timeout_s=10, idle_timeout_s=60)
    with Wire(server.url) as wire:
        wire.send(GET)
        exchange = server.until(lambda: keeping.exchanges)[0]
        assert server.call(lambda: len(server.service.timers)) == 1
        server.call(exchange.park)
        assert server.call(lambda: len(server.service.timers)) == 0
        server.jump(3600)
        server.call(exchange.resume)
        server.answer(exchange)
        assert wire.read().body == b"hello"
        server.jump(59)
        assert server.connections
        server.jump(2)

        assert wire.is_closed()


def test_a_body_that_stays_away_is_not_waited_for_longer_if_its_request_is_parked(serve, keeping):
    server = serve(keeping, body_timeout_s=30)
    with Wire(server.url) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n")
        exchange = server.until(lambda: keeping.exchanges)[0]
        server.call(exchange.park)
        server.jump(31)

        assert wire.read().status == 408
