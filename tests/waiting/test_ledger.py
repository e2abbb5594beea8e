"""The ledger: waits in a store, whatever store it is and without an event loop."""

from __future__ import annotations

from concurrent.futures import Future
from importlib.util import find_spec

import pytest

from tarry.state.memory import MemoryStore
from tarry.state.store import Put
from tarry.testing import JumpingClock
from tarry.waiting.ledger import EARLY_KEEP_S, KEY, RECORD, Ledger, chain, done, then
from tarry.waiting.records import MIN_KEEP_S, DamagedRecord, Failure, Progress, Record
from tarry.waiting.tokens import new_id, new_secret, ticket, wake_token

WAIT_S = 10
KINDS = [kind for kind in ("memory", "sqlite") if find_spec(f"tarry.state.{kind}")]


class Ledgers:
    """A ledger, and a clock for it; `result` waits for what it gives."""

    def __init__(self, store):
        self.store = store
        self.clock = JumpingClock()
        self.ledger = Ledger(store, self.clock)

    def __getattr__(self, name):
        return lambda *arguments, **named: getattr(self.ledger, name)(*arguments, **named).result(
            WAIT_S
        )

    def new(self, timeout_s=60.0, **fields):
        now_s = self.clock.wall_s()
        return Record(new_id(), new_secret(), now_s, now_s + timeout_s, 100.0, **fields)

    def added(self, timeout_s=60.0, **fields):
        return self.add(self.new(timeout_s, **fields))

    def now(self, record):
        return self.read(record.id)[0]


@pytest.fixture(params=KINDS)
def ledgers(request, tmp_path):
    if request.param == "memory":
        store = MemoryStore()
    else:
        from tarry.state.sqlite import SQLiteStore

        store = SQLiteStore(tmp_path / "state.db")
    yield Ledgers(store)
    store.close()


def token_of(record):
    return wake_token(record.id, record.secret)


def test_the_first_wake_settles_it_and_later_ones_are_false(ledgers):
    record = ledgers.added()

    first, second = (ledgers.wake(token_of(record), value) for value in (b"1", b"2"))

    assert (first.accepted, second.accepted) == (True, False)
    assert first.record == second.record == ledgers.now(record)
    assert (first.record.state, first.record.value) == ("done", b"1")


def test_failing_and_cancelling_settle_it_too(ledgers):
    failed, cancelled = ledgers.added(), ledgers.added()

    assert ledgers.fail(token_of(failed), Failure(409, "no")).record.failure == Failure(409, "no")
    assert ledgers.cancel(ticket(cancelled.id, cancelled.secret)).record.state == "cancelled"
    assert not ledgers.wake(token_of(failed), b"1").accepted
    assert not ledgers.cancel(token_of(cancelled)).accepted


def test_a_ticket_does_not_wake(ledgers):
    record = ledgers.added()

    assert ledgers.wake(ticket(record.id, record.secret), b"1") == (False, None)
    assert ledgers.now(record).state == "waiting"


def test_a_forged_token_does_nothing_and_learns_nothing(ledgers):
    record = ledgers.added()
    forged = wake_token(record.id, new_secret())

    assert ledgers.wake(forged, b"1") == (False, None)
    assert ledgers.cancel(forged) == (False, None)
    assert ledgers.find(forged) is None
    assert ledgers.now(record) == record
    assert ledgers.wake(wake_token(new_id(), new_secret()), b"1") == (False, None)


def test_it_is_found_by_its_tokens_alone(ledgers):
    record = ledgers.added(key="k")

    assert ledgers.find(token_of(record)) == record
    assert ledgers.find(ticket(record.id, record.secret)) == record
    assert ledgers.find(record.id) is None
    assert ledgers.find("k") is None


def test_progress_can_be_told_while_it_is_open(ledgers):
    record = ledgers.added()

    told = ledgers.progress(record.id, Progress(1, 2, "half"))
    assert told.accepted
    assert (told.record.state, told.record.rev) == ("working", 2)
    ledgers.wake(token_of(record), b"1")
    assert not ledgers.progress(record.id, Progress(2, 2)).accepted


# ---- keys --------------------------------------------------------------------------------


def test_many_join_the_open_wait_of_a_key(ledgers):
    first, second = ledgers.added(10, key="k"), ledgers.added(90, key="k")

    assert first.id == second.id
    assert second.deadline_s == first.created_s + 90
    assert ledgers.wake("k", b"1").accepted
    assert ledgers.now(first).value == b"1"


def test_after_a_key_is_settled_wakes_are_false_until_somebody_parks_again(ledgers):
    first = ledgers.added(key="k")
    ledgers.wake("k", b"1")

    assert not ledgers.wake("k", b"2").accepted
    again = ledgers.added(key="k")
    assert again.id != first.id
    assert again.state == "waiting"
    assert ledgers.wake("k", b"3").accepted
    assert ledgers.now(again).value == b"3"


def test_an_early_wake_is_kept_once(ledgers):
    assert ledgers.wake("k", b"1") == (True, None)
    assert ledgers.wake("k", b"2") == (False, None)

    first, second = ledgers.added(key="k"), ledgers.added(key="k")

    assert (first.state, first.value) == ("done", b"1")
    assert (second.state, second.value) == ("waiting", None)


def test_an_early_failure_is_kept_too(ledgers):
    assert ledgers.fail("k", Failure(409, "no")).accepted
    assert not ledgers.cancel("other").accepted

    assert ledgers.added(key="k").failure == Failure(409, "no")


