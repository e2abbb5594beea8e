"""Topics: no message is lost, none comes twice, and waiting for them costs little."""

from __future__ import annotations

import asyncio
import importlib
from concurrent.futures import Future
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry import App
from tarry.app.current import of_task
from tarry.app.deferred import Awaited
from tarry.exchange import ClientGone
from tarry.state.memory import MemoryStore
from tarry.state.store import StoreError
from tarry.testing import AsyncClient, MemoryExchange
from tarry.waiting.errors import Draining, StoreUnavailable, TooManyParked
from tarry.waiting.messages import Message
from tarry.waiting.values import BadValue
from tests.exchanges import turns
from tests.waiting.topic_serving import (
    STORES,
    WAIT_S,
    CountingStore,
    Process,
    alone,
    begun,
    pairs,
    running,
)


def opened(kind, folder):
    if kind == "memory":
        return MemoryStore()
    return importlib.import_module("tarry.state.sqlite").SQLiteStore(folder / "state.db")


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    store = opened(request.param, tmp_path)
    yield store
    store.close()


async def published(topic, *values):
    return [await topic.publish(value) for value in values]


async def quiet(process):
    """Wait until what was asked of the store is done, and what was asked then."""
    for _ in range(3):
        await process.topic().last()
        await turns()


class HeldStore(MemoryStore):
    """Reads when it is asked, and tells what it has read when the test says so."""

    def __init__(self):
        super().__init__()
        self.held = []

    def read(self, log, after, limit=1000):
        self.held.append((Future(), super().read(log, after, limit).result()))
        return self.held[-1][0]

    def tell(self):
        held, self.held = self.held, []
        for future, page in held:
            future.set_result(page)


class BrokenStore(MemoryStore):
    def read(self, log, after, limit=1000):
        raise StoreError("it is broken")


# ---- publishing and reading ----------------------------------------------------------------


def test_messages_are_numbered_and_come_in_their_order(store):
    async def test(process):
        topic = process.topic()
        assert await topic.last() == 0
        assert await published(topic, "a", {"b": 2}, None) == [1, 2, 3]
        assert await topic.last() == 3

        messages = await topic.next()
        assert pairs(messages) == [(1, "a"), (2, {"b": 2}), (3, None)]
        assert (messages.last, messages.gap) == (3, False)
        assert pairs(await topic.next(after=2)) == [(3, None)]
        assert pairs(await topic.next(after=1, limit=1)) == [(2, {"b": 2})]

    alone(test, store)


def test_topics_are_apart_from_one_another(store):
    async def test(process):
        await published(process.topic("a"), 1)
        await published(process.topic("b"), 2, 3)

        assert pairs(await process.topic("a").next()) == [(1, 1)]
        assert pairs(await process.topic("b").next()) == [(1, 2), (2, 3)]

    alone(test, store)


def test_who_waits_hears_of_the_next_message(store):
    async def test(process):
        topic = process.topic()
        waits = await begun(process, topic.next(), topic.next(after=-1))
        await topic.publish("x")

        assert [pairs(each) for each in await asyncio.gather(*waits)] == [[(1, "x")]] * 2

    alone(test, store)


def test_threads_publish_and_take_the_cursor(store):
    async def test(process):
        topic = process.topic()
        waits = await begun(process, topic.next())

        assert await asyncio.to_thread(lambda: topic.publish("x").result()) == 1
        assert await asyncio.to_thread(lambda: topic.last().result()) == 1
        assert pairs(await waits[0]) == [(1, "x")]

    alone(test, store)


def test_who_was_not_there_goes_on_at_its_cursor(store):
    async def test(process):
        topic = process.topic()
        begin = await topic.next(after=-1, timeout=0)
        assert begin == []
        await published(topic, 1, 2)
        assert pairs(await topic.next(after=begin.last)) == [(1, 1), (2, 2)]

        now = await topic.next(after=-1, timeout=0)
        assert (now, now.last) == ([], 2)
        await published(topic, 3)
        assert pairs(await topic.next(after=now.last)) == [(3, 3)]

    alone(test, store)


