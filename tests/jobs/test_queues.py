from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.jobs import queues
from tarry.jobs.queues import Queue, Queued, Running
from tarry.waiting.places import NOWHERE, Place
from tarry.waiting.records import DamagedRecord

KNOWN = {"work", "other"}
NOW_S = 1000.0


def waiting(*ids, **fields):
    return Queue(tuple(Queued(id, "work", **fields) for id in ids))


def run(queue, *ids, slot=None, node="here", since_s=NOW_S):
    """The queue with some more that run."""
    more = (Running(id, "work", slot, 1, node, since_s) for id in ids)
    return Queue(queue.waiting, (*queue.running, *more), queue.paces_s)


def next_id(queue, limit=1, known=KNOWN, now_s=NOW_S):
    entry = queues.next_of(queue, limit, known, now_s)
    return None if entry is None else entry.id


def place(queue, id, limit=1, now_s=NOW_S):
    return queues.places_of(queue, limit, now_s).get(id, NOWHERE)


def entered(queue, entry, room=1000):
    after = queues.entered(queue, entry, room)
    assert after is not None
    return after


# ---- going in ------------------------------------------------------------------------------


def test_who_comes_first_is_first():
    queue = entered(entered(Queue(), Queued("a", "work")), Queued("b", "work"))

    assert [each.id for each in queue.waiting] == ["a", "b"]
    assert next_id(queue) == "a"


def test_there_is_room_up_to_the_limit_and_not_for_one_more():
    queue = entered(waiting("a", "b"), Queued("c", "work"), 3)

    assert queues.entered(queue, Queued("d", "work"), 3) is None
    assert [each.id for each in queue.waiting] == ["a", "b", "c"]


def test_those_that_run_take_no_room_of_those_that_wait():
    queue = run(Queue(), "a", "b", "c")

    assert queues.entered(queue, Queued("d", "work"), 1) is not None


def test_a_slot_has_those_that_run_before_those_that_wait():
    queue = run(waiting("b", "c", slot="s"), "a", slot="s")
    queue = entered(queue, Queued("d", "work", "t"))
    queue = entered(queue, Queued("e", "work"))

    assert queues.with_slot(queue, "s") == ("a", "b", "c")
    assert queues.with_slot(queue, "t") == ("d",)
    assert queues.with_slot(queue, "u") == ()


def test_only_those_that_wait_can_be_taken_out():
    queue = run(waiting("a", "b", "c"), "d")

    after = queues.without(queue, ("a", "c", "d", "unknown"))

    assert [each.id for each in after.waiting] == ["b"]
    assert after.running == queue.running
    assert queues.without(queue, ()) == queue


# ---- whose turn it is ----------------------------------------------------------------------


@pytest.mark.parametrize(("running", "expected"), [(0, "a"), (2, "a"), (3, None), (4, None)])
def test_nobody_begins_at_the_limit_or_beyond(running, expected):
    queue = run(waiting("a"), *(f"r{number}" for number in range(running)))

    assert next_id(queue, limit=3) == expected


def test_an_empty_queue_has_nobody():
    assert next_id(Queue(), limit=5) is None


def test_nobody_begins_while_another_one_has_the_slot_and_those_behind_pass():
    queue = run(waiting("a", slot="s"), "r", slot="s")

    assert next_id(queue, limit=5) is None
    assert next_id(entered(queue, Queued("b", "work")), limit=5) == "b"
    assert next_id(entered(queue, Queued("c", "work", "t")), limit=5) == "c"


def test_those_without_a_slot_do_not_share_one():
    assert next_id(run(waiting("a"), "r"), limit=2) == "a"


def test_who_is_not_ready_lets_others_pass_until_its_time():
    queue = entered(waiting("a", ready_s=NOW_S + 1), Queued("b", "work"))

    assert next_id(queue) == "b"
    assert next_id(queue, now_s=NOW_S + 1) == "a"
    assert next_id(waiting("a", ready_s=NOW_S + 1)) is None


def test_those_of_one_slot_keep_their_order_also_if_the_first_is_not_ready():
    queue = entered(waiting("a", slot="s", ready_s=NOW_S + 1), Queued("b", "work", "s"))

    assert next_id(queue, limit=5) is None
    assert next_id(queue, limit=5, now_s=NOW_S + 1) == "a"


def test_who_is_unknown_here_lets_others_pass_but_not_those_of_its_slot():
    queue = entered(Queue(), Queued("a", "elsewhere", "s"))
    queue = entered(queue, Queued("b", "work", "s"))

    assert next_id(queue, limit=5) is None
    assert next_id(entered(queue, Queued("c", "work")), limit=5) == "c"
    assert next_id(queue, limit=5, known={*KNOWN, "elsewhere"}) == "a"


