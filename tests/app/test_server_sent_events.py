"""Server-sent events: one piece each, pings in silence, closed however it ends."""

from __future__ import annotations

import asyncio
import threading

import msgspec
import pytest

from tarry.app.answering import HANDLER_ERRORS
from tarry.app.lanes import Lanes
from tarry.app.responses import Events, Response, ServerEvent
from tarry.app.results import answer_for
from tarry.app.server_sent_events import PING, EventPieces
from tarry.app.streaming import send_stream, stream_head
from tarry.app.threads import ThreadPool
from tarry.exchange import ClientGone
from tarry.message.eventstream import EventStreamDecoder, MessageEvent
from tests.app.serving import once, serving
from tests.exchanges import Recorded, turns

WAIT_S = 10.0
LONG_S = 3600.0


def run(test):
    asyncio.run(asyncio.wait_for(test(), WAIT_S))


class Timers:
    """A `call_later` whose time passes when the test says so."""

    def __init__(self):
        self.waiting = []
        self.seconds = []

    def __call__(self, seconds, function, *arguments):
        self.seconds.append(seconds)
        timer = Timer(self, function, arguments)
        self.waiting.append(timer)
        return timer

    def pass_by(self):
        for timer in list(self.waiting):
            timer.cancel()
            timer.function(*timer.arguments)


class Timer:
    def __init__(self, timers, function, arguments):
        self._timers = timers
        self.function = function
        self.arguments = arguments

    def cancel(self):
        if self in self._timers.waiting:
            self._timers.waiting.remove(self)


class Source:
    """Events of both kinds that say when they are closed."""

    def __init__(self, items, fails=None):
        self.given = 0
        self.closed = False
        self._items = items
        self._fails = fails

    def plain(self):
        try:
            for item in self._items:
                self.given += 1
                yield item
            if self._fails is not None:
                raise self._fails
        finally:
            self.closed = True

    async def asynchronous(self):
        try:
            for item in self._items:
                self.given += 1
                yield item
            if self._fails is not None:
                raise self._fails
        finally:
            await asyncio.sleep(0)
            self.closed = True


KINDS = pytest.mark.parametrize("kind", ["plain", "asynchronous"])
PINGS = pytest.mark.parametrize("ping_s", [LONG_S, None])


async def sent(events, method="GET"):
    """The exchange after all events have been sent."""
    exchange = Recorded(method)
    await send_stream(exchange, answer_for(events))
    return exchange


# ── what is sent ──────────────────────────────────────────────────────────────────────────


class Point(msgspec.Struct):
    x: int


@KINDS
@PINGS
def test_each_item_is_an_event_and_a_piece(kind, ping_s):
    items = ["a\nb", "", {"x": [1]}, 5, None, Point(1), ServerEvent("c", "tick", "7", 100)]

    async def test():
        source = Source([*items, ServerEvent({"x": 1})])
        exchange = await sent(Events(getattr(source, kind)(), ping_s=ping_s))

        assert exchange.pieces == [
            b"data: a\ndata: b\n\n",
            b"data: \n\n",
            b'data: {"x":[1]}\n\n',
            b"data: 5\n\n",
            b"data: null\n\n",
            b'data: {"x":1}\n\n',
            b"event: tick\nid: 7\nretry: 100\ndata: c\n\n",
            b'data: {"x":1}\n\n',
        ]
        assert exchange.answered
        assert source.closed

    run(test)


def test_a_client_reads_what_an_application_sends():
    def ticks():
        return Events([ServerEvent({"n": 1}, event="tick", id="1"), "über"], retry_ms=500)

    answer = once(serving(ticks, inline=True))
    decoder = EventStreamDecoder()

    assert answer.content_type == b"text/event-stream"
    assert decoder.feed(answer.body) == [
        MessageEvent('{"n":1}', "tick", "1"),
        MessageEvent("über", "message", "1"),
    ]
    assert decoder.retry_ms == 500


def test_the_head_of_events():
    head = stream_head(answer_for(Events([])))

    assert head.status == 200
    assert dict(head.fields) == {
        b"cache-control": b"no-store",
        b"x-accel-buffering": b"no",
        b"content-type": b"text/event-stream",
    }