def test_each_who_waits_has_values_of_its_own():
    async def test(process):
        topic = process.topic()
        waits = await begun(process, topic.next(), topic.next())
        await topic.publish({"mine": False})

        one, other = await asyncio.gather(*waits)
        one[0].data["mine"] = True
        assert other[0].data == {"mine": False}

    alone(test)


@dataclass
class Said:
    name: str


def test_values_are_checked_when_they_are_published():
    async def test(process):
        topic = process.topic(kind=Said)
        for bad in ({"name": 1}, "x", None):
            with pytest.raises(BadValue, match="Said"):
                topic.publish(bad)
        with pytest.raises(BadValue, match="JSON"):
            process.topic().publish(object())
        await published(topic, Said("ada"), {"name": "bob"})

        assert await topic.next() == [Message(1, Said("ada")), Message(2, Said("bob"))]

    alone(test)


def test_a_value_of_another_type_is_an_error_to_who_looks_at_it():
    async def test(process):
        await process.topic().publish("no dataclass")
        with pytest.raises(BadValue):
            await process.topic(kind=Said).next()

    alone(test)


@pytest.mark.parametrize(
    "wrong", [{"keep": 0}, {"keep_for": "soon"}, {"name": "\ud800"}], ids=lambda each: str([*each])
)
def test_a_topic_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"topic|soo|surrogates"):
        App(store="memory").topic(**({"name": "a"} | wrong))


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_is_from_1_to_1000(limit):
    with pytest.raises(ValueError, match="limit"):
        App(store="memory").topic("a").next(limit=limit)


# ---- gaps --------------------------------------------------------------------------------------


def test_who_is_too_far_behind_is_told_of_the_gap(store):
    async def test(process):
        topic = process.topic(keep=3)
        await published(topic, *range(1, 6))

        late = await topic.next(after=1)
        assert ([each.id for each in late], late.gap) == ([3, 4, 5], True)
        assert not (await topic.next(after=2)).gap
        assert not (await topic.next(after=0)).gap

    alone(test, store)


def test_who_is_ahead_of_the_topic_begins_again_and_is_told(store):
    async def test(process):
        topic = process.topic()
        waits = await begun(process, topic.next(after=70), topic.next(after=2**70))
        await published(topic, "x")

        for messages in await asyncio.gather(*waits):
            assert (pairs(messages), messages.gap) == ([(1, "x")], True)

    alone(test, store)


def test_a_topic_that_nobody_writes_for_long_goes_and_no_cursor_comes_twice(store):
    async def test(process):
        topic = process.topic(keep_for="1h")
        await published(topic, 1, 2)
        process.jump(3601)
        await process.topic("other").publish(0)
        assert await topic.last() == 0

        waits = await begun(process, topic.next(after=1), topic.next(after=2))
        assert await topic.publish("new") == 3
        late, other = await asyncio.gather(*waits)
        assert (pairs(late), late.gap) == ([(3, "new")], True)
        assert (pairs(other), other.gap) == ([(3, "new")], False)

    alone(test, store)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3)), max_size=12))
def test_polls_give_all_that_is_kept_once_and_in_order(steps):
    async def test(process):
        topic, keep, newest, after = process.topic(keep=4), 4, 0, 0
        for count, limit in steps:
            for _ in range(count):
                newest = await topic.publish(newest + 1)
            oldest = max(1, newest - keep + 1)
            messages = await topic.next(after, timeout=0, limit=limit)

            expected = [*range(max(after + 1, oldest), newest + 1)][:limit]
            assert pairs(messages) == [(number, number) for number in expected]
            assert messages.gap == (0 < after < oldest - 1)
            assert messages.last == max([after, *expected])
            after = messages.last

    alone(test)


# ---- waiting ---------------------------------------------------------------------------------


def test_without_a_message_the_default_comes_at_the_timeout():
    async def test(process):
        topic = process.topic()
        await published(topic, 1)
        waits = await begun(
            process,
            topic.next(after=1, timeout=5),
            topic.next(after=1, timeout=5, default=None),
            topic.next(after=1, timeout=60),
        )
        process.jump(4)
        assert not waits[0].done()
        process.jump(2)

        messages = await waits[0]
        assert (messages, messages.last, messages.gap) == ([], 1, False)
        assert await waits[1] is None
        assert not waits[2].done()
        await published(topic, 2)
        assert pairs(await waits[2]) == [(2, 2)]

    alone(test)


