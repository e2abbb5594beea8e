"""Nodes that wait: applications without sockets, several of them on one store and one loop."""

from __future__ import annotations

import asyncio

from tarry.app.dispatch import Dispatcher
from tarry.state.memory import MemoryStore
from tarry.testing import JumpingClock
from tarry.waiting.waiting import Waiting
from tests.app.serving import WAIT_S, add_route
from tests.app.serving import Asked as Answer
from tests.exchanges import Recorded


class Asked(Recorded):
    """A request that counts its answers, of which there must be one."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.answers = 0

    def start(self, head):
        self.answers += 1
        super().start(head)

    @property
    def told(self):
        """Status and body, `None` as long as there is no answer."""
        if self.answer_head is None:
            return None
        status = self.answer_head.status
        return status, int(self.answer) if status == 200 else None


class Node:
    """One application.  Its waits are in `waits`; requests ask for them by their numbers."""

    def __init__(self, store, clock, *, max_queued=1000, **settings):
        self.dispatcher = Dispatcher(max_threads=1, max_queued=max_queued)
        self.clock = clock
        self.waiting = Waiting(self.dispatcher, store, clock=clock, **settings)
        self.parking = self.waiting.parking
        self.store = store
        self.waits = []
        self.add("/returned/{number}", self._returned)
        self.add("/awaited/{number}", self._awaited, inline=False)

    def _returned(self, number: int):
        return self.waits[number]

    async def _awaited(self, number: int):
        return await self.waits[number]

    def add(self, path, function, *, inline=True):
        """Add a route of a test's own."""
        return add_route(self.dispatcher, path, ["GET"], function, inline=inline)

    def park(self, *arguments, **options):
        wait = self.waiting.park(*arguments, **options)
        self.waits.append(wait)
        return wait

    def ask(self, wait, *, awaited=False, headers=()):
        """A request that waits for it; on the loop."""
        way = "awaited" if awaited else "returned"
        exchange = Asked("GET", f"/{way}/{self.waits.index(wait)}", headers)
        self.dispatcher.handle(exchange)
        return exchange

    async def start(self):
        self.dispatcher.lanes.open()
        return self

    async def stop(self):
        self.dispatcher.lanes.close()
        self.parking.close()


def with_node(test, **settings):
    """What a coroutine function returns that is given a node, with a clock that jumps."""

    async def run():
        node = await Node(MemoryStore(), JumpingClock(), **settings).start()
        try:
            return await asyncio.wait_for(test(node), WAIT_S)
        finally:
            await node.stop()

    return asyncio.run(run())


async def waited(exchange):
    """The answer, when it is complete."""
    await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
    return Answer(exchange)
