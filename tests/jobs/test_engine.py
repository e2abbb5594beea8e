"""The engine in an application, whose jobs do what the test says."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import json
import logging
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from tarry import Response
from tarry.client import AsyncDesk, Desk
from tarry.jobs import engine, work
from tarry.jobs.attempts import Ended
from tarry.jobs.ledger import QUEUE
from tarry.state.memory import MemoryStore
from tarry.state.store import Put, StoreBusy
from tarry.testing import AsyncClient, JumpingClock
from tarry.waiting.errors import StoreUnavailable, WaitCancelled, WaitFailed
from tarry.waiting.futures import failed
from tarry.waiting.ledger import ORDER, RECORD, Ledger
from tarry.waiting.records import DONE, FAILED, WAITING, WORKING
from tests.exchanges import turns
from tests.jobs import functions
from tests.jobs.scripted import WAIT_S, scripted

ASYNC = {"prefer": "respond-async"}


def on_loop(test):
    """A test that is a coroutine function."""

    @functools.wraps(test)
    def run(*arguments, **named):
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 3 * WAIT_S))

    run.__signature__ = inspect.signature(test)
    return run


class Stage:
    """An application with one job, its script, and what its store has."""

    def __init__(self, monkeypatch, store, function=functions.work, room=100, **options):
        self.store = store
        self.clock = JumpingClock()
        self.app, self.script = scripted(monkeypatch, store=store, max_queued_jobs=room)
        self.app.clock = self.clock
        self.function = function
        self.app.job("/work", **options)(function)
        self.ledger = Ledger(store, self.clock)

    def submit(self, *arguments, **named):
        return self.app.jobs.submit(self.function, *arguments, **named)

    def records(self):
        return {each.id: each for each in self.ledger.page().result(WAIT_S)}

    def record(self, id):
        return self.records().get(id)

    def state(self, wait):
        return self.record(wait.record.id).state

    async def settled(self, wait):
        await self.script.until(lambda: self.record(wait.record.id).is_settled)
        return self.record(wait.record.id)

    async def queue(self):
        groups = self.store.scan(QUEUE).result(WAIT_S)
        name = groups[0][0].removeprefix(QUEUE)
        return await asyncio.wrap_future(self.app.jobs.engine.ledger.queue(name))

    @contextlib.asynccontextmanager
    async def started(self):
        await self.app.startup()
        try:
            yield self
        finally:
            await self.app.shutdown()

    @contextlib.asynccontextmanager
    async def client(self, **options):
        async with AsyncClient(self.app, clock=self.clock, **options) as client:
            yield client

    def check_clean(self):
        """Nothing of ended attempts is left in memory."""
        watching = self.app.jobs.engine.parking.watching
        assert not watching._takers
        assert not watching._lookers


class FailingStore(MemoryStore):
    """A store that cannot be written now and then, or answers late."""

    def __init__(self):
        super().__init__()
        self.fails = self.is_late = False
        self.late = []
        self.refused = self.writes = 0

    def update(self, keys, change):
        if self.fails:
            self.refused += 1
            self._check()
            return failed(StoreBusy("somebody else has it"))
        self.writes += 1
        written = super().update(keys, change)
        if not self.is_late:
            return written
        asked = Future()
        self.late.append(lambda: asked.set_result(written.result()))
        return asked

    def answer(self):
        self.is_late = False
        for answer in self.late:
            answer()


@pytest.fixture
def stage(monkeypatch):
    stores = []

    def make(**options):
        stores.append(FailingStore())
        return Stage(monkeypatch, stores[-1], **options)

    yield make
    for store in stores:
        store.close()


# ---- beginning -----------------------------------------------------------------------------


@on_loop
async def test_jobs_begin_in_order_and_no_more_than_may(stage):
    it = stage(limit=2)
    async with it.started():
        waits = [it.submit(number) for number in range(4)]
        await it.script.next(2)
        await turns()
        assert [each.arguments["number"] for each in it.script.begun] == [0, 1]

        it.script.begun[1].succeed(10)
        await it.script.next(3)
        it.script.begun[0].succeed(20)
        await it.script.next(4)
        for each in it.script.running:
            each.succeed(each.arguments["number"])

        assert [await each for each in waits] == [20, 10, 2, 3]


@on_loop
async def test_jobs_that_were_ordered_before_the_start_begin_at_the_start(stage):
    it = stage()
    wait = it.submit(5)
    assert it.state(wait) == WAITING

    async with it.started():
        (await it.script.next()).succeed(6)
        assert await wait == 6


@on_loop
async def test_threads_can_order_jobs(stage):
    it = stage(limit=1)
    tickets = []
    async with it.started():
        threads = [
            threading.Thread(target=lambda number=number: tickets.append(it.submit(number).ticket))
            for number in range(3)
        ]
        for each in threads:
            each.start()
        for number in range(1, 4):
            (await it.script.next(number)).succeed(number)
        for each in threads:
            each.join()
        await it.script.until(lambda: {each.state for each in it.records().values()} == {DONE})

    assert len(set(tickets)) == 3


@on_loop
async def test_two_applications_on_one_file_share_a_limit(monkeypatch, tmp_path):
    address = f"sqlite:{tmp_path / 'state.db'}"
    apps = [scripted(monkeypatch, store=address) for _ in range(2)]
    for app, _ in apps:
        app.job(limit=2)(functions.work)
        await app.startup()
    (one, first), (_, second) = apps
    scripts = [first, second]

    waits = [one.jobs.submit(functions.work, number) for number in range(6)]
    most = 0
    for done in range(6):
        running = [each for script in scripts for each in script.running]
        while not running:
            await asyncio.sleep(0)
            running = [each for script in scripts for each in script.running]
        most = max(most, len(running))
        running[0].succeed(done)
    results = [await wait for wait in waits]
    for app, _ in apps:
        await app.shutdown()

    assert most <= 2
    assert sorted(results) == list(range(6))
    assert len(first.begun) + len(second.begun) == 6


@on_loop
async def test_the_other_application_begins_what_the_first_one_has_no_room_for_any_more(
    monkeypatch, tmp_path
):
    """A nudge tells it, within much less than a sweep."""
    address = f"sqlite:{tmp_path / 'state.db'}"
    (one, first), (two, second) = (scripted(monkeypatch, store=address) for _ in range(2))
    for app in (one, two):
        app.job(limit=1)(functions.work)
        await app.startup()
    wait = one.jobs.submit(functions.work, 1)
    running = await first.next() if not second.begun else await second.next()
    await wait.shared()
    one.drain()
    again = one.jobs.submit(functions.work, 2)
    running.succeed(1)
    await second.until(lambda: second.running)
    second.running[0].succeed(2)

    assert await again == 2
    for app in (one, two):
        await app.shutdown()


# ---- what must not stop it -----------------------------------------------------------------


@on_loop
async def test_a_runner_that_cannot_begin_one_job_fails_it_and_begins_the_next(stage, caplog):
    it = stage(limit=1)

    def refuse(_):
        it.script.on_start = None
        raise RuntimeError("no process can be started")

    it.script.on_start = refuse
    async with it.started():
        first, second = it.submit(1), it.submit(2)
        with pytest.raises(WaitFailed):
            await first
        (await it.script.next(2)).succeed(2)
        assert await second == 2

    assert "no process can be started" in caplog.text
    it.check_clean()


@on_loop
async def test_a_runner_that_cannot_be_made_fails_the_job(stage, caplog):
    it = stage(function=functions.heavy, cpu=True)

    def make(*_):
        raise RuntimeError("pip install something")

    it.app.jobs.engine._make_runner = {"processes": make}
    async with it.started():
        with pytest.raises(WaitFailed):
            await it.submit()

    assert "pip install something" in caplog.text


@pytest.mark.parametrize("prefix", [ORDER, RECORD])
@on_loop
async def test_a_damaged_job_keeps_no_others_waiting(stage, prefix, caplog):
    it = stage(limit=1)
    first, second = it.submit(1), it.submit(2)
    it.store.update([prefix + first.record.id], lambda _: [Put(b"damaged")]).result(WAIT_S)
    async with it.started():
        (await it.script.next()).succeed(2)

        assert it.script.begun[0].id == second.record.id
        assert await second == 2


@on_loop
async def test_a_job_that_was_forgotten_by_its_program_waits_and_others_run(stage):
    it = stage(limit=1, group="g")
    it.app.job(group="g")(functions.other)
    it.app.jobs.submit(functions.other)
    it.submit(1)
    it.app.jobs._groups._groups["g"].jobs.pop(it.app.jobs._groups.of_function(functions.other).name)
    async with it.started():
        assert (await it.script.next()).job.endswith(":work")


@on_loop
async def test_a_store_that_cannot_be_read_at_the_start_is_read_later(stage, caplog):
    it = stage()
    it.submit(1)
    it.store.get, real = lambda *_: failed(StoreBusy("not now")), it.store.get
    async with it.client():
        await turns()
        assert not it.script.begun
        del it.store.get
        assert it.store.get == real
        await it.clock.advance(20)
        (await it.script.next()).succeed(1)

    assert "cannot be read" in caplog.text


@on_loop
async def test_a_claim_that_fails_is_tried_again(stage, caplog):
    it = stage()
    it.submit(1)
    it.store.fails = True
    async with it.client():
        await turns()
        assert not it.script.begun
        it.store.fails = False
        await it.clock.advance(20)
        await it.script.next()

    assert "cannot be begun" in caplog.text


# ---- telling -------------------------------------------------------------------------------


def lines_of(record):
    texts = [json.loads(each.data)["text"] for each in record.events if each.name == "log"]
    return "\n".join(texts).split("\n")


@on_loop
async def test_the_newest_progress_is_kept_and_lines_stay_in_order(stage, monkeypatch):
    monkeypatch.setattr(work, "TELL_S", 0.001)
    it = stage()
    async with it.started():
        wait = it.submit(1)
        attempt = await it.script.next()
        before = it.store.writes
        for number in range(100):
            for step in range(10):
                attempt.tell(number * 10 + step, 1000)
            attempt.log(f"line {number}")
            if number % 10 == 0:
                await turns(2)
        await it.script.until(lambda: (it.record(attempt.id).progress or (0,)).at == 999)

        assert lines_of(it.record(attempt.id)) == [f"line {number}" for number in range(100)]
        assert it.store.writes - before <= 20
        attempt.succeed(1)
        await wait
    it.check_clean()


@on_loop
async def test_what_is_told_just_before_the_end_is_kept(stage):
    it = stage()
    async with it.started():
        wait = it.submit(1)
        attempt = await it.script.next()
        for number in range(50):
            attempt.tell(number, 50)
            attempt.log(f"line {number}")
        attempt.succeed(1)
        await wait

        record = it.record(attempt.id)
        assert record.progress.at == 49
        assert lines_of(record) == [f"line {number}" for number in range(50)]


@on_loop
async def test_of_a_flood_of_lines_the_newest_stay_and_one_says_how_many_are_missing(stage):
    it = stage()
    async with it.started():
        wait = it.submit(1)
        attempt = await it.script.next()
        for number in range(1000):
            attempt.log(f"{number} " + "x" * 1000)
        attempt.succeed(1)
        await wait

        first, *lines = lines_of(it.record(attempt.id))
        assert first == f"({1000 - len(lines)} lines were left out)"
        assert [int(line.split()[0]) for line in lines] == list(range(1000 - len(lines), 1000))
        assert 30 < len(lines) < 100


@pytest.mark.parametrize("ends", [False, True])
@on_loop
async def test_nothing_that_was_told_is_lost_while_the_store_fails(stage, ends, monkeypatch):
    monkeypatch.setattr(work, "TELL_S", 0.001)
    monkeypatch.setattr(work, "AGAIN_S", 0.001)
    it = stage()
    async with it.started():
        wait = it.submit(1)
        attempt = await it.script.next()
        it.store.fails = True
        for number in range(5):
            attempt.log(f"line {number}")
            attempt.tell(number, 5)
            refused = it.store.refused
            await it.script.until(lambda: it.store.refused > refused)  # noqa: B023 — awaited here
        if ends:
            attempt.succeed(1)
            await turns()
        it.store.fails = False
        await it.script.until(lambda: it.record(attempt.id).progress is not None)
        if not ends:
            attempt.succeed(1)
        await wait

        assert lines_of(it.record(attempt.id)) == [f"line {number}" for number in range(5)]
        assert it.record(attempt.id).progress.at == 4


@on_loop
async def test_an_end_that_cannot_be_stored_is_kept_until_it_can(stage, monkeypatch, caplog):
    monkeypatch.setattr(work, "AGAIN_S", 0.001)
    it = stage(limit=1)
    async with it.started():
        first, second = it.submit(1), it.submit(2)
        attempt = await it.script.next()
        it.store.fails = True
        attempt.succeed(7)
        await it.script.until(lambda: it.store.refused >= 3)
        assert it.record(attempt.id).state == WORKING
        assert len(it.script.begun) == 1
        it.store.fails = False

        assert await first == 7
        (await it.script.next(2)).succeed(8)
        assert await second == 8
    assert "cannot be stored yet" in caplog.text
    it.check_clean()


@on_loop
async def test_an_attempt_that_ends_while_it_begins_leaves_nothing(stage):
    it = stage(limit=1)
    it.script.on_start = lambda attempt: attempt.succeed(attempt.arguments["number"])
    async with it.started():
        assert [await it.submit(number) for number in range(5)] == list(range(5))
        watching = it.app.jobs.engine.parking.watching
        await it.script.until(lambda: not watching._takers)
        assert not it.app.jobs.engine._works


@on_loop
async def test_only_the_first_end_of_an_attempt_counts(stage):
    it = stage()
    async with it.started():
        wait = it.submit(1)
        attempt = await it.script.next()
        attempt.succeed(1)
        attempt.fail()
        attempt.tell(1, 2)
        attempt.log("too late")

        assert await wait == 1
        assert it.record(attempt.id).state == DONE


@on_loop
async def test_a_result_that_cannot_be_cached_is_told_all_the_same(stage, caplog):
    it = stage()

    def keep(*_):
        raise RuntimeError("the cache is broken")

    it.app.jobs.engine._keep = keep
    async with it.started():
        wait = it.submit(1)
        (await it.script.next()).succeed(3)

        assert await wait == 3
    assert "the cache is broken" in caplog.text


# ---- trying again --------------------------------------------------------------------------


@on_loop
async def test_a_job_that_fails_is_tried_again_when_its_pause_is_over(stage, caplog):
    it = stage(retries=1)
    async with it.client():
        wait = it.submit(1)
        (await it.script.next()).fail()
        await it.script.until(lambda: it.record(wait.record.id).attempt == 2)
        await it.clock.advance(0.5)
        assert len(it.script.begun) == 1
        await it.clock.advance(1)
        second = await it.script.next(2)
        assert (second.id, second.number) == (wait.record.id, 2)
        second.fail()
        with pytest.raises(WaitFailed):
            await wait

    levels = [record.levelno for record in caplog.records if "failed in attempt" in record.message]
    assert levels == [logging.WARNING, logging.ERROR]
    assert "it went wrong" in caplog.text


# ---- cancelling ----------------------------------------------------------------------------


@on_loop
async def test_cancelling_reaches_what_runs_and_its_end_is_that_of_the_job(stage):
    it = stage()
    async with it.client() as client:
        location = (await client.post("/work", headers=ASYNC)).headers["location"]
        attempt = await it.script.next()

        reply = await client.delete(location)
        assert (reply.status, reply.json()["state"]) == (202, "working")
        assert reply.json()["cancelling"]
        await it.script.until(lambda: attempt.cancels)
        attempt.obey()
        await it.script.until(lambda: it.record(attempt.id).is_settled)
        assert (await client.delete(location)).status == 200
        assert (await client.get(location)).json()["state"] == "cancelled"


@on_loop
async def test_cancelling_what_waits_settles_it_at_once_and_the_next_one_is_next(stage):
    it = stage(limit=1)
    async with it.client() as client:
        it.submit(0)
        running = await it.script.next()
        location = (await client.post("/work?number=1", headers=ASYNC)).headers["location"]
        it.submit(2)

        reply = await client.delete(location)
        assert (reply.status, reply.json()["state"]) == (200, "cancelled")
        running.succeed(0)

        assert (await it.script.next(2)).arguments == {"number": 2}


@on_loop
async def test_another_process_can_cancel(monkeypatch, tmp_path):
    address = f"sqlite:{tmp_path / 'state.db'}"
    app, script = scripted(monkeypatch, store=address)
    app.job()(functions.work)
    await app.startup()
    wait = app.jobs.submit(functions.work, 1)
    await wait.shared()
    attempt = await script.next()

    async with AsyncDesk(address) as desk:
        assert await desk.cancel(wait.ticket)
    await script.until(lambda: attempt.cancels)
    attempt.obey()

    with pytest.raises(WaitCancelled):
        await wait
    await app.shutdown()


@on_loop
async def test_what_another_process_cancels_while_it_waits_never_begins(monkeypatch, tmp_path):
    address = f"sqlite:{tmp_path / 'state.db'}"
    app, script = scripted(monkeypatch, store=address)
    app.job(limit=1)(functions.work)
    waits = [app.jobs.submit(functions.work, number) for number in range(2)]
    assert waits[0].share().id != waits[1].share().id
    with Desk(address) as desk:
        assert desk.cancel(waits[0].ticket)
        assert desk.find(waits[0].ticket).state == "cancelled"
    await app.startup()

    assert (await script.next()).arguments == {"number": 1}
    script.begun[0].succeed(1)
    assert await waits[1] == 1
    await app.shutdown()


@on_loop
async def test_an_attempt_whose_job_was_settled_by_somebody_else_is_told_to_end(stage):
    it = stage(limit=1)
    async with it.started():
        wait, behind = it.submit(1), it.submit(2)
        attempt = await it.script.next()

        assert await it.app.wake(wait.token, 9)
        assert await wait == 9
        await it.script.until(lambda: attempt.cancels)
        attempt.succeed(1)
        (await it.script.next(2)).succeed(2)
        assert await behind == 2
        assert it.record(attempt.id).value == b"9"


@on_loop
async def test_a_client_that_leaves_takes_its_job_with_it_if_the_job_says_so(stage):
    it = stage(abandon="cancel", limit=1)
    async with it.client() as client:
        running = await client.parked("POST", "/work")
        attempt = await it.script.next()
        waiting = await client.parked("POST", "/work")
        await it.script.until(lambda: len(it.records()) == 2)
        waiting.disconnect()
        other = next(id for id in it.records() if id != attempt.id)
        await it.script.until(lambda: it.record(other).state == "cancelled")
        running.disconnect()
        await it.script.until(lambda: attempt.cancels)
        attempt.obey()
        await it.script.until(lambda: it.record(attempt.id).state == "cancelled")

        assert len(it.script.begun) == 1


@on_loop
async def test_a_client_that_leaves_keeps_its_job_so_many_seconds(stage):
    it = stage(abandon=5)
    async with it.client() as client:
        pending = await client.parked("POST", "/work")
        attempt = await it.script.next()
        pending.disconnect()
        await turns()
        await it.clock.advance(4)
        assert not attempt.cancels
        await it.clock.advance(2)
        await it.script.until(lambda: attempt.cancels)
        attempt.obey()


@on_loop
async def test_a_job_goes_on_without_its_client_where_nothing_else_is_said(stage):
    it = stage()
    async with it.client() as client:
        pending = await client.parked("POST", "/work")
        attempt = await it.script.next()
        pending.disconnect()
        await it.clock.advance(100)
        assert not attempt.cancels
        attempt.succeed(1)
        await it.script.until(lambda: it.record(attempt.id).state == DONE)


# ---- slots ---------------------------------------------------------------------------------


@on_loop
async def test_a_new_job_ends_the_old_ones_of_its_slot_and_then_begins(stage):
    it = stage(slot="s", limit=5)
    async with it.started():
        old = it.submit(1)
        first = await it.script.next()
        passed_over, new = it.submit(2), it.submit(3)
        await it.script.until(lambda: first.cancels)
        with pytest.raises(WaitCancelled):
            await passed_over
        assert len(it.script.begun) == 1
        first.obey()
        with pytest.raises(WaitCancelled):
            await old
        (await it.script.next(2)).succeed(3)
        assert await new == 3


@on_loop
async def test_two_that_join_in_a_slot_get_one_result_also_if_one_of_them_cancels(stage):
    it = stage(slot="s", replace="join")
    async with it.started():
        one, two = it.submit(1), it.submit(2)
        attempt = await it.script.next()
        await two.shared()
        assert one.record.id == two.record.id

        await two.cancel()
        await turns()
        assert not attempt.cancels
        attempt.succeed(4)
        assert await one == 4
        assert len(it.script.begun) == 1


@pytest.mark.parametrize(
    ("slot", "expected"),
    [
        ("always", "always"),
        (lambda first: first, "1"),
        (lambda first, second: f"{first}{second}", "1b"),
        (lambda *all: "-".join(map(str, all)), "1-b-5"),
        (lambda first, second, third: f"{first}{second}{third}", "1b5"),
        (lambda: "none", "none"),
        (lambda first: None, None),
    ],
)
@on_loop
async def test_a_slot_is_made_of_the_arguments_in_their_order(stage, slot, expected):
    it = stage(function=functions.three, slot=slot, limit=1)
    async with it.client() as client:
        it.submit(1, "b", 5)
        it.submit(third=5, second="b", first=1)
        await client.post("/work?third=5&second=b&first=1", headers=ASYNC)
        await it.script.next()
        queue = await it.queue()

    entries = [*queue.waiting, *queue.running]
    assert {each.slot for each in entries} == {expected}


# ---- room ----------------------------------------------------------------------------------


@on_loop
async def test_beyond_the_room_there_is_503_and_when_to_come_again(stage):
    it = stage(limit=1, room=3)
    async with it.client() as client:
        running = [it.submit(number) for number in range(1)]
        await it.script.next()
        waits = [it.submit(number) for number in range(3)]
        assert all(each.record is not None for each in (*running, *waits))
        stored = len(it.store.scan("").result(WAIT_S))

        reply = await client.post("/work")

        assert reply.status == 503
        assert int(reply.headers["retry-after"]) >= 1
        assert len(it.store.scan("").result(WAIT_S)) == stored
        it.script.begun[0].succeed(0)
        await it.script.next(2)
        assert (await client.post("/work", headers=ASYNC)).status == 202


@on_loop
async def test_those_that_were_cancelled_while_they_waited_take_no_room(stage):
    it = stage(limit=1, room=3)
    async with it.client() as client:
        it.submit(0)
        await it.script.next()
        for wait in [it.submit(number) for number in range(3)]:
            await wait.cancel()

        replies = [await client.post("/work", headers=ASYNC) for _ in range(3)]

        assert [reply.status for reply in replies] == [202, 202, 202]
        tickets = [await client.get(reply.headers["location"]) for reply in replies]
        assert [reply.json()["position"] for reply in tickets] == [1, 2, 3]


@on_loop
async def test_who_submits_beyond_the_room_gets_the_error_where_it_waits(stage):
    it = stage(limit=1, room=3)
    async with it.started():
        it.submit(0)
        await it.script.next()
        for number in range(3):
            it.submit(number)
        with pytest.raises(Exception, match="no more may") as caught:
            await it.submit(4)
        assert caught.value.status == 503


# ---- requests that come again --------------------------------------------------------------


@on_loop
async def test_a_request_that_comes_again_gets_the_ticket_of_the_first(stage):
    it = stage()
    async with it.client() as client:
        headers = {**ASYNC, "idempotency-key": "k"}
        replies = [await client.post("/work?number=1", headers=headers) for _ in range(3)]

        assert {reply.status for reply in replies} == {202}
        assert len({reply.headers["location"] for reply in replies}) == 1
        assert len(it.records()) == 1
        other = await client.post("/work?number=2", headers=headers)
        assert other.status == 422
        assert len(it.records()) == 1
        (await it.script.next()).succeed(5)
        again = await client.post("/work?number=1", headers={"idempotency-key": "k"})
        assert (again.status, again.json()) == (200, 5)
        assert len(it.script.begun) == 1


# ---- results -------------------------------------------------------------------------------


class Thing:
    def __init__(self):
        self.size = 3


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, None),
        (7, 7),
        ({"a": [1]}, {"a": [1]}),
        ([1.5, None], [1.5, None]),
        ("text", "text"),
        ("", ""),
        (b"bytes", b"bytes"),
        (Path(__file__), Path(__file__)),
    ],
)
@on_loop
async def test_who_awaits_a_job_gets_what_it_returned(stage, result, expected):
    it = stage(function=functions.anything)
    async with it.started():
        wait = it.submit()
        (await it.script.next()).succeed(result)

        assert await wait == expected


@pytest.mark.parametrize(
    "response",
    [
        Response(b"\xff\xfe", headers={"content-type": "text/plain"}),
        Response(b"text", 201, {"x-more": "1"}),
        Response("ä".encode("latin-1"), headers={"content-type": "text/plain; charset=latin-1"}),
    ],
)
@on_loop
async def test_who_awaits_a_job_gets_what_else_it_returned_as_a_response(stage, response):
    it = stage(function=functions.anything)
    async with it.started():
        wait = it.submit()
        (await it.script.next()).succeed(response)

        found = await wait
        assert isinstance(found, Response)
        assert (found.status, found.body) == (response.status, response.body)


@on_loop
async def test_a_result_of_another_type_than_the_function_says_is_an_error(stage):
    it = stage()
    async with it.started():
        wait = it.submit()
        (await it.script.next()).end(Ended(DONE, b'"no number"'))

        with pytest.raises(WaitFailed):
            await wait


# ---- stopping ------------------------------------------------------------------------------


@on_loop
async def test_nothing_begins_when_the_server_stops_and_it_begins_in_the_next(stage):
    it = stage(limit=1)
    async with it.started():
        first, second = it.submit(1), it.submit(2)
        attempt = await it.script.next()
        it.app.drain()
        late = it.submit(3)
        attempt.succeed(1)
        await it.settled(first)
        await turns()
        assert len(it.script.begun) == 1
        assert {it.state(second), it.state(late)} == {WAITING}

    async with it.started():
        (await it.script.next(2)).succeed(2)
        (await it.script.next(3)).succeed(3)
        assert (await it.settled(late)).value == b"3"
    it.check_clean()


@on_loop
async def test_what_runs_may_end_before_the_server_has_stopped(stage):
    it = stage()
    await it.app.startup()
    wait = it.submit(1)
    attempt = await it.script.next()
    it.app.drain()
    stopping = asyncio.create_task(it.app.shutdown())
    await turns()
    assert not stopping.done()
    assert not it.script.closed_lanes

    attempt.succeed(5)
    await stopping

    assert it.record(wait.record.id).value == b"5"
    assert it.script.closed_lanes == ["threads"]


@pytest.mark.parametrize(("retries", "state"), [(0, FAILED), (1, WAITING)])
@on_loop
async def test_what_has_not_ended_by_then_is_interrupted(stage, retries, state):
    it = stage(retries=retries)
    await it.app.startup()
    wait = it.submit(1)
    attempt = await it.script.next()
    it.app.drain()
    it.clock.advance(engine.STOP_S)
    await it.app.shutdown()

    assert it.state(wait) == state
    attempt.succeed(5)
    await turns()
    assert it.state(wait) == state
    queue = await it.queue()
    assert not queue.running
    if retries:
        it.clock.advance(1)
        async with it.started():
            (await it.script.next(2)).succeed(6)
            assert (await it.settled(wait)).value == b"6"


@on_loop
async def test_a_job_claimed_while_the_server_stops_is_the_next_one_of_the_next(stage):
    it = stage(limit=1)
    first, second = it.submit(1), it.submit(2)
    it.store.is_late = True
    await it.app.startup()
    await it.script.until(lambda: it.store.late)
    await is_next_after_a_stop(it, first, second)


@on_loop
async def test_a_job_ordered_while_the_server_stops_is_the_next_one_of_the_next(stage):
    it = stage(limit=1)
    await it.app.startup()
    it.store.is_late = True
    first, second = it.submit(1), it.submit(2)
    await is_next_after_a_stop(it, first, second)


async def is_next_after_a_stop(it, first, second):
    """See to it that a job which was about to begin is put back, and does not count."""
    it.app.drain()
    stopping = asyncio.create_task(it.app.shutdown())
    await turns()
    assert not stopping.done()
    it.store.answer()
    await stopping
    assert not it.script.begun
    assert {it.state(first), it.state(second)} == {WAITING}

    async with it.started():
        attempt = await it.script.next()
        assert (attempt.id, attempt.number) == (first.record.id, 1)
        attempt.succeed(3)
        assert await first == 3


@on_loop
async def test_an_application_can_start_again_and_again(monkeypatch, tmp_path):
    app, script = scripted(monkeypatch, store=f"sqlite:{tmp_path / 'state.db'}")
    app.job("/work", retries=5)(functions.work)
    for number in range(1, 4):
        async with AsyncClient(app, clock=JumpingClock()) as client:
            pending = await client.parked("POST", f"/work?number={number}")
            (await script.next(number)).succeed(number)
            assert (await pending.reply()).json() == number


@on_loop
async def test_a_runner_that_cannot_be_closed_does_not_keep_the_rest_from_ending(stage, caplog):
    it = stage()

    def close(self, timeout_s):
        raise RuntimeError("it would not close")

    async with it.started():
        wait = it.submit(1)
        await it.script.next()
        (runner,) = it.app.jobs.engine._runners.values()
        runner.close = close.__get__(runner)

    assert "it would not close" in caplog.text
    assert it.state(wait) == FAILED
    it.check_clean()


@on_loop
async def test_an_end_that_cannot_be_stored_does_not_keep_the_server_from_stopping(
    stage, monkeypatch, caplog
):
    monkeypatch.setattr(engine, "KILL_S", 0.01)
    monkeypatch.setattr(work, "AGAIN_S", 0.001)
    it = stage()
    async with it.started():
        it.submit(1)
        await it.script.next()
        it.store.fails = True
    it.store.close()
    refused = it.store.refused
    await turns(2000)

    assert it.store.refused <= refused + 1


@on_loop
async def test_a_cancelled_job_waits_no_longer_for_its_turn(stage):
    it = stage(limit=1)
    async with it.started():
        first, second, third = it.submit(1), it.submit(2), it.submit(3)
        attempt = await it.script.next()
        assert it.app.jobs.engine.place_of(third.record).position == 2

        assert await it.app.cancel(second.ticket)
        await it.script.until(lambda: it.app.jobs.engine.place_of(third.record).position == 1)
        assert [each.id for each in (await it.queue()).waiting] == [third.record.id]
        attempt.succeed(1)
        (await it.script.next(2)).succeed(3)
        assert [await first, await third] == [1, 3]


@on_loop
async def test_who_orders_a_job_is_told_its_place_at_once(stage):
    it = stage(limit=1)
    async with AsyncClient(it.app, clock=it.clock) as client:
        for number in range(3):
            asked = {"prefer": "respond-async"}
            reply = await client.post(f"/work?number={number}", headers=asked)
            assert reply.json()["position"] == (number or None)
        for number in range(3):
            (await it.script.next(number + 1)).succeed(number)


@on_loop
async def test_a_job_that_cannot_be_ordered_does_not_keep_the_end_waiting(stage):
    it = stage()
    async with it.started():
        it.store.close()
        with pytest.raises(StoreUnavailable):
            await it.submit(1)
    assert not it.script.begun