def test_an_author_has_the_last_word_on_headers_and_status():
    events = Events([], headers={"Cache-Control": "no-cache", "x-a": "1"})
    head = stream_head(answer_for(Response(events, 203, {"x-b": "2"})))

    assert head.status == 203
    assert head.get(b"cache-control") == b"no-cache"
    assert (head.get(b"x-a"), head.get(b"x-b")) == (b"1", b"2")


@KINDS
def test_head_takes_no_events_and_closes_them(kind):
    closed = []

    class Subscription:
        def __iter__(self):
            return self

        def __next__(self):
            raise AssertionError

        def close(self):
            closed.append(self)

    class AsyncSubscription:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise AssertionError

        async def aclose(self):
            closed.append(self)

    async def test():
        items = Subscription() if kind == "plain" else AsyncSubscription()
        exchange = await sent(Events(items), "HEAD")

        assert exchange.answered
        assert exchange.pieces == []
        assert closed == [items]

    run(test)


def test_a_plain_iterable_is_read_in_the_threads_of_the_pool():
    async def test():
        pool = ThreadPool(1, 1)
        exchange = Recorded()
        names = (threading.current_thread().name for _ in range(2))
        await send_stream(exchange, answer_for(Events(names)), pool.run)
        pool.close()

        assert exchange.answer == b"data: tarry-handler\n\n" * 2

    run(test)


@KINDS
@PINGS
def test_a_slow_reader_holds_the_source_back(kind, ping_s):
    async def test():
        exchange, source = Recorded(room_bytes=27), Source(["x"] * 100)
        events = Events(getattr(source, kind)(), ping_s=ping_s)
        sending = asyncio.create_task(send_stream(exchange, answer_for(events)))
        while len(exchange.pieces) < 3:
            await asyncio.sleep(0)
        await turns()
        assert source.given == len(exchange.pieces) == 3
        exchange.take(10_000)
        await sending

        assert source.given == 100

    run(test)


def test_a_generator_runs_in_one_task_from_begin_to_end():
    tasks = set()

    async def items():
        tasks.add(asyncio.current_task())
        try:
            for number in range(3):
                async with asyncio.TaskGroup():
                    yield number
                tasks.add(asyncio.current_task())
        finally:
            tasks.add(asyncio.current_task())

    async def test():
        exchange = await sent(Events(items()))

        assert len(exchange.pieces) == 3
        assert len(tasks) == 1

    run(test)


# ── pings ─────────────────────────────────────────────────────────────────────────────────


def test_a_ping_goes_out_after_each_silence():
    async def test():
        async def items():
            yield "a"
            await more.wait()
            yield "b"

        more, timers = asyncio.Event(), Timers()
        pieces = EventPieces(Events(items(), ping_s=7.5), timers)

        assert await anext(pieces) == b"data: a\n\n"
        assert timers.waiting == []
        for _ in range(2):
            waiting = asyncio.create_task(anext(pieces))
            await turns()
            assert not waiting.done()
            timers.pass_by()
            assert await waiting == PING == b": ping\n\n"
        waiting = asyncio.create_task(anext(pieces))
        await turns()
        more.set()
        assert await waiting == b"data: b\n\n"
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
        assert timers.waiting == []
        assert set(timers.seconds) == {7.5}
        await pieces.aclose()

    run(test)


def test_a_ping_and_an_event_at_once_both_go_out():
    async def test():
        async def items():
            await more.wait()
            yield "a"

        more, timers = asyncio.Event(), Timers()
        pieces = EventPieces(Events(items()), timers)
        waiting = asyncio.create_task(anext(pieces))
        await turns()
        more.set()
        timers.pass_by()

        assert [await waiting, *[piece async for piece in pieces]] == [PING, b"data: a\n\n"]

    run(test)


def test_without_pings_there_is_no_timer():
    async def test():
        timers = Timers()
        pieces = EventPieces(Events(["a"], ping_s=None, retry_ms=3), timers)

        assert [piece async for piece in pieces] == [b"retry: 3\n\n", b"data: a\n\n"]
        assert timers.seconds == []

    run(test)


# ── errors ────────────────────────────────────────────────────────────────────────────────


