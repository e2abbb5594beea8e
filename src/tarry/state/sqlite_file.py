"""The file of a SQLite store: made, opened, checked, and what its errors mean."""

import os
import sqlite3
import threading
from pathlib import Path
from typing import Final

from tarry.state.folders import make_private_folder
from tarry.state.store import StoreBusy, StoreDamaged, StoreError, StoreFull
from tarry.timing import SystemClock

SCHEMA_VERSION: Final = 1

APPLICATION_ID: Final = 0x54617272
"""Marks a file as a store of Tarry: "Tarr" in ASCII."""

# An entry is named by its version: the newest stand at the end, and what was written since some
# version is one range.  No due_s means never.
_SCHEMA: Final = (
    "CREATE TABLE entries (version INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
    " value BLOB NOT NULL, due_s REAL)",
    "CREATE INDEX entries_due ON entries (due_s, version) WHERE due_s IS NOT NULL",
    "CREATE TABLE logs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " last INTEGER NOT NULL, version INTEGER NOT NULL UNIQUE, due_s REAL)",
    "CREATE INDEX logs_due ON logs (due_s) WHERE due_s IS NOT NULL",
    "CREATE TABLE log_items (log_id INTEGER NOT NULL, cursor INTEGER NOT NULL,"
    " item BLOB NOT NULL, PRIMARY KEY (log_id, cursor)) WITHOUT ROWID",
    "CREATE TABLE deletions (version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " is_log INTEGER NOT NULL)",
    "CREATE TABLE counters (version INTEGER NOT NULL, dropped_cursor INTEGER NOT NULL)",
    "INSERT INTO counters VALUES (0, 0)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_making = threading.Lock()


def open_database(path: Path, busy_timeout_s: float, max_bytes: int | None) -> sqlite3.Connection:
    """Open a file for this thread alone; make it, its folder and its tables if need be.

    Raises:
        StoreDamaged: it is no store, or one of a newer version.
        OSError: the folder or the file cannot be made.
        sqlite3.Error: anything else, see `explained`.
    """
    # Closing a file gives up all locks of the process on it, also those of a store that has it
    # open: so nobody may open it while it is being made.
    with _making:
        _make_file(path)
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None)
    try:
        # First, as a stranger's file stays as it is; and at one moment, as another may make it.
        connection.execute("BEGIN")
        is_store = _is_store(connection, path)
        connection.execute("COMMIT")
        _use_wal(connection, busy_timeout_s)
        # Survives the end of the process; with a loss of power the last moments may be lost,
        # never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        if not is_store:
            _make_tables(connection, path)
        if max_bytes is not None:
            page_bytes = _number(connection, "page_size")
            connection.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")
    except BaseException:
        connection.close()
        raise
    return connection


def _make_file(path: Path) -> None:
    make_private_folder(path.parent)
    try:
        # The files that SQLite puts beside it get the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise StoreDamaged(
                f"{path} is a folder, not a store; name a file in it, or another path"
            ) from None


def _use_wal(connection: sqlite3.Connection, busy_timeout_s: float) -> None:
    """Readers and a writer at the same time; the file stays that way from then on."""
    clock = SystemClock()
    deadline_s = clock.monotonic_s() + busy_timeout_s
    pause = threading.Event()
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # SQLite does not wait here, when several open a new file at the same time.
            if not is_busy(error) or clock.monotonic_s() >= deadline_s:
                raise
            pause.wait(0.005)


def _is_store(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the tables are there; false for an empty file."""
    application_id = _number(connection, "application_id")
    version = _number(connection, "user_version")
    if application_id != APPLICATION_ID:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application_id or version or tables:
            raise StoreDamaged(
                f"{path} is a database of another program; name another path for the store"
            )
        return False
    if version > SCHEMA_VERSION:
        raise StoreDamaged(
            f"{path} was made by a newer version of Tarry (its format is {version}, this one knows"
            f" {SCHEMA_VERSION}); update Tarry, or name another path"
        )
    return True


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_store(connection, path):  # another process may have been faster
            for statement in _SCHEMA:
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    number: int = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return number


# ---- errors ---------------------------------------------------------------------------------

_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

_MEANINGS: Final[dict[int, tuple[type[StoreError], str]]] = {
    sqlite3.SQLITE_BUSY: (
        StoreBusy,
        "is locked by another program; try again, or end what keeps it",
    ),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "is locked; try again"),
    sqlite3.SQLITE_FULL: (
        StoreFull,
        "has no room left; free some, it goes on by itself",
    ),
    sqlite3.SQLITE_READONLY: (
        StoreFull,
        "must not be written; give this user the right to, for its folder too",
    ),
    sqlite3.SQLITE_NOTADB: (
        StoreDamaged,
        "is no database; name another path, or move the file away",
    ),
    sqlite3.SQLITE_CORRUPT: (
        StoreDamaged,
        "is damaged; stop all that use it, then put a copy in its place or move it away",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StoreError,
        "cannot be opened; see whether this user may read and write it and its folder",
    ),
    sqlite3.SQLITE_IOERR: (StoreError, "cannot be read or written; see to the disk"),
}


def _code(error: Exception) -> int:
    """The primary result code of SQLite, which is the low byte."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: Exception) -> bool:
    """Whether another program has it locked."""
    return _code(error) in _BUSY


def explained(error: Exception, path: Path) -> StoreError:
    """A new error that says what happened and what to do, for each who asks."""
    if isinstance(error, StoreError):
        told: StoreError = type(error)(*error.args)
    elif isinstance(error, OSError):
        reason = error.strerror or error
        told = StoreError(f"the store {path} cannot be opened: {reason}; name another path")
    else:
        kind, meaning = _MEANINGS.get(_code(error), (StoreError, "has failed"))
        told = kind(f"the store {path} {meaning} ({error})")
    told.__cause__ = error
    return told
