"""What is awaited for a client ends when it leaves, and nothing else does."""

from __future__ import annotations

import asyncio

import pytest

from tarry.app.presence import Presence
from tarry.exchange import ClientGone
from tests.exchanges import Recorded, turns

WAIT_S = 10.0


def run(test):
    asyncio.run(asyncio.wait_for(test(), WAIT_S))


def test_it_gives_what_was_awaited():
    async def test():
        assert await Presence(Recorded()).wait_for(asyncio.sleep, 0, "result") == "result"

    run(test)


def test_what_is_awaited_is_cancelled_when_the_client_leaves():
    async def test():
        exchange = Recorded()
        presence = Presence(exchange)
        waiting = asyncio.create_task(presence.wait_for(asyncio.Event().wait))
        await turns()
        exchange.leave()
        with pytest.raises(ClientGone):
            await waiting

        assert waiting.cancelling() == 0

    run(test)


def test_a_task_that_is_cancelled_by_somebody_else_stays_so():
    async def test():
        exchange = Recorded()
        waiting = asyncio.create_task(Presence(exchange).wait_for(asyncio.Event().wait))
        await turns()
        waiting.cancel()
        exchange.leave()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(test)


def test_a_task_that_awaits_something_else_is_left_alone():
    async def test():
        exchange = Recorded()
        presence = Presence(exchange)
        await presence.wait_for(asyncio.sleep, 0)
        exchange.leave()
        await turns()

        assert await presence.wait_for(asyncio.sleep, 0, "after") == "after"

    run(test)
