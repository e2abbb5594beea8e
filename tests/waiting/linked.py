"""One store that several nodes have open: its news can be lost, and its nodes can crash."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future

from tarry.state.store import Store
from tests.exchanges import turns


class Hub:
    """A store, and the nodes that have it open, each by a link of its own."""

    def __init__(self, store):
        self.store = store
        self.links = []
        self.loses_nudges = False
        self.under_way = set()

    def link(self):
        link = Link(self)
        self.links.append(link)
        return link

    def nudge(self, sender):
        """Tell all others that there is news."""
        if self.loses_nudges:
            return
        for link in self.links:
            if link is not sender and link.is_up:
                for callback in tuple(link.watchers):
                    callback()

    async def quiet(self):
        """Let everything happen that happens by itself."""
        was_quiet = False
        while True:
            await turns(8)
            under_way = [asyncio.wrap_future(future) for future in tuple(self.under_way)]
            if under_way:
                await asyncio.wait(under_way)
            elif was_quiet:
                return
            was_quiet = not under_way


class Link(Store):
    """The store as one node has it.

    Once `is_up` is false nothing comes out of it any more: the node is dead.
    With `tells` false it dies in the middle: what it writes is there, and it
    never hears of that, nor does anybody else.
    """

    is_shared = True
    name = "linked"

    def __init__(self, hub):
        self._hub = hub
        self.watchers = []
        self.is_up = self.tells = True

    def _ask(self, method, *arguments, writes=False, **options):
        asked = Future()
        if not self.is_up:
            return asked
        answer = getattr(self._hub.store, method)(*arguments, **options)
        self._hub.under_way.add(answer)

        def hand_on(answer):
            if self.is_up and (self.tells or not writes):
                if writes:
                    self._hub.nudge(self)
                if answer.exception() is None:
                    asked.set_result(answer.result())
                else:
                    asked.set_exception(answer.exception())
            self._hub.under_way.discard(answer)

        answer.add_done_callback(hand_on)
        return asked

    def get(self, *keys):
        return self._ask("get", *keys)

    def update(self, keys, change):
        return self._ask("update", keys, change, writes=True)

    def due(self, prefix, before_s, limit=1000):
        return self._ask("due", prefix, before_s, limit)

    def scan(self, prefix, after="", limit=1000):
        return self._ask("scan", prefix, after, limit)

    def append(self, log, items, **options):
        return self._ask("append", log, items, writes=True, **options)

    def read(self, log, after, limit=1000):
        return self._ask("read", log, after, limit)

    def drop_due_logs(self, before_s):
        return self._ask("drop_due_logs", before_s, writes=True)

    def changes(self, after, limit=1000):
        return self._ask("changes", after, limit)

    def watch(self, callback):
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback)

    def poll(self):
        return self._ask("poll")

    def close(self):
        self.is_up = False


class SteppedLink(Link):
    """A link on which nothing happens by itself.

    What a node asks for is done, told to the others and answered in three
    steps, each kind in the order of the questions; `queues` has what waits.
    """

    def __init__(self, hub):
        super().__init__(hub)
        self.queues = (deque(), deque(), deque())

    def _ask(self, method, *arguments, writes=False, **options):
        to_do, to_nudge, to_answer = self.queues
        asked = Future()

        def do():
            answer = getattr(self._hub.store, method)(*arguments, **options)
            if writes:
                to_nudge.append(lambda: self._hub.nudge(self))
            to_answer.append(lambda: asked.set_result(answer.result()))

        to_do.append(do)
        return asked


async def interleave(numbers, links, *actors):
    """Have actors, each a list of actions in order, and stores go on in a random order."""
    queues = [queue for link in links for queue in link.queues]
    queues += [deque(actor) for actor in actors]
    was_quiet = False
    while True:
        ready = [queue for queue in queues if queue]
        if not ready:
            if was_quiet:
                return
            was_quiet = True
            await turns(8)
            continue
        was_quiet = False
        chosen = numbers.randrange(len(ready) + 1)
        if chosen == len(ready):
            await turns(1)
        else:
            ready[chosen].popleft()()
