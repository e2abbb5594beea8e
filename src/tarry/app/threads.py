"""A bounded pool of threads for blocking handlers.

Calls of one round of the loop are handed out together, and their results come
back together, so that many cost one wake-up each way.  The pool grows while
calls wait and none gets its turn, and shrinks as long as that does not
happen: a few threads that find their next call at once are faster than many
that fight for the interpreter.
"""

import asyncio
import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tarry.app.current import of_thread
from tarry.exchange import Exchange

STALL_S: Final = 0.003
"""Calls that wait so long while none is taken up get further threads: one, then two, then
four …, so that forty blocking calls at once all run after some 20 ms."""

CALM_S: Final = 5.0
"""After so long without a stall a quarter of the threads ends, without a call all do."""

Done = Callable[[Any, BaseException | None], None]
"""Called on the loop with the result, or with `None` and what was raised."""

_Call = tuple[contextvars.Context, Callable[..., Any], dict[str, Any], Done, Exchange | None]


class ThreadPool:
    """Runs calls in threads and hands their results to the loop it was made on.

    `max_threads` run at once, `max_queued` more may wait; `submit` refuses what
    is beyond.  `calm_s` is how long threads stay that nobody needs; `prepare`
    is called first in each thread.
    """

    def __init__(
        self,
        max_threads: int,
        max_queued: int,
        *,
        calm_s: float = CALM_S,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        if max_threads < 1 or max_queued < 1:
            raise ValueError("a thread pool needs at least one thread and one place to wait")
        self.max_threads = max_threads
        self.max_queued = max_queued
        self._calm_s = calm_s
        self._prepare = prepare
        self._loop = asyncio.get_running_loop()
        self._calls: deque[_Call] = deque()
        self._calls_ahead: deque[_Call] = deque()
        self._finished: deque[tuple[Done, Any, BaseException | None]] = deque()
        # A thread that gets True looks for calls, one that gets False ends.
        self._wake_ups: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._idle: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._hand_out_is_due = self._flush_is_due = self._closed = False
        self._watching = self._stalled = False
        self._taken = self._taken_when_calm = 0
        self._step = 1
        self._calm_timer = self._loop.call_later(calm_s, self._shrink)

    def submit(
        self,
        function: Callable[..., Any],
        arguments: dict[str, Any],
        done: Done,
        exchange: Exchange | None = None,
    ) -> bool:
        """Have a call made in a thread, with the context of now; false if the pool is full."""
        if len(self._calls) >= self.max_queued or self._closed:
            return False
        self._put((contextvars.copy_context(), function, arguments, done, exchange))
        return True

    @property
    def is_full(self) -> bool:
        """Whether `submit` refuses calls."""
        return len(self._calls) >= self.max_queued or self._closed

    def _put(self, call: _Call, *, ahead: bool = False) -> None:
        (self._calls_ahead if ahead else self._calls).append(call)
        if not self._hand_out_is_due:
            self._hand_out_is_due = True
            self._loop.call_soon(self._hand_out)

    def _hand_out(self) -> None:
        """Wake as many threads as there are calls; busy ones come for theirs by themselves."""
        self._hand_out_is_due = False
        if not self._threads:
            self._add_thread()
        for _ in range(min(self._count_waiting(), len(self._idle))):
            self._wake_ups.put(True)
        if not self._watching and len(self._threads) < self.max_threads:
            self._watch()

    def _count_waiting(self) -> int:
        return len(self._calls) + len(self._calls_ahead)

    async def run(self, function: Callable[..., Any], *arguments: Any, ahead: bool = False) -> Any:
        """Have a call made in a thread and wait for its result, which never is refused.

        For what is under way already and so is bounded elsewhere.  One that
        goes `ahead` is made before all others that wait, after those ahead of it.

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
        self._put((contextvars.copy_context(), call, {}, done, None), ahead=ahead)
        return await future

    # ---- how many threads --------------------------------------------------------------

    def _watch(self) -> None:
        self._watching = True
        self._loop.call_later(STALL_S, self._look, self._taken)

    def _look(self, taken_before: int) -> None:
        """Add threads if calls wait and none has been taken up since the last look."""
        self._watching = False
        waiting = self._count_waiting()
        room = self.max_threads - len(self._threads)
        if not waiting or not room or self._closed:
            self._step = 1
            return
        if self._taken == taken_before:
            self._stalled = True
            for _ in range(min(self._step, waiting, room)):
                self._add_thread()
            self._step *= 2
        else:
            self._step = 1
        self._watch()

    def _shrink(self) -> None:
        """End threads that nobody needed since the last time."""
        surplus = 0 if self._stalled else len(self._threads) // 4
        if self._taken == self._taken_when_calm and not self._count_waiting():
            surplus = len(self._idle)
        for _ in range(surplus):
            self._wake_ups.put(False)
        self._stalled = False
        self._taken_when_calm = self._taken
        self._calm_timer = self._loop.call_later(self._calm_s, self._shrink)

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="tarry-handler", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    # ---- in the threads ------------------------------------------------------------------

    def _work(self) -> None:
        this = threading.current_thread()
        if self._prepare is not None:
            self._prepare()
        stays = True
        while stays:
            self._make_calls()
            self._idle.add(this)
            # The loop appends, then counts the idle; we are idle, then look once more.  So
            # whichever of us is later sees the other.
            stays = bool(self._calls or self._calls_ahead) or (
                not self._closed and self._wake_ups.get()
            )
            self._idle.discard(this)
        with self._lock:
            self._threads.discard(this)
        # A call that came just now took this thread for one that would make it.
        self._make_calls()

    def _make_calls(self) -> None:
        while True:
            try:
                call = (self._calls_ahead or self._calls).popleft()
            except IndexError:
                if self._calls:  # another thread took the last one ahead of them
                    continue
                return
            self._taken += 1
            self._make(*call)
            del call  # or the request would stay in memory as long as this thread is idle

    def _make(
        self,
        context: contextvars.Context,
        function: Callable[..., Any],
        arguments: dict[str, Any],
        done: Done,
        exchange: Exchange | None,
    ) -> None:
        running = of_thread.running
        running.exchange = exchange
        try:
            self._finished.append((done, context.run(function, **arguments), None))
        except BaseException as error:  # noqa: BLE001 — the loop decides what it means
            self._finished.append((done, None, error))
        running.exchange = None
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
        self._calm_timer.cancel()
        for _ in range(len(self._threads)):
            self._wake_ups.put(False)


def _tame(error: BaseException) -> Exception:
    """What may be raised in a task: a SystemExit there would end the loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    tamed = RuntimeError(f"a call in a thread raised {type(error).__name__}")
    tamed.__cause__ = error
    return tamed
