"""The thread of a SQLite store: it takes what is asked for and makes transactions of it."""

import functools
import logging
import selectors
import socket
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, NamedTuple

from tarry.state import nudges
from tarry.state.nudges import Nudges
from tarry.state.sqlite_file import explained, is_busy, open_database
from tarry.state.sqlite_tables import Tables
from tarry.state.store import StoreClosed

logger: Final = logging.getLogger("tarry")

MAX_BATCH: Final = 1000
"""Most operations of one transaction: at some 20 µs each, others wait 20 ms for the lock."""


class Operation(NamedTuple):
    """What somebody has asked for."""

    work: Callable[[Tables], Any]
    future: Future[Any]
    writes: bool


class Writer:
    """Runs operations on a file, in a thread that starts at once; `close` ends it.

    All operations that wait are one transaction, each with a savepoint: one
    that raises is undone alone.  The file is opened with the first of them,
    and if that fails, with the next.
    """

    def __init__(self, path: Path, busy_timeout_s: float, max_bytes: int | None) -> None:
        self._path = path
        self._open = functools.partial(open_database, path, busy_timeout_s, max_bytes)
        self._tables: Tables | None = None
        self._nudges: Nudges | None = None
        self._operations: deque[Operation] = deque()
        self._callbacks: dict[object, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._sleeps = self._closing = False
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="tarry-store", daemon=True)
        self._thread.start()

    # ---- from any thread -------------------------------------------------------------------

    def submit(self, work: Callable[[Tables], Any], future: Future[Any], *, writes: bool) -> None:
        """Have `work` done with the tables, and its result in the future.

        Raises:
            StoreClosed: the thread has been told to end.
        """
        with self._lock:
            if self._closing:
                raise StoreClosed(f"the store {self._path} has been closed")
            self._operations.append(Operation(work, future, writes))
            self._wake()

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called when others have written; returns what ends it."""
        mark = object()
        self._callbacks[mark] = callback
        # Only an open file has a socket that can be nudged.
        self.submit(lambda _: None, Future(), writes=False)

        def stop() -> None:
            self._callbacks.pop(mark, None)

        return stop

    def close(self) -> None:
        """Let the thread do what it has been given, and wait for its end."""
        with self._lock:
            self._closing = True
            self._wake()
        self._thread.join()

    def _wake(self) -> None:
        if self._sleeps:
            self._sleeps = False
            self._ringer.send(b"\0")

    # ---- in the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while self._do_next():
            """Nothing of the last batch is kept meanwhile."""
        self._disconnect()
        if self._nudges is not None:
            self._nudges.close()
        self._selector.close()
        self._bell.close()
        self._ringer.close()

    def _do_next(self) -> bool:
        batch = self._next_batch()
        ready = [each for each in batch if each.future.set_running_or_notify_cancel()]
        if ready:
            self._do(ready)
        return bool(batch)

    def _next_batch(self) -> list[Operation]:
        """Wait for operations; empty when it is time to end."""
        while True:
            with self._lock:
                if self._operations:
                    count = min(len(self._operations), MAX_BATCH)
                    return [self._operations.popleft() for _ in range(count)]
                if self._closing:
                    return []
                self._sleeps = True
            self._selector.select()
            with self._lock:
                self._sleeps = False
            self._listen()

    def _listen(self) -> None:
        """Take the ringing and the nudges that woke the thread."""
        try:
            self._bell.recv(64)
        except BlockingIOError:
            """It was a nudge alone."""
        if self._nudges is None or not self._nudges.drain():
            return
        for callback in list(self._callbacks.values()):
            try:
                callback()
            except Exception:
                logger.exception("what watches the store %s has failed", self._path)

    def _do(self, batch: list[Operation]) -> None:
        try:
            done, wrote = self._transact(batch)
        except Exception as error:  # noqa: BLE001 — belongs to whoever asks for the result
            self._undo()
            self._do_apart(batch, error)
            return
        for operation, (result, raised) in zip(batch, done, strict=True):
            if raised is None:
                operation.future.set_result(result)
            else:
                operation.future.set_exception(raised)
        if wrote and self._nudges is not None:
            self._nudges.send()

    def _transact(
        self, batch: list[Operation]
    ) -> tuple[list[tuple[Any, BaseException | None]], bool]:
        """Do all in one transaction; results or what was raised, and whether anything was written.

        Raises:
            Exception: the transaction could not be made, and nothing is done.
        """
        tables = self._connect()
        writes = any(each.writes for each in batch)
        tables.connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        tables.begin()
        done = [_attempt(tables, each) for each in batch]
        wrote = tables.finish()
        tables.connection.execute("COMMIT")
        return done, wrote

    def _undo(self) -> None:
        try:
            if self._tables is not None and self._tables.connection.in_transaction:
                self._tables.connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()  # the next operation opens the file again

    def _do_apart(self, batch: list[Operation], error: Exception) -> None:
        """After a transaction that could not be made: do what can be done without the rest."""
        doomed = batch
        if self._tables is not None and len(batch) > 1:
            if not is_busy(error):
                for operation in batch:
                    self._do([operation])
                return
            # Each write would wait as long; reads need no lock.
            doomed = [each for each in batch if each.writes] or batch
        for operation in doomed:
            operation.future.set_exception(explained(error, self._path))
        if len(doomed) < len(batch):
            self._do([each for each in batch if not each.writes])

    # ---- the file ------------------------------------------------------------------------

    def _connect(self) -> Tables:
        if self._tables is None:
            self._tables = Tables(self._open())
            if self._nudges is None:
                self._connect_nudges()
        return self._tables

    def _disconnect(self) -> None:
        tables, self._tables = self._tables, None
        if tables is None:
            return
        try:
            # Into the file itself, as far as nobody reads its old pages; never waits.
            tables.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:
            logger.exception("the store %s keeps its last writes in its -wal file", self._path)
        finally:
            tables.connection.close()

    def _connect_nudges(self) -> None:
        if not nudges.ARE_POSSIBLE:
            return
        try:
            self._nudges = Nudges(self._path)
        except OSError as error:
            text = "the store %s gets no word of others' writes at once, only by polling: %s"
            logger.warning(text, self._path, error)
        else:
            self._selector.register(self._nudges.socket, selectors.EVENT_READ)


def _attempt(tables: Tables, operation: Operation) -> tuple[Any, BaseException | None]:
    """The result of one operation, or what it raised, in which case it has changed nothing.

    Raises:
        sqlite3.Error: the transaction cannot go on.
    """
    if not operation.writes:
        return _tried(tables, operation)
    tables.connection.execute("SAVEPOINT operation")
    result, raised = _tried(tables, operation)
    if raised is not None:
        tables.connection.execute("ROLLBACK TO operation")
    tables.connection.execute("RELEASE operation")
    return result, raised


def _tried(tables: Tables, operation: Operation) -> tuple[Any, BaseException | None]:
    try:
        return operation.work(tables), None
    except sqlite3.Error:
        raise
    except BaseException as error:  # noqa: BLE001 — belongs to whoever asks for the result
        return None, error
