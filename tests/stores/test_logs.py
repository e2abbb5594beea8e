"""Logs: cursors that are never used twice, whatever is trimmed or dropped."""

from __future__ import annotations

from tarry.state.store import NEVER, LogPage
from tests.stores.opened import WAIT_S


def append(store, log, *items, keep=100, **options):
    return store.append(log, items, keep=keep, **options).result(WAIT_S)


def read(store, log, after=0, **options):
    return store.read(log, after, **options).result(WAIT_S)


def test_an_unknown_log_is_empty(store):
    assert read(store, "log") == LogPage([], 1, 0)


def test_cursors_count_from_one_in_each_log(store):
    assert append(store, "a", b"x") == 1
    assert append(store, "a", b"y", b"z") == 3
    assert append(store, "b", b"w") == 1

    assert read(store, "a") == LogPage([(1, b"x"), (2, b"y"), (3, b"z")], 1, 3)


def test_reading_goes_on_after_a_cursor(store):
    append(store, "a", *(b"%d" % number for number in range(1, 11)))

    assert read(store, "a", 8).items == [(9, b"9"), (10, b"10")]
    assert read(store, "a", 3, limit=2).items == [(4, b"4"), (5, b"5")]
    assert read(store, "a", 10) == LogPage([], 1, 10)
    assert read(store, "a", -5, limit=1).items == [(1, b"1")]


def test_a_cursor_that_was_never_given_has_nothing_after_it(store):
    append(store, "a", b"x")

    assert read(store, "a", 10**30) == LogPage([], 1, 1)


def test_only_the_newest_items_are_kept(store):
    append(store, "a", b"1", b"2", b"3", keep=2)
    assert read(store, "a") == LogPage([(2, b"2"), (3, b"3")], 2, 3)

    append(store, "a", b"4", keep=2)
    assert read(store, "a") == LogPage([(3, b"3"), (4, b"4")], 3, 4)


def test_cursors_go_on_in_a_log_that_was_emptied(store):
    append(store, "a", b"1", b"2", keep=0)

    assert read(store, "a") == LogPage([], 3, 2)
    assert append(store, "a", b"3") == 3
    assert read(store, "a") == LogPage([(3, b"3")], 3, 3)


def test_appending_nothing_trims(store):
    append(store, "a", b"1", b"2", b"3")

    assert append(store, "a", keep=1) == 3
    assert read(store, "a") == LogPage([(3, b"3")], 3, 3)


def test_logs_are_dropped_when_they_are_due(store):
    append(store, "a", b"x", due_s=10.0)
    append(store, "b", b"x", due_s=20.0)
    append(store, "c", b"x")

    assert store.drop_due_logs(9.9).result(WAIT_S) == 0
    assert store.drop_due_logs(10.0).result(WAIT_S) == 1
    assert read(store, "a") == LogPage([], 1, 0)
    assert read(store, "b").last == 1
    assert store.drop_due_logs(NEVER).result(WAIT_S) == 1
    assert read(store, "c").last == 1


def test_the_time_of_the_last_append_counts(store):
    append(store, "a", b"x", due_s=10.0)
    append(store, "a", b"x", due_s=20.0)
    append(store, "b", b"x", due_s=10.0)
    append(store, "b", b"x")

    assert store.drop_due_logs(15.0).result(WAIT_S) == 0
    assert store.drop_due_logs(25.0).result(WAIT_S) == 1


def test_a_reader_misses_nothing_when_a_log_was_dropped_and_began_anew(store):
    seen = append(store, "a", b"old", b"old", b"old", due_s=10.0)
    store.drop_due_logs(10.0).result(WAIT_S)

    append(store, "a", b"new")

    assert [item for _, item in read(store, "a", seen).items] == [b"new"]


def test_a_log_and_an_entry_of_one_name_are_strangers(store):
    append(store, "a", b"x")

    assert store.get("a").result(WAIT_S) == [None]
    assert store.scan("").result(WAIT_S) == []
