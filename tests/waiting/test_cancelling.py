"""Who is cancelled while it waits leaves nothing behind, and takes nothing from others."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

from tarry.state.memory import MemoryStore
from tarry.waiting.options import wait_options
from tests.exchanges import turns
from tests.waiting.topic_serving import alone


class LateStore(MemoryStore):
    """Writes when the test says so."""

    def __init__(self):
        super().__init__()
        self.late = []

    def update(self, keys, change):
        future = Future()
        self.late.append((future, lambda: super(LateStore, self).update(keys, change)))
        return future

    def write(self):
        """Write all, and what is asked for when that is there."""
        while self.late:
            future, work = self.late.pop(0)
            future.set_result(work().result())


def test_a_coroutine_that_is_cancelled_holds_its_wait_no_longer():
    async def test(process):
        wait = process.parking.make(int, wait_options())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait, 0.001)
        assert (process.parking.holds, wait.holds) == ({}, ())

        wait.wake(5)
        assert await wait == 5

    alone(test)


def test_a_coroutine_that_is_cancelled_leaves_the_record_to_others():
    async def test(process):
        wait = process.parking.make(int, wait_options())
        cancelled, stays = (asyncio.ensure_future(wait.shared()) for _ in range(2))
        await turns()
        cancelled.cancel()
        await turns()
        process.store.write()

        assert await stays is wait
        assert wait.token

    alone(test, LateStore())