# ---- running -------------------------------------------------------------------------------


def test_who_begins_runs_and_waits_no_longer():
    queue = waiting("a", "b", slot="s", retries=2)

    after = queues.begun(queue, queue.waiting[0], 2, "here", NOW_S)

    assert [each.id for each in after.waiting] == ["b"]
    assert after.running == (Running("a", "work", "s", 2, "here", NOW_S, 2),)


def test_only_the_attempt_that_has_ended_is_over():
    queue = run(Queue(), "a", "b")

    assert queues.over(queue, "a", 2, NOW_S, counts=True) == queue
    assert queues.over(queue, "unknown", 1, NOW_S, counts=True) == queue
    assert [each.id for each in queues.over(queue, "a", 1, NOW_S, counts=True).running] == ["b"]


def test_what_a_job_takes_follows_those_that_succeeded_most_of_all_the_earlier_ones():
    first = queues.over(run(Queue(), "a"), "a", 1, NOW_S + 10, counts=True)
    assert first.paces_s == {"work": 10}

    second = queues.over(run(first, "b"), "b", 1, NOW_S + 20, counts=True)
    assert 10 < second.paces_s["work"] < 15

    failed = queues.over(run(second, "c"), "c", 1, NOW_S + 900, counts=False)
    assert failed.paces_s == second.paces_s


def test_a_clock_that_goes_back_makes_no_job_take_less_than_nothing():
    queue = queues.over(run(Queue(), "a"), "a", 1, NOW_S - 100, counts=True)

    assert queue.paces_s == {"work": 0}


def test_who_tries_again_comes_last():
    ended = Running("c", "work", "s", 2, "here", NOW_S - 9, 3)

    queue = queues.again(waiting("a", "b"), ended, NOW_S)

    assert [each.id for each in queue.waiting] == ["a", "b", "c"]
    assert queue.waiting[-1] == Queued("c", "work", "s", NOW_S + queues.pause_s(2), 3)


def test_who_did_not_begin_after_all_is_the_next_one():
    claimed = Running("c", "work", "s", 2, "here", NOW_S, 3)

    queue = queues.put_back(waiting("a", "b"), claimed)

    assert [each.id for each in queue.waiting] == ["c", "a", "b"]
    assert next_id(queue, now_s=NOW_S) == "c"
    assert queue.waiting[0].retries == 3