@KINDS
@PINGS
def test_an_error_of_the_source_comes_out_after_what_was_sent(kind, ping_s):
    async def test():
        exchange, source = Recorded(), Source(["x"], fails=KeyError("reason"))
        events = Events(getattr(source, kind)(), ping_s=ping_s)
        with pytest.raises(KeyError, match="reason"):
            await send_stream(exchange, answer_for(events))

        assert exchange.answer == b"data: x\n\n"
        assert not exchange.answered
        assert source.closed

    run(test)


@KINDS
@pytest.mark.parametrize(
    ("item", "error"),
    [
        (object(), TypeError),
        (b"x", TypeError),
        (ServerEvent(memoryview(b"x")), TypeError),
        ("\ud800", ValueError),
    ],
)
def test_an_item_that_is_no_event_is_refused(kind, item, error):
    async def test():
        exchange, source = Recorded(), Source(["x", item, "y"])
        with pytest.raises(error):
            await send_stream(exchange, answer_for(Events(getattr(source, kind)())))

        assert exchange.answer == b"data: x\n\n"
        assert source.closed

    run(test)


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
def test_an_end_of_the_program_within_a_source_comes_to_who_sends(error):
    async def test():
        source = Source(["x"], fails=error)
        with pytest.raises((*HANDLER_ERRORS, asyncio.CancelledError)):
            await sent(Events(source.asynchronous()))

        assert source.closed

    run(test)


def test_an_error_while_closing_is_not_lost():
    async def items():
        try:
            yield "x"
            await asyncio.Event().wait()
        finally:
            raise KeyError("in finally")

    async def test():
        pieces = EventPieces(Events(items()))
        await anext(pieces)
        with pytest.raises(KeyError, match="in finally"):
            await pieces.aclose()
        await pieces.aclose()

    run(test)


# ── a client that leaves ──────────────────────────────────────────────────────────────────


def test_a_source_that_waits_is_closed_when_the_client_leaves():
    async def items():
        try:
            yield "x"
            waits.set()
            await asyncio.Event().wait()
        finally:
            closed.append(asyncio.current_task())

    waits, closed = asyncio.Event(), []

    async def test():
        exchange = Recorded()
        sending = asyncio.create_task(send_stream(exchange, answer_for(Events(items()))))
        await waits.wait()
        exchange.leave()
        with pytest.raises(ClientGone):
            await sending

        assert len(closed) == 1

    run(test)


def test_a_source_that_has_not_begun_is_closed_once():
    class Subscription:
        closed = 0

        def __aiter__(self):
            return self

        async def __anext__(self):
            raise AssertionError

        async def aclose(self):
            self.closed += 1

    async def test():
        subscription = Subscription()
        pieces = EventPieces(Events(subscription))
        asking = asyncio.create_task(anext(pieces))
        await asyncio.sleep(0)
        asking.cancel()
        await pieces.aclose()

        assert subscription.closed == 1
        with pytest.raises(asyncio.CancelledError):
            await asking

    run(test)


@KINDS
def test_who_sends_when_the_client_leaves_hears_of_it(kind):
    async def test():
        exchange, source = Recorded(room_bytes=1), Source(["x"] * 100)
        events = Events(getattr(source, kind)())
        sending = asyncio.create_task(send_stream(exchange, answer_for(events)))
        while not exchange.pieces:
            await asyncio.sleep(0)
        await turns()
        exchange.leave()
        with pytest.raises(ClientGone):
            await sending

        assert source.given == 1
        assert source.closed

    run(test)


def test_a_generator_that_goes_on_when_cancelled_is_asked_no_more():
    async def items():
        while True:
            try:
                yield "x"
                waits.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                survived.append(1)

    waits, survived = asyncio.Event(), []

    async def test():
        exchange = Recorded()
        sending = asyncio.create_task(send_stream(exchange, answer_for(Events(items()))))
        await waits.wait()
        exchange.leave()
        with pytest.raises(ClientGone):
            await sending

        assert exchange.pieces == [b"data: x\n\n"]
        assert survived == [1]

    run(test)


