"""A bounded pool of threads for blocking handlers.

It grows only when calls have to wait, and shrinks when threads have nothing to
do: a few threads that find their next call at once are faster than many that
must be woken.  Results return in batches, so that many cost the loop one
wake-up.
"""

import asyncio
import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

GROW_AFTER_S: Final = 0.002
"""How long calls may wait for a thread before there is another one."""

IDLE_S: Final = 10.0
"""After this long without a call a thread ends."""

Done = Callable[[Any, BaseException | None], None]
"""Called on the loop with the result, or with `None` and what was raised."""

_Call = tuple[contextvars.Context, Callable[..., Any], dict[str, Any], Done]


class ThreadPool:
    """Runs calls in threads and hands their results to the loop it was made on.

    `max_threads` run at once, `max_queued` more may wait; `submit` refuses what
    is beyond.  A thread without a call for `idle_s` seconds ends.
    """

    def __init__(self, max_threads: int, max_queued: int, *, idle_s: float = IDLE_S) -> None:
        if max_threads < 1 or max_queued < 1:
            raise ValueError("a thread pool needs at least one thread and one place to wait")
        self.max_threads = max_threads
        self.max_queued = max_queued
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._finished: deque[tuple[Done, Any, BaseException | None]] = deque()
        self._flush_is_due = False
        self._threads: set[threading.Thread] = set()
        self._taken = 0
        self._growing = False
        self._closed = False
        self._lock = threading.Lock()

    def submit(self, function: Callable[..., Any], arguments: dict[str, Any], done: Done) -> bool:
        """Have a call made in a thread, with the context of now; false if the pool is full."""
        if self._calls.qsize() >= self.max_queued or self._closed:
            return False
        self._put((contextvars.copy_context(), function, arguments, done))
        return True

    def _put(self, call: _Call) -> None:
        self._calls.put(call)
        # Under the lock, for a thread that ends looks into the queue under it: either it sees
        # this call, or we see that it is no more.
        with self._lock:
            running = len(self._threads)
        if not running:
            self._add_thread()
        elif not self._growing and running < self.max_threads:
            self._growing = True
            self._loop.call_later(GROW_AFTER_S, self._grow, self._taken)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have a call made in a thread and wait for its result, which never is refused.

        For what is under way already and so is bounded elsewhere.

        Raises:
            RuntimeError: the pool is closed, or the call raised what is no `Exception`.
        """
        future: asyncio.Future[Any] = self._loop.create_future()

        def call() -> Any:
            return function(*arguments)

        def done(result: Any, error: BaseException | None) -> None:
            if future.done():  # nobody waits any more
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(_tame(error))

        if self._closed:
            raise RuntimeError("the server has stopped")
        self._put((contextvars.copy_context(), call, {}, done))
        return await future

    def _grow(self, taken_before: int) -> None:
        """Add a thread for each call that waits, if none has been taken up meanwhile."""
        self._growing = False
        if self._closed:
            return
        if self._taken == taken_before:
            for _ in range(min(self._calls.qsize(), self.max_threads - len(self._threads))):
                self._add_thread()
        if self._calls.qsize() and len(self._threads) < self.max_threads:
            self._growing = True
            self._loop.call_later(GROW_AFTER_S, self._grow, self._taken)

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="tarry-handler", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=self._idle_s)
            except queue.Empty:
                if self._may_end():
                    return
                continue
            if call is None:
                break
            self._taken += 1
            self._make(*call)
            # Or it would keep the request in memory until the next one comes.
            del call
        with self._lock:
            self._threads.discard(threading.current_thread())

    def _may_end(self) -> bool:
        """Leave the pool, unless a call has come just now."""
        with self._lock:
            if self._calls.qsize():
                return False
            self._threads.discard(threading.current_thread())
            return True

    def _make(
        self,
        context: contextvars.Context,
        function: Callable[..., Any],
        arguments: dict[str, Any],
        done: Done,
    ) -> None:
        try:
            self._finished.append((done, context.run(function, **arguments), None))
        except BaseException as error:  # noqa: BLE001 — the loop decides what it means
            self._finished.append((done, None, error))
        if not self._flush_is_due:
            self._flush_is_due = True
            try:
                self._loop.call_soon_threadsafe(self._flush)
            except RuntimeError:  # the loop has been closed while the call was under way
                self._finished.clear()

    def _flush(self) -> None:
        self._flush_is_due = False
        while self._finished:
            done, result, error = self._finished.popleft()
            try:
                done(result, error)
            except Exception as raised:  # noqa: BLE001 — the others of the batch are no part of it
                self._loop.call_exception_handler(
                    {"message": "the result of a call could not be handed on", "exception": raised}
                )

    def close(self) -> None:
        """Let the threads end after the calls that they have; daemon threads are not waited for."""
        self._closed = True
        for _ in range(len(self._threads)):
            self._calls.put(None)


def _tame(error: BaseException) -> Exception:
    """What may be raised in a task: a SystemExit there would end the loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    tamed = RuntimeError(f"a call in a thread raised {type(error).__name__}")
    tamed.__cause__ = error
    return tamed
