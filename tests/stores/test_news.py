"""What was written: told to whoever asks, from a version on."""

from __future__ import annotations

from tarry.state.store import DELETE, REMEMBERED_WRITES, Changes, Put
from tests.stores.opened import WAIT_S, incremented, put


def changes(store, after, **options):
    return store.changes(after, **options).result(WAIT_S)


def test_an_empty_store_has_no_news(store):
    assert changes(store, -1) == Changes([], [], 0)
    assert changes(store, 0) == Changes([], [], 0)


def test_minus_one_gives_where_to_begin(store):
    entry = put(store, "a", b"1")

    assert changes(store, -1) == Changes([], [], entry.version)


def test_keys_and_logs_are_told_once_in_the_order_of_their_last_write(store):
    put(store, "a", b"1")
    put(store, "b", b"1")
    store.append("log", [b"x"], keep=9).result(WAIT_S)
    store.append("log", [b"y"], keep=9).result(WAIT_S)
    last = put(store, "a", b"2")

    assert changes(store, 0) == Changes(["b", "a"], ["log"], last.version)


def test_only_what_came_after_the_version_is_told(store):
    put(store, "a", b"1")
    begin = changes(store, -1).version
    put(store, "b", b"1")

    news = changes(store, begin)

    assert (news.keys, news.logs) == (["b"], [])
    assert changes(store, news.version) == Changes([], [], news.version)


def test_what_was_deleted_is_told_too(store):
    put(store, "a", b"1")
    store.append("log", [b"x"], keep=9, due_s=1.0).result(WAIT_S)
    begin = changes(store, -1).version

    store.update(["a", "unknown"], lambda _: [DELETE, DELETE]).result(WAIT_S)
    store.drop_due_logs(1.0).result(WAIT_S)

    news = changes(store, begin)
    assert (news.keys, news.logs, news.is_complete) == (["a"], ["log"], True)


def test_a_key_that_was_deleted_and_put_again_is_told_once(store):
    for decision in [Put(b"1"), DELETE, Put(b"2"), DELETE, Put(b"3")]:
        store.update(["a"], lambda _, decision=decision: [decision]).result(WAIT_S)

    assert changes(store, 0).keys == ["a"]


def test_news_come_in_pages(store):
    for number in range(25):
        put(store, f"{number}", b"")

    found, version = [], 0
    while (news := changes(store, version, limit=10)).keys:
        assert len(news.keys) <= 10
        found += news.keys
        version = news.version

    assert found == [f"{number}" for number in range(25)]


def test_a_change_that_leaves_all_as_it_was_is_no_news(store):
    begin = put(store, "a", b"1").version

    store.update(["a", "b"], lambda _: [None, DELETE]).result(WAIT_S)

    assert changes(store, begin) == Changes([], [], begin)


def test_who_comes_too_late_for_deletions_is_told_so(store):
    begin = put(store, "a", b"1").version
    store.update(["a"], lambda _: [DELETE]).result(WAIT_S)
    keys = [f"{number}" for number in range(REMEMBERED_WRITES - 1)]

    store.update(keys, incremented).result(WAIT_S)
    assert changes(store, begin, limit=10**6) == Changes(
        ["a", *keys], [], begin + REMEMBERED_WRITES, True
    )

    store.update(["b"], incremented).result(WAIT_S)
    store.update(["b"], lambda _: [DELETE]).result(WAIT_S)
    late = changes(store, begin, limit=10**6)
    assert not late.is_complete
    assert "a" not in late.keys


def test_ones_own_writes_are_no_news_for_poll(store):
    store.poll().result(WAIT_S)
    put(store, "a", b"1")

    assert store.poll().result(WAIT_S) is False


def test_ones_own_writes_nudge_nobody_here(store):
    called = []
    stop = store.watch(lambda: called.append(1))
    put(store, "a", b"1")
    put(store, "b", b"1")
    stop()
    stop()

    assert called == []
