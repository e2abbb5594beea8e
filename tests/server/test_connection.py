"""Connections: order, pace and clients that leave, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from tarry.exchange import BODY_HIGH_WATER_BYTES, ClientGone
from tarry.message.heads import ResponseHead
from tarry.protocol.limits import Limits
from tests.server.http2_client import HTTP2Client
from tests.server.serving import OK, greet
from tests.wire import Wire

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def get(path):
    return b"GET %s HTTP/1.1\r\nhost: a\r\n\r\n" % path


def post(size, *fields):
    lines = b"".join(field + b"\r\n" for field in (b"content-length: %d" % size, *fields))
    return b"POST / HTTP/1.1\r\nhost: a\r\n" + lines + b"\r\n"


def echo_path(exchange):
    exchange.respond(OK, exchange.head.path)


def in_task(handle):
    """An application of one coroutine function; its tasks are kept."""

    def start(exchange):
        task = asyncio.get_running_loop().create_task(handle(exchange))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    tasks = set()
    return start


# ── one after the other ───────────────────────────────────────────────────────────────────


def test_many_requests_on_one_connection(serve):
    server = serve(echo_path)
    with Wire(server.url) as wire:
        for number in range(20):
            wire.send(get(b"/%d" % number))
            assert wire.read().body == b"/%d" % number
        assert len(server.connections) == 1


def test_pipelined_requests_are_answered_in_order(serve):
    server = serve(echo_path)
    with Wire(server.url) as wire:
        wire.send(b"".join(get(b"/%d" % number) for number in range(100)))

        assert [wire.read().body for _ in range(100)] == [b"/%d" % number for number in range(100)]


def test_a_pipelined_request_waits_for_the_answer_before_it(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(get(b"/a") + get(b"/b"))
        server.until(lambda: keeping.exchanges)
        server.call(lambda: None)
        assert len(keeping.exchanges) == 1
        server.answer(keeping.exchanges[0], b"first")
        server.until(lambda: len(keeping.exchanges) == 2)
        server.answer(keeping.exchanges[1], b"second")

        assert [wire.read().body for _ in range(2)] == [b"first", b"second"]


def test_requests_byte_by_byte(serve):
    server = serve(echo_path)
    with Wire(server.url) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in get(b"/a") + get(b"/b"):
            wire.send(bytes([byte]))

        assert [wire.read().body for _ in range(2)] == [b"/a", b"/b"]


def test_the_client_and_scheme_are_known(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)

        assert keeping.exchanges[0].client == "127.0.0.1"
        assert keeping.exchanges[0].scheme == "http"


# ── bodies ────────────────────────────────────────────────────────────────────────────────


def test_a_client_that_expects_it_is_asked_for_its_body_when_that_is_read(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(post(3, b"expect: 100-continue"))
        server.until(lambda: keeping.exchanges)
        exchange = keeping.exchanges[0]
        server.call(exchange.body.on_complete, lambda body: exchange.respond(OK, body), pytest.fail)

        assert wire.read().status == 100
        wire.send(b"abc")
        assert wire.read().body == b"abc"


def test_a_client_that_expects_to_be_asked_gets_an_early_answer_instead(serve):
    server = serve(greet)
    with Wire(server.url) as wire:
        wire.send(post(3, b"expect: 100-continue"))
        reply = wire.read()

        assert (reply.status, reply.body) == (200, b"hello")
        assert reply.closes
        wire.half_close()
        assert wire.is_closed()


def test_an_early_answer_drops_a_small_body_and_the_connection_lives_on(serve):
    server = serve(echo_path)
    with Wire(server.url) as wire:
        wire.send(post(10))
        assert wire.read().body == b"/"
        wire.send(b"0123456789" + get(b"/next"))

        assert wire.read().body == b"/next"


def test_an_early_answer_to_a_large_body_ends_the_connection(serve):
    server = serve(echo_path)
    with Wire(server.url) as wire:
        wire.send(post(10_000_000))
        reply = wire.read()

        assert reply.body == b"/"
        assert reply.closes
        wire.half_close()
        assert wire.is_closed()


# ── clients that leave ────────────────────────────────────────────────────────────────────


def leave_by_eof(wire):
    wire.socket.close()


def leave_by_reset(wire):
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.socket.close()


LEAVE = pytest.mark.parametrize("leave", [leave_by_eof, leave_by_reset])


@LEAVE
@pytest.mark.parametrize("request_bytes", [GET, post(10) + b"12345"], ids=["get", "post"])
def test_an_exchange_hears_at_once_that_its_client_left(serve, keeping, leave, request_bytes):
    server = serve(keeping)
    told = []
    wire = Wire(server.url)
    wire.send(request_bytes)
    server.until(lambda: keeping.exchanges)
    exchange = keeping.exchanges[0]
    server.call(exchange.on_gone, lambda: told.append(exchange.gone))
    leave(wire)
    server.until(lambda: told)

    assert told == [True]


@LEAVE
def test_a_pipelining_client_that_leaves_is_noticed_too(serve, keeping, leave):
    server = serve(keeping)
    wire = Wire(server.url)
    wire.send(GET * 3)
    server.until(lambda: keeping.exchanges)
    leave(wire)

    server.until(lambda: keeping.exchanges[0].gone)


@LEAVE
def test_who_reads_the_body_hears_that_the_client_left(serve, leave):
    async def read_all(exchange):
        pieces = []
        try:
            while piece := await exchange.body.read():
                pieces.append(piece)
        except ClientGone:
            outcome.append(b"".join(pieces))

    outcome = []
    server = serve(in_task(read_all))
    wire = Wire(server.url)
    wire.send(post(10) + b"12345")
    server.until_connected()
    server.until(lambda: server.service.connections and left_of(server) == 5)
    leave(wire)
    server.until(lambda: outcome)

    assert outcome == [b"12345"]
    server.until(lambda: not server.service.connections)


def left_of(server):
    (connection,) = server.service.connections
    return connection.engine._coming


@LEAVE
def test_who_writes_hears_that_the_client_left(serve, leave):
    async def write_on(exchange):
        exchange.start(OK)
        try:
            while True:
                await exchange.write(bytes(100_000))
                written.append(1)
        except ClientGone:
            outcome.append("gone")
            exchange.abort()

    written, outcome = [], []
    server = serve(in_task(write_on))
    wire = Wire(server.url)
    wire.send(GET)
    server.until(lambda: written)
    leave(wire)
    server.until(lambda: outcome)

    server.until(lambda: not server.service.connections)


def test_on_http2_a_reset_stream_is_a_client_that_left(serve, keeping):
    server = serve(keeping)
    with HTTP2Client(server.url) as client:
        first, second = client.request("/a"), client.request("/b")
        server.until(lambda: len(keeping.exchanges) == 2)
        client.reset(first)
        server.until(lambda: keeping.exchanges[0].gone)

        assert not keeping.exchanges[1].gone
        server.answer(keeping.exchanges[0], b"nobody reads this")
        server.answer(keeping.exchanges[1], b"b")
        assert client.read(second) == (200, b"b")
        assert first not in client.statuses


def test_on_http2_all_streams_of_a_connection_leave_with_it(serve, keeping):
    server = serve(keeping)
    with HTTP2Client(server.url) as client:
        for _ in range(3):
            client.request()
        server.until(lambda: len(keeping.exchanges) == 3)
        client.wire.socket.close()

        server.until(lambda: all(exchange.gone for exchange in keeping.exchanges))


def test_answers_after_the_client_left_harm_nobody(serve, keeping):
    server = serve(keeping)
    wire = Wire(server.url)
    wire.send(GET)
    server.until(lambda: keeping.exchanges)
    leave_by_reset(wire)
    server.until(lambda: not server.service.connections)
    server.answer(keeping.exchanges[0])

    assert keeping.exchanges[0].answered


# ── half-closed clients ───────────────────────────────────────────────────────────────────


def test_a_client_that_sends_no_more_still_gets_its_answer(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(GET)
        wire.half_close()
        server.until(lambda: keeping.exchanges and keeping.exchanges[0].gone)
        big = bytes(3_000_000)
        server.answer(keeping.exchanges[0], big)

        assert wire.read().body == big
        assert wire.is_closed()


def test_a_client_that_sends_no_more_gets_all_answers_to_what_it_sent(serve):
    server = serve(echo_path)
    with Wire(server.url) as wire:
        wire.send(get(b"/a") + get(b"/b"))
        wire.half_close()

        assert [wire.read().body for _ in range(2)] == [b"/a", b"/b"]
        assert wire.is_closed()


def test_pipelined_requests_of_a_client_that_sends_no_more_are_all_taken(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(get(b"/a") + get(b"/b"))
        wire.half_close()
        server.until(lambda: keeping.exchanges and keeping.exchanges[0].gone)
        server.answer(keeping.exchanges[0], b"first")
        server.until(lambda: len(keeping.exchanges) == 2)
        server.answer(keeping.exchanges[1], b"second")

        assert [wire.read().body for _ in range(2)] == [b"first", b"second"]
        assert wire.is_closed()


def test_aborting_before_an_answer_began_closes_the_connection(serve, keeping):
    server = serve(keeping, access_log=True)
    with Wire(server.url) as wire:
        wire.send(GET)
        wire.half_close()
        server.until(lambda: keeping.exchanges and keeping.exchanges[0].gone)
        server.call(keeping.exchanges[0].abort)

        assert wire.is_closed()


def test_aborting_without_an_access_log(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        server.call(keeping.exchanges[0].abort)

        assert wire.is_closed()


def test_a_body_that_is_cut_short_is_refused(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(post(10) + b"12345")
        wire.half_close()
        reply = wire.read()

        assert reply.status == 400
        assert wire.is_closed()


# ── pace ──────────────────────────────────────────────────────────────────────────────────


def test_a_slow_reader_stops_the_writer(serve):
    async def write_much(exchange):
        exchange.start(OK)
        for _ in range(pieces):
            await exchange.write(bytes(size))
            written.append(1)
        exchange.end()

    size, pieces = 100_000, 200
    written = []
    server = serve(in_task(write_much))
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: paused_writing(server))
        before = len(written)
        # The sockets of Linux hold a few megabytes; this is several times that.
        assert before < pieces
        assert len(wire.read().body) == size * pieces

    assert len(written) == pieces


def paused_writing(server):
    return [each._writing_paused for each in server.service.connections] == [True]


def paused_reading(server):
    return [each._reading_paused for each in server.service.connections] == [True]


def fill(wire):
    """Send until the server takes no more; the number of bytes taken."""
    wire.socket.settimeout(0.2)
    sent = 0
    try:
        while sent < 50_000_000:
            sent += wire.socket.send(bytes(100_000))
    except TimeoutError:
        pass
    wire.socket.settimeout(10)
    return sent


def test_a_slow_handler_stops_the_uploader(serve, keeping):
    size = 50_000_000
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(post(size))
        server.until(lambda: keeping.exchanges)
        sent = fill(wire)
        body = keeping.exchanges[0].body
        body.max_bytes = size
        assert sent < size
        assert server.call(lambda: body.buffered_bytes) < BODY_HIGH_WATER_BYTES + 300_000

        received = []

        async def read_on():
            while piece := await body.read():
                received.append(len(piece))
            keeping.exchanges[0].respond(OK, b"done")

        task = server.call(lambda: asyncio.ensure_future(read_on()))
        while sent < size:
            sent += wire.socket.send(bytes(min(100_000, size - sent)))
        assert wire.read().body == b"done"
        assert sum(received) == size
        server.until(task.done)


def test_pipelined_requests_beyond_the_limit_pause_reading(serve, keeping):
    server = serve(keeping, limits=Limits(max_pipelined_bytes=1000))
    with Wire(server.url) as wire:
        wire.send(GET * 2000)
        server.until(lambda: paused_reading(server))
        assert len(keeping.exchanges) == 1

        for number in range(2000):
            server.until(lambda number=number: len(keeping.exchanges) > number)
            server.answer(keeping.exchanges[number], b"%d" % number)
            assert wire.read().body == b"%d" % number


# ── answers in pieces ─────────────────────────────────────────────────────────────────────


def test_an_answer_of_unknown_length_is_chunked(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        exchange = keeping.exchanges[0]
        server.call(exchange.start, OK)
        server.call(exchange.send, b"one")
        server.call(exchange.send, b"two")
        server.call(exchange.end)
        reply = wire.read()

        assert reply.get("transfer-encoding") == "chunked"
        assert reply.body == b"onetwo"
        wire.send(GET)
        server.until(lambda: len(keeping.exchanges) == 2)


def test_a_piece_leaves_at_once(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        exchange = keeping.exchanges[0]
        server.call(exchange.start, ResponseHead(200, [(b"content-length", b"6")]))
        wire.until(b"\r\n\r\n")
        server.call(exchange.send, b"one")
        assert wire._exactly(3) == b"one"
        server.call(exchange.send, b"two")
        assert wire._exactly(3) == b"two"


def test_an_answer_that_is_broken_off_can_be_told_from_a_whole_one(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        exchange = keeping.exchanges[0]
        server.call(exchange.start, OK)
        server.call(exchange.send, b"one")
        server.call(exchange.abort)

        assert wire.rest().endswith(b"3\r\none\r\n")


def test_a_second_answer_is_a_bug_that_is_told(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        server.answer(keeping.exchanges[0], b"one")
        with pytest.raises(RuntimeError, match="answered already"):
            server.answer(keeping.exchanges[0], b"two")

        assert wire.read().body == b"one"
        wire.send(GET)
        server.until(lambda: len(keeping.exchanges) == 2)


# ── HTTP/2 with prior knowledge ───────────────────────────────────────────────────────────


def test_http2_by_prior_knowledge(serve):
    server = serve(echo_path)
    with HTTP2Client(server.url) as client:
        for path in ("/a", "/b"):
            assert client.read(client.request(path)) == (200, path.encode())


def test_http2_requests_are_answered_in_any_order(serve, keeping):
    server = serve(keeping)
    with HTTP2Client(server.url) as client:
        first, second = client.request("/a"), client.request("/b")
        server.until(lambda: len(keeping.exchanges) == 2)
        server.answer(keeping.exchanges[1], b"b")
        assert client.read(second) == (200, b"b")
        server.answer(keeping.exchanges[0], b"a")
        assert client.read(first) == (200, b"a")


def test_http2_bodies(serve):
    server = serve(
        lambda exchange: exchange.body.on_complete(
            lambda body: exchange.respond(OK, body), pytest.fail
        )
    )
    with HTTP2Client(server.url) as client:
        assert client.read(client.request(method="POST", body=b"abc")) == (200, b"abc")


def test_http2_a_slow_reader_stops_the_writer(serve):
    async def write_much(exchange):
        exchange.start(OK)
        for _ in range(100):
            await exchange.write(bytes(10_000))
            written.append(1)
        exchange.end()

    written = []
    server = serve(in_task(write_much))
    with HTTP2Client(server.url) as client:
        stream_id = client.request()
        client.receive(lambda: len(client.bodies.get(stream_id, b"")) == 65_535, acknowledge=False)
        server.until(lambda: written)
        server.call(lambda: None)
        # What the window takes, and what may be held back beyond it.
        assert len(written) <= (65_535 + 64 * 1024) // 10_000 + 2

        client.connection.acknowledge_received_data(65_535, stream_id)
        client.flush()
        assert client.read(stream_id) == (200, bytes(1_000_000))


def test_http2_a_client_that_takes_nothing_is_cut(serve):
    server = serve(lambda exchange: exchange.respond(OK, bytes(1_000_000)), send_timeout_s=60)
    with HTTP2Client(server.url, window=0) as client:
        stream_id = client.request()
        client.receive(lambda: stream_id in client.statuses, acknowledge=False)
        for _ in range(4):
            server.jump(61)

        server.until(lambda: not server.service.connections, within_s=2)


def test_http2_idle_connections_are_closed(serve):
    server = serve(greet, idle_timeout_s=75)
    with HTTP2Client(server.url) as client:
        assert client.read(client.request())[0] == 200
        server.jump(74)
        assert len(server.connections) == 1
        server.jump(80)
        client.receive(lambda: False)

        assert client.terminated
        server.until(lambda: not server.service.connections)
