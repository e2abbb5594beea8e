"""What a store is: entries by key, logs with cursors, and the news of what was written.

Every method gives a future of `concurrent.futures`: a thread takes its
`result()`, a coroutine awaits `asyncio.wrap_future(…)`.  One that is done
already needs no waiting, and in memory all of them are.
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Final, Literal, NamedTuple

from tarry.timing import NEVER

REMEMBERED_WRITES: Final = 10_000
"""For so many writes a store remembers what was deleted, to tell it in `Store.changes`."""


class StoreError(Exception):
    """A store cannot do what was asked; the text says which one, and what to do about it."""


class StoreClosed(StoreError):
    """The store has been closed."""


class StoreMissing(StoreError):
    """There is no such store yet, and who asks only wants one that others use."""


class StoreFull(StoreError):
    """There is no room, or nothing may be written; reading and deleting may still work."""


class StoreBusy(StoreError):
    """Another program has kept the store locked for too long; trying again may help."""


class StoreDamaged(StoreError):
    """It is no store, a broken one, or one that a newer version of Tarry has made."""


class Entry(NamedTuple):
    """What stands under a key."""

    value: bytes
    version: int
    """Number of the write that put it there; it rises over the whole store, none is used twice."""
    due_s: float
    """Wall time at which somebody has to look at it again, `NEVER` if nobody has to."""


class Put(NamedTuple):
    """Have a value stand under the key from now on."""

    value: bytes
    due_s: float = NEVER


class Delete(enum.Enum):
    """Have nothing stand under the key from now on."""

    DELETE = "delete"


DELETE: Final[Literal[Delete.DELETE]] = Delete.DELETE

Change = Callable[[Sequence[Entry | None]], Sequence[Put | Delete | None]]
"""Gets what stands under each key, and returns for each what shall: `None` leaves it as it is."""


class LogPage(NamedTuple):
    """A part of a log."""

    items: list[tuple[int, bytes]]
    """Each with its cursor, oldest first."""
    first: int
    """The oldest cursor that is still there, `last + 1` if none is."""
    last: int
    """The newest cursor ever given, 0 for a log that nobody has written."""


class Changes(NamedTuple):
    """What was written, each key and each log once."""

    keys: list[str]
    logs: list[str]
    version: int
    """Where to go on."""
    is_complete: bool = True
    """False when deletions may be missing, as they were too many writes ago: look at all again."""


class Store(ABC):
    """Keeps bytes under keys and in logs; all methods may be called from any thread.

    None of them blocks, so that an event loop may call them too, except `close`.
    Keys and names of logs are any text that UTF-8 can carry, ordered by code
    points; another one is a `ValueError`.

    A call may raise `StoreClosed`; all other errors come out of the future, the
    store's own as a `StoreError`.  What is called back, by a future or by
    `watch`, may run on the store's own thread: it must return soon and wait for
    no future of the store.
    """

    is_shared: bool
    """Whether other processes see what is written."""

    name: str
    """For messages: "memory", "sqlite:.tarry/state.db"."""

    @abstractmethod
    def get(self, *keys: str) -> Future[list[Entry | None]]:
        """What stands under each key, all at one moment."""

    @abstractmethod
    def update(self, keys: Sequence[str], change: Change) -> Future[list[Entry | None]]:
        """Read, change and write keys as one step; gives what stands there afterwards.

        `change` has to be fast, does nothing but decide and may be called more
        than once.  What it raises comes out of the future, and nothing is
        written.  For a key that is named twice the later decision counts.
        """

    @abstractmethod
    def due(
        self, prefix: str, before_s: float, limit: int = 1000
    ) -> Future[list[tuple[str, Entry]]]:
        """Entries whose `due_s` is `before_s` or earlier, the earliest first."""

    @abstractmethod
    def scan(
        self, prefix: str, after: str = "", limit: int = 1000
    ) -> Future[list[tuple[str, Entry]]]:
        """Entries in the order of their keys, from the first one behind the key `after`."""

    @abstractmethod
    def append(
        self, log: str, items: Sequence[bytes], *, keep: int, due_s: float = NEVER
    ) -> Future[int]:
        """Add to a log, of which the newest `keep` items stay; gives the cursor of the last one.

        Cursors are 1, 2, 3 … in each log.  None is used twice, not even when the
        log was dropped in between: a new one then begins behind all cursors of
        the dropped ones.  At `due_s` the whole log may go, see `drop_due_logs`.
        """

    @abstractmethod
    def read(self, log: str, after: int, limit: int = 1000) -> Future[LogPage]:
        """Items of a log with cursors above `after`, the oldest first."""

    @abstractmethod
    def drop_due_logs(self, before_s: float) -> Future[int]:
        """Delete the logs whose `due_s` is `before_s` or earlier; gives how many."""

    @abstractmethod
    def changes(self, after: int, limit: int = 1000) -> Future[Changes]:
        """The keys and logs that anybody has written, or deleted, since version `after`.

        -1 gives only the newest version, to begin with.
        """

    @abstractmethod
    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called, from any thread, when another process has written.

        So does another `Store` of the same file.  A call may be missing, see
        `poll`, and there may be too many.  Returns what ends it.
        """

    @abstractmethod
    def poll(self) -> Future[bool]:
        """Whether others may have written since the last poll; cheap, and misses nothing."""

    @abstractmethod
    def close(self) -> None:
        """Wait for what is under way, then let go of everything; again without effect."""


def check_names(names: Iterable[str]) -> None:
    """Refuse keys and names that not every store could keep.

    Raises:
        ValueError: one has half a surrogate pair.
    """
    for name in names:
        if not name.isascii():
            name.encode()


def decide(change: Change, entries: Sequence[Entry | None]) -> Sequence[Put | Delete | None]:
    """What a change makes of the entries.

    Raises:
        ValueError: it has not decided about each key.
    """
    decisions = change(entries)
    if len(decisions) != len(entries):
        raise ValueError(
            f"a change of {len(entries)} keys has to return one decision for each,"
            f" not {len(decisions)}"
        )
    return decisions


def changes_of(
    written: Sequence[tuple[int, str, bool]], limit: int, newest: int, after: int
) -> Changes:
    """What was written, from versions, names and whether each is a log; at most `limit` of it."""
    names = dict.fromkeys((name, is_log) for _, name, is_log in written)
    return Changes(
        [name for name, is_log in names if not is_log],
        [name for name, is_log in names if is_log],
        # A full page may not be the last one.
        written[-1][0] if written and len(written) >= limit else newest,
        after >= newest - REMEMBERED_WRITES,
    )
