"""A store in a file of SQLite: it outlives the process, and several processes can share it."""

import atexit
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TypeVar

from tarry.state.sqlite_tables import Tables
from tarry.state.sqlite_writer import Writer
from tarry.state.store import (
    Change,
    Changes,
    Entry,
    LogPage,
    Store,
    StoreClosed,
    check_names,
)
from tarry.timing import NEVER

BUSY_TIMEOUT_S: Final = 5.0
"""How long a write waits while another program has the file locked."""

_Result = TypeVar("_Result")


class SQLiteStore(Store):
    """Entries and logs in a file, read and written by one thread of its own.

    File, folder and thread are made when the first call is made.  What is
    asked for at the same time becomes one transaction, and futures are done
    after its commit: what is done survives the end of the process at any moment.

    Fork first, then make calls: neither the thread nor the locks of a SQLite
    file reach a forked process.

    `max_bytes` is how large the file may become, before `StoreFull`.
    """

    is_shared = True

    def __init__(
        self,
        path: str | Path,
        *,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        max_bytes: int | None = None,
    ) -> None:
        self.name = f"sqlite:{path}"
        # Made absolute now, as the process may go to another folder before the first call.
        self._path = Path(path).absolute()
        self._busy_timeout_s = busy_timeout_s
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._closed = False

    # ---- entries -------------------------------------------------------------------------

    def get(self, *keys: str) -> Future[list[Entry | None]]:
        """What stands under each key, all at one moment."""
        return self._read(keys, lambda tables: tables.get(keys))

    def update(self, keys: Sequence[str], change: Change) -> Future[list[Entry | None]]:
        """Read, change and write keys as one step; gives what stands there afterwards."""
        return self._write(keys, lambda tables: tables.update(keys, change))

    def due(
        self, prefix: str, before_s: float, limit: int = 1000
    ) -> Future[list[tuple[str, Entry]]]:
        """Entries whose `due_s` is `before_s` or earlier, the earliest first."""
        return self._read([prefix], lambda tables: tables.due(prefix, before_s, limit))

    def scan(
        self, prefix: str, after: str = "", limit: int = 1000
    ) -> Future[list[tuple[str, Entry]]]:
        """Entries in the order of their keys, from the first one behind the key `after`."""
        return self._read([prefix, after], lambda tables: tables.scan(prefix, after, limit))

    # ---- logs ----------------------------------------------------------------------------

    def append(
        self, log: str, items: Sequence[bytes], *, keep: int, due_s: float = NEVER
    ) -> Future[int]:
        """Add to a log, of which the newest `keep` items stay; gives the cursor of the last one."""
        return self._write([log], lambda tables: tables.append(log, items, keep, due_s))

    def read(self, log: str, after: int, limit: int = 1000) -> Future[LogPage]:
        """Items of a log with cursors above `after`, the oldest first."""
        return self._read([log], lambda tables: tables.read(log, after, limit))

    def drop_due_logs(self, before_s: float) -> Future[int]:
        """Delete the logs whose `due_s` is `before_s` or earlier; gives how many."""
        return self._write([], lambda tables: tables.drop_due_logs(before_s))

    # ---- news ----------------------------------------------------------------------------

    def changes(self, after: int, limit: int = 1000) -> Future[Changes]:
        """The keys and logs that anybody has written, or deleted, since version `after`."""
        return self._read([], lambda tables: tables.changes(after, limit))

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called, on the store's thread, when others have written."""
        return self._open_writer().watch(callback)

    def poll(self) -> Future[bool]:
        """Whether others may have written since the last poll; cheap, and misses nothing."""
        return self._read([], lambda tables: tables.poll())

    # ---- the thread ----------------------------------------------------------------------

    def close(self) -> None:
        """Wait for what is under way, and leave all of it in the one file."""
        with self._lock:
            self._closed = True
            writer = self._writer
        if writer is not None:
            writer.close()
            atexit.unregister(self.close)

    def _read(self, names: Sequence[str], work: Callable[[Tables], _Result]) -> Future[_Result]:
        return self._submit(names, work, writes=False)

    def _write(self, names: Sequence[str], work: Callable[[Tables], _Result]) -> Future[_Result]:
        return self._submit(names, work, writes=True)

    def _submit(
        self, names: Sequence[str], work: Callable[[Tables], _Result], *, writes: bool
    ) -> Future[_Result]:
        future: Future[_Result] = Future()
        writer = self._open_writer()
        try:
            check_names(names)
        except ValueError as error:
            future.set_exception(error)
        else:
            writer.submit(work, future, writes=writes)
        return future

    def _open_writer(self) -> Writer:
        with self._lock:
            if self._closed:
                raise StoreClosed(f"the store {self._path} has been closed")
            if self._writer is None:
                self._writer = Writer(self._path, self._busy_timeout_s, self._max_bytes)
                # For programs that end without closing: what they have asked for is written.
                atexit.register(self.close)
            return self._writer
