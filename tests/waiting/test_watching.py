"""Watching: news of records, which come by nudges, and by the sweep where nudges are lost."""

from __future__ import annotations

import asyncio

import pytest

from tarry.state.memory import MemoryStore
from tarry.state.store import Put, StoreError
from tarry.testing import JumpingClock
from tarry.waiting.ledger import RECORD
from tarry.waiting.watching import SWEEP_S, SWEPT_AT_ONCE
from tests.exchanges import turns
from tests.waiting.linked import Hub
from tests.waiting.nodes import Node

WAIT_S = 10.0


class Pair:
    """Two nodes on one store."""

    def __init__(self):
        self.clock = JumpingClock()
        self.hub = Hub(MemoryStore())
        self.here, self.there = (Node(self.hub.link(), self.clock) for _ in range(2))

    async def pass_time(self, seconds):
        self.clock.advance(seconds)
        for node in (self.here, self.there):
            node.parking.tick()
        await self.hub.quiet()

    async def asked(self, **options):
        """A request that waits here, and the token to wake it."""
        wait = self.here.park(int, **options)
        token = wait.token
        exchange = self.here.ask(wait)
        await self.hub.quiet()
        return exchange, token


def with_pair(test):
    async def run():
        pair = Pair()
        await pair.here.start()
        await pair.there.start()
        try:
            return await asyncio.wait_for(test(pair), WAIT_S)
        finally:
            await pair.here.stop()
            await pair.there.stop()

    return asyncio.run(run())


def test_what_another_node_writes_is_told_by_its_nudge():
    async def test(pair):
        exchange, token = await pair.asked()
        assert await pair.there.waiting.wake(token, 7)
        await pair.hub.quiet()
        assert exchange.told == (200, 7)

    with_pair(test)


def test_many_nudges_at_once_lose_none():
    async def test(pair):
        asked = [await pair.asked() for _ in range(50)]
        for number, (_, token) in enumerate(asked):
            pair.there.waiting.wake(token, number)
        await pair.hub.quiet()
        assert [exchange.told for exchange, _ in asked] == [(200, each) for each in range(50)]

    with_pair(test)


def test_a_lost_nudge_costs_seconds():
    async def test(pair):
        exchange, token = await pair.asked()
        pair.hub.loses_nudges = True
        await pair.there.waiting.wake(token, 7)
        await pair.pass_time(SWEEP_S - 1)
        assert exchange.told is None
        await pair.pass_time(1)
        assert exchange.told == (200, 7)

    with_pair(test)


def test_news_that_cannot_be_read_come_with_the_sweep(monkeypatch):
    async def test(pair):
        exchange, token = await pair.asked()
        with monkeypatch.context() as patched:
            patched.setattr(pair.hub.store, "_changes", _raise)
            await pair.there.waiting.wake(token, 7)
            await pair.hub.quiet()
            assert exchange.told is None
        await pair.pass_time(SWEEP_S)
        assert exchange.told == (200, 7)

    with_pair(test)


def _raise(*arguments):
    raise StoreError("the disk is gone")


def test_one_record_that_is_damaged_does_not_keep_the_sweep_from_the_others():
    async def test(pair):
        damaged, _ = await pair.asked()
        others = [await pair.asked() for _ in range(3)]
        pair.hub.loses_nudges = True
        key = RECORD + pair.here.waits[0].record.id
        pair.hub.store.update([key], lambda _: [Put(b"damaged")])
        for _, token in others:
            await pair.there.waiting.wake(token, 7)
        await pair.pass_time(SWEEP_S)
        assert {exchange.told for exchange, _ in others} == {(200, 7)}
        assert damaged.told is None

    with_pair(test)


def test_a_sweep_that_finds_too_much_goes_on_at_the_next_tick():
    async def test(pair):
        await pair.asked(timeout="1h")
        for _ in range(SWEPT_AT_ONCE + 1):
            pair.there.park(int, timeout=5).share()
        ended = [wait.record.id for wait in pair.there.waits]
        await pair.pass_time(SWEEP_S)
        await pair.pass_time(0)
        found = pair.there.waiting.ledger.read(*ended).result()
        assert {record.state for record in found} == {"expired"}

    with_pair(test)


def test_who_waits_on_the_node_that_sweeps_is_told_too():
    """Of what it writes itself, a node gets no nudges."""

    async def test(pair):
        seen = []
        wait = pair.there.park(int, timeout=5)
        pair.here.parking.watching.watch(wait.share().id, seen.append)
        pair.hub.loses_nudges = True
        await pair.asked(timeout="1h")
        pair.clock.advance(SWEEP_S)
        pair.here.parking.tick()
        await pair.hub.quiet()
        assert seen[-1].state == "expired"

    with_pair(test)


def test_who_no_longer_watches_hears_nothing():
    async def test(pair):
        seen = []
        wait = pair.here.park(int)
        id, watching = wait.share().id, pair.here.parking.watching
        watching.watch(id, seen.append)
        watching.watch(id, seen.append)
        await pair.hub.quiet()
        count = len(seen)
        watching.unwatch(id, seen.append)
        watching.unwatch(id, seen.append)
        await wait.wake(7)
        await pair.hub.quiet()
        assert len(seen) == count

    with_pair(test)


def test_one_that_cannot_take_its_record_does_not_keep_the_others_from_theirs(caplog):
    async def test(pair):
        seen = []
        wait = pair.here.park(int)
        id, watching = wait.share().id, pair.here.parking.watching
        watching.watch(id, _raise)
        watching.watch(id, seen.append)
        await pair.hub.quiet()
        assert seen

    with_pair(test)
    assert "the disk is gone" in caplog.text


@pytest.mark.parametrize("times", [1, 2])
def test_news_that_come_when_all_is_over_are_nobodys(times):
    async def test(pair):
        await pair.asked()
        for callback in tuple(pair.here.store.watchers):
            callback()
        for _ in range(times):
            pair.here.parking.close()
        pair.hub.store.close()
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        await turns()
        assert not errors
        assert not pair.here.store.watchers

    with_pair(test)