def test_an_early_wake_is_kept_for_an_hour(ledgers):
    ledgers.wake("k", b"1")
    ledgers.clock.advance(EARLY_KEEP_S - 1)
    ledgers.sweep()
    assert not ledgers.wake("k", b"2").accepted

    ledgers.clock.advance(1)
    ledgers.sweep()
    assert ledgers.wake("k", b"3").accepted


def test_keys_and_ids_are_apart(ledgers):
    record = ledgers.added()

    assert ledgers.wake(record.id, b"1") == (True, None)  # a key of that name, for later
    assert ledgers.now(record).state == "waiting"


# ---- who leaves --------------------------------------------------------------------------


def test_the_last_who_leaves_ends_it(ledgers):
    record = ledgers.added(key="k")
    ledgers.added(key="k")

    assert ledgers.leave(record.id, "cancel").record.state == "waiting"
    assert ledgers.leave(record.id, "expire").record.state == "expired"
    assert not ledgers.wake("k", b"1").accepted


# ---- time --------------------------------------------------------------------------------


def test_the_sweep_expires_what_is_overdue_and_forgets_what_was_kept_long_enough(ledgers):
    record = ledgers.added(10)
    ledgers.clock.advance(9)
    assert ledgers.sweep() == 0
    ledgers.clock.advance(1)
    assert ledgers.sweep() == 1
    assert ledgers.now(record).state == "expired"
    assert not ledgers.wake(token_of(record), b"1").accepted

    ledgers.clock.advance(99)
    assert ledgers.sweep() == 0
    ledgers.clock.advance(1)
    ledgers.sweep()
    assert ledgers.now(record) is None
    assert not ledgers.wake(token_of(record), b"1").accepted


def test_a_sweep_takes_no_more_than_it_is_told(ledgers):
    for _ in range(5):
        ledgers.added(10)
    ledgers.clock.advance(11)

    assert [ledgers.sweep(2) for _ in range(4)] == [2, 2, 1, 0]


def test_a_wait_that_was_put_off_expires_later(ledgers):
    record = ledgers.added(10)
    ledgers.put_off(record, ledgers.clock.wall_s() + 100)
    ledgers.clock.advance(99)
    ledgers.sweep()
    assert ledgers.now(record).state == "waiting"

    ledgers.clock.advance(1)
    ledgers.sweep()
    assert ledgers.now(record).state == "expired"


def test_a_key_lasts_as_long_as_the_wait_that_was_put_off(ledgers):
    """Else a wake by the key would be taken for an early one, and never reach who waits."""
    record = ledgers.added(10, key="k")
    ledgers.put_off(record, ledgers.clock.wall_s() + 10_000)
    ledgers.clock.advance(9_000)
    ledgers.sweep()

    assert ledgers.wake("k", b"1").accepted
    assert ledgers.now(record).value == b"1"


def test_putting_off_does_nothing_to_the_key_of_others(ledgers):
    first = ledgers.added(key="k")
    ledgers.wake("k", b"1")
    second = ledgers.added(key="k")
    ledgers.put_off(first, ledgers.clock.wall_s() + 100)

    assert ledgers.wake("k", b"2").accepted
    assert ledgers.now(second).value == b"2"


def test_nothing_is_left_when_all_is_over(ledgers):
    ledgers.added(10, key="a")
    ledgers.added(10)
    ledgers.wake("b", b"1")
    ledgers.clock.advance(10)
    ledgers.sweep()
    ledgers.clock.advance(EARLY_KEEP_S + 100 + MIN_KEEP_S)
    ledgers.sweep()

    assert ledgers.store.scan("").result(WAIT_S) == []


# ---- pages, and what is damaged ----------------------------------------------------------


def test_pages_give_each_wait_once(ledgers):
    ids = {ledgers.added().id for _ in range(5)}
    found, after = [], ""
    while page := ledgers.page(after, 2):
        found += [record.id for record in page]
        after = found[-1]

    assert found == sorted(ids)


def test_a_damaged_record_is_an_error_of_its_own(ledgers):
    record = ledgers.added()
    ledgers.store.update([RECORD + record.id], lambda _: [Put(b"damaged")]).result(WAIT_S)

    for ask in (lambda: ledgers.read(record.id), lambda: ledgers.wake(token_of(record), b"1")):
        with pytest.raises(DamagedRecord):
            ask()


@pytest.mark.parametrize("prefix", [RECORD, KEY])
def test_a_damaged_record_does_not_keep_the_sweep_from_the_others(ledgers, prefix):
    now_s = ledgers.clock.wall_s()
    ledgers.store.update([prefix + "x"], lambda _: [Put(b"damaged", now_s)]).result(WAIT_S)
    record = ledgers.added(10)
    ledgers.clock.advance(11)
    ledgers.sweep()

    assert ledgers.now(record).state == "expired"
    assert ledgers.store.get(prefix + "x").result(WAIT_S) == [None]


# ---- futures -----------------------------------------------------------------------------


def test_errors_on_the_way_come_out_of_the_future():
    assert type(then(done(0), lambda value: 1 // value).exception(WAIT_S)) is ZeroDivisionError
    later: Future[int] = Future()
    failing = chain(later, lambda value: done(1 // value))
    later.set_result(0)
    assert type(failing.exception(WAIT_S)) is ZeroDivisionError

    failed: Future[int] = Future()
    failed.set_exception(KeyError("a"))
    assert type(then(failed, lambda value: value).exception(WAIT_S)) is KeyError


def test_what_goes_on_twice_gives_the_last_result():
    first, second = Future(), Future()
    whole = chain(first, lambda one: then(second, lambda two: (one, two)))
    second.set_result(2)
    first.set_result(1)

    assert whole.result(WAIT_S) == (1, 2)
