"""Jobs of several nodes on one store, in any order of events, beside what must always be true.

`TARRY_MACHINE_EXAMPLES=5000` and `TARRY_MACHINE_STEPS=60` make it run long.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from hypothesis.stateful import run_state_machine_as_test as run

from tarry.app.errors import HttpError
from tarry.jobs import ledger as jobs_ledger
from tarry.jobs.callables import job_function
from tarry.jobs.ledger import QUEUE, JobLedger
from tarry.jobs.options import job_options
from tarry.jobs.queues import pause_s
from tarry.state.memory import MemoryStore
from tarry.state.sqlite import SQLiteStore
from tarry.testing import JumpingClock
from tarry.waiting.ledger import SCHEMA, Ledger
from tarry.waiting.records import (
    CANCELLED,
    DONE,
    EXPIRED,
    FAILED,
    INTERRUPTED,
    MIN_KEEP_S,
    WAITING,
    WORKING,
    Progress,
)
from tarry.waiting.tokens import ticket, wake_token
from tests.jobs import functions
from tests.jobs.nodes import FULL, JobNode, JumpingLoop, Processes, ProcessLink
from tests.waiting.linked import Hub

STEPS = int(os.environ.get("TARRY_MACHINE_STEPS", "30"))
EXAMPLES = {"memory": 60, "sqlite": 8}
if "TARRY_MACHINE_EXAMPLES" in os.environ:
    EXAMPLES = dict.fromkeys(EXAMPLES, int(os.environ["TARRY_MACHINE_EXAMPLES"]))

ROOM = 6
LIMITS = {"g": 2, "h": 1}
RETRIES = {"retried": 2, "single": 1}
SWEEP_S = 10.0
HANDED_OVER = 202
REFUSED = 422
KINDS = st.sampled_from(
    ["plain", "retried", "retried", "single", "single", "replacing", "joining", "queueing"]
)


def register(groups):
    """The jobs of every node: each kind has its function, all but one share a group."""

    def slot(number):
        return f"s{number % 2}"

    options = {
        "plain": (functions.work, {"group": "g", "limit": LIMITS["g"]}),
        "retried": (functions.other, {"group": "g", "retries": RETRIES["retried"]}),
        "replacing": (functions.replacing, {"group": "g", "slot": slot}),
        "joining": (functions.joining, {"group": "g", "slot": slot, "replace": "join"}),
        "queueing": (functions.queueing, {"group": "g", "slot": slot, "replace": "queue"}),
        "single": (functions.single, {"limit": LIMITS["h"], "group": "h", "retries": 1}),
    }
    return {
        kind: groups.add(job_function(function), job_options(**named))
        for kind, (function, named) in options.items()
    }


@dataclasses.dataclass(eq=False)
class Story:
    """One job as the world knows it, whoever waits for it."""

    id: str
    secret: bytes
    kind: str
    number: int
    slot: str | None
    deadline_s: float
    waits: int = 1
    left: int = 0
    """How often somebody has cancelled it, or left for good."""
    is_replaced: bool = False
    was_interrupted: bool = False
    shall_end: bool = False
    begun: int = 0
    """The number of its newest attempt."""
    ended_s: dict = dataclasses.field(default_factory=dict)
    returned: dict = dataclasses.field(default_factory=dict)
    """By attempt."""
    woken: list = dataclasses.field(default_factory=list)
    record: object = None
    """As it was settled."""

    @property
    def group(self):
        return "h" if self.kind == "single" else "g"

    @property
    def retries(self):
        return RETRIES.get(self.kind, 0)

    @property
    def is_open(self):
        return self.record is None


@dataclasses.dataclass(eq=False)
class Waiter:
    """A request that waits for a job."""

    node: JobNode
    wait: object
    story: Story
    exchange: object
    has_left: bool = False


class JobMachine(RuleBasedStateMachine):
    """Does things to nodes and jobs, and looks whether all is as it has to be."""

    store_kind: str
    room = ROOM
    processes: Processes
    numbers = st.integers(0, 9)
    places = st.integers(0, 1)
    nudges = st.sampled_from([True, True, False])

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = JumpingClock()
        self.runner = asyncio.Runner(loop_factory=lambda: JumpingLoop(self.clock))
        self.hub = Hub(self.opened())
        self.ledger = Ledger(self.hub.store, self.clock)
        self.queues = JobLedger(self.ledger)
        self.values = iter(range(1, 100_000))
        self.stories: dict[str, Story] = {}
        self.attempts, self.waiters, self.zombies, self.nodes = [], [], [], []
        self.wrong = []

    def opened(self):
        if self.store_kind == "memory":
            return MemoryStore()
        return SQLiteStore(Path(self.folder.name) / "state.db")

    def do(self, function, *arguments, nudges=True, **named):
        """Call something on the loop, and let happen what comes of it."""
        self.hub.loses_nudges = not nudges

        async def call():
            result = function(*arguments, **named)
            if asyncio.iscoroutine(result):
                result = await result
            await self.hub.quiet()
            return result

        try:
            return self.runner.run(call())
        finally:
            self.hub.loses_nudges = False

    @property
    def now_s(self):
        return self.clock.wall_s()

    @initialize()
    def start(self):
        self.nodes = [self.new_node(), self.new_node()]

    def new_node(self):
        link = ProcessLink(self.hub, self.processes)
        self.hub.links.append(link)
        return self.do(JobNode(link, self.clock, self, register).start)

    # ---- what attempts do --------------------------------------------------------------------

    def running(self, node=None):
        return [each for each in self.attempts if not each.is_over and node in (None, each.node)]

    def live(self):
        """The attempts that count: of processes that are neither dead nor taken for it."""
        dead = self.processes.dead
        return [each for each in self.running() if each.node.process not in dead]

    def begin(self, attempted):
        """A node begins an attempt; what is wrong with that is no error of the job."""
        self.attempts.append(attempted)
        try:
            self.check_begin(attempted)
        except AssertionError as error:
            self.wrong.append(error)

    def check_begin(self, attempted):
        node, story = attempted.node, self.stories[attempted.id]
        assert node.process not in self.processes.dead, "a dead node begins something"
        assert not node.is_stopping, "a node begins something although it stops"
        live = [self.stories[each.id] for each in self.live() if each is not attempted]
        assert story not in live, "it runs twice at the same time"
        of_group = [each for each in live if each.group == story.group]
        assert len(of_group) < LIMITS[story.group], "more run than may"
        slots = [each.slot for each in of_group if each.slot is not None]
        assert story.slot not in slots, "two of one slot run"
        assert attempted.number == story.begun + 1
        assert attempted.number <= story.retries + 1
        if story.begun in story.ended_s:
            assert self.now_s >= story.ended_s[story.begun] + pause_s(story.begun)
        assert attempted.arguments == {"number": story.number}
        story.begun = attempted.number

    # ---- ordering and waiting ----------------------------------------------------------------

    @rule(
        place=places,
        kinds=st.lists(KINDS, min_size=1, max_size=3),
        number=st.integers(0, 3),
        key=st.sampled_from([None, None, None, "a", "b"]),
        timeout_s=st.sampled_from([1000.0, 1000.0, 45.5]),
        abandon=st.sampled_from(["keep", "cancel", 5.5]),
        asks=st.booleans(),
        nudges=nudges,
    )
    def submit(self, place, kinds, number, key, timeout_s, abandon, asks, nudges):
        if not self.nodes[place].store.fails:
            for kind in kinds:
                self.submit_one(place, kind, number, key, timeout_s, abandon, asks, nudges)

    def submit_one(self, place, kind, number, key, timeout_s, abandon, asks, nudges):
        node = self.nodes[place]
        self.before_submit(kind, number, timeout_s)
        options = {"key": key and kind + key, "timeout_s": timeout_s, "abandon": abandon}
        wait, id = self.do(node.submit, kind, number, nudges=nudges, **options)
        story = self.submitted(wait, id)
        if story is not None and asks:
            exchange = self.do(node.ask, wait)
            self.waiters.append(Waiter(node, wait, story, exchange))
        self.look()

    def before_submit(self, kind, number, timeout_s):
        """What the next job is, as attempts of it may begin before its ticket is known."""
        slot = f"s{number % 2}" if kind in ("replacing", "joining", "queueing") else None
        self.next_story = Story("", b"", kind, number, slot, self.now_s + timeout_s)
        self.stories = _Expecting(self.stories, self.next_story)

    def submitted(self, wait, id):
        """The story of a job that was ordered, `None` if there was no room."""
        story, self.stories = self.next_story, self.stories.done()
        if wait.stored.exception() is not None:
            assert wait.stored.exception().status == FULL
            waiting = self.queue(story.group).waiting
            assert len([each for each in waiting if self.stories[each.id].is_open]) >= ROOM
            return None
        record = wait.stored.result()
        if record.id == id:
            story.id, story.secret = id, record.secret
            self.replace_others(story)
            self.stories[id] = story
            return story
        joined = self.stories[record.id]
        assert (joined.kind, joined.group) == (story.kind, story.group) or joined.slot == story.slot
        assert not joined.shall_end, "it will have no value for who joins it now"
        joined.waits += 1
        joined.deadline_s = max(joined.deadline_s, story.deadline_s)
        return joined

    def replace_others(self, story):
        if story.kind == "replacing":
            for each in self.stories.values():
                each.is_replaced |= each.slot == story.slot

    def pick(self, number, of):
        some = [each for each in of if each is not None]
        return some[-1 - number % len(some)] if some else None

    def open_stories(self):
        return [each for each in self.stories.values() if each.is_open]

    @rule(number=numbers)
    def leave(self, number):
        waiter = self.pick(
            number,
            [each for each in self.waiters if each.exchange.told is None and self.is_up(each)],
        )
        if waiter is None or waiter.node.store.fails:
            return
        waiter.has_left = True
        if waiter.wait.options.abandon != "keep":
            waiter.story.left += 1
        self.do(waiter.exchange.leave)
        self.look()

    def is_up(self, waiter):
        return not waiter.has_left and waiter.node in [*self.nodes, *self.zombies]

    # ---- running -----------------------------------------------------------------------------

    @rule(
        number=numbers,
        how=st.sampled_from(["succeed", "succeed", "succeed", "fail", "fail", "refuse", "obey"]),
        nudges=nudges,
    )
    def finish(self, number, how, nudges):
        attempted = self.pick(number, self.running())
        if attempted is not None:
            self.end_attempt(attempted, how, nudges=nudges)
            self.look()

    def end_attempt(self, attempted, how, *, nudges=True):
        if how == "obey" and not attempted.cancels:
            how = "succeed"
        if attempted in self.live():
            self.stories[attempted.id].ended_s[attempted.number] = self.now_s
        if how == "succeed":
            value = next(self.values)
            self.stories[attempted.id].returned[attempted.number] = value
            self.do(attempted.succeed, value, nudges=nudges)
        elif how == "refuse":
            self.do(attempted.fail, HttpError(REFUSED, "not this one"), nudges=nudges)
        else:
            self.do({"fail": attempted.fail, "obey": attempted.obey}[how], nudges=nudges)
        self.do(attempted.fail, HttpError(REFUSED, "it has ended before"))

    @rule(number=numbers, times=st.integers(1, 3))
    def tell(self, number, times):
        attempted = self.pick(number, self.running())
        if attempted is None:
            return

        def tell():
            for _ in range(times):
                attempted.tell(next(self.values), text=f"{attempted.number}")
                attempted.log(f"{attempted.number}")

        self.do(tell)
        self.look()

    # ---- deciding from outside ---------------------------------------------------------------

    @rule(
        number=numbers,
        place=places,
        nudges=nudges,
        verb=st.sampled_from(["cancel", "cancel", "progress", "wake"]),
    )
    def decide(self, number, place, nudges, verb):
        story, node = self.pick(number, self.open_stories()), self.nodes[place]
        if story is None or node.store.fails:
            return
        if verb == "cancel":
            story.left += 1
            self.do(node.waiting.cancel, ticket(story.id, story.secret), nudges=nudges)
        elif verb == "progress":
            self.do(node.waiting.ledger.progress, story.id, Progress(1), nudges=nudges)
        else:
            story.woken.append(next(self.values))
            name = wake_token(story.id, story.secret)
            self.do(node.waiting.wake, name, story.woken[-1], nudges=nudges)
        self.look()
        assert verb != "wake" or not story.is_open

    # ---- time and failures -------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.25, 1.25, 4, 11, 11, 30]), times=st.sampled_from([1, 1, 3]))
    def advance(self, seconds, times):
        for _ in range(times):
            self.pass_time(seconds)
            self.look()

    def pass_time(self, seconds):
        self.clock.advance(seconds)
        nodes = [*self.nodes, *self.zombies]
        self.do(lambda: [node.parking.tick(exactly=True) for node in nodes])

    @rule(
        place=places,
        how=st.sampled_from(["break", "mend", "crash", "seem dead", "seem dead", "stop"]),
        number=st.integers(0, 3),
        act=numbers,
    )
    def fail(self, place, how, number, act):
        if how == "crash":
            self.crash(place, None if number == 3 else number, act)
        elif how == "seem dead":
            self.seem_dead(place)
        elif how == "stop":
            self.stop(place, number)
        else:
            self.nodes[place].store.fails = how == "break"
            self.do(lambda: None)
        self.look()

    def crash(self, place, after, act):
        """A node dies; with `after` while it writes something that it never hears of."""
        node = self.nodes[place]
        if after is not None and not node.store.fails:
            node.store.told_writes = after
            self.act_for_the_last_time(node, act)
        node.store.is_up = False
        self.processes.dead.add(node.process)
        for each in self.running(node):
            each.is_over = True
            self.stories[each.id].was_interrupted = True
        self.interrupt_claimed(node)
        self.nodes[place] = None
        self.do(self.bury, node)
        self.do(node.stop)
        self.nodes[place] = self.new_node()

    def act_for_the_last_time(self, node, act):
        mine = self.running(node)
        if act % 2 and mine:
            self.end_attempt(mine[act % len(mine)], "succeed")
            return
        self.before_submit("retried", 1, 1000.0)
        _, id = self.do(node.submit, "retried", 1)
        story, self.stories = self.next_story, self.stories.done()
        record = self.ledger.read(id).result()[0]
        if record is not None:  # it was ordered, whether anybody knows or not
            story.id, story.secret = id, record.secret
            self.stories[id] = story

    def interrupt_claimed(self, node):
        """What it has claimed and could not begin any more was an attempt, too."""
        for group in LIMITS:
            for each in self.queue(group).running:
                story = self.stories[each.id]
                if each.node == node.process:
                    story.was_interrupted = True
                    story.begun = max(story.begun, each.attempt)

    def bury(self, node):
        for waiter in self.waiters:
            if waiter.node is node and isinstance(waiter.exchange.task, asyncio.Task):
                waiter.exchange.task.cancel()

    def seem_dead(self, place):
        """Others take a node for dead, which begins nothing more, and what it runs ends late."""
        node = self.nodes[place]
        node.store.fails = False
        node.is_stopping = True
        self.do(node.engine.drain)
        self.processes.dead.add(node.process)
        for group in LIMITS:
            for each in self.queue(group).running:
                self.stories[each.id].was_interrupted |= each.node == node.process
        self.zombies.append(node)
        self.nodes[place] = None
        self.nodes[place] = self.new_node()

    def stop(self, place, in_time):
        """A node stops as it should, and some of what it runs ends in time."""
        node = self.nodes[place]
        node.store.fails = False
        self.do(lambda: None)

        async def stop():
            ending = asyncio.ensure_future(node.end())
            await self.hub.quiet()
            for attempted in self.running(node)[:in_time]:
                value = next(self.values)
                self.stories[attempted.id].returned[attempted.number] = value
                attempted.succeed(value)
                await self.hub.quiet()
            for each in self.running(node):
                self.stories[each.id].was_interrupted = True
            self.clock.advance(SWEEP_S + 0.25)
            await ending

        self.do(stop)
        assert not self.running(node)
        assert not node.engine._works
        for group in LIMITS:
            assert all(each.node != node.process for each in self.queue(group).running)
        self.nodes[place] = None
        self.processes.dead.add(node.process)
        self.nodes[place] = self.new_node()

    # ---- looking -----------------------------------------------------------------------------

    def queue(self, group):
        return self.queues.queue(group).result()

    def look(self):
        for error in self.wrong:
            raise error
        found = self.ledger.read(*self.stories).result()
        queues = {group: self.queue(group) for group in LIMITS}
        for story, record in zip(self.stories.values(), found, strict=True):
            self.check_record(story, record)
        for group, queue in queues.items():
            self.check_queue(group, queue)
        for waiter in self.waiters:
            self.check_waiter(waiter)
        records = [each for each in found if each is not None]
        for node in self.nodes:
            for each in records:
                estimate_s = node.engine.place_of(each).estimate_s
                assert estimate_s is None or estimate_s >= 0

    def check_queue(self, group, queue):
        ids = [each.id for each in (*queue.waiting, *queue.running)]
        assert len(ids) == len(set(ids)), "one is there twice"
        assert len(queue.running) <= LIMITS[group]
        slots = [each.slot for each in queue.running if each.slot is not None]
        assert len(slots) == len(set(slots))
        open_ids = {each.id for each in self.open_stories() if each.group == group}
        assert open_ids <= set(ids), "an open job is nowhere in the queue"

    def check_record(self, story, record):
        if record is None:
            if story.is_open:
                assert story.deadline_s + MIN_KEEP_S <= self.now_s, "an open job was forgotten"
                story.record = EXPIRED
            return
        if not story.is_open:
            assert record == story.record, "it was settled twice"
            return
        assert record.attempt <= story.retries + 1
        story.shall_end = record.is_cancelling
        if record.state == WORKING and record.progress is not None and record.progress.text:
            assert record.progress.text == str(record.attempt), "another attempt has told this"
        if record.is_cancelling:
            assert record.state != WAITING, "it is tried again although it shall end"
            assert story.is_replaced or story.left >= story.waits, "others wait for it still"
        if record.is_settled:
            story.record = record
            self.check_final(story, record)

    def check_final(self, story, record):
        if record.state == DONE:
            value = int(record.value)
            assert value in story.woken or story.returned.get(record.attempt) == value
        elif record.state == CANCELLED:
            assert story.is_replaced or story.left >= story.waits
        elif record.state == EXPIRED:
            assert story.deadline_s <= self.now_s
        elif record.failure == INTERRUPTED:
            assert story.was_interrupted
            assert record.attempt == story.retries + 1
        else:
            assert record.state == FAILED
            assert record.failure.status == REFUSED or record.attempt == story.retries + 1

    def check_waiter(self, waiter):
        told, story = waiter.exchange.told, waiter.story
        assert waiter.exchange.answers <= 1
        if told is None or waiter.has_left or told == (HANDED_OVER, None):
            return
        outcome = waiter.wait.outcome
        assert outcome is not None
        if not story.is_open and story.record != EXPIRED:
            assert told == self.answer(story.record)
        else:
            assert told == (504, None), "it was answered before it was settled"

    def answer(self, record):
        if record.state == DONE:
            return 200, int(record.value)
        if record.state == FAILED:
            return record.failure.status, None
        return {CANCELLED: 410, EXPIRED: 504}[record.state], None

    # ---- the end -----------------------------------------------------------------------------

    def teardown(self):
        try:
            if self.nodes:
                self.look()
                self.settle_all()
                self.leave_nothing()
        finally:
            self.runner.close()
            self.hub.store.close()
            self.folder.cleanup()

    def settle_all(self):
        """While nodes live and time passes, every job ends, and who waits for it hears of it."""
        for node in self.nodes:
            node.store.fails = False
        for _ in range(3 * len(self.stories) + 3):
            if not self.open_stories() and not self.running():
                break
            self.pass_time(SWEEP_S + 1)
            for attempted in self.live():
                assert attempted.cancels or not self.stories[attempted.id].shall_end
            for attempted in self.running():
                self.end_attempt(attempted, "succeed")
            self.look()
        assert not self.open_stories(), "a job has never come to an end"
        for _ in range(2):
            self.pass_time(SWEEP_S + 1)
        for group in LIMITS:
            queue = self.queue(group)
            assert not queue.waiting
            assert not queue.running
        for waiter in self.waiters:
            if self.is_up(waiter):
                assert waiter.exchange.told is not None, "an answer was lost"
        for node in self.nodes:
            assert not node.engine._works
            assert not node.parking.watching._takers, "something is watched for ever"

    def leave_nothing(self):
        for node in [*self.nodes, *self.zombies]:
            node.store.is_up = False
            self.do(node.stop)
        for _ in range(2):
            self.clock.advance(10_000)
            self.ledger.sweep().result()
        left = [key for key, _ in self.hub.store.scan("").result()]
        assert all(key.startswith((SCHEMA, QUEUE)) for key in left), "something is left behind"


class _Expecting(dict):
    """The stories, while one more is expected whose id is not known yet."""

    def __init__(self, stories, expected):
        super().__init__(stories)
        self._expected = expected

    def __missing__(self, id):
        self._expected.id = id
        self[id] = self._expected
        return self._expected

    def done(self):
        return {id: story for id, story in self.items() if story.secret}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_no_job_is_lost_or_run_twice_whatever_happens(kind, monkeypatch):
    processes = Processes()
    monkeypatch.setattr(jobs_ledger, "this_process", processes.this_process)
    monkeypatch.setattr(jobs_ledger, "have_ended", processes.have_ended)
    machine = type("Machine", (JobMachine,), {"store_kind": kind, "processes": processes})

    run(
        machine,
        settings=settings(
            max_examples=EXAMPLES[kind],
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            deadline=None,
        ),
    )
