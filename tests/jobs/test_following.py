"""Jobs begin in the step that orders them, or in which another one ends, and in no wrong order."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tarry import App
from tarry.jobs.attempts import Ended
from tarry.jobs.ledger import Following, JobLedger, Ordered, Room
from tarry.jobs.orders import Order
from tarry.jobs.queues import Queued
from tarry.state.memory import MemoryStore
from tarry.testing import AsyncClient
from tarry.timing import SystemClock
from tarry.waiting.ledger import Ledger
from tarry.waiting.records import DONE, WAITING, WORKING, Record

DONE_WITH_1 = Ended(DONE, b"1")

ONE_AT_A_TIME = Room(1, {"m:f"})


class CountingStore(MemoryStore):
    """Counts what is written."""

    updates = 0

    def update(self, keys, change):
        self.updates += 1
        return super().update(keys, change)


@pytest.fixture
def store():
    return CountingStore()


@pytest.fixture
def ledger(store):
    return JobLedger(Ledger(store, SystemClock()))


def order(ledger, id, room=ONE_AT_A_TIME, slot=None):
    now_s = SystemClock().wall_s()
    record = Record(id, b"s", now_s, now_s + 60, 60, durable=True, job="m:f")
    entry = Queued(id, "m:f", slot)
    ordered = Ordered(record, Order("m:f", {}), entry, "queue", 10)
    return ledger.submit("g", ordered, room).result()


def end(ledger, id, following=None):
    return ledger.finish("g", id, 1, DONE_WITH_1, following=following).result()


def following(id, slot=None):
    return Following(Queued(id, "m:f", slot), ONE_AT_A_TIME)


def ids(running_or_waiting):
    return [each.id for each in running_or_waiting]


def state_of(store, id):
    return Ledger(store, SystemClock()).read(id).result()[0].state


# ---- ordering ----------------------------------------------------------------------------


def test_a_job_for_which_there_is_room_begins_as_it_is_ordered(ledger, store):
    submitted = order(ledger, "a")

    assert submitted.has_begun
    assert (submitted.record.state, state_of(store, "a")) == (WORKING, WORKING)
    assert (ids(submitted.queue.running), ids(submitted.queue.waiting)) == (["a"], [])
    assert store.updates == 1


def test_a_job_without_room_waits(ledger, store):
    order(ledger, "a")

    submitted = order(ledger, "b")

    assert not submitted.has_begun
    assert state_of(store, "b") == WAITING
    assert ids(submitted.queue.waiting) == ["b"]


def test_a_job_does_not_begin_before_those_that_wait_already(ledger):
    order(ledger, "a", room=None)

    assert not order(ledger, "b").has_begun


def test_a_job_does_not_begin_beside_another_one_of_its_slot(ledger):
    room = Room(2, {"m:f"})
    order(ledger, "a", room, slot="s")

    assert not order(ledger, "b", room, slot="s").has_begun
    assert order(ledger, "c", room, slot="t").has_begun


# ---- ending ------------------------------------------------------------------------------


def test_the_next_job_begins_in_the_step_in_which_one_ends(ledger, store):
    order(ledger, "a")
    order(ledger, "b")
    before = store.updates

    finished = end(ledger, "a", following("b"))

    assert store.updates == before + 1
    assert finished.settled.record.state == DONE
    assert (finished.record.id, finished.record.state) == ("b", WORKING)
    assert finished.order == Order("m:f", {})
    assert (ids(finished.queue.running), ids(finished.queue.waiting)) == (["b"], [])


def test_a_job_of_the_same_slot_may_follow(ledger):
    order(ledger, "a", slot="s")
    order(ledger, "b", slot="s")

    assert end(ledger, "a", following("b", "s")).record.id == "b"


def test_one_that_is_not_next_does_not_follow(ledger):
    for id in "abc":
        order(ledger, id)

    finished = end(ledger, "a", following("c"))

    assert finished.record is None
    assert ids(finished.queue.waiting) == ["b", "c"]


def test_one_that_another_process_has_begun_does_not_follow(ledger):
    for id in "abc":
        order(ledger, id)
    end(ledger, "a", following("b"))

    finished = end(ledger, "x", following("b"))

    assert finished.record is None
    assert ids(finished.queue.running) == ["b"]


def test_one_that_was_cancelled_meanwhile_only_leaves_the_queue(ledger, store):
    order(ledger, "a")
    order(ledger, "b")
    Ledger(store, SystemClock()).change("b", "cancel").result()

    finished = end(ledger, "a", following("b"))

    assert finished.record is None
    assert finished.queue.waiting == finished.queue.running == ()
    assert store.get("j/b").result() == [None]


# ---- all together ------------------------------------------------------------------------

JOBS = 100


class Counted:
    """Jobs that note in which order they begin, and how many run at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.begun = []
        self.running = self.most = 0

    def run(self, number):
        with self.lock:
            self.begun.append(number)
            self.running += 1
            self.most = max(self.most, self.running)
        with self.lock:
            self.running -= 1
        return number


def done_by(app, function):
    async def awaited(wait):
        return await wait

    async def main():
        async with AsyncClient(app):
            waits = [app.jobs.submit(function, number) for number in range(JOBS)]
            return await asyncio.gather(*map(awaited, waits))

    return asyncio.run(main())


@pytest.mark.parametrize("limit", [1, 3])
def test_jobs_begin_in_order_and_as_many_as_may_run_at_once(store, limit):
    counted, app = Counted(), App(store=store)

    @app.job(limit=limit)
    def run(number: int) -> int:
        return counted.run(number)

    assert done_by(app, run) == list(range(JOBS))
    assert counted.most <= limit
    assert sorted(counted.begun) == list(range(JOBS))
    assert limit > 1 or counted.begun == list(range(JOBS))


def test_two_writes_do_for_a_job(store):
    app = App(store=store)

    @app.job(limit=1)
    def run(number: int) -> int:
        return number

    done_by(app, run)

    assert store.updates <= 2 * JOBS + 10
