from __future__ import annotations

import subprocess
import sys

import pytest

from tarry.jobs import ledger as jobs_ledger
from tarry.jobs.attempts import Ended
from tarry.jobs.ledger import INTERRUPTED_END, QUEUE, JobLedger
from tarry.jobs.orders import JsonArgument
from tarry.jobs.queues import Queue
from tarry.state.store import Put
from tarry.testing import JumpingClock
from tarry.waiting.ledger import KEY, ORDER, RECORD, Ledger
from tarry.waiting.nodes import this_process
from tarry.waiting.records import (
    CANCELLED,
    DONE,
    EXPIRED,
    FAILED,
    MIN_KEEP_S,
    WAITING,
    WORKING,
    Failure,
    Progress,
)
from tarry.waiting.tokens import ticket, wake_token
from tests.jobs.ordering import GROUP, JOB, LIFETIME_S, ordered

WAIT_S = 30
SUCCESS = Ended(DONE, b"7")
FAILURE = Ended(FAILED, failure=Failure(500, "no"), may_retry=True)
REFUSAL = Ended(FAILED, failure=Failure(422, "not this one"))
STOPPED = Ended(CANCELLED)


class Bench:
    """The jobs of a store, and short ways to do things to them."""

    def __init__(self, store):
        self.store = store
        self.clock = JumpingClock()
        self.ledger = Ledger(store, self.clock)
        self.jobs = JobLedger(self.ledger)
        self.told = []

    def order(self, **options):
        return ordered(self.clock.wall_s(), **options)

    def submit(self, order=None, **options):
        submitted = self.jobs.submit(GROUP, order or self.order(**options))
        return submitted.result(WAIT_S)

    def submitted(self, **options):
        """The id of a job that waits for its turn now."""
        record = self.submit(**options).record
        assert record is not None
        return record.id

    def claim(self, limit=1, known=(JOB,)):
        """The job whose turn it is, and its order, after all that are none any more."""
        queue = self.queue()
        for _ in range(1000):
            claimed = self.jobs.claim(GROUP, queue, limit, known).result(WAIT_S)
            if claimed.record is not None or claimed.queue == queue:
                return claimed
            queue = claimed.queue
        raise AssertionError("claiming does not come to an end")

    def claimed(self, **options):
        record = self.claim(**options).record
        assert record is not None
        return record

    def finish(self, record, ended, **told):
        finished = self.jobs.finish(GROUP, record.id, record.attempt, ended, **told)
        return finished.result(WAIT_S)

    def queue(self):
        return self.jobs.queue(GROUP).result(WAIT_S)

    def ids(self):
        queue = self.queue()
        return [each.id for each in queue.waiting], [each.id for each in queue.running]

    def record(self, id):
        (record,) = self.ledger.read(id).result(WAIT_S)
        return record

    def change(self, id, action):
        return self.ledger.change(id, action).result(WAIT_S)

    def take_over(self):
        return self.jobs.take_over(GROUP, self.told.append).result(WAIT_S)

    def put(self, key, value):
        self.store.update([key], lambda _: [Put(value)]).result(WAIT_S)

    def stored(self):
        return [key for key, _ in self.store.scan("").result(WAIT_S)]

    def sweep(self):
        self.ledger.sweep().result(WAIT_S)


@pytest.fixture
def bench(store):
    return Bench(store)


