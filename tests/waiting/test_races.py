"""The laws of waiting where two things happen at once, each in a thousand orders.

Stores answer, and tell of news, when they are told to: the order is drawn, and
the same number gives the same order again.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from tarry.state.memory import MemoryStore
from tarry.testing import JumpingClock
from tests.exchanges import turns
from tests.waiting.linked import Hub, SteppedLink, interleave
from tests.waiting.nodes import Node

ORDERS = 1000
FEWER_ORDERS = 300


class Race:
    """Two nodes on one store, which go through one order after the other."""

    def __init__(self):
        self.clock = JumpingClock()
        self.hub = Hub(MemoryStore())
        self.links = [self.linked(), self.linked()]
        self.here, self.there = (Node(link, self.clock) for link in self.links)

    def linked(self):
        link = SteppedLink(self.hub)
        self.hub.links.append(link)
        return link

    def begin(self, number):
        """Begin with another order, and a key of its own."""
        self.numbers = random.Random(number)
        self.key = f"key {number}"
        self.verdicts = []

    async def run(self, *actors):
        await interleave(self.numbers, self.links, *actors)

    async def parked(self, **options):
        """A wait here that has its record already, and its token."""
        wait = self.here.park(int, **options)
        stored = asyncio.ensure_future(wait.shared())
        await turns(2)
        await self.run()
        await stored
        return wait, wait.token

    def wake(self, node, name, value):
        """An action: wake, and keep the verdict and the value."""

        def act():
            self.verdicts.append((node.waiting.wake(name, value), value))

        return act

    def ask(self, wait):
        """An action: a request begins to wait."""

        def act():
            self.exchange = self.here.ask(wait)

        return act

    async def accepted(self):
        """The values whose wakes were the first."""
        return [value for verdict, value in self.verdicts if await verdict]


def in_all_orders(race, count=ORDERS):
    """What each of the orders came to."""

    async def run_all():
        this = Race()
        await this.here.start()
        await this.there.start()
        results = []
        for number in range(count):
            this.begin(number)
            results.append(await race(this))
            this.here.waits.clear()
            this.there.waits.clear()
        await this.here.stop()
        await this.there.stop()
        return results

    return asyncio.run(run_all())


def test_a_hold_is_registered_before_the_record_is_read():
    """A wake from elsewhere falls before, between and after both: the answer comes each time."""

    async def race(this):
        wait, token = await this.parked()
        await this.run([this.ask(wait)], [this.wake(this.there, token, 7)])

        assert this.exchange.told == (200, 7)
        return await this.accepted()

    assert in_all_orders(race) == [[7]] * ORDERS


def test_a_wake_that_nobody_is_told_of_is_found_by_who_comes_later_or_by_the_sweep():
    async def race(this):
        this.hub.loses_nudges = True
        wait, token = await this.parked()
        await this.run([this.ask(wait)], [this.wake(this.there, token, 7)])
        was_told_at_once = this.exchange.told is not None
        this.clock.advance(10)
        this.here.parking.tick()
        await this.run()

        assert this.exchange.told == (200, 7)
        return was_told_at_once

    assert set(in_all_orders(race)) == {True, False}


def test_a_wake_may_come_before_anybody_waits():
    """Parking under a key, and a wake of that key on another node, in any order."""

    async def race(this):
        def park():
            this.exchange = this.here.ask(this.here.park(int, key=this.key))

        await this.run([park], [this.wake(this.there, this.key, 7)])

        assert this.exchange.told == (200, 7)
        return await this.accepted()

    assert in_all_orders(race) == [[7]] * ORDERS


def test_the_first_of_two_wakes_wins():
    """From both nodes, while a request comes to wait: it gets what the one had that was told so."""

    async def race(this):
        def park():
            this.exchange = this.here.ask(this.here.park(int, key=this.key))

        await this.run(
            [park], [this.wake(this.here, this.key, 1)], [this.wake(this.there, this.key, 2)]
        )
        accepted = await this.accepted()

        assert len(accepted) == 1
        assert this.exchange.told == (200, accepted[0])
        return accepted[0]

    assert set(in_all_orders(race)) == {1, 2}


def test_two_nodes_that_park_under_one_key_wait_for_the_same_value():
    async def race(this):
        asked = []

        def park(node):
            return lambda: asked.append(node.ask(node.park(int, key=this.key)))

        await this.run([park(this.here)], [park(this.there)], [this.wake(this.there, this.key, 7)])
        told = {exchange.told for exchange in asked}
        if told != {(200, 7)}:
            # The wake came between: who parked after it waits for the next one.
            assert told == {(200, 7), None}
            await this.run([this.wake(this.here, this.key, 8)])
            assert {exchange.told for exchange in asked} == {(200, 7), (200, 8)}
        return told == {(200, 7)}

    assert set(in_all_orders(race, FEWER_ORDERS)) == {True, False}


@pytest.mark.parametrize("by_key", [False, True])
def test_a_wake_against_the_time_out(by_key):
    """Either the waker is told that it was the first and the client has the value, or neither."""

    async def race(this):
        options = {"key": this.key} if by_key else {}
        wait, token = await this.parked(timeout=5.25, **options)
        await this.run([this.ask(wait)])

        def expire():
            this.clock.advance(6)
            this.here.parking.tick()

        await this.run([expire], [this.wake(this.there, this.key if by_key else token, 7)])
        accepted = await this.accepted()

        assert this.exchange.told == ((200, 7) if accepted else (504, None))
        return bool(accepted)

    assert set(in_all_orders(race)) == {True, False}


def test_a_wake_against_the_client_that_leaves():
    """A wake that was accepted is kept, one that was not has a wait that is cancelled."""

    async def race(this):
        wait, token = await this.parked()
        await this.run([this.ask(wait)])
        await this.run([lambda: this.exchange.leave()], [this.wake(this.there, token, 7)])
        accepted = await this.accepted()

        found = this.here.waiting.ledger.read(wait.record.id)
        await this.run()
        (record,) = found.result()
        assert record.state == ("done" if accepted else "cancelled")
        assert this.exchange.told in (None, (200, 7))
        return bool(accepted)

    assert set(in_all_orders(race, FEWER_ORDERS)) == {True, False}