def test_a_message_between_joining_and_reading_is_not_lost():
    async def test(process):
        topic = process.topic()
        waits = await begun(process, topic.next())
        assert len(process.store.held) == 1  # it has read that there is nothing
        await topic.publish("x")
        process.store.tell()
        await turns()
        process.store.tell()

        assert pairs(await waits[0]) == [(1, "x")]

    alone(test, HeldStore())


def test_who_joins_while_the_store_reads_is_not_told_of_a_gap():
    async def test(process):
        topic = process.topic()
        waits = await begun(process, topic.next(), topic.next(after=-1))
        await published(topic, 1, 2)
        waits += await begun(process, topic.next(after=2))
        process.store.tell()
        await turns()
        process.store.tell()
        await turns()
        assert pairs(await waits[0]) == [(1, 1), (2, 2)]
        await published(topic, 3)
        await turns()
        process.store.tell()

        assert pairs(await waits[1]) == [(1, 1), (2, 2)]  # there was nothing when it began
        last = await waits[2]
        assert (pairs(last), last.gap) == ([(3, 3)], False)

    alone(test, HeldStore())


def test_one_read_serves_all_who_wait():
    async def test(process):
        topic, count = process.topic(), 1200
        waits = await begun(process, *(topic.next() for _ in range(count)))
        assert process.store.reads <= 2  # one when it began to listen to others

        process.store.reads = 0
        await topic.publish("x")
        assert {each[0].id for each in await asyncio.gather(*waits)} == {1}
        assert process.store.reads == 1

    alone(test, CountingStore())


def test_who_is_far_behind_keeps_nobody_waiting():
    async def test(process):
        topic = process.topic(keep=5000)
        process.store.append("t/a", [b"0"] * 3000, keep=5000)
        waits = await begun(process, *(topic.next(after=3000, limit=1) for _ in range(2)))
        behind = [topic.next(after=after, limit=1) for after in (1, 2, 1500, 2999)]
        found = await asyncio.gather(*behind)
        assert [each[0].id for each in found] == [2, 3, 1501, 3000]

        await topic.publish("x")
        assert [pairs(each) for each in await asyncio.gather(*waits)] == [[(3001, "x")]] * 2

    alone(test)


def test_who_is_cancelled_leaves_nothing(store):
    async def test(process):
        topic = process.topic()
        (waits,) = await begun(process, topic.next())
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert process.waiting == 0

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(topic.next(timeout="1h"), 0.001)
        assert process.waiting == 0

    alone(test, store)


def test_a_client_that_leaves_interrupts_its_coroutine_only():
    async def test(process):
        topic, exchange = process.topic(), MemoryExchange()

        async def of_request():
            of_task.set(exchange)
            return await topic.next()

        gone, stays = await begun(process, of_request(), topic.next())
        exchange.lose()
        with pytest.raises(ClientGone):
            await gone
        assert process.waiting == 1
        await topic.publish("x")
        assert pairs(await stays) == [(1, "x")]

    alone(test)


def test_waiting_again_and_again_keeps_nothing_at_the_request():
    async def test(process):
        topic, exchange = process.topic(), MemoryExchange()
        of_task.set(exchange)
        for number in range(5):
            (wait,) = await begun(process, topic.next(after=number))
            await topic.publish(number)
            await wait

        assert not exchange._on_gone

    alone(test)


def test_as_many_wait_as_may():
    async def test(process):
        topic = process.topic()
        waits = await begun(process, topic.next(), topic.next())
        with pytest.raises(TooManyParked):
            await topic.next()
        await topic.publish("x")
        await asyncio.gather(*waits)
        assert pairs(await topic.next()) == [(1, "x")]

    alone(test, max_parked=2)


def test_a_store_that_cannot_be_read_is_an_error_to_who_waits(caplog):
    async def test(process):
        with pytest.raises(StoreUnavailable):
            await process.topic().next()

    alone(test, BrokenStore())
    assert "it is broken" in caplog.text


