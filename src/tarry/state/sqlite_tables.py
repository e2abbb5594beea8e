"""The tables of a SQLite store: each method is one operation, within a transaction of others."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final

from tarry.state.store import (
    REMEMBERED_WRITES,
    Change,
    Changes,
    Entry,
    LogPage,
    Put,
    changes_of,
    decide,
)
from tarry.timing import NEVER

_NEWEST: Final = 2**63 - 1  # the largest integer of SQLite

_CHANGES: Final = """
    SELECT version, key, 0 FROM entries WHERE version > ?1
    UNION ALL SELECT version, name, 1 FROM logs WHERE version > ?1
    UNION ALL SELECT version, name, is_log FROM deletions WHERE version > ?1
    ORDER BY version LIMIT ?2"""


class Tables:
    """What operations do to one connection; all come between `begin` and `finish`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._execute = connection.execute
        self._version = self._version_before = 0
        self._data_version: int | None = None

    def begin(self) -> None:
        """Learn where the numbers of writes stand, once the transaction has begun."""
        (self._version,) = self._execute("SELECT version FROM counters").fetchone()
        self._version_before = self._version
        if self._data_version is None:
            self.poll()

    def finish(self) -> bool:
        """Keep the numbers; whether anything was written."""
        if self._version == self._version_before:
            return False
        self._execute("UPDATE counters SET version = ?", (self._version,))
        forgotten = self._version - REMEMBERED_WRITES
        self._execute("DELETE FROM deletions WHERE version <= ?", (forgotten,))
        return True

    # ---- entries -------------------------------------------------------------------------

    def get(self, keys: Sequence[str]) -> list[Entry | None]:
        return [self._entry(key) for key in keys]

    def _entry(self, key: str) -> Entry | None:
        row = self._execute(
            "SELECT value, version, due_s FROM entries WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else _as_entry(*row)

    def update(self, keys: Sequence[str], change: Change) -> list[Entry | None]:
        entries = self.get(keys)
        decisions = decide(change, entries)
        for key, decision in zip(keys, decisions, strict=True):
            if isinstance(decision, Put):
                self._put(key, decision)
            elif decision is not None:
                self._delete(key)
        return self.get(keys) if any(each is not None for each in decisions) else entries

    def _put(self, key: str, put: Put) -> None:
        self._version += 1
        self._execute(
            "INSERT OR REPLACE INTO entries (version, key, value, due_s) VALUES (?, ?, ?, ?)",
            (self._version, key, put.value, _as_due(put.due_s)),
        )

    def _delete(self, key: str) -> None:
        if self._execute("DELETE FROM entries WHERE key = ?", (key,)).rowcount:
            self._note_deletion(key, is_log=False)

    def _note_deletion(self, name: str, *, is_log: bool) -> None:
        self._version += 1
        self._execute("INSERT INTO deletions VALUES (?, ?, ?)", (self._version, name, is_log))

    def due(self, prefix: str, before_s: float, limit: int) -> list[tuple[str, Entry]]:
        # By name, or SQLite could think it better to look at all keys.
        rows = self._execute(
            "SELECT key, value, version, due_s FROM entries INDEXED BY entries_due"
            " WHERE due_s <= ? ORDER BY due_s, version",
            (before_s,),
        )
        found: list[tuple[str, Entry]] = []
        with closing(rows):
            while len(found) < limit and (row := rows.fetchone()) is not None:
                if row[0].startswith(prefix):
                    found.append((row[0], _as_entry(*row[1:])))
        return found

    def scan(self, prefix: str, after: str, limit: int) -> list[tuple[str, Entry]]:
        rows = self._execute(
            "SELECT key, value, version, due_s FROM entries WHERE key >= ? ORDER BY key",
            (max(prefix, after),),
        )
        found: list[tuple[str, Entry]] = []
        with closing(rows):
            while len(found) < limit and (row := rows.fetchone()) is not None:
                if not row[0].startswith(prefix):
                    break
                if row[0] != after:
                    found.append((row[0], _as_entry(*row[1:])))
        return found

    # ---- logs ----------------------------------------------------------------------------

    def append(self, log: str, items: Sequence[bytes], keep: int, due_s: float) -> int:
        id, last = self._log(log)
        last_after = last + len(items)
        self._version += 1
        self._execute(
            "UPDATE logs SET last = ?, version = ?, due_s = ? WHERE id = ?",
            (last_after, self._version, _as_due(due_s), id),
        )
        self.connection.executemany(
            "INSERT INTO log_items VALUES (?, ?, ?)",
            [(id, cursor, item) for cursor, item in enumerate(items, last + 1)],
        )
        self._execute(
            "DELETE FROM log_items WHERE log_id = ? AND cursor <= ?", (id, last_after - keep)
        )
        return last_after

    def _log(self, name: str) -> tuple[int, int]:
        """The number of a log and its last cursor; made if there is none."""
        found = "SELECT id, last FROM logs WHERE name = ?"
        there: tuple[int, int] | None = self._execute(found, (name,)).fetchone()
        if there is not None:
            return there
        (last,) = self._execute("SELECT dropped_cursor FROM counters").fetchone()
        made = self._execute(
            "INSERT INTO logs (name, last, version) VALUES (?, ?, -1)", (name, last)
        )
        return made.lastrowid or 0, last

    def read(self, log: str, after: int, limit: int) -> LogPage:
        there = self._execute("SELECT id, last FROM logs WHERE name = ?", (log,)).fetchone()
        if there is None:
            return LogPage([], 1, 0)
        id, last = there
        (first,) = self._execute(
            "SELECT min(cursor) FROM log_items WHERE log_id = ?", (id,)
        ).fetchone()
        items = self._execute(
            "SELECT cursor, item FROM log_items WHERE log_id = ? AND cursor > ?"
            " ORDER BY cursor LIMIT ?",
            (id, min(after, _NEWEST), limit),
        ).fetchall()
        return LogPage(items, last + 1 if first is None else first, last)

    def drop_due_logs(self, before_s: float) -> int:
        due = self._execute(
            "SELECT id, name, last FROM logs INDEXED BY logs_due WHERE due_s <= ?", (before_s,)
        ).fetchall()
        for id, name, last in due:
            self._execute("DELETE FROM log_items WHERE log_id = ?", (id,))
            self._execute("DELETE FROM logs WHERE id = ?", (id,))
            self._execute("UPDATE counters SET dropped_cursor = max(dropped_cursor, ?)", (last,))
            self._note_deletion(name, is_log=True)
        return len(due)

    # ---- news ----------------------------------------------------------------------------

    def changes(self, after: int, limit: int) -> Changes:
        if after < 0:
            return Changes([], [], self._version)
        written = self._execute(_CHANGES, (min(after, _NEWEST), limit)).fetchall()
        return changes_of(written, limit, self._version, after)

    def poll(self) -> bool:
        before = self._data_version
        # Another number after each commit of anybody else.
        (self._data_version,) = self._execute("PRAGMA data_version").fetchone()
        return self._data_version != before


def _as_entry(value: bytes, version: int, due_s: float | None) -> Entry:
    return Entry(value, version, NEVER if due_s is None else due_s)


def _as_due(due_s: float) -> Any:
    return None if due_s == NEVER else due_s
