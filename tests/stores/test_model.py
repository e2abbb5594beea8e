"""Any sequence of calls gives what a plain dictionary would give, on every kind of store."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run

from tarry.state.store import DELETE, NEVER, Entry, LogPage, Put
from tests.stores.opened import ADDRESSES, WAIT_S, opened

NAMES = st.sampled_from(["a", "a/1", "a/2", "a\0", "b", "ä", "\U0010ffff"])
PREFIXES = st.sampled_from(["", "a", "a/", "\U0010ffff", "c"])
TIMES = st.sampled_from([0.0, 1.0, 2.5, 2.5000001, NEVER])
DECISIONS = st.one_of(
    st.none(),
    st.just(DELETE),
    st.builds(Put, st.binary(max_size=9), TIMES),
)


class ModelLog:
    def __init__(self, last):
        self.items = []
        self.last = last
        self.due_s = NEVER


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a store and to dictionaries."""

    kind: str

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.entries: dict[str, Entry] = {}
        self.logs: dict[str, ModelLog] = {}
        self.dropped_cursor = 0
        self.version = 0
        self.seen_version = 0
        self.news: set[tuple[str, str]] = set()

    @initialize()
    def open(self):
        self.store = opened(self.kind, Path(self.folder.name))

    def teardown(self):
        self.store.close()
        self.folder.cleanup()

    def wrote(self, kind, name):
        self.version += 1
        self.news.add((kind, name))

    @rule(decisions=st.lists(st.tuples(NAMES, DECISIONS), max_size=4))
    def update(self, decisions):
        keys = [key for key, _ in decisions]
        before = [self.entries.get(key) for key in keys]
        seen = []

        def change(entries):
            seen.append(list(entries))
            return [decision for _, decision in decisions]

        after = self.store.update(keys, change).result(WAIT_S)

        for key, decision in decisions:
            if decision is DELETE and self.entries.pop(key, None):
                self.wrote("key", key)
            elif isinstance(decision, Put):
                self.wrote("key", key)
                self.entries[key] = Entry(decision.value, self.version, decision.due_s)
        assert seen[-1] == before
        assert after == [self.entries.get(key) for key in keys]

    @rule(key=NAMES)
    def update_that_fails(self, key):
        future = self.store.update([key], lambda entries: 1 / 0)
        assert type(future.exception(WAIT_S)) is ZeroDivisionError

    @rule(prefix=PREFIXES, before_s=TIMES, limit=st.integers(1, 4))
    def due(self, prefix, before_s, limit):
        due = [
            (key, entry)
            for key, entry in self.entries.items()
            if key.startswith(prefix) and entry.due_s <= before_s and entry.due_s != NEVER
        ]
        due.sort(key=lambda pair: (pair[1].due_s, pair[1].version))
        assert self.store.due(prefix, before_s, limit).result(WAIT_S) == due[:limit]

    @rule(prefix=PREFIXES, after=st.one_of(st.just(""), NAMES), limit=st.integers(1, 4))
    def scan(self, prefix, after, limit):
        keys = sorted(key for key in self.entries if key.startswith(prefix) and key > after)
        expected = [(key, self.entries[key]) for key in keys[:limit]]
        assert self.store.scan(prefix, after, limit).result(WAIT_S) == expected

    @rule(
        name=NAMES,
        items=st.lists(st.binary(max_size=3), max_size=4),
        keep=st.integers(0, 5),
        due_s=TIMES,
    )
    def append(self, name, items, keep, due_s):
        log = self.logs.setdefault(name, ModelLog(self.dropped_cursor))
        log.items += enumerate(items, log.last + 1)
        log.items = log.items[len(log.items) - keep :] if len(log.items) > keep else log.items
        log.last += len(items)
        log.due_s = due_s
        self.wrote("log", name)
        assert self.store.append(name, items, keep=keep, due_s=due_s).result(WAIT_S) == log.last

    @rule(name=NAMES, after=st.integers(-1, 12), limit=st.integers(1, 4))
    def read(self, name, after, limit):
        log = self.logs.get(name) or ModelLog(0)
        first = log.items[0][0] if log.items else log.last + 1
        items = [item for item in log.items if item[0] > after][:limit]
        assert self.store.read(name, after, limit).result(WAIT_S) == LogPage(items, first, log.last)

    @rule(before_s=TIMES)
    def drop_due_logs(self, before_s):
        due = [n for n, log in self.logs.items() if log.due_s <= before_s and log.due_s != NEVER]
        for name in due:
            self.dropped_cursor = max(self.dropped_cursor, self.logs.pop(name).last)
            self.wrote("log", name)
        assert self.store.drop_due_logs(before_s).result(WAIT_S) == len(due)

    @rule(limit=st.integers(1, 3))
    def follow(self, limit):
        found = set()
        while self.seen_version < self.version:
            news = self.store.changes(self.seen_version, limit).result(WAIT_S)
            assert news.version > self.seen_version
            assert len(news.keys) + len(news.logs) <= limit
            found |= {("key", key) for key in news.keys} | {("log", log) for log in news.logs}
            self.seen_version = news.version
        assert found == self.news
        self.news = set()

    @rule()
    def close_and_open(self):
        if self.store.is_shared:
            self.store.close()
            self.open()

    @invariant()
    def all_entries_are_there(self):
        keys = sorted(self.entries)
        assert self.store.get(*keys).result(WAIT_S) == [self.entries[key] for key in keys]
        assert self.store.changes(-1).result(WAIT_S).version == self.version


@pytest.mark.parametrize("kind", ADDRESSES)
def test_any_sequence_of_calls_gives_what_dictionaries_give(kind):
    machine = type("Machine", (StoreMachine,), {"kind": kind})

    run(machine, settings=settings(max_examples=60, stateful_step_count=30))
