"""Waits from outside of the server: `Desk` for threads and scripts, `AsyncDesk` for coroutines.

They open the store that the server has, and need neither an application nor a
server that runs: what they settle is answered by whichever process waits, now
or after its restart.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from tarry.jobs.job_waits import plain_value
from tarry.jobs.queues import Queue
from tarry.jobs.rows import JobRow, job_rows, read_queues
from tarry.state.opening import open_existing_store
from tarry.state.store import Store
from tarry.timing import NEVER, Clock, Duration, SystemClock, seconds
from tarry.waiting.errors import WaitCancelled, WaitExpired, WaitFailed
from tarry.waiting.futures import chain, done, then
from tarry.waiting.ledger import Ledger, Settled
from tarry.waiting.records import (
    ANSWER,
    CANCELLED,
    FAILED,
    Failure,
    Progress,
    Record,
    decode_answer,
)
from tarry.waiting.rows import WaitRow, row_of
from tarry.waiting.values import value_type

__all__ = ["AsyncDesk", "Desk", "JobRow", "UnknownWait", "WaitRow"]

POLL_S: Final = 0.5
"""How often a desk that waits looks without having been nudged, as a nudge can be lost."""

DEFAULT_STORE: Final = "sqlite"

TOPIC: Final = "t/"
"""What the logs of topics begin with."""

TOPIC_KEEP: Final = 1000
TOPIC_KEEP_FOR: Final = "1d"

_PAGE: Final = 1000

Result = TypeVar("Result")


class UnknownWait(LookupError):
    """There is no wait of this ticket, token or key, or it has been forgotten."""


class _Counter:
    """What both desks have in common: the store, and what is asked of it as futures."""

    def __init__(self, store: str | Store = DEFAULT_STORE, *, clock: Clock | None = None) -> None:
        """Have a store, by its address or as an object, which is closed by who made it.

        The address is that of the application: "sqlite" is `.tarry/state.db`
        in the current folder, "sqlite:PATH" another file.

        Raises:
            StoreMissing: there is no such file; none is made.
            ValueError: no such kind of store.
        """
        self._is_ours = isinstance(store, str)
        self._store = open_existing_store(store) if isinstance(store, str) else store
        self._clock = clock or SystemClock()
        self._ledger = Ledger(self._store, self._clock)
        self._listeners: set[Callable[[], None]] = set()

    # ---- settling ------------------------------------------------------------------------

    def _wake(self, name: str, value: Any) -> Future[bool]:
        return self._told(self._ledger.wake(name, value_type(Any).write(value)))

    def _fail(self, name: str, detail: str, status: int) -> Future[bool]:
        return self._told(self._ledger.fail(name, Failure(status, detail)))

    def _cancel(self, name: str) -> Future[bool]:
        return self._told(self._ledger.cancel(name))

    def _progress(self, name: str, progress: Progress) -> Future[bool]:
        def tell(record: Record | None) -> Future[Settled]:
            if record is None:
                return done(Settled(False, None))
            return self._ledger.progress(record.id, progress)

        return self._told(chain(self._ledger.look_up(name), tell))

    def _told(self, attempt: Future[Settled]) -> Future[bool]:
        return then(attempt, self._tell)

    def _tell(self, settled: Settled) -> bool:
        """Nudges are for others, so who waits at this desk is told here."""
        for listener in tuple(self._listeners):
            listener()
        return settled.accepted

    def _publish(self, topic: str, value: Any, keep: int, keep_for: Duration) -> Future[int]:
        data = value_type(Any).write(value)
        due_s = self._clock.wall_s() + seconds(keep_for)
        appended = self._store.append(TOPIC + topic, [data], keep=keep, due_s=due_s)
        return then(appended, lambda cursor: cursor)  # one that no cancelled task can cancel

    # ---- reading -------------------------------------------------------------------------

    def _find(self, name: str) -> Future[WaitRow | None]:
        def as_row(record: Record | None) -> WaitRow | None:
            return None if record is None else row_of(record, self._clock.wall_s())

        return then(self._ledger.look_up(name), as_row)

    def _page(self, after: str) -> Future[list[Record]]:
        return self._ledger.page(after, _PAGE)

    def _rows(self, page: list[Record], state: str | None) -> Iterator[WaitRow]:
        now_s = self._clock.wall_s()
        return (row_of(each, now_s) for each in page if state in (None, each.state))

    def _queues(self) -> Future[dict[str, Queue]]:
        return read_queues(self._store)

    def _job_rows(
        self, page: list[Record], queues: dict[str, Queue], state: str | None
    ) -> Iterator[JobRow]:
        rows = job_rows(page, queues, self._clock.wall_s())
        return (row for row in rows if state in (None, row.state))

    # ---- waiting -------------------------------------------------------------------------

    def _look(self, name: str, known: Record | None) -> Future[Record]:
        """The record now; expired here, if its time is over and nobody else looks at it."""

        def look(record: Record | None) -> Future[Record]:
            if record is None:
                raise UnknownWait(f"nobody knows a wait {name!r}, or knows it any more")
            now_s = self._clock.wall_s()
            if record.is_settled or record.deadline_s > now_s:
                return done(record)
            expired = self._ledger.expire(record.id)
            return then(expired, lambda settled: settled.record or record)

        if known is None:
            return chain(self._ledger.look_up(name), look)
        return chain(then(self._ledger.read(known.id), lambda found: found[0]), look)

    def _deadline_s(self, timeout: Duration | None) -> float:
        return NEVER if timeout is None else self._clock.monotonic_s() + seconds(timeout)

    def _pause_s(self, deadline_s: float) -> float:
        """How long to wait for news before looking again.

        Raises:
            TimeoutError: not at all any more.
        """
        left_s = deadline_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError("it has not been settled in the time given")
        return min(POLL_S, left_s)

    @contextlib.contextmanager
    def _listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Have `listener` called when something may have been written, from any thread."""
        self._listeners.add(listener)
        stop = self._store.watch(listener)
        try:
            yield
        finally:
            stop()
            self._listeners.discard(listener)


