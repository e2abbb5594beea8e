"""Topics without a server: processes that share a store, and those who wait in them."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from typing import Any

from tarry.app.lanes import Lanes
from tarry.state.memory import MemoryStore
from tarry.testing import JumpingClock
from tarry.waiting.addresses import Addresses
from tarry.waiting.feeds import Feeds
from tarry.waiting.ledger import Ledger
from tarry.waiting.parking import Parking
from tarry.waiting.topics import Topic
from tarry.waiting.values import value_type
from tests.exchanges import turns

WAIT_S = 10.0

STORES = ["memory"]
if importlib.util.find_spec("tarry.state.sqlite") is not None:
    STORES.append("sqlite")


class CountingStore(MemoryStore):
    """Counts how often it is read."""

    def __init__(self):
        super().__init__()
        self.reads = 0

    def read(self, log, after, limit=1000):
        self.reads += 1
        return super().read(log, after, limit)


class Process:
    """What one process has of topics; several may share a store."""

    def __init__(self, store, **settings):
        self.store = store
        self.clock = JumpingClock()
        self.lanes = Lanes(2, 100)
        ledger = Ledger(store, self.clock)
        self.parking = Parking(self.lanes, ledger, self.clock, Addresses(), **settings)
        self.feeds = Feeds(self.parking, ledger)

    def topic(self, name="a", kind=Any, *, keep=1000, keep_for="1d"):
        return Topic(self.feeds, name, value_type(kind), keep=keep, keep_for=keep_for)

    def jump(self, seconds):
        self.clock.advance(seconds)
        self.parking.tick()

    @property
    def waiting(self):
        """How many wait here, which has to be the same wherever it is counted."""
        counts = {
            len(self.parking.holds),
            sum(len(feed._subscribers) for feed in self.feeds._feeds.values()),
        }
        assert len(counts) == 1
        if counts == {0}:
            assert not self.feeds._feeds
            assert not self.parking.watching._lookers
            assert not len(self.parking.timers)
        return counts.pop()


@contextlib.asynccontextmanager
async def running(*processes):
    for process in processes:
        process.lanes.open()
    try:
        yield
    finally:
        for process in processes:
            process.parking.close()
            process.lanes.close()


def alone(test, store=None, **settings):
    """Run a coroutine function with one process that has a store of its own."""

    async def run():
        process = Process(store or MemoryStore(), **settings)
        async with running(process):
            await test(process)
            await turns()
            assert process.waiting == 0

    asyncio.run(asyncio.wait_for(run(), WAIT_S))


async def begun(process, *waits):
    """Have coroutines wait; gives their tasks when all of them do."""
    before = process.waiting
    tasks = [asyncio.ensure_future(_awaited(each)) for each in waits]
    while process.waiting < before + len(tasks):
        await asyncio.sleep(0)
    await turns()
    return tasks


async def _awaited(wait):
    return await wait


def pairs(messages):
    return [(each.id, each.data) for each in messages]
