"""Entries: read, changed as one step, found by time and in order."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest

from tarry.state.store import DELETE, NEVER, Entry, Put, StoreClosed
from tests.stores.opened import WAIT_S, incremented, put


def keys_of(pairs):
    return [key for key, _ in pairs]


def test_nothing_stands_under_a_new_key(store):
    assert store.get("a", "b").result(WAIT_S) == [None, None]


def test_get_without_keys_gives_nothing(store):
    assert store.get().result(WAIT_S) == []


def test_what_was_put_stands_there(store):
    entry = put(store, "a", b"one", due_s=12.25)

    assert entry == Entry(b"one", entry.version, 12.25)
    assert store.get("b", "a").result(WAIT_S) == [None, entry]


def test_a_put_without_a_time_is_never_due(store):
    assert put(store, "a", b"").due_s == NEVER
    assert store.due("", NEVER).result(WAIT_S) == []


def test_all_bytes_come_back(store):
    value = bytes(range(256)) * 1000

    put(store, "a", value)

    (entry,) = store.get("a").result(WAIT_S)
    assert entry.value == value
    assert type(entry.value) is bytes


def test_a_change_sees_what_stands_under_all_its_keys(store):
    first = put(store, "a", b"one")
    seen = []

    def change(entries):
        seen.append(list(entries))
        return [None, None]

    after = store.update(["a", "b"], change).result(WAIT_S)

    assert seen[-1] == [first, None]
    assert after == [first, None]


def test_none_leaves_an_entry_as_it_is_and_delete_removes_it(store):
    first, _ = put(store, "a", b"one"), put(store, "b", b"two")

    after = store.update(["a", "b", "c"], lambda _: [None, DELETE, Put(b"3")]).result(WAIT_S)

    assert after[:2] == [first, None]
    assert after[2].value == b"3"
    assert store.get("a", "b", "c").result(WAIT_S) == after


def test_versions_rise_over_the_whole_store_and_never_come_twice(store):
    versions = [put(store, "a", b"1").version]
    store.update(["a"], lambda _: [DELETE]).result(WAIT_S)
    versions += [put(store, "a", b"2").version, put(store, "b", b"3").version]
    store.append("log", [b"x"], keep=1).result(WAIT_S)
    versions += [e.version for e in store.update(["c", "d"], incremented).result(WAIT_S)]

    assert versions == sorted(set(versions))


def test_what_a_change_raises_comes_out_and_nothing_is_written(store):
    first = put(store, "a", b"one")

    def fails(entries):
        raise KeyError("no")

    with pytest.raises(KeyError, match="no"):
        store.update(["a", "b"], fails).result(WAIT_S)
    assert store.get("a", "b").result(WAIT_S) == [first, None]


def test_a_change_that_raises_spoils_no_other(store):
    futures = []
    for number in range(20):
        change = incremented if number % 2 else lambda entries: 1 / 0
        futures.append(store.update(["n"], change))

    errors = [future.exception(WAIT_S) for future in futures]

    assert [type(error) for error in errors] == [ZeroDivisionError, type(None)] * 10
    assert store.get("n").result(WAIT_S)[0].value == b"10"


@pytest.mark.parametrize("decisions", [[], [Put(b"1"), Put(b"2")]])
def test_a_change_has_to_decide_about_each_key(store, decisions):
    with pytest.raises(ValueError, match="1 keys has to return one decision for each"):
        store.update(["a"], lambda _: decisions).result(WAIT_S)
    assert store.get("a").result(WAIT_S) == [None]


def test_of_a_key_named_twice_the_later_decision_counts(store):
    after = store.update(["a", "a"], lambda _: [Put(b"1"), Put(b"2")]).result(WAIT_S)
    assert [entry.value for entry in after] == [b"2", b"2"]

    kept = store.update(["a", "a"], lambda _: [Put(b"3"), None]).result(WAIT_S)
    assert [entry.value for entry in kept] == [b"3", b"3"]


def test_threads_lose_no_increment(store):
    def count():
        for _ in range(50):
            store.update(["a", "b"], incremented).result(WAIT_S)

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)

    assert [entry.value for entry in store.get("a", "b").result(WAIT_S)] == [b"300", b"300"]


# ---- by time and in order -------------------------------------------------------------------


def test_due_gives_the_earliest_first_up_to_the_time_itself(store):
    for key, due_s in [("c", 30.0), ("a", 20.0), ("b", 10.0), ("d", 30.5)]:
        put(store, key, b"", due_s=due_s)

    assert keys_of(store.due("", 30.0).result(WAIT_S)) == ["b", "a", "c"]
    assert keys_of(store.due("", 30.0, limit=2).result(WAIT_S)) == ["b", "a"]
    assert keys_of(store.due("", 9.9).result(WAIT_S)) == []


def test_due_stays_until_somebody_writes(store):
    put(store, "a", b"", due_s=1.0)

    assert store.due("", 5.0).result(WAIT_S) == store.due("", 5.0).result(WAIT_S) != []

    put(store, "a", b"", due_s=9.0)
    assert store.due("", 5.0).result(WAIT_S) == []
    assert keys_of(store.due("", 9.0).result(WAIT_S)) == ["a"]


def test_what_was_deleted_is_not_due(store):
    put(store, "a", b"", due_s=1.0)
    store.update(["a"], lambda _: [DELETE]).result(WAIT_S)

    assert store.due("", 5.0).result(WAIT_S) == []


def test_due_of_a_prefix_is_not_hidden_by_others_that_are_due_before(store):
    for number in range(30):
        put(store, f"other/{number}", b"", due_s=1.0)
    put(store, "mine/1", b"", due_s=2.0)

    assert keys_of(store.due("mine/", 5.0, limit=1).result(WAIT_S)) == ["mine/1"]
    assert len(store.due("other/", 5.0).result(WAIT_S)) == 30


def test_times_that_are_put_off_again_and_again_stay_right(store):
    put(store, "early", b"", due_s=0.5)
    for number in range(500):
        put(store, f"{number % 2}", b"", due_s=float(number))

    assert [entry.due_s for _, entry in store.due("", 1e9).result(WAIT_S)] == [0.5, 498.0, 499.0]


def test_scan_gives_a_prefix_in_the_order_of_keys(store):
    for key in ["b/2", "a", "b/10", "c", "b/1", "b", "b0"]:
        put(store, key, key.encode())

    pairs = store.scan("b/").result(WAIT_S)

    assert [(key, entry.value) for key, entry in pairs] == [
        ("b/1", b"b/1"),
        ("b/10", b"b/10"),
        ("b/2", b"b/2"),
    ]


def test_scan_goes_through_pages(store):
    names = sorted(f"k{number}" for number in range(25))
    for key in names:
        put(store, key, b"")

    found, after = [], ""
    while page := store.scan("k", after, limit=10).result(WAIT_S):
        assert len(page) <= 10
        found += keys_of(page)
        after = found[-1]

    assert found == names


def test_scan_goes_on_after_a_key_that_is_gone_or_outside_the_prefix(store):
    for key in ["a1", "a3", "b1"]:
        put(store, key, b"")

    assert keys_of(store.scan("a", "a2").result(WAIT_S)) == ["a3"]
    assert keys_of(store.scan("b", "a2").result(WAIT_S)) == ["b1"]
    assert keys_of(store.scan("a", "b").result(WAIT_S)) == []


def test_keys_are_any_text_in_the_order_of_code_points(store):
    keys = ["%", "'", "A", "_", "a\0", "a\0b", "ab", "ä", "\ud7ff", "\ue000", "\U0010ffff"]
    for key in reversed(keys):
        put(store, key, key.encode())

    assert keys_of(store.scan("").result(WAIT_S)) == keys
    assert keys_of(store.scan("a\0").result(WAIT_S)) == ["a\0", "a\0b"]
    assert keys_of(store.scan("\U0010ffff").result(WAIT_S)) == ["\U0010ffff"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get("fine", "\ud800"),
        lambda store: store.update(["\ud800"], incremented),
        lambda store: store.due("\ud800", 1.0),
        lambda store: store.scan("", "\ud800"),
        lambda store: store.append("\ud800", [b""], keep=1),
        lambda store: store.read("\ud800", 0),
    ],
)
def test_half_a_surrogate_pair_is_no_key(store, ask):
    with pytest.raises(ValueError, match="surrogates not allowed"):
        ask(store).result(WAIT_S)


# ---- futures and the end ---------------------------------------------------------------------


def test_coroutines_await_the_futures(store):
    async def ask():
        first, second = await asyncio.gather(
            asyncio.wrap_future(store.update(["a"], incremented)),
            asyncio.wrap_future(store.append("log", [b"x"], keep=1)),
        )
        with pytest.raises(ZeroDivisionError):
            await asyncio.wrap_future(store.update(["a"], lambda _: 1 / 0))
        return first[0].value, second

    assert asyncio.run(ask()) == (b"1", 1)


def test_futures_are_those_of_the_standard_library(store):
    futures = [store.get("a"), store.update(["a"], incremented)]
    called = threading.Event()

    done, waiting = concurrent.futures.wait(futures, WAIT_S)
    futures[0].add_done_callback(lambda future: called.set())

    assert (done, waiting) == (set(futures), set())
    assert set(concurrent.futures.as_completed(futures, WAIT_S)) == set(futures)
    assert called.wait(WAIT_S)
    assert futures[0].done()
    assert not futures[0].cancel()
    assert not futures[0].cancelled()
    assert futures[0].exception() is None


def test_a_done_future_can_be_waited_for_together_with_one_that_is_not(store):
    done, other = store.get("a"), concurrent.futures.Future()
    done.result(WAIT_S)

    ready = concurrent.futures.wait([done, other], WAIT_S, concurrent.futures.FIRST_COMPLETED)

    assert ready.done == {done}


def test_a_cancelled_call_harms_no_other(store):
    futures = [store.update([f"{number}"], incremented) for number in range(50)]
    for future in futures[::2]:
        future.cancel()

    assert put(store, "last", b"1").value == b"1"
    assert all(future.result(WAIT_S) for future in futures[1::2])


@pytest.mark.parametrize("used", [True, False])
def test_after_close_every_call_says_so_and_closing_again_is_fine(store, used):
    if used:
        put(store, "a", b"")
    store.close()
    store.close()

    for call in [
        lambda: store.get("a"),
        lambda: store.update(["a"], incremented),
        lambda: store.due("", 1.0),
        lambda: store.scan(""),
        lambda: store.append("a", [], keep=1),
        lambda: store.read("a", 0),
        lambda: store.drop_due_logs(1.0),
        lambda: store.changes(0),
        lambda: store.watch(print),
        store.poll,
    ]:
        with pytest.raises(StoreClosed, match="has been closed"):
            call()


def test_close_waits_for_what_is_under_way(store):
    futures = [store.update(["n"], incremented) for _ in range(200)]

    store.close()

    assert all(future.done() for future in futures)
    assert futures[-1].result()[0].value == b"200"
