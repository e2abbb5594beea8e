"""The engine: begins the jobs whose turn it is, in this process, and keeps what becomes of them.

The queues are in the store, so several processes share them: each begins what
it can, and what a process leaves behind when it dies is taken over by the
others, or by the one that comes after it.  All of this runs on the loop, but
for what attempts report.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from tarry.jobs import queues
from tarry.jobs.attempts import Attempt, Ended, Runner, failed
from tarry.jobs.entering import Ordered, Submitted
from tarry.jobs.ledger import (
    INTERRUPTED_END,
    QUEUE,
    Claimed,
    Finished,
    Following,
    JobLedger,
    Room,
)
from tarry.jobs.orders import Order
from tarry.jobs.queues import Queue
from tarry.jobs.specs import Group, Groups, JobSpec, Lane
from tarry.jobs.work import Work
from tarry.waiting.futures import chain, done
from tarry.waiting.parking import Parking
from tarry.waiting.places import NOWHERE, Place
from tarry.waiting.records import Record
from tarry.waiting.watching import SWEEP_S

logger: Final = logging.getLogger("tarry")

STOP_S: Final = 10.0
"""How long jobs may run on when the server begins to stop; as long as connections may."""

KILL_S: Final = 2.0
"""How long the end waits for jobs that were told to end at once."""

Runners = Mapping[Lane, Callable[[], Runner]]
"""What makes the runner of a lane, when it is needed for the first time."""

Keep = Callable[[JobSpec, Order, Ended], "Future[None]"]
"""Keeps a result for others who ask for the same, before anybody is told of it."""


class _Line:
    """What this process knows of the queue of a group."""

    __slots__ = ("_places", "_places_of", "group", "is_claiming", "queue", "taken")

    def __init__(self, group: Group) -> None:
        self.group = group
        self.queue = Queue()
        self.is_claiming = False
        self.taken: set[str] = set()
        self._places: dict[str, Place] = {}
        self._places_of: Queue | None = None

    def place_of(self, id: str, now_s: float) -> Place:
        """Where a job stood when this process last heard of the queue."""
        if self._places_of is not self.queue:
            self._places = queues.places_of(self.queue, self.group.limit or 1, now_s)
            self._places_of = self.queue
        return self._places.get(id, NOWHERE)


class Engine:
    """Runs the jobs of one application."""

    def __init__(
        self,
        parking: Parking,
        ledger: JobLedger,
        groups: Groups,
        runners: Runners,
        folder: Callable[[str], Path],
        keep: Keep,
    ) -> None:
        self.parking = parking
        self.ledger = ledger
        self._groups = groups
        self._make_runner = runners
        self._runners: dict[Lane, Runner] = {}
        self._folder = folder
        self._keep = keep
        self._lines: dict[str, _Line] = {}
        self._works: dict[tuple[str, int], Work] = {}
        self._beginning = 0
        self._lock = threading.Lock()
        self._is_open = False
        self._next_look_s = 0.0
        self._stop_until_s = 0.0
        self._idle: asyncio.Event | None = None

    # ---- the application starts and stops -------------------------------------------------

    def open(self) -> None:
        """Begin to run jobs: those that wait, and those that a dead process has left."""
        self._groups.check()
        self._is_open = True
        self._idle = asyncio.Event()
        # It may be another clock than the last time.
        self._next_look_s = self.parking.clock.monotonic_s() + SWEEP_S
        self._stop_until_s = 0.0
        for group in self._groups:
            self._line(group)

    def _line(self, group: Group) -> _Line:
        line = self._lines.get(group.name)
        if line is None:
            line = self._lines[group.name] = _Line(group)
            refresh = functools.partial(self._refresh, line)
            self.parking.watching.watch_key(QUEUE + group.name, refresh)
            self.parking.start_ticker()
            self._take_over(line)
        return line

    def drain(self) -> None:
        """The server begins to stop: begin nothing more."""
        self._is_open = False
        self._stop_until_s = self.parking.clock.monotonic_s() + STOP_S

    def hurry(self) -> None:
        """Wait no longer for what runs; what it has come to is still kept."""
        if self._stop_until_s and self._idle is not None:
            self._idle.set()
        self._stop_until_s = 0.0

    async def close(self) -> None:
        """Wait for what runs, as long as it may; then end it, to be retried if it may be."""
        self._is_open = False
        left_s = self._stop_until_s - self.parking.clock.monotonic_s()
        await self._wait_idle(left_s)
        self._stop_until_s = 0.0
        runners = list(self._runners.values())
        closing = (asyncio.to_thread(each.close, KILL_S) for each in runners)
        for error in await asyncio.gather(*closing, return_exceptions=True):
            if error is not None:
                logger.error("what runs jobs could not be closed", exc_info=error)
        for work in list(self._works.values()):
            work.ended(INTERRUPTED_END)
        await self._wait_idle(KILL_S)
        for name in self._lines:
            self.parking.watching.unwatch_key(QUEUE + name)
        self._runners.clear()
        self._lines.clear()
        self._works.clear()

    async def _wait_idle(self, timeout_s: float) -> None:
        if self._idle is None or self._is_idle or timeout_s <= 0:
            return
        self._idle.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            logger.info("%d jobs still run", len(self._works))

    @property
    def _is_idle(self) -> bool:
        return not self._works and not self._beginning

    def _look_idle(self) -> None:
        if self._is_idle and self._idle is not None:
            self._idle.set()

    # ---- ordering ------------------------------------------------------------------------

    def submit(self, spec: JobSpec, ordered: Ordered) -> "Future[Submitted]":
        """Have a job done; from any thread."""
        room = _room(spec.group) if self._is_open else None
        if room is not None:
            self._count(1)  # it may come back as one that has begun
        submit = functools.partial(self.ledger.submit, spec.group.name, ordered, room)
        submitted = chain(done(None), lambda _: submit())  # a closed store raises at once
        submitted.add_done_callback(
            functools.partial(self._submitted, spec, ordered.order, room is not None)
        )
        return submitted

    def _submitted(
        self, spec: JobSpec, order: Order, is_counted: bool, submitted: "Future[Submitted]"
    ) -> None:
        result = None if submitted.exception() is not None else submitted.result()
        if result is not None:
            line = self._lines.get(spec.group.name)
            if line is not None:
                line.queue = result.queue  # for who asks at once where the job stands
            for each in result.replaced:
                self.parking.watching.saw(each)
        self.parking.on_loop(self._take_in, spec, order, is_counted, result)

    def _take_in(
        self, spec: JobSpec, order: Order, is_counted: bool, submitted: Submitted | None
    ) -> None:
        if submitted is not None:
            if submitted.has_begun and submitted.record is not None:
                self._begin_or_put_back(spec.group, submitted.record, order)
            if self._is_open:
                self._learn(self._line(spec.group), submitted.queue)
        if is_counted:
            self._count(-1)
            self._look_idle()

    def settled(self, record: Record) -> None:
        """A job was settled by somebody here; if it has waited for its turn it waits no longer."""
        spec = None if record.job is None else self._groups.spec(record.job)
        line = None if spec is None else self._lines.get(spec.group.name)
        if line is not None and any(each.id == record.id for each in line.queue.waiting):
            self._know(line.group, self.ledger.drop(line.group.name, [record.id]))

    def _count(self, change: int) -> None:
        """Count what may begin soon; from any thread."""
        with self._lock:
            self._beginning += change

    # ---- beginning -----------------------------------------------------------------------

    def tick(self) -> None:
        """Look at the clock: who has paused may begin, and who died may have left something."""
        if not self._is_open:
            return
        now_s = self.parking.clock.wall_s()
        is_time = self.parking.clock.monotonic_s() >= self._next_look_s
        if is_time:
            self._next_look_s = self.parking.clock.monotonic_s() + SWEEP_S
        for line in tuple(self._lines.values()):
            if is_time:
                self._take_over(line)
            elif any(0 < each.ready_s <= now_s for each in line.queue.waiting):
                self._look(line)

    def _take_over(self, line: _Line) -> None:
        self._know(line.group, self.ledger.take_over(line.group.name, self._taken_over))

    def _taken_over(self, record: Record | None) -> None:
        """Nobody else tells those who wait here; from any thread."""
        self.parking.watching.saw(record)
        if record is not None:
            then = record.state if record.is_settled else "it will be tried again"
            logger.warning("job %s %s lost its process: %s", record.job, record.id, then)

    def _refresh(self, line: _Line) -> None:
        """Somebody has written the queue."""
        self._know(line.group, self.ledger.queue(line.group.name))

    def _know(self, group: Group, found: "Future[Queue]") -> None:
        on_loop = self.parking.on_loop
        found.add_done_callback(lambda found: on_loop(self._found, group, found))

    def _found(self, group: Group, found: "Future[Queue]") -> None:
        line = self._lines.get(group.name)
        if line is None:
            return
        if found.exception() is not None:
            logger.error("the queue of jobs %r cannot be read: %s", group.name, found.exception())
            return
        self._learn(line, found.result())

    def _learn(self, line: _Line, queue: Queue) -> None:
        if queue.waiting or line.queue.waiting:
            self.parking.moved()
        line.queue = queue
        self._look(line)

    def _look(self, line: _Line) -> None:
        """Begin who is next, if there is room."""
        group, limit = line.group, line.group.limit or 1
        if not self._is_open or line.is_claiming:
            return
        now_s = self.parking.clock.wall_s()
        if queues.next_of(line.queue, limit, group.jobs, now_s) is None:
            return
        claimed = self.ledger.claim(group.name, line.queue, limit, group.jobs)
        line.is_claiming = True
        self._count(1)
        on_loop = self.parking.on_loop
        claimed.add_done_callback(lambda claimed: on_loop(self._claimed, line, claimed))

    def _claimed(self, line: _Line, claimed: "Future[Claimed]") -> None:
        line.is_claiming = False
        self._count(-1)
        if claimed.exception() is not None:
            logger.error("a job cannot be begun: %s", claimed.exception())
            self._look_idle()
            return  # the next sweep tries again
        record, order, queue = claimed.result()
        if record is not None and order is not None:
            self._begin_or_put_back(line.group, record, order)
        self._look_idle()
        self._learn(line, queue)

    def _begin_or_put_back(self, group: Group, record: Record, order: Order) -> None:
        if self._is_open:
            self._begin(group, record, order)
        else:
            self._put_back(group, record)

    def _put_back(self, group: Group, record: Record) -> None:
        """The application has begun to stop while a job was claimed: leave it to the next one."""
        finished = self.ledger.finish(
            group.name, record.id, record.attempt, INTERRUPTED_END, has_begun=False
        )
        self._count(1)
        on_loop = self.parking.on_loop
        finished.add_done_callback(lambda _: on_loop(self._was_put_back))

    def _was_put_back(self) -> None:
        self._count(-1)
        self._look_idle()

    def _begin(self, group: Group, record: Record, order: Order) -> None:
        spec = group.jobs[order.job]
        attempt = Attempt(
            record.id,
            record.attempt,
            order,
            self._folder(record.id),
            spec.options.timeout_s,
        )
        keep = functools.partial(self._keep, spec, order)
        work = Work(self.parking, self.ledger, spec, attempt, keep, self._follow, self._over)
        self._works[record.id, record.attempt] = work
        self.parking.watching.saw(record)
        try:
            running = self._runner(spec.lane).start(attempt, work)
        except Exception as error:  # noqa: BLE001 — it is the end of this job, and of no others
            work.ended(failed(error))
        else:
            work.begin(running)

    def _runner(self, lane: Lane) -> Runner:
        runner = self._runners.get(lane)
        if runner is None:
            runner = self._runners[lane] = self._make_runner[lane]()
        return runner

    def _follow(self, work: Work) -> Following | None:
        """Who may begin when an attempt ends, if nothing else happens meanwhile."""
        line = self._lines.get(work.spec.group.name)
        if line is None or not self._is_open:
            return None
        room, now_s = _room(line.group), self.parking.clock.wall_s()
        id, number = work.attempt.id, work.attempt.number
        after = queues.over(line.queue, id, number, now_s, counts=False)
        entry = queues.next_of(after, *room, now_s, line.taken)
        if entry is None:
            return None
        line.taken.add(entry.id)
        return Following(entry, room)

    def _over(self, work: Work, finished: Finished | None) -> None:
        group = work.spec.group
        line = self._lines.get(group.name)
        if line is not None and work.following is not None:
            line.taken.discard(work.following.entry.id)
        self._works.pop((work.attempt.id, work.attempt.number), None)
        if finished is not None and finished.record is not None and finished.order is not None:
            self._begin_or_put_back(group, finished.record, finished.order)
        self._look_idle()
        if line is not None and finished is not None:
            self._learn(line, finished.queue)

    # ---- telling -------------------------------------------------------------------------

    def place_of(self, record: Record) -> Place:
        """Where a job stands, as far as this process knows."""
        spec = None if record.job is None else self._groups.spec(record.job)
        line = None if spec is None else self._lines.get(spec.group.name)
        if line is None or record.is_settled:
            return NOWHERE
        return line.place_of(record.id, self.parking.clock.wall_s())


def _room(group: Group) -> Room:
    return Room(group.limit or 1, group.jobs)