def test_a_ping_finds_out_that_nobody_reads():
    async def test():
        async def items():
            await asyncio.Event().wait()
            yield "never"

        timers, exchange = Timers(), Recorded()
        stream = answer_for(Events(items()))
        stream.pieces = EventPieces(Events(items()), timers)
        sending = asyncio.create_task(send_stream(exchange, stream))
        while not timers.waiting:
            await asyncio.sleep(0)
        exchange.drained = gone
        timers.pass_by()
        with pytest.raises(ClientGone):
            await sending

        assert exchange.pieces == [PING]

    async def gone():
        raise ClientGone("the client left")

    run(test)


# ── a server that stops ───────────────────────────────────────────────────────────────────


def test_events_end_when_the_server_begins_to_stop():
    async def items():
        try:
            yield "x"
            waits.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.append(exchange.answered)

    waits, closed, exchange = asyncio.Event(), [], Recorded()

    async def test():
        lanes = Lanes(1, 1)
        stream = answer_for(Events(items()))
        stream.pieces = stream.source = EventPieces(Events(items()), jitter=lambda: 0.25)
        sending = asyncio.create_task(
            send_stream(exchange, stream, asyncio.to_thread, lanes.on_drain)
        )
        await waits.wait()
        lanes.drain()
        await sending

        assert exchange.pieces == [b"data: x\n\n", b"retry: 1500\n\n"]
        assert exchange.answered
        assert closed == [False]

    run(test)


@pytest.mark.parametrize(("jitter", "retry_ms"), [(0.0, 1000), (0.9999, 3000)])
def test_clients_of_a_server_that_stops_come_back_within_three_seconds(jitter, retry_ms):
    async def test():
        pieces = EventPieces(Events(["x"] * 9, retry_ms=7), jitter=lambda: jitter)
        first = [await anext(pieces), await anext(pieces)]
        pieces.drain()
        pieces.drain()

        assert first == [b"retry: 7\n\n", b"data: x\n\n"]
        assert [piece async for piece in pieces] == [b"retry: %d\n\n" % retry_ms]
        await pieces.aclose()

    run(test)


def test_the_event_under_way_is_still_sent():
    async def test():
        exchange, source, lanes = Recorded(room_bytes=1), Source(["x"] * 9), Lanes(1, 1)
        stream = answer_for(Events(source.asynchronous(), ping_s=None))
        sending = asyncio.create_task(
            send_stream(exchange, stream, asyncio.to_thread, lanes.on_drain)
        )
        while not exchange.pieces:
            await asyncio.sleep(0)
        lanes.drain()
        exchange.take(10_000)
        await sending

        assert exchange.pieces[0] == b"data: x\n\n"
        assert exchange.pieces[1].startswith(b"retry: ")
        assert len(exchange.pieces) == 2
        assert source.closed

    run(test)


@KINDS
def test_events_that_begin_while_the_server_stops_end_at_once(kind):
    async def test():
        exchange, source, lanes = Recorded(), Source(["x"] * 9), Lanes(1, 1)
        lanes.drain()
        stream = answer_for(Events(getattr(source, kind)(), retry_ms=7))
        await send_stream(exchange, stream, asyncio.to_thread, lanes.on_drain)

        assert len(exchange.pieces) == 1
        assert exchange.pieces[0].startswith(b"retry: ")
        assert exchange.answered

    run(test)


def test_a_source_that_blocks_its_thread_keeps_no_client_waiting():
    def items():
        try:
            yield "x"
            blocks.set()
            assert go_on.wait(WAIT_S)
        finally:
            closed.set()

    blocks, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    async def test():
        exchange, lanes = Recorded(), Lanes(1, 1)
        sending = asyncio.create_task(
            send_stream(exchange, answer_for(Events(items())), asyncio.to_thread, lanes.on_drain)
        )
        await asyncio.to_thread(blocks.wait, WAIT_S)
        lanes.drain()
        await sending

        assert exchange.answered
        assert not closed.is_set()
        go_on.set()
        assert await asyncio.to_thread(closed.wait, WAIT_S)

    run(test)


def test_streams_that_are_over_are_not_told_of_the_stop():
    async def test():
        taken_back = []

        def on_drain(callback):
            return lambda: taken_back.append(callback)

        await send_stream(Recorded(), answer_for(Events(["x"])), asyncio.to_thread, on_drain)
        await send_stream(Recorded("HEAD"), answer_for(Events(["x"])), asyncio.to_thread, on_drain)

        assert len(taken_back) == 2

    run(test)
