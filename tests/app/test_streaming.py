"""Streams: at the pace of the client, closed however they end, held to their length."""

from __future__ import annotations

import asyncio
import io
import threading

import pytest

from tarry.app.responses import Stream
from tarry.app.results import ResultError
from tarry.app.streaming import send_stream, stream_head
from tarry.app.threads import ThreadPool
from tarry.exchange import ClientGone
from tarry.message.heads import InvalidField
from tests.exchanges import Recorded, turns

WAIT_S = 10.0


class Source:
    """Pieces of both kinds that count themselves and say when they are closed."""

    def __init__(self, pieces, fails=None):
        self.given = 0
        self.closed = False
        self._pieces = pieces
        self._fails = fails

    def plain(self):
        try:
            for piece in self._pieces:
                self.given += 1
                yield piece
            if self._fails is not None:
                raise self._fails
        finally:
            self.closed = True

    async def asynchronous(self):
        try:
            for piece in self._pieces:
                self.given += 1
                yield piece
            if self._fails is not None:
                raise self._fails
        finally:
            await asyncio.sleep(0)
            self.closed = True


KINDS = pytest.mark.parametrize("kind", ["plain", "asynchronous"])


def run(test):
    asyncio.run(asyncio.wait_for(test(), WAIT_S))


@KINDS
@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        ([], b""),
        (["one", "", "two"], b"onetwo"),
        ([b"one", bytearray(b"two"), memoryview(b"three")], b"onetwothree"),
        (["Grüße", b"\xff"], "Grüße".encode() + b"\xff"),
    ],
)
def test_all_pieces_go_out_and_the_source_is_closed(kind, pieces, answer):
    async def test():
        exchange, source = Recorded(), Source(pieces)
        await send_stream(exchange, Stream(getattr(source, kind)()))

        assert exchange.answer == answer
        assert exchange.answered
        assert not exchange.aborted
        assert source.closed

    run(test)


@pytest.mark.parametrize("pieces", [["a", "b"], ("a", "b"), iter(["a", "b"]), io.StringIO("a\nb")])
def test_any_iterable_can_be_streamed(pieces):
    async def test():
        exchange = Recorded()
        await send_stream(exchange, Stream(pieces))

        assert exchange.answer.replace(b"\n", b"") == b"ab"
        assert not isinstance(pieces, io.StringIO) or pieces.closed

    run(test)


def test_a_plain_iterable_is_read_in_a_thread():
    async def test():
        exchange = Recorded()
        await send_stream(exchange, Stream(str(threading.get_ident()) for _ in range(1)))

        assert int(exchange.answer) != threading.get_ident()

    run(test)


def test_the_threads_can_be_those_of_a_pool():
    async def test():
        pool = ThreadPool(1, 1)
        exchange = Recorded()
        await send_stream(
            exchange, Stream(threading.current_thread().name for _ in range(3)), pool.run
        )
        pool.close()

        assert exchange.answer == b"tarry-handler" * 3

    run(test)


# ── pace ──────────────────────────────────────────────────────────────────────────────────


@KINDS
def test_a_slow_reader_holds_the_source_back(kind):
    async def test():
        exchange, source = Recorded(room_bytes=3), Source(["x"] * 100)
        sending = asyncio.create_task(send_stream(exchange, Stream(getattr(source, kind)())))
        for room in (3, 5, 8):
            while len(exchange.pieces) < room:
                await asyncio.sleep(0)
            await turns()
            assert source.given == len(exchange.pieces) == room
            exchange.take({3: 2, 5: 3, 8: 1000}[room])
        await sending

        assert source.given == 100

    run(test)


# ── heads ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stream", "status", "fields", "length"),
    [
        (Stream([]), 200, [(b"content-type", b"text/plain; charset=utf-8")], None),
        (
            Stream([], status=206, length=5),
            206,
            [(b"content-type", b"text/plain; charset=utf-8")],
            5,
        ),
        (Stream([], content_type="text/csv"), 200, [(b"content-type", b"text/csv")], None),
        (
            Stream([], headers={"Content-Type": "a/b", "x-a": "1"}),
            200,
            [(b"content-type", b"a/b"), (b"x-a", b"1")],
            None,
        ),
        (Stream([], headers={"content-length": "4"}), 200, None, 4),
    ],
)
def test_the_head_of_a_stream(stream, status, fields, length):
    head = stream_head(stream)

    assert head.status == status
    assert head.length == length
    assert fields is None or list(head.fields) == fields


