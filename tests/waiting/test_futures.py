from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

from tarry.waiting.futures import chain, done, failed, rescue, then


def later() -> Future[int]:
    return Future()


def test_then_gives_what_the_function_makes_of_the_result():
    future = later()
    doubled = then(future, lambda value: 2 * value)
    future.set_result(4)

    assert doubled.result(0) == 8
    assert then(done(4), lambda value: 2 * value).result(0) == 8


@pytest.mark.parametrize("is_done", [True, False])
def test_what_the_function_raises_comes_out_of_the_future(is_done):
    future = later()
    if is_done:
        future.set_result(0)
    broken = then(future, lambda value: 1 / value)
    if not is_done:
        future.set_result(0)

    with pytest.raises(ZeroDivisionError):
        broken.result(0)


def test_an_error_goes_through():
    with pytest.raises(KeyError):
        chain(failed(KeyError("a")), lambda value: done(value)).result(0)


async def leave_while_waiting(future: Future[int]) -> None:
    waiting = asyncio.ensure_future(asyncio.wrap_future(future))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_task_that_is_cancelled_takes_nothing_away_from_the_others(caplog):
    first = later()
    second = then(first, lambda value: value + 1)
    asyncio.run(leave_while_waiting(second))
    first.set_result(1)

    assert second.result(0) == 2
    assert not caplog.records


def test_an_error_of_a_kind_is_made_into_a_result():
    assert rescue(done(1), KeyError, lambda _: 2).result(0) == 1
    assert rescue(failed(KeyError("a")), KeyError, lambda _: 2).result(0) == 2
    with pytest.raises(ValueError, match="b"):
        rescue(failed(ValueError("b")), KeyError, lambda _: 2).result(0)
    with pytest.raises(ZeroDivisionError):
        rescue(failed(KeyError("a")), KeyError, lambda _: 1 / 0).result(0)
