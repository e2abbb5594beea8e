"""Stores that share what they keep: two in one process, and two processes."""

from __future__ import annotations

import threading

from tests.stores.opened import ADDRESSES, WAIT_S, incremented, opened, other_process, put


def test_what_one_writes_the_other_reads(pair):
    first, second = pair

    entry = put(first, "a", b"one", due_s=5.0)
    first.append("log", [b"x"], keep=9).result(WAIT_S)

    assert second.get("a").result(WAIT_S) == [entry]
    assert second.due("", 5.0).result(WAIT_S) == [("a", entry)]
    assert second.read("log", 0).result(WAIT_S).items == [(1, b"x")]
    assert second.changes(0).result(WAIT_S)[:2] == (["a"], ["log"])


def test_cursors_and_versions_are_common(pair):
    cursors = [each.append("log", [b"x"], keep=9).result(WAIT_S) for each in [*pair, *pair]]
    versions = [put(each, "a", b"").version for each in [*pair, *pair]]

    assert cursors == [1, 2, 3, 4]
    assert versions == sorted(set(versions))


def test_poll_tells_of_others_writes_once(pair):
    first, second = pair

    put(first, "a", b"one")

    assert second.poll().result(WAIT_S) is True
    assert second.poll().result(WAIT_S) is False
    assert first.poll().result(WAIT_S) is False


def test_a_watcher_is_called_when_the_other_has_written(pair):
    first, second = pair
    called = threading.Event()
    second.watch(called.set)

    put(first, "a", b"one")

    assert called.wait(WAIT_S)
    assert second.get("a").result(WAIT_S)[0].value == b"one"


def test_reading_nudges_nobody(pair):
    first, second = pair
    called = []
    told = threading.Event()
    second.watch(lambda: called.append(len(called)))
    first.get("a").result(WAIT_S)
    first.update(["a"], lambda _: [None]).result(WAIT_S)
    # Nudges come in order: one from those would have come before this one.
    second.watch(told.set)
    put(first, "a", b"one")

    assert told.wait(WAIT_S)
    assert called == [0]


def test_one_stops_watching_and_the_others_go_on(pair):
    first, second = pair
    stopped, called = [], threading.Event()
    stop = second.watch(lambda: stopped.append(1))
    second.watch(called.set)
    stop()

    put(first, "a", b"one")

    assert called.wait(WAIT_S)
    assert stopped == []


def test_a_watcher_that_raises_is_logged_and_the_others_are_called(pair, caplog):
    first, second = pair
    called = threading.Event()
    second.watch(lambda: 1 / 0)
    second.watch(called.set)

    put(first, "a", b"one")

    assert called.wait(WAIT_S)
    assert "what watches the store" in caplog.text
    assert put(second, "b", b"two").value == b"two"


def test_two_stores_lose_no_increment(pair):
    futures = [each.update(["n"], incremented) for _ in range(100) for each in pair]
    for future in futures:
        future.result(WAIT_S)

    assert pair[0].get("n").result(WAIT_S)[0].value == b"200"


def test_two_processes_lose_no_increment(kind, tmp_path):
    address = ADDRESSES[kind](tmp_path)
    with other_process(address, "increment", "n", "300") as process:
        store = opened(kind, tmp_path)
        futures = [store.update(["n"], incremented) for _ in range(300)]
        for future in futures:
            future.result(WAIT_S)
        assert process.communicate(timeout=WAIT_S)[0] == "done\n"

    assert store.get("n").result(WAIT_S)[0].value == b"600"
    store.close()


def test_a_watcher_is_called_when_another_process_has_written(kind, tmp_path):
    store = opened(kind, tmp_path)
    called = threading.Event()
    store.watch(called.set)
    store.poll().result(WAIT_S)
    with other_process(ADDRESSES[kind](tmp_path), "write", "a") as process:
        process.stdin.write("hello\n")
        process.stdin.flush()

        assert called.wait(WAIT_S)
        assert store.poll().result(WAIT_S) is True
        assert store.changes(0).result(WAIT_S).keys == ["a"]
        process.communicate(timeout=WAIT_S)
    store.close()


def test_another_process_hears_of_writes_here(kind, tmp_path):
    store = opened(kind, tmp_path)
    with other_process(ADDRESSES[kind](tmp_path), "watch") as process:
        assert process.stdout.readline() == "ready\n"
        put(store, "news", b"1")

        assert process.stdout.readline() == "news\n"
        process.communicate(timeout=WAIT_S)
    store.close()