@pytest.mark.parametrize(
    "stream",
    [
        Stream([], content_type="text/plain\r\nx: y"),
        Stream([], headers={"x": "a\nb"}),
        Stream([], headers={"transfer-encoding": "chunked"}),
        Stream([], length=-1),
        Stream([], length=1, headers={"content-length": "2"}),
    ],
)
def test_a_head_that_would_break_the_message_is_refused_before_anything_is_sent(stream):
    async def test():
        exchange, source = Recorded(), io.StringIO("x")
        stream.pieces = source
        with pytest.raises(InvalidField):
            await send_stream(exchange, stream)

        assert not exchange.started
        assert source.closed

    run(test)


@KINDS
def test_head_takes_no_pieces(kind):
    async def test():
        exchange, source = Recorded("HEAD"), Source(["x"])
        await send_stream(exchange, Stream(getattr(source, kind)(), length=1))

        assert exchange.answered
        assert exchange.pieces == []
        assert source.given == 0

    run(test)


# ── errors ────────────────────────────────────────────────────────────────────────────────


@KINDS
def test_an_error_of_the_source_comes_out_after_what_was_sent(kind):
    async def test():
        exchange, source = Recorded(), Source(["x"], fails=KeyError("reason"))
        with pytest.raises(KeyError, match="reason"):
            await send_stream(exchange, Stream(getattr(source, kind)()))

        assert exchange.answer == b"x"
        assert not exchange.answered
        assert source.closed

    run(test)


@KINDS
@pytest.mark.parametrize("piece", [5, None, {"a": 1}, ["x"]])
def test_a_piece_that_is_none_is_refused(kind, piece):
    async def test():
        exchange, source = Recorded(), Source(["x", piece, "y"])
        with pytest.raises(ResultError, match=f"gave a {type(piece).__name__}"):
            await send_stream(exchange, Stream(getattr(source, kind)()))

        assert exchange.answer == b"x"
        assert source.closed

    run(test)


def test_an_end_of_the_program_within_a_source_is_no_end_of_the_server():
    def pieces():
        yield "x"
        raise SystemExit(3)

    async def test():
        pool = ThreadPool(1, 1)
        with pytest.raises(RuntimeError, match="raised SystemExit"):
            await send_stream(Recorded(), Stream(pieces()), pool.run)
        pool.close()

    run(test)


# ── a client that leaves ──────────────────────────────────────────────────────────────────


@KINDS
def test_who_writes_when_the_client_leaves_hears_of_it(kind):
    async def test():
        exchange, source = Recorded(room_bytes=1), Source(["x"] * 100)
        sending = asyncio.create_task(send_stream(exchange, Stream(getattr(source, kind)())))
        while not exchange.pieces:
            await asyncio.sleep(0)
        await turns()
        exchange.leave()
        with pytest.raises(ClientGone):
            await sending

        assert source.given == 1
        assert source.closed

    run(test)


def test_a_source_that_waits_is_told_when_the_client_leaves():
    async def pieces():
        try:
            yield "x"
            waits.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    waits, closed = asyncio.Event(), asyncio.Event()

    async def test():
        exchange = Recorded()
        sending = asyncio.create_task(send_stream(exchange, Stream(pieces())))
        await waits.wait()
        exchange.leave()
        with pytest.raises(ClientGone):
            await sending

        assert closed.is_set()
        assert not sending.cancelled()
        assert sending.cancelling() == 0

    run(test)


@KINDS
def test_a_source_does_not_begin_for_a_client_that_has_left(kind):
    async def test():
        exchange, source = Recorded(), Source(["x"])
        exchange.leave()
        with pytest.raises(ClientGone):
            await send_stream(exchange, Stream(getattr(source, kind)()))

        assert exchange.pieces == []
        assert source.given <= 1

    run(test)


def test_a_cancelled_task_stays_cancelled_and_closes_the_source():
    async def pieces():
        try:
            yield "x"
            waits.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    waits, closed = asyncio.Event(), asyncio.Event()

    async def test():
        sending = asyncio.create_task(send_stream(Recorded(), Stream(pieces())))
        await waits.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

        assert closed.is_set()

    run(test)


def test_a_task_cancelled_while_a_thread_reads_does_not_disturb_the_thread():
    def pieces():
        try:
            reads.set()
            assert go_on.wait(WAIT_S)
            yield "x"
        finally:
            closed.set()

    reads, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    async def test():
        pool = ThreadPool(1, 1)
        sending = asyncio.create_task(send_stream(Recorded(), Stream(pieces()), pool.run))
        assert await asyncio.to_thread(reads.wait, WAIT_S)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        del sending
        assert not closed.is_set()
        go_on.set()
        # Nobody holds the generator any more: it is closed when its thread lets go of it.
        assert await asyncio.to_thread(closed.wait, WAIT_S)
        pool.close()

    run(test)
