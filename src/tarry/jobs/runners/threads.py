"""Runs jobs in threads of this process: for code that waits, or lets go of the interpreter.

A thread cannot be stopped from outside, so a cancelled job ends when it next
tells its progress.  How many run at once is not decided here.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Mapping

from tarry.jobs.attempts import Attempt, Ended, Reporter, Running, performed, timed_out
from tarry.jobs.callables import JobFunction
from tarry.jobs.runners.running import Reporting, interrupted, unknown_job
from tarry.waiting.records import CANCELLED


class ThreadRunner:
    """Runs the functions of jobs, by their names, in as many threads as there are attempts.

    Threads are kept for the next ones; they end with `close`, or the process.
    """

    def __init__(self, functions: Mapping[str, JobFunction]) -> None:
        self._functions = functions
        self._given: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open: set[_Call] = set()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._is_closed = False

    def start(self, attempt: Attempt, reporter: Reporter) -> Running:
        """Begin an attempt in a thread of its own."""
        function = self._functions.get(attempt.order.job)
        call = _Call(attempt, reporter, function)
        with self._lock:
            is_possible = function is not None and not self._is_closed
            if is_possible:
                self._open.add(call)
                self._give(call)
        if not is_possible:
            call.end(interrupted() if self._is_closed else unknown_job(attempt.order.job))
        return call

    def _give(self, call: "_Call") -> None:
        call.limit()
        self._given.put(call)
        if self._idle:
            self._idle -= 1
            return
        thread = threading.Thread(target=self._work, name="tarry-job", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        while (call := self._given.get()) is not None:
            ended = call.perform()
            with self._lock:
                # Before the end is reported, so that the next attempt finds this thread idle.
                self._idle += 1
                self._open.discard(call)
            call.finish(ended)
            del call, ended  # or they would stay in memory as long as this thread is idle

    def close(self, timeout_s: float) -> None:
        """Tell all jobs to end, and report those that have not after so long as interrupted."""
        end_s = time.monotonic() + timeout_s
        with self._lock:
            self._is_closed = True
            threads = list(self._threads)
            running = list(self._open)
        for call in running:
            call.is_stopped = True
        for _ in threads:
            self._given.put(None)
        for thread in threads:
            thread.join(max(0.0, end_s - time.monotonic()))
        for call in running:
            call.end(interrupted())


class _Call(Reporting):
    """An attempt in a thread."""

    __slots__ = ("_function", "_loop", "_timer")

    def __init__(self, attempt: Attempt, reporter: Reporter, function: JobFunction | None) -> None:
        super().__init__(attempt, reporter)
        self._function = function
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """Have it end where it tells its progress."""
        self.is_cancelled = True

    def limit(self) -> None:
        """Report it when its time is over, whatever its thread does."""
        timeout_s = self.attempt.timeout_s
        if timeout_s is not None:
            self._loop = asyncio.get_running_loop()
            self._timer = self._loop.call_later(timeout_s, self._time_out, timeout_s)

    def _time_out(self, timeout_s: float) -> None:
        self.end(timed_out(timeout_s))
        self.is_stopped = True

    def perform(self) -> Ended:
        """Call the function, unless it is to end already.  Blocks."""
        function, order = self._function, self.attempt.order
        if self.shall_end or function is None:
            return Ended(CANCELLED)
        return performed(lambda: function.perform(order, self.job()))

    def finish(self, ended: Ended) -> None:
        """Report the end, and let go of the timer."""
        self.end(ended)
        if self._loop is not None and self._timer is not None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                self._loop.call_soon_threadsafe(self._timer.cancel)
