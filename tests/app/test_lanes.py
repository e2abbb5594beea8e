"""Lanes: which one a function has, what keeps tasks alive, and their beginning and end."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc

import pytest

from tarry.app.lanes import Lane, Lanes, lane_of, lanes_here
from tests.exchanges import Recorded, turns


async def coroutine():
    return None


class AsyncCallable:
    async def __call__(self):
        return None


class Callable:
    def __call__(self):
        return None


@pytest.mark.parametrize(
    ("function", "inline", "lane"),
    [
        (coroutine, False, Lane.ASYNC),
        (functools.partial(coroutine), False, Lane.ASYNC),
        (AsyncCallable(), False, Lane.ASYNC),
        (Callable(), False, Lane.THREADS),
        (Callable(), True, Lane.INLINE),
        (len, False, Lane.THREADS),
        (len, True, Lane.INLINE),
    ],
)
def test_the_lane_follows_from_how_a_function_is_written(function, inline, lane):
    assert lane_of(function, inline) is lane


@pytest.mark.parametrize("function", [coroutine, functools.partial(coroutine), AsyncCallable()])
def test_a_coroutine_function_is_never_inline(function):
    with pytest.raises(TypeError, match="inline=True is for a def"):
        lane_of(function, inline=True)


def opened():
    lanes = Lanes(2, 2)
    lanes.open()
    return lanes


def test_an_exchange_keeps_its_task_alive():
    async def test():
        lanes, exchange, ended = opened(), Recorded(), asyncio.Event()

        async def last():
            # Nothing but the exchange refers to this task while it waits.
            waiter = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(set_if_alive, weak(waiter))
            await waiter
            ended.set()

        lanes.spawn(exchange, last())
        gc.collect()
        await asyncio.wait_for(ended.wait(), 10)
        lanes.close()

    asyncio.run(test())


def weak(waiter):
    import weakref

    return weakref.ref(waiter)


def set_if_alive(reference):
    gc.collect()
    if (waiter := reference()) is not None:
        waiter.set_result(None)


@pytest.mark.parametrize("outer_ends", [True, False])
def test_of_tasks_that_run_at_once_the_one_inside_is_kept(outer_ends):
    """As tasks of Python 3.12 do, which finish before they are known to who made them."""

    async def test():
        lanes, exchange, waits = opened(), Recorded(), asyncio.Event()
        tasks = []

        def eager(coroutine):
            # What `eager_start` does: the first step comes before the task is returned.
            try:
                coroutine.send(None)
            except StopIteration:
                task = asyncio.ensure_future(asyncio.sleep(0))
            else:
                task = asyncio.ensure_future(waits.wait())
                coroutine.close()
            tasks.append(task)
            return task

        async def inner():
            await waits.wait()

        async def outer():
            lanes.spawn(exchange, inner())
            if not outer_ends:
                await waits.wait()

        lanes._create_task = eager
        lanes.spawn(exchange, outer())
        assert exchange.task is tasks[0]
        waits.set()
        await asyncio.gather(*tasks)
        lanes.close()

    asyncio.run(test())


def test_a_task_that_has_ended_at_once_is_not_kept():
    async def test():
        lanes, exchange = opened(), Recorded()

        def eager(coroutine):
            with contextlib.suppress(StopIteration):
                coroutine.send(None)
            ended = asyncio.get_running_loop().create_future()
            ended.set_result(None)
            return ended

        async def ends():
            return None

        lanes._create_task = eager
        lanes.spawn(exchange, ends())
        assert exchange.task is None
        lanes.close()

    asyncio.run(test())


def test_a_task_may_have_a_context_of_its_own():
    async def test():
        lanes, exchange = opened(), Recorded()
        tenant = contextvars.ContextVar("tenant", default="none")
        context = contextvars.copy_context()

        async def set_tenant():
            tenant.set("acme")

        lanes.spawn(exchange, set_tenant(), context)
        await turns()
        assert (context[tenant], tenant.get()) == ("acme", "none")
        lanes.close()

    asyncio.run(test())


def test_the_end_waits_for_what_was_started():
    async def test():
        lanes, ended = opened(), []

        async def cleans_up():
            await turns()
            ended.append(True)

        lanes.start(cleans_up())
        await lanes.finish()
        assert ended == [True]
        lanes.close()

    asyncio.run(test())


def test_the_end_does_not_wait_for_ever():
    async def test():
        lanes, never = opened(), asyncio.Event()
        lanes.start(never.wait())
        await lanes.finish(timeout_s=0)
        never.set()
        await lanes.finish()
        lanes.close()

    asyncio.run(test())


def test_closed_lanes_take_nothing():
    async def test():
        lanes = opened()
        lanes.close()
        lanes.close()
        with pytest.raises(RuntimeError, match="stopped"):
            await lanes.in_thread(int)
        assert not lanes.submit(Recorded(), int, {}, print)

    asyncio.run(test())


def test_lanes_are_known_on_their_threads_only():
    async def test():
        lanes = opened()
        assert lanes_here() is lanes
        assert await lanes.in_thread(lanes_here) is lanes
        with pytest.raises(RuntimeError, match="no application"):
            await asyncio.to_thread(lanes_here)
        lanes.close()

    asyncio.run(test())


def test_there_is_no_loop_before_the_start():
    with pytest.raises(RuntimeError, match="not been started"):
        Lanes(1, 1).loop  # noqa: B018 — because asking is the test


# ── the notice that the server stops ──────────────────────────────────────────────────────


def test_all_who_want_to_know_hear_of_the_stop_in_order_and_once(caplog):
    def fail():
        told.append("fail")
        raise LookupError("of the callback")

    told, lanes = [], Lanes(1, 1)
    lanes.on_drain(lambda: told.append("one"))
    lanes.on_drain(fail)
    take_back = lanes.on_drain(lambda: told.append("taken back"))
    lanes.on_drain(lambda: told.append("two"))
    take_back()
    lanes.drain()
    lanes.drain()
    take_back()

    assert told == ["one", "fail", "two"]
    assert "LookupError: of the callback" in caplog.text


def test_who_wants_to_know_of_the_stop_too_late_hears_of_it_at_once():
    told, lanes = [], Lanes(1, 1)
    lanes.on_drain(lambda: lanes.on_drain(lambda: told.append("within")))
    lanes.drain()
    lanes.on_drain(lambda: told.append("afterwards"))

    assert told == ["within", "afterwards"]


def test_one_may_take_back_what_another_wants_to_know():
    told, lanes = [], Lanes(1, 1)
    lanes.on_drain(lambda: take_back())
    take_back = lanes.on_drain(lambda: told.append("taken back"))
    lanes.drain()

    assert told == []


def test_lanes_that_are_opened_again_tell_again_when_they_stop():
    async def test():
        for _ in range(2):
            lanes.open()
            assert told == []
            lanes.drain()
            assert told == [1]
            told.clear()
            lanes.close()

    told, lanes = [], Lanes(1, 1)
    lanes.on_drain(lambda: told.append(1))
    asyncio.run(test())