@pytest.fixture
def dead(monkeypatch):
    """What is claimed within is claimed by a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    host = this_process().partition("@")[2]

    class Dead:
        def __enter__(self):
            monkeypatch.setattr(jobs_ledger, "this_process", lambda: f"{process.pid}:1@{host}")

        def __exit__(self, *error):
            monkeypatch.undo()

    return Dead()


# ---- ordering ------------------------------------------------------------------------------


def test_a_job_is_kept_with_its_order_and_its_place(bench):
    order = bench.order(number=5, slot="s", retries=2)

    submitted = bench.submit(order)

    assert submitted.record == order.record
    assert submitted.queue == bench.queue() == Queue((order.entry,))
    assert bench.record(order.record.id).state == WAITING
    assert bench.claim().order == order.order


def test_who_orders_under_the_key_of_an_open_job_joins_it(bench):
    first = bench.submitted(key="k")
    second = bench.order(key="k")

    joined = bench.submit(second).record

    assert (joined.id, joined.waits) == (first, 2)
    assert bench.ids() == ([first], [])
    assert bench.record(second.record.id) is None


def test_of_two_that_joined_by_key_one_can_cancel_and_then_the_other(bench):
    id = bench.submitted(key="k")
    bench.submit(key="k")

    assert bench.change(id, "cancel").record.state == WAITING
    assert bench.change(id, "cancel").record.state == CANCELLED


def test_a_key_is_free_again_when_its_job_is_settled(bench):
    first = bench.submitted(key="k")
    bench.finish(bench.claimed(), SUCCESS)

    assert bench.submitted(key="k") != first


def test_nobody_joins_a_job_that_shall_end(bench):
    first = bench.submitted(key="k")
    bench.claimed()
    assert bench.change(first, "cancel").record.is_cancelling

    second = bench.submitted(key="k")

    assert second != first
    assert bench.record(second).waits == 1
    assert bench.submitted(key="k") == second


def test_a_value_that_came_early_for_the_key_is_the_result(bench):
    bench.ledger.wake("k", b"7").result(WAIT_S)

    record = bench.submit(key="k").record

    assert (record.state, record.value) == (DONE, b"7")
    assert bench.claim().record is None
    assert bench.ids() == ([], [])


def test_the_old_ones_of_a_slot_end_in_favour_of_the_new_one(bench):
    running = bench.submitted(slot="s")
    bench.claimed()
    waiting = bench.order(slot="s", replace="queue")
    bench.submit(waiting)

    submitted = bench.submit(slot="s")

    assert {each.id for each in submitted.replaced} == {running, waiting.record.id}
    assert bench.record(running).is_cancelling
    assert bench.record(running).state == WORKING
    assert bench.record(waiting.record.id).state == CANCELLED
    assert bench.ids() == ([submitted.record.id], [running])
    assert ORDER + waiting.record.id not in bench.stored()


def test_it_ends_for_all_who_have_joined_the_old_one(bench):
    old = bench.submitted(slot="s", key="k")
    bench.submit(slot="s", key="k")

    new = bench.submitted(slot="s")

    assert bench.record(old).state == CANCELLED
    assert bench.ids() == ([new], [])


def test_those_of_another_slot_stay(bench):
    other, free = bench.submitted(slot="t"), bench.submitted()

    assert bench.submit(slot="s").replaced == ()
    assert {bench.record(id).state for id in (other, free)} == {WAITING}


@pytest.mark.parametrize("runs", [False, True])
def test_who_joins_a_slot_waits_for_the_newest_that_is_there(bench, runs):
    bench.submitted(slot="s", replace="queue")
    newest = bench.submitted(slot="s", replace="queue")
    if runs:
        bench.finish(bench.claimed(), SUCCESS)
        assert bench.claimed().id == newest
    before = bench.ids()

    joined = bench.submit(slot="s", replace="join").record

    assert joined.id == newest
    assert bench.ids() == before
    assert bench.change(newest, "cancel").record.state != CANCELLED
    assert bench.record(newest).waits == 1


def test_who_finds_nobody_to_join_is_the_first(bench):
    id = bench.submitted(slot="s", replace="join")

    assert bench.ids() == ([id], [])


@pytest.mark.parametrize("action", ["cancel", "wake", "expire"])
def test_nobody_joins_in_a_slot_what_was_settled_while_it_waited(bench, action):
    old = bench.submitted(slot="s")
    bench.change(old, action)

    new = bench.submitted(slot="s", replace="join")

    assert new != old
    assert bench.claimed().id == new


@pytest.mark.parametrize("action", ["cancel", "wake", "expire"])
def test_nobody_joins_in_a_slot_what_was_settled_while_it_ran(bench, action):
    old = bench.submitted(slot="s")
    running = bench.claimed()
    bench.change(old, action)

    new = bench.submitted(slot="s", replace="join")

    assert new != old
    assert bench.claim(limit=2).record is None  # its slot is taken still
    bench.finish(running, SUCCESS)
    assert bench.claimed().id == new


def test_those_that_queue_in_a_slot_run_one_after_the_other(bench):
    first, second = (bench.submitted(slot="s", replace="queue") for _ in range(2))

    running = bench.claimed(limit=5)
    assert running.id == first
    assert bench.claim(limit=5).record is None
    bench.finish(running, SUCCESS)
    assert bench.claimed(limit=5).id == second


@pytest.mark.parametrize("options", [{}, {"key": "k"}, {"slot": "t"}, {"slot": "t", "key": "k"}])
def test_nothing_of_a_job_is_kept_for_which_there_is_no_room(bench, options):
    waiting = bench.submitted(slot="s")
    before = bench.stored()

    submitted = bench.submit(room=1, **options)

    assert submitted.record is None
    assert [each.id for each in submitted.queue.waiting] == [waiting]
    assert bench.stored() == before


def test_who_takes_the_place_of_another_needs_no_more_room(bench):
    old = bench.submitted(slot="s")

    new = bench.submitted(slot="s", room=1)

    assert bench.ids() == ([new], [])
    assert bench.record(old).state == CANCELLED


def test_without_room_nobody_is_replaced(bench):
    running = bench.submitted(slot="s")
    bench.claimed()
    bench.submitted()

    assert bench.submit(slot="s", room=1).record is None
    assert not bench.record(running).is_cancelling


def test_who_was_settled_while_it_waited_can_be_taken_out_to_make_room(bench):
    first, second = bench.submitted(), bench.submitted()
    bench.change(first, "cancel")

    assert [each.id for each in bench.jobs.purge(GROUP).result(WAIT_S).waiting] == [second]
    assert ORDER + first not in bench.stored()
    assert bench.claimed().id == second


# ---- beginning -----------------------------------------------------------------------------


def test_a_claimed_job_works_in_this_process(bench):
    id = bench.submitted()

    record = bench.claimed()

    assert (record.id, record.state, record.attempt) == (id, WORKING, 1)
    assert record.node == this_process()
    (running,) = bench.queue().running
    assert (running.id, running.attempt, running.node) == (id, 1, this_process())


def test_a_job_is_claimed_once_although_two_know_the_same_queue(bench):
    bench.submitted()
    queue = bench.queue()

    claims = [bench.jobs.claim(GROUP, queue, 5, [JOB]).result(WAIT_S) for _ in range(2)]

    assert [claimed.record is None for claimed in claims] == [False, True]
    assert claims[1].queue == bench.queue()


def test_no_more_are_claimed_than_may_run(bench):
    for _ in range(3):
        bench.submitted()

    assert bench.claim(limit=2).record is not None
    assert bench.claim(limit=2).record is not None
    assert bench.claim(limit=2).record is None


@pytest.mark.parametrize("action", ["cancel", "expire", "wake", "fail"])
def test_what_was_settled_while_it_waited_is_left_out(bench, action):
    for id in [bench.submitted() for _ in range(3)]:
        bench.change(id, action)
    last = bench.submitted()

    assert bench.claimed().id == last
    assert bench.ids() == ([], [last])
    assert [key for key in bench.stored() if key.startswith(ORDER)] == [ORDER + last]


def test_what_nobody_waits_for_any_longer_is_left_out_and_expires(bench):
    late = bench.submitted(lifetime_s=1.0)
    bench.clock.advance(2)

    assert bench.claim().record is None
    assert bench.ids() == ([], [])
    assert bench.record(late).state == EXPIRED


def test_hundreds_that_were_cancelled_keep_nobody_waiting(bench):
    for id in [bench.submitted() for _ in range(400)]:
        bench.change(id, "cancel")
    last = bench.submitted()

    assert bench.claimed().id == last


def test_a_job_whose_record_is_gone_is_left_out(bench):
    gone, next_one = bench.submitted(), bench.submitted()
    bench.store.update([RECORD + gone], lambda _: [jobs_ledger.DELETE]).result(WAIT_S)

    assert bench.claimed().id == next_one
    assert ORDER + gone not in bench.stored()


@pytest.mark.parametrize("damage", [b"", b"no order", b"\x93\x01\x02\x03"])
def test_a_job_whose_order_is_damaged_fails_and_the_next_one_runs(bench, damage):
    broken, next_one = bench.submitted(), bench.submitted()
    bench.put(ORDER + broken, damage)

    assert bench.claimed().id == next_one
    assert bench.record(broken).state == FAILED
    assert bench.ids() == ([], [next_one])


def test_a_job_whose_order_is_gone_fails_and_the_next_one_runs(bench):
    broken, next_one = bench.submitted(), bench.submitted()
    bench.store.update([ORDER + broken], lambda _: [jobs_ledger.DELETE]).result(WAIT_S)

    assert bench.claimed().id == next_one
    assert bench.record(broken).state == FAILED


def test_a_job_whose_record_is_damaged_is_left_out_and_the_next_one_runs(bench):
    broken, next_one = bench.submitted(), bench.submitted()
    bench.put(RECORD + broken, b"no record")

    assert bench.claimed().id == next_one
    assert bench.ids() == ([], [next_one])


def test_somebody_elses_word_on_the_progress_does_not_keep_a_job_from_its_turn(bench):
    id = bench.submitted()
    bench.ledger.progress(id, Progress(1, 2, "soon")).result(WAIT_S)

    assert bench.record(id).progress == Progress(1, 2, "soon")
    assert bench.claimed().id == id


# ---- telling -------------------------------------------------------------------------------


def test_the_attempt_that_counts_can_tell_how_far_it_is(bench):
    record = bench.claimed() if bench.submitted() else None

    settled = bench.jobs.tell(record.id, 1, Progress(1, 2), "a line").result(WAIT_S)

    assert settled.accepted
    assert settled.record.progress == Progress(1, 2)
    assert [each.name for each in settled.record.events][-2:] == ["log", "progress"]


@pytest.mark.parametrize("attempt", [0, 2])
def test_another_attempt_cannot(bench, attempt):
    bench.submitted()
    record = bench.claimed()

    settled = bench.jobs.tell(record.id, attempt, Progress(1, 2), "a line").result(WAIT_S)

    assert not settled.accepted
    assert bench.record(record.id) == record


# ---- the end -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "state"),
    [(SUCCESS, DONE), (FAILURE, FAILED), (REFUSAL, FAILED), (STOPPED, CANCELLED)],
)
def test_the_end_of_the_only_attempt_is_that_of_the_job(bench, ended, state):
    bench.submitted()

    finished = bench.finish(bench.claimed(), ended)

    assert finished.settled.accepted
    record = finished.settled.record
    assert (record.state, record.value, record.failure) == (state, ended.value, ended.failure)
    assert finished.queue == bench.queue()
    assert bench.ids() == ([], [])


def test_what_was_told_last_is_kept_with_the_end(bench):
    bench.submitted()

    finished = bench.finish(bench.claimed(), SUCCESS, progress=Progress(9, 9), text="the end")

    record = finished.settled.record
    assert record.progress == Progress(9, 9)
    assert any(b"the end" in each.data for each in record.events)


def test_the_end_of_an_attempt_that_counts_no_more_is_refused_and_leaves_the_queue(bench):
    bench.submitted(retries=5)
    first = bench.claimed()
    bench.finish(first, FAILURE)
    bench.clock.advance(10)
    second = bench.claimed()

    late = bench.finish(first, SUCCESS)

    assert not late.settled.accepted
    assert (bench.record(first.id).state, bench.record(first.id).attempt) == (WORKING, 2)
    assert bench.finish(second, Ended(DONE, b"8")).settled.accepted
    assert bench.record(first.id).value == b"8"


def test_an_attempt_that_ends_twice_ends_as_it_did_first(bench):
    bench.submitted()
    record = bench.claimed()

    assert bench.finish(record, SUCCESS).settled.accepted
    assert not bench.finish(record, FAILURE).settled.accepted
    assert bench.record(record.id).state == DONE


@pytest.mark.parametrize("action", ["wake", "expire", "fail"])
def test_what_was_settled_while_it_ran_stays_so_and_its_attempt_is_over(bench, action):
    bench.submitted()
    record = bench.claimed()
    before = bench.change(record.id, action).record

    finished = bench.finish(record, SUCCESS)

    assert not finished.settled.accepted
    assert bench.record(record.id) == before
    assert bench.ids() == ([], [])
    assert ORDER + record.id not in bench.stored()


def test_what_was_forgotten_while_it_ran_leaves_the_queue(bench):
    bench.submitted()
    record = bench.claimed()
    bench.store.update([RECORD + record.id], lambda _: [jobs_ledger.DELETE]).result(WAIT_S)

    assert bench.finish(record, SUCCESS).settled == (False, None)
    assert bench.stored() == [QUEUE + GROUP]


def test_an_end_frees_its_place_although_the_record_is_damaged(bench):
    bench.submitted()
    record = bench.claimed()
    bench.put(RECORD + record.id, b"no record")

    assert not bench.finish(record, SUCCESS).settled.accepted
    assert bench.ids() == ([], [])


# ---- trying again --------------------------------------------------------------------------


def test_a_job_that_fails_is_tried_again_after_a_pause_that_grows(bench):
    id = bench.submitted(retries=2)
    for attempt, pause_s in [(1, 1.0), (2, 2.0)]:
        record = bench.claimed()
        assert record.attempt == attempt
        finished = bench.finish(record, FAILURE)
        assert finished.settled.accepted
        assert (finished.settled.record.state, finished.settled.record.attempt) == (
            WAITING,
            attempt + 1,
        )
        bench.clock.advance(pause_s - 0.25)
        assert bench.claim().record is None
        bench.clock.advance(0.25)

    assert bench.finish(bench.claimed(), FAILURE).settled.record.state == FAILED
    assert bench.ids() == ([], [])
    assert ORDER + id not in bench.stored()


def test_while_one_pauses_others_run(bench):
    bench.submitted(retries=1)
    bench.finish(bench.claimed(), FAILURE)
    other = bench.submitted()

    assert bench.claimed().id == other


def test_what_would_fail_again_is_not_tried_again(bench):
    bench.submitted(retries=5)

    assert bench.finish(bench.claimed(), REFUSAL).settled.record.state == FAILED


def test_what_is_told_of_one_attempt_says_nothing_of_the_next(bench):
    bench.submitted(retries=1)

    finished = bench.finish(bench.claimed(), FAILURE, progress=Progress(1, 2))

    assert finished.settled.record.progress is None


def test_an_attempt_that_did_not_begin_after_all_does_not_count(bench):
    first, second = bench.submitted(), bench.submitted()
    record = bench.claimed()
    assert record.id == first

    bench.finish(record, INTERRUPTED_END, has_begun=False)

    assert bench.ids() == ([first, second], [])
    assert bench.record(first).state == WAITING
    assert bench.claim().record.attempt == 1


def test_what_was_cancelled_meanwhile_is_not_put_back(bench):
    id = bench.submitted()
    record = bench.claimed()
    bench.change(id, "cancel")

    bench.finish(record, INTERRUPTED_END, has_begun=False)

    assert bench.record(id).state == CANCELLED
    assert bench.ids() == ([], [])
    assert ORDER + id not in bench.stored()


# ---- cancelling ----------------------------------------------------------------------------


def test_a_job_that_waits_is_cancelled_at_once(bench):
    record = bench.submit().record

    settled = bench.ledger.cancel(ticket(record.id, record.secret)).result(WAIT_S)

    assert settled.record.state == CANCELLED
    assert bench.claim().record is None


def test_a_job_that_runs_is_told_to_end_and_then_cancelled(bench):
    bench.submitted(retries=5)
    record = bench.claimed()

    settled = bench.ledger.cancel(ticket(record.id, record.secret)).result(WAIT_S)
    assert (settled.record.state, settled.record.is_cancelling) == (WORKING, True)
    assert bench.ids() == ([], [record.id])

    assert bench.finish(record, FAILURE).settled.record.state == CANCELLED
    assert bench.ids() == ([], [])


def test_a_job_that_succeeds_before_it_hears_of_its_end_is_done(bench):
    bench.submitted()
    record = bench.claimed()
    bench.change(record.id, "cancel")

    assert bench.finish(record, SUCCESS).settled.record.value == b"7"


def test_a_job_can_be_cancelled_while_it_pauses(bench):
    bench.submitted(retries=1)
    record = bench.claimed()
    bench.finish(record, FAILURE)

    assert bench.change(record.id, "cancel").record.state == CANCELLED
    bench.clock.advance(10)
    assert bench.claim().record is None
    assert bench.ids() == ([], [])


def test_a_wake_from_elsewhere_is_the_result(bench):
    record = bench.submit().record

    assert bench.ledger.wake(wake_token(record.id, record.secret), b"8").result(WAIT_S).accepted
    assert bench.claim().record is None


# ---- what the dead have left ---------------------------------------------------------------


def test_what_a_dead_process_ran_is_tried_again_if_it_may_be(bench, dead):
    again, failed = bench.submitted(retries=1), bench.submitted()
    with dead:
        bench.claimed(limit=5)
        bench.claimed(limit=5)

    queue = bench.take_over()

    assert [each.id for each in queue.waiting] == [again]
    assert queue == bench.queue()
    assert not queue.running
    assert bench.record(failed).failure == INTERRUPTED_END.failure
    assert bench.told == [bench.record(again), bench.record(failed)]
    bench.clock.advance(1)
    assert bench.claimed().attempt == 2


def test_it_is_tried_again_also_where_a_process_takes_over_that_has_no_such_job(bench, dead):
    id = bench.submitted(job="elsewhere:work", retries=1)
    with dead:
        bench.claimed(known=["elsewhere:work"])

    assert [each.id for each in bench.take_over().waiting] == [id]


def test_what_the_living_run_is_left_to_them(bench, dead):
    mine = bench.submitted()
    bench.claimed(limit=5)
    bench.submitted()
    with dead:
        bench.claimed(limit=5)

    assert [each.id for each in bench.take_over().running] == [mine]


def test_a_zombie_of_what_was_taken_over_is_refused(bench, dead):
    bench.submitted(retries=1)
    with dead:
        zombie = bench.claimed()
    bench.take_over()
    bench.clock.advance(1)
    record = bench.claimed()

    assert not bench.finish(zombie, SUCCESS).settled.accepted
    assert not bench.jobs.tell(zombie.id, 1, Progress(1), None).result(WAIT_S).accepted
    assert bench.ids() == ([], [record.id])
    assert bench.finish(record, Ended(DONE, b"8")).settled.record.value == b"8"


def test_what_was_cancelled_when_its_process_died_is_cancelled(bench, dead):
    bench.submitted(retries=5)
    with dead:
        record = bench.claimed()
    bench.change(record.id, "cancel")

    bench.take_over()

    assert bench.record(record.id).state == CANCELLED
    assert bench.ids() == ([], [])


# ---- what stays ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "way",
    ["done", "failed", "cancelled", "cancelled while it ran", "expired", "woken while it ran"],
)
def test_nothing_of_a_job_stays_when_it_has_been_kept_long_enough(bench, way):
    id = bench.submitted(key="k", slot="s")
    assert {RECORD + id, ORDER + id, KEY + "k"} <= set(bench.stored())
    if way == "expired":
        bench.clock.advance(LIFETIME_S + 1)
        bench.sweep()
    elif way == "cancelled":
        bench.change(id, "cancel")
    else:
        record = bench.claimed()
        if way == "cancelled while it ran":
            bench.change(id, "cancel")
        if way == "woken while it ran":
            bench.change(id, "wake")
        bench.finish(record, SUCCESS if way == "done" else FAILURE)
    assert bench.record(id).is_settled
    assert bench.claim().record is None

    bench.clock.advance(MIN_KEEP_S + 1)
    bench.sweep()
    assert bench.record(id) is None
    assert ORDER + id not in bench.stored()

    bench.clock.advance(LIFETIME_S + MIN_KEEP_S + 1)
    bench.sweep()
    assert bench.stored() == [QUEUE + GROUP]
    assert bench.ids() == ([], [])


def test_an_order_is_there_as_long_as_its_job_may_wait(bench):
    id = bench.submitted(number=3)
    bench.clock.advance(LIFETIME_S - 1)
    bench.sweep()

    claimed = bench.claim()

    assert claimed.record.id == id
    assert claimed.order.arguments == {"number": JsonArgument(b"3")}


@pytest.mark.parametrize("way", ["joined by key", "joined in a slot", "put off"])
def test_an_order_is_there_as_long_as_somebody_waits_for_its_job(bench, way):
    fields = {"joined by key": {"key": "k"}, "joined in a slot": {"slot": "s", "replace": "join"}}
    options = fields.get(way, {})
    record = bench.submit(number=3, lifetime_s=10.0, **options).record
    if way == "put off":
        bench.ledger.put_off(record, bench.clock.wall_s() + LIFETIME_S).result(WAIT_S)
    else:
        assert bench.submit(**options).record.id == record.id
    for _ in range(3):
        bench.clock.advance(LIFETIME_S / 4)
        bench.sweep()

    assert bench.claim().order.arguments == {"number": JsonArgument(b"3")}


def test_an_order_does_not_outlast_a_record_that_cannot_be_read(bench):
    id = bench.submitted()
    bench.put(RECORD + id, b"no record")
    bench.clock.advance(LIFETIME_S + MIN_KEEP_S + 1)
    bench.sweep()

    assert ORDER + id not in bench.stored()