def test_pauses_double_up_to_the_longest():
    assert [queues.pause_s(attempt) for attempt in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert queues.pause_s(7) == queues.pause_s(10_000) == queues.MAX_PAUSE_S


def test_lost_are_those_whose_process_has_ended():
    queue = run(run(waiting("w"), "a", "b", node="dead"), "c", node="alive")

    assert [each.id for each in queues.lost(queue, lambda node: node == "dead")] == ["a", "b"]
    assert not queues.lost(queue, lambda _: False)


# ---- telling -------------------------------------------------------------------------------


def paced(queue, pace_s=10.0):
    return Queue(queue.waiting, queue.running, {"work": pace_s})


def test_who_waits_has_a_position_and_who_runs_has_none():
    queue = run(waiting("a", "b"), "r")

    assert [place(queue, id).position for id in ("a", "b", "r")] == [1, 2, None]
    assert place(queue, "unknown") == NOWHERE


def test_what_nobody_has_shown_is_not_estimated():
    queue = run(waiting("a"), "r")

    assert place(queue, "a").estimate_s is None
    assert place(queue, "r").estimate_s is None
    mixed = entered(paced(queue), Queued("b", "other"))
    assert place(mixed, "b").estimate_s is None


def test_estimates_are_what_is_left_and_then_one_after_the_other():
    queue = paced(run(waiting("a", "b"), "r", since_s=NOW_S - 4))

    assert place(queue, "r") == Place(None, 6)
    assert place(queue, "a") == Place(1, 16)
    assert place(queue, "b") == Place(2, 26)


def test_with_room_for_several_each_goes_where_there_is_room_first():
    queue = paced(run(waiting("a", "b", "c"), "r", since_s=NOW_S - 4))

    estimates_s = [place(queue, id, limit=2).estimate_s for id in ("a", "b", "c")]

    assert estimates_s == [10, 16, 20]


def test_who_takes_longer_than_others_is_expected_at_any_moment():
    queue = paced(run(waiting("a"), "r", since_s=NOW_S - 400))

    assert place(queue, "r").estimate_s == 0
    assert place(queue, "a").estimate_s == 10


def test_more_may_run_than_a_process_allows_now():
    queue = paced(run(waiting("a"), "r", "s", "t", since_s=NOW_S))

    estimate_s = place(queue, "a", limit=1).estimate_s

    assert estimate_s is not None
    assert estimate_s >= 10


# ---- in a store ----------------------------------------------------------------------------


def test_a_queue_is_read_as_it_was_written():
    queue = paced(run(waiting("a", slot="s", ready_s=5.5, retries=3), "r"))

    assert queues.decode_queue(queues.encode_queue(queue)) == queue


@pytest.mark.parametrize("data", [b"", b"no queue", b"\x93", b"\x91\x91\x01"])
def test_what_is_no_queue_is_said_to_be_none(data):
    with pytest.raises(DamagedRecord, match="queue"):
        queues.decode_queue(data)


# ---- in any order --------------------------------------------------------------------------

LIMIT = 3
ROOM = 4
ACTIONS = st.one_of(
    st.tuples(st.just("enter"), st.sampled_from([None, None, "s", "t"]), st.sampled_from("wo")),
    st.tuples(st.just("begin")),
    st.tuples(st.just("end"), st.integers(0, 5), st.booleans(), st.booleans()),
    st.tuples(st.just("take out"), st.integers(0, 5)),
    st.tuples(st.just("advance"), st.sampled_from([0.5, 2.0, 70.0])),
)
JOBS = {"w": "work", "o": "other"}


class Model:
    """A queue, and what has become of all that ever came."""

    def __init__(self):
        self.queue = Queue()
        self.now_s = NOW_S
        self.inside, self.outside = set(), set()
        self.number = 0

    def do(self, name, *arguments):
        getattr(self, name.replace(" ", "_"))(*arguments)
        self.check()

    def enter(self, slot, job):
        self.number += 1
        entry = Queued(f"j{self.number}", JOBS[job], slot)
        after = queues.entered(self.queue, entry, ROOM)
        assert (after is None) is (len(self.queue.waiting) >= ROOM)
        if after is not None:
            self.queue = after
            self.inside.add(entry.id)

    def begin(self):
        entry = queues.next_of(self.queue, LIMIT, KNOWN, self.now_s)
        if entry is None:
            self.check_nobody_could()
            return
        assert entry in self.queue.waiting
        assert entry.ready_s <= self.now_s
        self.queue = queues.begun(self.queue, entry, 1, "here", self.now_s)

    def check_nobody_could(self):
        taken = {each.slot for each in self.queue.running}
        slots = [each.slot for each in self.queue.waiting]
        for index, entry in enumerate(self.queue.waiting):
            if entry.ready_s > self.now_s or len(self.queue.running) >= LIMIT:
                continue
            assert entry.slot is not None
            assert entry.slot in taken or entry.slot in slots[:index]

    def end(self, number, succeeds, retries):
        if not self.queue.running:
            return
        each = self.queue.running[number % len(self.queue.running)]
        self.queue = queues.over(self.queue, each.id, each.attempt, self.now_s, counts=succeeds)
        if not succeeds and retries:
            self.queue = queues.again(self.queue, each, self.now_s)
        else:
            self.leave(each.id)

    def take_out(self, number):
        if self.queue.waiting:
            entry = self.queue.waiting[number % len(self.queue.waiting)]
            self.queue = queues.without(self.queue, (entry.id,))
            self.leave(entry.id)

    def leave(self, id):
        self.inside.remove(id)
        self.outside.add(id)

    def advance(self, seconds):
        self.now_s += seconds

    def check(self):
        there = [each.id for each in (*self.queue.waiting, *self.queue.running)]
        assert sorted(there) == sorted(self.inside), "one was lost, or is there twice"
        assert len(self.queue.running) <= LIMIT
        slots = [each.slot for each in self.queue.running if each.slot is not None]
        assert len(slots) == len(set(slots))
        for id in there:
            estimate_s = place(self.queue, id, LIMIT, self.now_s).estimate_s
            assert estimate_s is None or estimate_s >= 0
        assert queues.decode_queue(queues.encode_queue(self.queue)) == self.queue


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=40))
def test_nobody_is_lost_and_limits_hold_whatever_happens(actions):
    model = Model()
    for name, *arguments in actions:
        model.do(name, *arguments)

    for _ in range(len(model.inside) * 2):
        model.do("advance", 100.0)
        model.do("begin")
        model.do("end", 0, True, False)
    assert not model.inside, "somebody never had its turn"