def test_what_was_published_is_stored_whoever_is_cancelled():
    class LateStore(MemoryStore):
        def append(self, *arguments, **options):
            self.future = Future()
            self.work = lambda: super(LateStore, self).append(*arguments, **options)
            return self.future

    async def test(process):
        topic = process.topic()
        task = asyncio.ensure_future(_awaited(topic.publish("x")))
        await turns()
        task.cancel()
        await turns()
        assert process.store.future.set_running_or_notify_cancel()
        process.store.future.set_result(process.store.work().result())
        assert pairs(await topic.next()) == [(1, "x")]

    alone(test, LateStore())


async def _awaited(result):
    return await result


# ---- the end -----------------------------------------------------------------------------------


def test_when_the_server_stops_clients_are_told_to_come_again():
    async def test(process):
        topic = process.topic()
        waits = await begun(process, topic.next(after=7), topic.next(default="later"))
        process.parking.drain()
        messages, default = await asyncio.gather(*waits)
        assert (messages, messages.last, default) == ([], 7, "later")

        of_task.set(MemoryExchange())
        assert await topic.next() == []  # at once
        await topic.publish("x")
        assert pairs(await topic.next()) == [(1, "x")]

    alone(test)


def test_when_the_server_stops_loops_end():
    async def test(process):
        async def loop():
            after = 0
            while True:
                after = (await process.topic().next(after)).last

        (task,) = await begun(process, loop())
        process.parking.drain()
        with pytest.raises(Draining):
            await task

    alone(test)


def test_when_the_server_stops_streams_end():
    async def test(process):
        events = process.topic().events()
        (first,) = await begun(process, anext(events.items))
        process.parking.drain()
        with pytest.raises(StopAsyncIteration):
            await first
        assert events.retry_ms

    alone(test)


# ---- several processes ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STORES)
def test_processes_hear_of_one_another(kind, tmp_path):
    """Processes in memory share the object, and hear of others only by the sweep."""

    async def test():
        stores = [opened(kind, tmp_path)]
        stores.append(stores[0] if kind == "memory" else opened(kind, tmp_path))
        here, there = map(Process, stores)
        async with running(here, there):
            (waits,) = await begun(here, here.topic().next())
            await quiet(here)
            assert await there.topic().publish("x") == 1
            if kind == "memory":
                here.jump(11)
            assert pairs(await waits) == [(1, "x")]
        for each in stores:
            each.close()

    asyncio.run(asyncio.wait_for(test(), WAIT_S))


def test_a_lost_nudge_costs_seconds_and_no_message(store):
    async def test(process):
        (waits,) = await begun(process, process.topic().next(timeout="1h"))
        await quiet(process)
        await asyncio.wrap_future(store.append("t/a", [b'"x"'], keep=9))  # and nobody is told
        await quiet(process)
        assert not waits.done()
        process.jump(11)
        assert pairs(await waits) == [(1, "x")]

    alone(test, store)


# ---- server-sent events --------------------------------------------------------------------------


async def told(events, count):
    items = [await anext(events.items) for _ in range(count)]
    await events.items.aclose()
    return b"".join(each.encode() for each in items)


def test_events_are_messages_with_their_cursor(store):
    async def test(process):
        topic = process.topic()
        await published(topic, "a\nb", {"n": 1})
        assert await told(topic.events(), 2) == (
            b'id: 1\ndata: "a\\nb"\n\nid: 2\ndata: {"n":1}\n\n'
        )  # fmt: skip
        assert await told(topic.events(after=1), 1) == b'id: 2\ndata: {"n":1}\n\n'

    alone(test, store)


@pytest.mark.parametrize(
    ("said", "first"), [("1", 2), ("0", 1), ("x", 3), ("-1", 3), ("9" * 30, 3), ("", 3)]
)
def test_a_client_that_comes_again_goes_on_where_it_was(said, first):
    async def test(process):
        of_task.set(MemoryExchange(headers={"last-event-id": said}))
        topic = process.topic()
        await published(topic, *range(1, 4))
        assert (await told(topic.events(after=2), 1)).startswith(b"id: %d\n" % first)

    alone(test)