class Desk(_Counter):
    """Wakes and reads waits, from any thread: `with Desk() as desk: desk.wake(token, value)`.

    A wait is given by its wake token or its key, where nothing is said.  What
    goes wrong with the store itself is a `StoreError`.
    """

    def wake(self, name: str, value: Any = None) -> bool:
        """Settle a wait with a value; whether this was the first to settle it.

        Under a key that nobody has waited for the value is kept for who comes.

        Raises:
            BadValue: the value does not fit what is waited for; the wait goes on.
        """
        return self._wake(name, value).result()

    def fail(self, name: str, detail: str = "", status: int = 500) -> bool:
        """Settle a wait with an error, with which who waits is answered; else as `wake`."""
        return self._fail(name, detail, status).result()

    def cancel(self, name: str) -> bool:
        """Settle a wait without a value, given its ticket, too; whether this was the first."""
        return self._cancel(name).result()

    def progress(
        self, name: str, at: float | None = None, of: float | None = None, text: str = ""
    ) -> bool:
        """Tell how far it is, `at` of `of` steps and a word; false if it is settled already."""
        return self._progress(name, Progress(at, of, text)).result()

    def publish(
        self,
        topic: str,
        value: Any,
        *,
        keep: int = TOPIC_KEEP,
        keep_for: Duration = TOPIC_KEEP_FOR,
    ) -> int:
        """Add a message to a topic; its cursor.

        `keep` and `keep_for` are those of the application: how many messages
        stay, and for how long after the last one.

        Raises:
            BadValue: the value has no form in JSON.
        """
        return self._publish(topic, value, keep, keep_for).result()

    def find(self, name: str) -> WaitRow | None:
        """The wait of a ticket, a wake token or a key; `None` if there is none."""
        return self._find(name).result()

    def waits(self, state: str | None = None) -> list[WaitRow]:
        """All waits that the store has, or those in one state; see `tarry.waiting.records`."""
        rows: list[WaitRow] = []
        page = self._page("").result()
        while page:
            rows += self._rows(page, state)
            page = self._page(page[-1].id).result()
        return rows

    def jobs(self, state: str | None = None) -> list[JobRow]:
        """All jobs that the store has, or those in one state."""
        rows: list[JobRow] = []
        queues = self._queues().result()
        page = self._page("").result()
        while page:
            rows += self._job_rows(page, queues, state)
            page = self._page(page[-1].id).result()
        return rows

    def wait(self, name: str, timeout: Duration | None = None) -> Any:
        """Wait until a wait is settled, given its ticket or key; its value, as JSON has it.

        An answer that is no JSON is text, bytes, or the path of a file; what is
        none of these is a `Response`.

        Raises:
            WaitExpired, WaitCancelled, WaitFailed: it was settled without a value.
            TimeoutError: it has not been settled in the time given.
            UnknownWait: there is no such wait.
        """
        deadline_s, record = self._deadline_s(timeout), None
        news = threading.Event()
        with self._listening(news.set):
            while True:
                news.clear()  # before reading: a wake between the two rings again
                record = self._look(name, record).result()
                if record.is_settled:
                    return _value_of(record)
                news.wait(self._pause_s(deadline_s))

    @contextlib.contextmanager
    def news(self) -> Iterator[threading.Event]:
        """An event that is set when something may have been written; who waits clears it."""
        news = threading.Event()
        with self._listening(news.set):
            yield news

    def close(self) -> None:
        """Let go of the store."""
        if self._is_ours:
            self._store.close()

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncDesk(_Counter):
    """A `Desk` for coroutines: the same, awaited.  `async with AsyncDesk() as desk: …`."""

    async def wake(self, name: str, value: Any = None) -> bool:
        """See `Desk.wake`."""
        return await asyncio.wrap_future(self._wake(name, value))

    async def fail(self, name: str, detail: str = "", status: int = 500) -> bool:
        """See `Desk.fail`."""
        return await asyncio.wrap_future(self._fail(name, detail, status))

    async def cancel(self, name: str) -> bool:
        """See `Desk.cancel`."""
        return await asyncio.wrap_future(self._cancel(name))

    async def progress(
        self, name: str, at: float | None = None, of: float | None = None, text: str = ""
    ) -> bool:
        """See `Desk.progress`."""
        return await asyncio.wrap_future(self._progress(name, Progress(at, of, text)))

    async def publish(
        self,
        topic: str,
        value: Any,
        *,
        keep: int = TOPIC_KEEP,
        keep_for: Duration = TOPIC_KEEP_FOR,
    ) -> int:
        """See `Desk.publish`."""
        return await asyncio.wrap_future(self._publish(topic, value, keep, keep_for))

    async def find(self, name: str) -> WaitRow | None:
        """See `Desk.find`."""
        return await asyncio.wrap_future(self._find(name))

    async def waits(self, state: str | None = None) -> list[WaitRow]:
        """See `Desk.waits`."""
        rows: list[WaitRow] = []
        page = await asyncio.wrap_future(self._page(""))
        while page:
            rows += self._rows(page, state)
            page = await asyncio.wrap_future(self._page(page[-1].id))
        return rows

    async def jobs(self, state: str | None = None) -> list[JobRow]:
        """See `Desk.jobs`."""
        rows: list[JobRow] = []
        queues = await asyncio.wrap_future(self._queues())
        page = await asyncio.wrap_future(self._page(""))
        while page:
            rows += self._job_rows(page, queues, state)
            page = await asyncio.wrap_future(self._page(page[-1].id))
        return rows

    async def wait(self, name: str, timeout: Duration | None = None) -> Any:
        """See `Desk.wait`."""
        deadline_s, record = self._deadline_s(timeout), None
        news, loop = asyncio.Event(), asyncio.get_running_loop()

        def ring() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended just now
                loop.call_soon_threadsafe(news.set)

        with self._listening(ring):
            while True:
                news.clear()
                record = await asyncio.wrap_future(self._look(name, record))
                if record.is_settled:
                    return _value_of(record)
                pause_s = self._pause_s(deadline_s)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), pause_s)

    async def close(self) -> None:
        """See `Desk.close`."""
        if self._is_ours:
            await asyncio.to_thread(self._store.close)

    async def __aenter__(self) -> "AsyncDesk":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def _value_of(record: Record) -> Any:
    """The value of a settled wait; raises the error that is there in its place."""
    if record.state == FAILED:
        failure = record.failure or Failure(500, "")
        raise WaitFailed(failure.status, failure.detail)
    if record.state == CANCELLED:
        raise WaitCancelled
    if record.value is None:
        raise WaitExpired
    if record.kind == ANSWER:
        return plain_value(decode_answer(record.value))
    return json.loads(record.value)
