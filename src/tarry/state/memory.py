"""A store in the memory of one process: gone when it ends, and fast."""

import heapq
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from tarry.state.store import (
    REMEMBERED_WRITES,
    Change,
    Changes,
    Entry,
    LogPage,
    Put,
    Store,
    StoreClosed,
    changes_of,
    check_names,
    decide,
)
from tarry.timing import NEVER

_Result = TypeVar("_Result")


class _Done(Future[_Result]):
    """A future that has its result from the start, made in a tenth of the time.

    Nobody ever waits for it, so that all of them share what waiting needs.
    """

    _condition = threading.Condition()
    _state = "FINISHED"
    _exception = None
    _waiters: list[Any] = []  # noqa: RUF012 — shared on purpose: it stays empty but for a moment

    def __init__(self, result: _Result) -> None:
        self._result = result


def _failed(error: Exception) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


class _Log:
    """Items with their cursors."""

    __slots__ = ("due_s", "items", "last", "version")

    def __init__(self, last: int) -> None:
        self.items: deque[tuple[int, bytes]] = deque()
        self.last = last
        self.version = 0
        self.due_s = NEVER

    def is_due(self, before_s: float) -> bool:
        return self.due_s <= before_s and self.due_s != NEVER


class MemoryStore(Store):
    """Entries and logs in dictionaries; every future is done when it is returned.

    `get`, `update`, `append`, `read` and `due` cost only what they give; `scan`,
    `changes` and `drop_due_logs` look at everything there is.
    """

    is_shared = False
    name = "memory"

    def __init__(self) -> None:
        # Reentrant, as the garbage collector may call anything at any moment.
        self._lock = threading.RLock()
        self._closed = False
        self._version = 0
        self._entries: dict[str, Entry] = {}
        # By time; one whose version is not that of the entry any more does not count.
        self._due: list[tuple[float, int, str]] = []
        self._logs: dict[str, _Log] = {}
        self._newest_dropped_cursor = 0
        self._deleted: deque[tuple[int, str, bool]] = deque()

    def _check(self) -> None:
        if self._closed:
            raise StoreClosed("the store in memory has been closed")

    # ---- entries -------------------------------------------------------------------------

    def get(self, *keys: str) -> Future[list[Entry | None]]:
        """What stands under each key, all at one moment."""
        return self._do("".join(keys), lambda: [self._entries.get(key) for key in keys])

    def update(self, keys: Sequence[str], change: Change) -> Future[list[Entry | None]]:
        """Read, change and write keys as one step; gives what stands there afterwards."""
        self._check()
        entries = self._entries
        try:
            check_names(keys)
            with self._lock:
                decisions = decide(change, [entries.get(key) for key in keys])
                for key, decision in zip(keys, decisions, strict=True):
                    if decision is not None:
                        self._write(key, decision if isinstance(decision, Put) else None)
                return _Done([entries.get(key) for key in keys])
        except Exception as error:  # noqa: BLE001 — belongs to whoever asks for the result
            return _failed(error)

    def _write(self, key: str, put: Put | None) -> None:
        if put is None:
            if self._entries.pop(key, None) is not None:
                self._note_deletion(key, is_log=False)
            return
        self._version = version = self._version + 1
        self._entries[key] = Entry(put.value, version, put.due_s)
        if put.due_s != NEVER:
            heapq.heappush(self._due, (put.due_s, version, key))
            # Times that were put off stay in the heap; twice as many as entries are too many.
            if len(self._due) > 2 * len(self._entries) + 64:
                self._due = [each for each in self._due if self._stands(each)]
                heapq.heapify(self._due)

    def _stands(self, due: tuple[float, int, str]) -> bool:
        entry = self._entries.get(due[2])
        return entry is not None and entry.version == due[1]

    def _note_deletion(self, name: str, *, is_log: bool) -> None:
        self._version += 1
        self._deleted.append((self._version, name, is_log))
        while self._deleted[0][0] <= self._version - REMEMBERED_WRITES:
            self._deleted.popleft()

    def due(
        self, prefix: str, before_s: float, limit: int = 1000
    ) -> Future[list[tuple[str, Entry]]]:
        """Entries whose `due_s` is `before_s` or earlier, the earliest first."""
        return self._do(prefix, lambda: self._find_due(prefix, before_s, limit))

    def _find_due(self, prefix: str, before_s: float, limit: int) -> list[tuple[str, Entry]]:
        found: list[tuple[str, Entry]] = []
        standing = []
        while self._due and self._due[0][0] <= before_s and len(found) < limit:
            each = heapq.heappop(self._due)
            if self._stands(each):
                standing.append(each)
                if each[2].startswith(prefix):
                    found.append((each[2], self._entries[each[2]]))
        for each in standing:
            heapq.heappush(self._due, each)
        return found

    def scan(
        self, prefix: str, after: str = "", limit: int = 1000
    ) -> Future[list[tuple[str, Entry]]]:
        """Entries in the order of their keys, from the first one behind the key `after`."""
        return self._do(prefix + after, lambda: self._find(prefix, after, limit))

    def _find(self, prefix: str, after: str, limit: int) -> list[tuple[str, Entry]]:
        keys = (key for key in self._entries if key.startswith(prefix) and key > after)
        return [(key, self._entries[key]) for key in heapq.nsmallest(limit, keys)]

    # ---- logs ----------------------------------------------------------------------------

    def append(
        self, log: str, items: Sequence[bytes], *, keep: int, due_s: float = NEVER
    ) -> Future[int]:
        """Add to a log, of which the newest `keep` items stay; gives the cursor of the last one."""
        return self._do(log, lambda: self._add(log, items, keep, due_s))

    def _add(self, name: str, items: Sequence[bytes], keep: int, due_s: float) -> int:
        log = self._logs.get(name)
        if log is None:
            log = self._logs[name] = _Log(self._newest_dropped_cursor)
        log.items.extend(enumerate(items, log.last + 1))
        log.last += len(items)
        while log.items and log.items[0][0] <= log.last - keep:
            log.items.popleft()
        log.due_s = due_s
        log.version = self._version = self._version + 1
        return log.last

    def read(self, log: str, after: int, limit: int = 1000) -> Future[LogPage]:
        """Items of a log with cursors above `after`, the oldest first."""
        return self._do(log, lambda: self._page(log, after, limit))

    def _page(self, name: str, after: int, limit: int) -> LogPage:
        log = self._logs.get(name)
        if log is None:
            return LogPage([], 1, 0)
        items = log.items
        first = log.last + 1 - len(items)
        start = max(0, after + 1 - first)
        numbers = range(start, min(start + limit, len(items)))
        return LogPage([items[number] for number in numbers], first, log.last)

    def drop_due_logs(self, before_s: float) -> Future[int]:
        """Delete the logs whose `due_s` is `before_s` or earlier; gives how many."""
        return self._do("", lambda: self._drop(before_s))

    def _drop(self, before_s: float) -> int:
        due = [name for name, log in self._logs.items() if log.is_due(before_s)]
        for name in due:
            last = self._logs.pop(name).last
            self._newest_dropped_cursor = max(self._newest_dropped_cursor, last)
            self._note_deletion(name, is_log=True)
        return len(due)

    # ---- news ----------------------------------------------------------------------------

    def changes(self, after: int, limit: int = 1000) -> Future[Changes]:
        """The keys and logs that anybody has written, or deleted, since version `after`."""
        return self._do("", lambda: self._changes(after, limit))

    def _changes(self, after: int, limit: int) -> Changes:
        if after < 0:
            return Changes([], [], self._version)
        written = [(each.version, key, False) for key, each in self._entries.items()]
        written += [(each.version, name, True) for name, each in self._logs.items()]
        news = sorted(each for each in [*written, *self._deleted] if each[0] > after)
        return changes_of(news[:limit], limit, self._version, after)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Nobody else can write here, so that there is nothing to watch."""
        self._check()
        return lambda: None

    def poll(self) -> Future[bool]:
        """Nobody else can write here."""
        self._check()
        return _Done(False)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._closed = True
            self._entries.clear()
            self._logs.clear()
            self._due.clear()

    def _do(self, name: str, work: Callable[[], _Result]) -> Future[_Result]:
        self._check()
        try:
            check_names([name])
        except ValueError as error:
            return _failed(error)
        with self._lock:
            return _Done(work())
