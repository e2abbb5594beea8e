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
    is beyond.
    """

    def __init__(self, max_threads: int, max_queued: int) -> None:
        if max_threads < 1 or max_queued < 1:
            raise ValueError("a thread pool needs at least one thread and one place to wait")
        self.max_threads = max_threads
        self.max_queued = max_queued
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
        waiting = self._calls.qsize()
        if waiting >= self.max_queued or self._closed:
            return False
        self._calls.put((contextvars.copy_context(), function, arguments, done))
        if not self._threads:
            self._add_thread()
        elif not self._growing and len(self._threads) < self.max_threads:
            self._growing = True
            self._loop.call_later(GROW_AFTER_S, self._grow, self._taken)
        return True

    def _grow(self, taken_before: int) -> None:
        """Add a thread for each call that waits, if none has been taken up meanwhile."""
        self._growing = False
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
                call = self._calls.get(timeout=IDLE_S)
            except queue.Empty:
                call = None
            if call is None:
                break
            self._taken += 1
            context, function, arguments, done = call
            try:
                result, error = context.run(function, **arguments), None
            except BaseException as raised:  # noqa: BLE001 — the loop decides what it means
                result, error = None, raised
            self._finished.append((done, result, error))
            if not self._flush_is_due:
                self._flush_is_due = True
                self._loop.call_soon_threadsafe(self._flush)
        with self._lock:
            self._threads.discard(threading.current_thread())

    def _flush(self) -> None:
        self._flush_is_due = False
        while self._finished:
            done, result, error = self._finished.popleft()
            done(result, error)

    def close(self) -> None:
        """Let the threads end after the calls that they have; daemon threads are not waited for."""
        self._closed = True
        for _ in range(len(self._threads)):
            self._calls.put(None)
