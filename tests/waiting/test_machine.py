"""Waits of two nodes on one store, in any order of events, beside a simple model.

`TARRY_MACHINE_EXAMPLES=5000` and `TARRY_MACHINE_STEPS=60` make it run long.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from hypothesis.stateful import run_state_machine_as_test as run

from tarry.state.memory import MemoryStore
from tarry.testing import JumpingClock
from tarry.waiting import records
from tarry.waiting.ledger import KEY, SCHEMA, Ledger
from tarry.waiting.records import CANCELLED, DONE, EXPIRED, FAILED
from tarry.waiting.tokens import wake_token
from tests.waiting.linked import Hub
from tests.waiting.nodes import Node

STEPS = int(os.environ.get("TARRY_MACHINE_STEPS", "30"))
EXAMPLES = {"memory": 120, "sqlite": 12}
if "TARRY_MACHINE_EXAMPLES" in os.environ:
    EXAMPLES = dict.fromkeys(EXAMPLES, int(os.environ["TARRY_MACHINE_EXAMPLES"]))
KINDS = [kind for kind in EXAMPLES if find_spec(f"tarry.state.{kind}")]

SWEEP_S = 10.0
KEEP_S = records.MIN_KEEP_S
DEFAULT = -1
FAILURE = 409
DRAINED = 503
HANDED_OVER = 202
STATUS = {FAILED: FAILURE, CANCELLED: 410, EXPIRED: 504}


@dataclasses.dataclass(eq=False, repr=False)
class Story:
    """One wait as the world knows it, whoever has joined it."""

    key: str | None
    deadline_s: float
    record: records.Record | None = None
    state: str | None = None
    value: int | None = None
    settled_s: float = 0.0
    due_s: float = 0.0
    """When its key may be forgotten."""
    waiting: set = dataclasses.field(default_factory=set)
    accepted: int = 0

    @property
    def is_open(self):
        return self.state is None


@dataclasses.dataclass(eq=False, repr=False)
class Known:
    """A wait as a node has it."""

    node: Node
    wait: object
    story: Story
    deadline_s: float
    abandon: object
    default: int | None
    hold_s: float | None
    ended: str | None = None
    """How it has ended here alone, while it goes on for others."""
    grace_s: float | None = None
    holds: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(eq=False, repr=False)
class Waiter:
    """A request that waits."""

    known: Known
    exchange: object
    awaited: bool
    began_s: float
    has_left: bool = False
    late_until_s: float = 0.0
    """Until when it may not have heard, as a nudge was lost."""
    allowed: set = dataclasses.field(default_factory=set)

    @property
    def is_waiting(self):
        return self.exchange.told is None


@dataclasses.dataclass(eq=False, repr=False)
class Reader:
    """Who came back with a ticket, perhaps to another node."""

    node: Node
    story: Story
    seen: list
    late_until_s: float = 0.0

    def take(self, record):
        assert not self.seen or record.rev >= self.seen[-1].rev or self.seen[-1].is_settled
        if not (self.seen and self.seen[-1].is_settled):
            self.seen.append(record)


class WaitingMachine(RuleBasedStateMachine):
    """Does things to nodes, and looks whether everybody gets what the model says."""

    kind: str
    numbers = st.integers(0, 5)
    mostly = st.sampled_from([True, True, True, False])
    keys = st.sampled_from(["a", "a", "b"])
    places = st.integers(0, 1)

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.clock = JumpingClock()
        self.hub = Hub(self.opened())
        self.ledger = Ledger(self.hub.store, self.clock)
        self.values = iter(range(1, 10_000))
        self.stories, self.known, self.asked, self.readers = [], [], [], []
        self.pointers: dict[str, Story | int] = {}

    def opened(self):
        if self.kind == "memory":
            return MemoryStore()
        from tarry.state.sqlite import SQLiteStore

        return SQLiteStore(Path(self.folder.name) / "state.db")

    def do(self, function, *arguments, **named):
        """Call something on the loop, and let happen what comes of it."""

        async def call():
            result = function(*arguments, **named)
            if asyncio.iscoroutine(result):
                result = await result
            await self.hub.quiet()
            return result

        return self.runner.run(call())

    @property
    def now_s(self):
        return self.clock.wall_s()

    @initialize()
    def start(self):
        self.nodes = [self.new_node(), self.new_node()]

    def new_node(self):
        return self.do(Node(self.hub.link(), self.clock).start)

    # ---- parking -------------------------------------------------------------------------

    @rule(
        place=places,
        kind=st.sampled_from(["plain", "shared", "key", "key", "durable", "durable key"]),
        key=keys,
        timeout_s=st.sampled_from([7.25, 40.25]),
        default=st.sampled_from([None, None, DEFAULT]),
        abandon=st.sampled_from([None, None, "cancel", "keep", 5.5]),
        asked=st.sampled_from(["at once", "at once", "awaited", "later"]),
    )
    def park(self, place, kind, key, timeout_s, default, abandon, asked):
        durable, keyed = "durable" in kind, "key" in kind
        options = {"timeout": timeout_s, "keep": 5, "durable": durable}
        if keyed:
            options["key"] = key
        if default is not None:
            options["default"] = default
        if abandon is not None:
            options["abandon"] = abandon
        if durable:
            options["hold"] = 25.5
        node = self.nodes[place]
        wait = self.do(node.park, int, **options)
        story = self.story_of(key if keyed else None, self.now_s + timeout_s)
        if kind != "plain":
            story.record = wait.share()
            assert all(other.record != story.record for other in self.stories if other != story)
            self.do(lambda: None)
        known = Known(
            node,
            wait,
            story,
            self.now_s + timeout_s,
            abandon or ("keep" if durable else "cancel"),
            default,
            options.get("hold"),
        )
        story.waiting.add(known)
        self.known.append(known)
        self.look()
        if asked != "later":
            self.ask_for(known, asked == "awaited")

    def pick(self, number, is_open=True, alive=True):
        """One of the waits that there are; `None` if there is none of this kind."""
        some = [
            each
            for each in self.known
            if each.story.is_open is is_open and (not alive or each.node in self.nodes)
        ]
        return some[-1 - number % len(some)] if some else None

    def story_of(self, key, deadline_s):
        """The one that a new wait begins, or joins."""
        there = self.pointers.get(key) if key else None
        if isinstance(there, Story) and there.is_open:
            story = there
            story.deadline_s = max(story.deadline_s, deadline_s)
        else:
            story = Story(key, deadline_s)
            self.stories.append(story)
            if isinstance(there, int):
                self.settle(story, DONE, there)
        if key:
            self.pointers[key] = story
            self.point(story)
        return story

    def point(self, story):
        last_s = story.deadline_s
        if not story.is_open:
            last_s = max(last_s, story.settled_s + KEEP_S)
        story.due_s = last_s + KEEP_S + 1.0

    @rule(number=numbers, is_open=mostly, timeout_s=st.sampled_from([3.25, 60.25, 300.25]))
    def put_off(self, number, is_open, timeout_s):
        known = self.pick(number, is_open)
        if known is None:
            return
        self.do(known.wait, timeout_s)
        story, deadline_s = known.story, self.now_s + timeout_s
        known.deadline_s = deadline_s
        is_longer = len(story.waiting) == 1 or deadline_s > story.deadline_s
        if story.is_open and known.ended is None and is_longer:
            story.deadline_s = deadline_s
            self.point(story)
        self.look()

    # ---- waiting -------------------------------------------------------------------------

    @rule(number=numbers, is_open=mostly, awaited=st.booleans())
    def ask(self, number, is_open, awaited):
        known = self.pick(number, is_open)
        if known is not None:
            self.ask_for(known, awaited)

    def ask_for(self, known, awaited):
        awaited = awaited and known.hold_s is None
        exchange = self.do(known.node.ask, known.wait, awaited=awaited)
        waiter = Waiter(known, exchange, awaited, self.now_s)
        # Who joins others on a node hears of it with them.
        waiter.late_until_s = max((each.late_until_s for each in known.holds), default=0.0)
        known.holds.append(waiter)
        known.grace_s = None
        self.asked.append(waiter)
        self.look()

    @rule(number=numbers)
    def disconnect(self, number):
        waiting = [
            each
            for each in self.asked
            if each.is_waiting and not each.has_left and not self.is_dead(each)
        ]
        if not waiting:
            return
        waiter = waiting[number % len(waiting)]
        self.do(waiter.exchange.leave)
        self.leaves(waiter)
        self.look()

    def leaves(self, waiter):
        waiter.has_left = True
        known = waiter.known
        known.holds.remove(waiter)
        if known.holds or known.ended or known.abandon == "keep":
            return
        if not known.story.is_open and not self.may_not_know(known):
            return
        if known.abandon == "cancel":
            self.gives_up(known, CANCELLED)
        else:
            known.grace_s = self.now_s + known.abandon

    def may_not_know(self, known):
        return known.story.is_open or any(
            each.known is known and self.now_s < each.late_until_s for each in self.asked
        )

    def gives_up(self, known, state):
        """One less waits, which is the end for all if it was the last."""
        known.ended = state
        story = known.story
        story.waiting.discard(known)
        if story.is_open and not story.waiting:
            self.settle(story, state)

    @rule(number=numbers, is_open=mostly, place=places)
    def come_back(self, number, is_open, place):
        known = self.pick(number, is_open, alive=False)
        if known is None or known.story.record is None:
            return
        node = self.nodes[place]
        reader = Reader(node, known.story, [])
        self.readers.append(reader)
        self.do(node.parking.watching.watch, known.story.record.id, reader.take)
        self.look()

    # ---- settling ------------------------------------------------------------------------

    def settle(self, story, state, value=None, by=None, nudges=True):
        story.state, story.value, story.settled_s = state, value, self.now_s
        if not nudges:
            for each in [*self.asked, *self.readers]:
                node = each.known.node if isinstance(each, Waiter) else each.node
                mine = each.known.story if isinstance(each, Waiter) else each.story
                if mine is story and node is not by:
                    each.late_until_s = self.now_s + SWEEP_S

    VERBS = st.sampled_from(["wake", "wake", "wake", "fail", "cancel"])

    def attempt(self, verb, waiting, name, value):
        """The verdict on one verb, given a token or a key."""

        async def decide():
            if verb == "wake":
                return await waiting.wake(name, value)
            if verb == "fail":
                return await waiting.fail(name, "no", FAILURE)
            return await waiting.cancel(name)

        return self.do(decide)

    def expect(self, verdict, story, verb, value, by, nudges):
        assert verdict is story.is_open
        if verdict:
            story.accepted += 1
            state = {"wake": DONE, "fail": FAILED, "cancel": CANCELLED}[verb]
            self.settle(story, state, value, by, nudges)

    @rule(
        number=numbers,
        is_open=mostly,
        verb=VERBS,
        place=places,
        by_token=st.booleans(),
        nudges=st.booleans(),
    )
    def decide(self, number, is_open, verb, place, by_token, nudges):
        known = self.pick(number, is_open, alive=False)
        if known is None:
            return
        value, story = next(self.values), known.story
        self.hub.loses_nudges = not nudges
        if by_token and story.record is not None:
            by = self.nodes[place]
            token = known.wait.token
            verdict = self.attempt(verb, by.waiting, token, value)
        elif known.node in self.nodes:
            by = known.node
            arguments = {"wake": (value,), "fail": ("no", FAILURE), "cancel": ()}[verb]

            async def act():
                return await getattr(known.wait, verb)(*arguments)

            verdict = self.do(act)
            if story.record is None and known.ended:
                assert verdict is False
                self.hub.loses_nudges = False
                return
        else:
            self.hub.loses_nudges = False
            return
        self.hub.loses_nudges = False
        self.expect(verdict, story, verb, value, by, nudges)
        self.look()

    @rule(key=keys, verb=VERBS, place=places, nudges=st.booleans())
    def decide_by_key(self, key, verb, place, nudges):
        value, there, by = next(self.values), self.pointers.get(key), self.nodes[place]
        if verb == "fail" and there is None:
            return  # an early failure is as an early wake; the model has values only
        self.hub.loses_nudges = not nudges
        verdict = self.attempt(verb, by.waiting, key, value)
        self.hub.loses_nudges = False
        if isinstance(there, Story):
            self.expect(verdict, there, verb, value, by, nudges)
        else:
            assert verdict is (there is None and verb == "wake")
            if verdict:
                self.pointers[key] = value
        self.look()

    @rule(number=numbers, is_open=mostly)
    def progress(self, number, is_open):
        known = self.pick(number, is_open)
        if known is None or known.story.record is None:
            return

        async def act():
            return await known.wait.progress(1, 2, "half")

        assert self.do(act) is known.story.is_open
        self.look()

    # ---- time and failures ---------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 4, 11, 30]), times=st.sampled_from([1, 1, 1, 4]))
    def advance(self, seconds, times):
        for _ in range(times):
            self.advance_once(seconds)

    def advance_once(self, seconds):
        self.clock.advance(seconds)
        held = [each for each in self.known if self.expires_now(each)]
        self.do(lambda: [node.parking.tick() for node in self.nodes])
        for waiter in self.asked:
            self.pass_time(waiter)
        for known in held:
            self.gives_up(known, EXPIRED)
        for known in self.known:
            if known.node not in self.nodes or known.ended:
                continue
            if known.grace_s is not None and known.grace_s < self.now_s:
                known.grace_s = None
                if known.story.is_open:
                    self.gives_up(known, CANCELLED)
        self.look()

    def expires_now(self, known):
        """Whether somebody waits here when its time is over, and has not got a ticket before."""
        if known.node not in self.nodes or known.ended or not known.story.is_open:
            return False
        return known.deadline_s < self.now_s and any(
            each.began_s < self.now_s
            and (known.hold_s is None or each.began_s + known.hold_s > known.deadline_s)
            for each in known.holds
        )

    def pass_time(self, waiter):
        """Its patience may have ended; then it has its ticket."""
        known = waiter.known
        if self.is_dead(waiter) or waiter.has_left or known.hold_s is None:
            return
        if waiter in known.holds and waiter.exchange.told == (HANDED_OVER, None):
            assert self.now_s > waiter.began_s + known.hold_s
            waiter.allowed.add((HANDED_OVER, None))
            known.holds.remove(waiter)

    @rule(
        place=places,
        ending=st.sampled_from(["crash", "stop", "wake and crash"]),
        number=numbers,
        really=st.sampled_from([True, False]),
    )
    def end(self, place, ending, number, really):
        if not really:
            return  # too often, and nothing lives long enough
        node = self.nodes[place]
        if ending == "wake and crash":
            known = self.pick(number, alive=False)
            if known is None or known.story.record is None:
                return
            story = known.story
            value = next(self.values)
            node.store.tells = False
            self.do(lambda: self.wake_untold(node, story, value))
            if story.is_open:
                story.accepted += 1
                self.settle(story, DONE, value, by=None, nudges=False)
        if ending == "stop":
            self.do(node.parking.drain)
            self.drained(node)
        else:
            node.store.is_up = False
        self.nodes[place] = None
        self.do(self.bury, node)
        self.do(node.stop)
        self.nodes[place] = self.new_node()
        if ending == "stop":
            for known in self.known:
                if known.node is node and known.grace_s is not None and known.ended is None:
                    self.gives_up(known, CANCELLED)
        self.look()

    def wake_untold(self, node, story, value):
        node.waiting.wake(wake_token(story.record.id, story.record.secret), value)

    def drained(self, node):
        for known in self.known:
            if known.node is not node:
                continue
            holds, known.holds = known.holds, []
            for waiter in holds:
                durable = known.hold_s is not None
                if durable and not waiter.awaited:
                    waiter.allowed = {(HANDED_OVER, None)}
                elif known.default is not None:
                    waiter.allowed = {(200, known.default)}
                else:
                    waiter.allowed = {(DRAINED, None)}
                assert waiter.exchange.told in waiter.allowed
            if holds and known.ended is None and known.hold_s is None:
                if known.abandon == "cancel":
                    self.gives_up(known, CANCELLED)
                elif known.abandon != "keep":
                    known.grace_s = self.now_s

    def bury(self, node):
        """What ran in a process ends with it."""
        for waiter in self.asked:
            if waiter.known.node is node and isinstance(waiter.exchange.task, asyncio.Task):
                waiter.exchange.task.cancel()

    # ---- looking -------------------------------------------------------------------------

    def is_dead(self, waiter):
        return waiter.known.node not in self.nodes

    def look(self):
        """What the model could not know, and whether all is as it says."""
        self.see_what_time_did()
        for waiter in self.asked:
            assert waiter.exchange.answers <= 1
            if not waiter.has_left and not self.is_dead(waiter):
                self.check(waiter)
        for reader in self.readers:
            if reader.node in self.nodes:
                self.check_reader(reader)

    def see_what_time_did(self):
        ids = [each.record.id for each in self.stories if each.record is not None]
        found = {}
        if ids:
            read = self.ledger.read(*ids).result()
            found = dict(zip(ids, read, strict=True))
        for story in self.stories:
            if story.record is not None:
                self.compare(story, found[story.record.id])
            elif story.is_open:
                self.compare_plain(story)
        for key, there in list(self.pointers.items()):
            (entry,) = self.hub.store.get(KEY + key).result()
            if entry is None:
                assert isinstance(there, Story), "an early wake was forgotten"
                assert not there.is_open, "a key was forgotten that names an open wait"
                assert there.due_s < self.now_s
                del self.pointers[key]

    def compare(self, story, record):
        if record is None:
            assert not story.is_open or story.deadline_s + KEEP_S < self.now_s
            assert story.is_open or story.settled_s + KEEP_S <= self.now_s
            if story.is_open:
                self.settle(story, EXPIRED)
            return
        if story.is_open and record.is_settled:
            assert record.state == EXPIRED
            assert story.deadline_s < self.now_s
            self.settle(story, EXPIRED)
        elif story.state != record.state and not story.is_open:
            # Whichever of two clocks came first.
            assert {story.state, record.state} == {EXPIRED, CANCELLED}
            story.state = record.state
        if not story.is_open:
            assert record.is_settled
            assert story.accepted <= 1
            if story.state == DONE:
                assert int(record.value) == story.value

    def compare_plain(self, story):
        (known,) = story.waiting
        if known.node in self.nodes and known.wait.outcome is not None:
            raise AssertionError(f"it ended by itself: {known.wait.outcome}")

    def check(self, waiter):
        known, told = waiter.known, waiter.exchange.told
        story = known.story
        if waiter.allowed:
            assert told in waiter.allowed
            return
        is_late = self.now_s < waiter.late_until_s
        allowed = set()
        if not story.is_open:
            allowed.add(self.answer(known, story.state, story.value))
        if known.ended is not None:
            allowed.add(self.answer(known, known.ended, None))
        if told is None:
            # Who asks after the wait has been forgotten hears of it at the time-out.
            too_late = waiter.began_s >= story.settled_s + KEEP_S
            assert (
                not allowed
                or is_late
                or (too_late and self.now_s <= max(known.deadline_s, waiter.began_s))
            )
            return
        if story.settled_s + KEEP_S <= waiter.began_s:
            allowed |= {self.answer(known, EXPIRED, None)}
        assert told in allowed, (told, allowed, known, story)
        waiter.allowed = {told}
        if waiter in known.holds:
            known.holds.remove(waiter)

    def answer(self, known, state, value):
        if state == DONE:
            return 200, value
        if state == EXPIRED and known.default is not None:
            return 200, known.default
        return STATUS[state], None

    def check_reader(self, reader):
        story = reader.story
        if story.is_open:
            assert not any(record.is_settled for record in reader.seen)
            return
        told = [record for record in reader.seen if record.is_settled]
        assert len(told) <= 1
        if told:
            assert told[0].state == story.state
        elif self.now_s >= reader.late_until_s:
            # It came when the wait had been forgotten, or was forgotten while a nudge was lost.
            assert story.settled_s + KEEP_S <= self.now_s, "an answer was lost"

    def teardown(self):
        try:
            if hasattr(self, "nodes"):
                self.look()
                self.end_all()
        finally:
            self.runner.close()
            self.hub.store.close()
            self.folder.cleanup()

    def end_all(self):
        """When all nodes have ended, and time has passed, nothing is left behind."""
        for node in self.nodes:
            node.store.is_up = False
            self.do(self.bury, node)
            self.do(node.stop)
        for _ in range(2):
            self.clock.advance(10_000)
            self.ledger.sweep().result()
        left = [key for key, _ in self.hub.store.scan("").result() if not key.startswith(SCHEMA)]
        assert not left, "something is left behind"


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_lost_whatever_happens(kind):
    machine = type("Machine", (WaitingMachine,), {"kind": kind})

    run(
        machine,
        settings=settings(
            max_examples=EXAMPLES[kind],
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )
