"""A task that is kept for the rest of an answer, and goes when nobody needs it."""

from __future__ import annotations

import asyncio

import pytest

from tarry.app.held_tasks import go_on_with, hold_task, let_go, run_rest
from tarry.app.lanes import Lanes
from tests.exchanges import Recorded, turns

WAIT_S = 10.0


def run(test):
    async def with_lanes():
        lanes = Lanes(1, 1)
        lanes.open()
        try:
            await test(lanes)
        finally:
            lanes.close()

    asyncio.run(asyncio.wait_for(with_lanes(), WAIT_S))


async def hold(exchange):
    await run_rest(hold_task(exchange))


async def held(exchange):
    task = asyncio.create_task(hold(exchange))
    await turns()
    return task


def test_the_rest_runs_in_the_task_that_is_held():
    async def test(lanes):
        exchange, ran_in = Recorded(), []

        async def rest():
            ran_in.append(asyncio.current_task())

        task = await held(exchange)
        go_on_with(lanes, exchange, rest())
        assert exchange.task is task
        await task

        assert ran_in == [task]

    run(test)


def test_without_one_the_rest_has_a_task_of_its_own():
    async def test(lanes):
        done = asyncio.Event()

        async def rest():
            done.set()

        go_on_with(lanes, Recorded(), rest())
        await done.wait()

    run(test)


def test_one_that_nobody_needs_ends():
    async def test(lanes):
        for drop in (let_go, lambda exchange: setattr(exchange, "task", None)):
            exchange = Recorded()
            task = await held(exchange)
            drop(exchange)
            await task

    run(test)


def test_only_a_held_task_is_let_go():
    async def test(lanes):
        exchange = Recorded()
        let_go(exchange)
        exchange.task = asyncio.current_task()
        let_go(exchange)

        assert exchange.task is asyncio.current_task()

    run(test)


@pytest.mark.parametrize("is_given", [False, True])
def test_one_that_is_cancelled_runs_nothing(is_given):
    async def test(lanes):
        exchange, ran = Recorded(), []

        async def rest():
            ran.append(True)

        task = await held(exchange)
        if is_given:
            go_on_with(lanes, exchange, rest())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert not ran

    run(test)
