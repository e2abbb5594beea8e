"""The store in memory: every future is done at once, whoever asks and however often."""

from __future__ import annotations

from tarry.state.memory import MemoryStore
from tarry.state.store import DELETE, Put


def test_every_future_is_done_when_it_is_returned():
    store = MemoryStore()

    futures = [
        store.get("a"),
        store.update(["a"], lambda _: [Put(b"")]),
        store.update(["a"], lambda _: 1 / 0),
        store.due("", 1.0),
        store.scan(""),
        store.append("log", [b""], keep=1),
        store.read("log", 0),
        store.drop_due_logs(1.0),
        store.changes(0),
        store.poll(),
    ]

    assert all(future.done() for future in futures)


def test_a_change_that_asks_the_store_itself_does_not_hang():
    """As the garbage collector may do in the midst of one."""
    store = MemoryStore()

    after = store.update(["a"], lambda _: [Put(b"%d" % len(store.scan("").result()))]).result()

    assert after[0].value == b"0"


def test_an_interrupt_within_a_change_goes_to_who_called():
    store = MemoryStore()

    def interrupted(entries):
        raise KeyboardInterrupt

    try:
        store.update(["a"], interrupted)
    except KeyboardInterrupt:
        assert store.update(["a"], lambda _: [DELETE]).result() == [None]
    else:
        raise AssertionError("the interrupt was lost")
