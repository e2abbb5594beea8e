"""Nodes that run jobs: several applications on one store and one loop, which goes by a clock that
jumps.  The test says how attempts end, which nodes die, and which only seem to be dead."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

from tarry.app.errors import HttpError
from tarry.jobs.engine import Engine
from tarry.jobs.entering import Ordered
from tarry.jobs.job_waits import job_wait
from tarry.jobs.ledger import JobLedger
from tarry.jobs.orders import JsonArgument, Order
from tarry.jobs.queues import Queued
from tarry.jobs.specs import Groups
from tarry.state.store import StoreBusy
from tarry.waiting.futures import done, failed, then
from tarry.waiting.options import wait_options
from tarry.waiting.records import Record
from tarry.waiting.tokens import new_id, new_secret
from tests.jobs.scripted import LANES, Attempted
from tests.waiting.linked import Link
from tests.waiting.nodes import Node

FULL = 503


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers go by another clock."""

    def __init__(self, clock):
        self._clock = clock
        super().__init__()

    def time(self):
        return self._clock.monotonic_s()


class Processes:
    """Which processes there seem to be, in the place of those of the system."""

    def __init__(self):
        self._numbers = itertools.count(1)
        self.here = ""
        self.dead = set()

    def new(self):
        return f"node{next(self._numbers)}"

    def this_process(self):
        return self.here

    def have_ended(self, names):
        return names in self.dead


class ProcessLink(Link):
    """The store as one process has it: what it changes, it changes under its name.

    With `fails` nothing can be read or written.  `told_writes` is how many writes more
    it hears of; after that it writes and never knows.
    """

    def __init__(self, hub, processes):
        self.told_writes = None
        super().__init__(hub)
        self._processes = processes
        self.process = processes.new()
        self.fails = False

    @property
    def tells(self):
        return self.told_writes is None or self.told_writes >= 0

    @tells.setter
    def tells(self, tells):
        self.told_writes = None if tells else -1

    def update(self, keys, change):
        if self.told_writes is not None:
            self.told_writes -= 1

        def named(entries):
            self._processes.here = self.process
            return change(entries)

        return super().update(keys, named)

    def _ask(self, method, *arguments, writes=False, **options):
        if self.fails and self.is_up:
            return failed(StoreBusy("the store is away"))
        return super()._ask(method, *arguments, writes=writes, **options)


class JobNode(Node):
    """One application with jobs; `world` hears of each attempt that begins."""

    def __init__(self, store, clock, world, register):
        super().__init__(store, clock)
        self.world = world
        self.is_stopping = False
        groups = Groups(world.room)
        self.specs = register(groups)
        ledger = JobLedger(self.waiting.ledger)
        runners = dict.fromkeys(LANES, self._runner)
        self.engine = Engine(self.parking, ledger, groups, runners, Path, self._keep)
        self.parking.on_tick = self.engine.tick
        self.dispatcher.lanes.on_drain(self.engine.drain)

    def _keep(self, spec, order, ended):
        return done(None)

    def _runner(self, *_):
        return NodeRunner(self)

    @property
    def process(self):
        return self.store.process

    async def start(self):
        await super().start()
        self.engine.open()
        return self

    def submit(self, kind, number, *, key=None, timeout_s=1000.0, abandon="keep"):
        """A wait for a new job, and its id if it joins none."""
        spec = self.specs[kind]
        now_s, id = self.clock.wall_s(), new_id()
        wait = job_wait(
            self.parking, int, wait_options(durable=True, timeout=timeout_s, abandon=abandon)
        )
        record = Record(
            id=id,
            secret=new_secret(),
            created_s=now_s,
            deadline_s=now_s + timeout_s,
            keep_s=5.0,
            durable=True,
            key=key,
            job=spec.name,
        )
        order = Order(spec.name, {"number": JsonArgument(b"%d" % number)})
        slot = spec.slot_of({"number": number})
        entry = Queued(id, spec.name, slot, retries=spec.options.retries)
        ordered = Ordered(record, order, entry, spec.options.replace, spec.group.max_queued)
        submitted = self.engine.submit(spec, ordered)
        wait.stored = then(submitted, _record_of)
        self.waits.append(wait)
        return wait, id

    async def end(self):
        """Stop as a server does."""
        self.is_stopping = True
        self.dispatcher.lanes.drain()
        await self.engine.close()
        await self.stop()


def _record_of(submitted):
    if submitted.record is None:
        raise HttpError(FULL, "no room")
    return submitted.record


class NodeRunner:
    """What runs the attempts of a node: the test."""

    def __init__(self, node):
        self._node = node

    def start(self, *arguments):
        attempted = Attempted(*arguments[-2:])
        attempted.node = self._node
        self._node.world.begin(attempted)
        return attempted

    def close(self, timeout_s):
        for attempted in self._node.world.running(self._node):
            attempted.is_over = True
