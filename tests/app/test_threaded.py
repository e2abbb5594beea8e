"""Iterables of both kinds, read in one way; plain ones in threads, closed however they end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tarry.app.threaded import ThreadedIterator, iterate

WAIT_S = 10.0


def run(test):
    asyncio.run(asyncio.wait_for(test(), WAIT_S))


async def two():
    yield 1
    yield 2


@pytest.mark.parametrize("items", [[1, 2], (1, 2), iter([1, 2]), two()])
def test_items_of_both_kinds(items):
    async def test():
        assert [item async for item in iterate(items, asyncio.to_thread)] == [1, 2]

    run(test)


def test_plain_items_are_taken_and_closed_in_threads():
    threads = []

    def items():
        try:
            threads.append(threading.get_ident())
            yield 1
        finally:
            threads.append(threading.get_ident())

    async def test():
        iterator = ThreadedIterator(items(), asyncio.to_thread)
        await anext(iterator)
        await iterator.aclose()

        assert len(threads) == 2
        assert threading.get_ident() not in threads

    run(test)


def test_an_iterable_with_a_thread_inside_is_closed_by_that_thread():
    class Items:
        def __init__(self):
            self.closed = threading.Event()

        def __iter__(self):
            return self

        def __next__(self):
            inside.set()
            assert go_on.wait(WAIT_S)
            return 1

        def close(self):
            self.closed.set()

    inside, go_on, items = threading.Event(), threading.Event(), Items()

    async def test():
        iterator = ThreadedIterator(items, asyncio.to_thread)
        asking = asyncio.create_task(anext(iterator))
        assert await asyncio.to_thread(inside.wait, WAIT_S)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await iterator.aclose()
        assert not items.closed.is_set()
        go_on.set()

        assert await asyncio.to_thread(items.closed.wait, WAIT_S)

    run(test)


def test_an_iterable_is_closed_when_there_are_no_threads_any_more():
    closed = []

    def items():
        try:
            yield 1
        finally:
            closed.append(True)

    async def stopped(function, *arguments):
        raise RuntimeError("the server has stopped")

    async def test():
        plain = items()
        next(plain)
        await ThreadedIterator(plain, stopped).aclose()

        assert closed

    run(test)


def echoes(log):
    """Gives back what it is sent, and the names of errors, until it is sent `end`."""
    try:
        got = yield "first"
        while got != "end":
            try:
                got = yield got
            except KeyError as error:
                got = yield type(error).__name__
    finally:
        log.append(threading.get_ident())
    return "result"


def test_a_generator_goes_on_with_values_and_errors():
    async def test():
        log = []
        iterator = ThreadedIterator(echoes(log), asyncio.to_thread)
        assert await iterator.step() == "first"
        assert await iterator.step("a") == "a"
        assert await iterator.step(None, KeyError()) == "KeyError"
        assert await iterator.step() is None
        with pytest.raises(StopAsyncIteration) as end:
            await iterator.step("end")

        assert end.value.args == ("result",)
        assert len(log) == 1

    run(test)


def test_an_error_that_a_generator_does_not_catch_comes_out():
    async def test():
        log = []
        iterator = ThreadedIterator(echoes(log), asyncio.to_thread)
        await iterator.step()
        with pytest.raises(OSError, match="reason"):
            await iterator.step(None, OSError("reason"))

        assert len(log) == 1

    run(test)


def test_a_step_may_have_another_way_into_a_thread():
    async def test():
        asked = []

        async def elsewhere(function, *arguments):
            asked.append(function)
            return function(*arguments)

        iterator = ThreadedIterator(echoes([]), asyncio.to_thread)
        await iterator.step(in_thread=elsewhere)
        await iterator.step("a")
        await iterator.aclose()

        assert len(asked) == 1

    run(test)


def test_closing_a_generator_that_has_ended_takes_no_thread():
    async def test():
        calls = []

        async def in_thread(function, *arguments):
            calls.append(function)
            return function(*arguments)

        iterator = ThreadedIterator((number for number in range(1)), in_thread)
        assert [item async for item in iterator] == [0]
        await iterator.aclose()

        assert len(calls) == 2

    run(test)


def test_what_closing_raises_comes_out():
    class Items:
        def __iter__(self):
            return self

        def __next__(self):
            raise StopIteration

        def close(self):
            raise RuntimeError("reason")

    async def test():
        with pytest.raises(RuntimeError, match="reason"):
            await ThreadedIterator(Items(), asyncio.to_thread).aclose()

    run(test)


def test_an_error_comes_out_and_the_iterable_can_be_closed():
    class Items:
        closed = False

        def __iter__(self):
            return self

        def __next__(self):
            raise KeyError("reason")

        def close(self):
            self.closed = True

    async def test():
        items = Items()
        iterator = ThreadedIterator(items, asyncio.to_thread)
        with pytest.raises(KeyError, match="reason"):
            await anext(iterator)
        await iterator.aclose()

        assert items.closed

    run(test)