def test_events_from_the_end_begin_with_a_cursor_that_is_no_event():
    async def test(process):
        topic = process.topic()
        await published(topic, 1, 2)
        events = topic.events(after=-1)
        assert (await anext(events.items)).encode() == b"id: 2\n\n"
        (item,) = await begun(process, anext(events.items))
        await topic.publish("x")
        assert (await item).encode() == b'id: 3\ndata: "x"\n\n'
        await events.items.aclose()

    alone(test)


def test_a_gap_is_an_event():
    async def test(process):
        topic = process.topic(keep=2)
        await published(topic, *range(1, 6))
        assert (await told(topic.events(after=1), 2)).startswith(
            b'event: gap\ndata: {"after":1,"first":4}\n\nid: 4\n'
        )

    alone(test)


def test_a_closed_stream_leaves_nothing():
    async def test(process):
        events = process.topic().events()
        (item,) = await begun(process, anext(events.items))
        item.cancel()
        with pytest.raises(asyncio.CancelledError):
            await item

    alone(test)


# ---- as results ----------------------------------------------------------------------------------


def lanes():
    app = App(store="memory")
    topic = app.topic("a", keep=3)

    @app.get("/inline", inline=True)
    def inline(after: int = 0):
        return topic.next(after)

    @app.get("/threads")
    def threads(after: int = 0):
        return topic.next(after)

    @app.get("/async")
    async def in_task(after: int = 0):
        return await topic.next(after)

    @app.get("/within")
    async def within(after: int = 0):
        return {"messages": await topic.next(after)}

    @app.post("/publish")
    async def publish(count: int):
        return [await topic.publish({"n": number}) for number in range(count)]

    return app


@pytest.mark.parametrize("lane", ["inline", "threads", "async"])
def test_messages_are_json_with_the_cursor_in_a_header(lane):
    async def test():
        async with AsyncClient(lanes()) as client:
            waiting = asyncio.ensure_future(client.get(f"/{lane}"))
            await turns()
            await client.post("/publish?count=1")
            reply = await waiting
            assert reply.json() == [{"id": 1, "data": {"n": 0}}]
            assert reply.headers["content-type"] == "application/json"
            assert reply.headers["last-event-id"] == "1"
            assert reply.headers["cache-control"] == "no-store"
            assert "event-gap" not in reply.headers

            await client.post("/publish?count=4")
            late = await client.get(f"/{lane}?after=1")
            assert [each["id"] for each in late.json()] == [3, 4, 5]
            assert late.headers["event-gap"] == "?1"
            assert late.headers["last-event-id"] == "5"

    asyncio.run(asyncio.wait_for(test(), WAIT_S))


def test_messages_stand_within_other_results():
    async def test():
        async with AsyncClient(lanes()) as client:
            await client.post("/publish?count=1")
            assert (await client.get("/within")).json() == {
                "messages": [{"id": 1, "data": {"n": 0}}]
            }

    asyncio.run(asyncio.wait_for(test(), WAIT_S))


@pytest.mark.parametrize("lane", ["inline", "async"])
def test_a_client_that_leaves_takes_nothing_from_others(lane):
    async def test():
        async with AsyncClient(lanes()) as client:
            leaves, stays = (asyncio.ensure_future(client.get(f"/{lane}")) for _ in range(2))
            await turns()
            leaves.cancel()
            await turns()
            await client.post("/publish?count=1")
            assert (await stays).json() == [{"id": 1, "data": {"n": 0}}]

    asyncio.run(asyncio.wait_for(test(), WAIT_S))


def test_a_waiter_that_awaited_elsewhere_is_settled_once():
    """A deferred result may be attached more than once: each is a request of its own."""

    async def test(process):
        topic, wait = process.topic(), process.topic().next()
        both = Awaited(process.lanes), Awaited(process.lanes)
        for each in both:
            wait.attach(MemoryExchange(), each)
        await topic.publish("x")
        assert [pairs(await each.result()) for each in both] == [[(1, "x")]] * 2

    alone(test)
