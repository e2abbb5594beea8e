"""The lanes in which handlers run: a task, a thread, or the loop at once.

Which one is chosen by how a function is written, once, when its route is made.
"""

import asyncio
import contextvars
import functools
import inspect
import logging
import sys
import threading
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, Final

from tarry.app.current import of_thread
from tarry.app.threads import Done, ThreadPool
from tarry.exchange import Exchange

logger: Final = logging.getLogger("tarry")


class Lane(Enum):
    """Where a handler runs."""

    ASYNC = "a task on the loop"
    THREADS = "a thread of the pool"
    INLINE = "the loop, at once"


def lane_of(function: Callable[..., Any], inline: bool) -> Lane:
    """The lane for a function.

    Raises:
        TypeError: `inline` with an `async def`.
    """
    plain = function.func if isinstance(function, functools.partial) else function
    is_async = inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(
        getattr(plain, "__call__", None)  # noqa: B004 — its kind matters, not whether it is there
    )
    if is_async and inline:
        raise TypeError("inline=True is for a def; an async def runs on the loop anyway")
    if is_async:
        return Lane.ASYNC
    return Lane.INLINE if inline else Lane.THREADS


FINISH_S: Final = 5.0
"""How long the end waits for what cleans up; half of what a server has to stop."""

CreateTask = Callable[..., "asyncio.Task[Any]"]

OnDrain = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes what is called when the server begins to stop; returns what takes it back."""


class Lanes:
    """Tasks and threads of one loop, between `open` and `close`.

    `running` tells what runs on the thread of the loop right now.
    """

    def __init__(self, max_threads: int, max_queued: int) -> None:
        self._max_threads = max_threads
        self._max_queued = max_queued
        self._pool: ThreadPool | None = None
        self._create_task: CreateTask = asyncio.create_task
        self._background: set[asyncio.Task[Any]] = set()
        self._detached: set[asyncio.Task[Any]] = set()
        self._to_drain: dict[object, Callable[[], None]] = {}
        self._is_draining = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.running = of_thread.running

    def open(self) -> None:
        """Use the running loop from now on."""
        loop = self._loop = asyncio.get_running_loop()
        self._enter_thread()
        self.running = of_thread.running
        if sys.version_info >= (3, 12):
            # Runs to its first real wait at once: most handlers never come back to the loop.
            self._create_task = functools.partial(asyncio.Task, loop=loop, eager_start=True)
        else:
            # What `loop.create_task` does in the end.
            self._create_task = functools.partial(asyncio.Task, loop=loop)
        self._pool = ThreadPool(self._max_threads, self._max_queued, prepare=self._enter_thread)

    def _enter_thread(self) -> None:
        _of_thread.lanes = self

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that serves.

        Raises:
            RuntimeError: there is none yet.
        """
        if self._loop is None:
            raise RuntimeError("the application has not been started")
        return self._loop

    def on_drain(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called on the loop when the server begins to stop, at once if it has.

        It stays for the next time if the application starts again; returns what
        takes it back.
        """
        key = object()
        self._to_drain[key] = callback
        if self._is_draining:
            self._tell(key)

        def take_back() -> None:
            self._to_drain.pop(key, None)

        return take_back

    def drain(self) -> None:
        """The server begins to stop: call who wants to know; one that raises is logged."""
        if not self._is_draining:
            self._is_draining = True
            for key in list(self._to_drain):
                self._tell(key)

    def _tell(self, key: object) -> None:
        callback = self._to_drain.get(key)
        if callback is None:  # taken back by one before it
            return
        try:
            callback()
        except Exception:  # the others must hear of it, too
            logger.exception("what ends at the stop of the server failed")

    @property
    def maybe_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that serves, or served last; `None` before."""
        return self._loop

    async def finish(self, timeout_s: float = FINISH_S) -> None:
        """Cancel what is detached, and wait for that and for what was begun by `start`."""
        for task in self._detached:
            task.cancel()
        waited_for = self._background | self._detached
        if waited_for:
            await asyncio.wait(waited_for, timeout=timeout_s)

    def close(self) -> None:
        """End the threads when they have done what they have."""
        self._is_draining = False
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def spawn(
        self,
        exchange: Exchange,
        coroutine: Coroutine[Any, Any, None],
        context: contextvars.Context | None = None,
    ) -> None:
        """Start a task for an exchange, which keeps it from being collected.

        It runs in a copy of the context of now, or in `context` itself.
        """
        exchange.task = None
        create = self._create_task
        task = create(coroutine) if context is None else create(coroutine, context=context)
        # One that runs at once may have started another, which is the one to keep then, or
        # have ended.
        if not task.done() and exchange.task is None:
            exchange.task = task

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Start a task that belongs to no exchange, and keep it from being collected."""
        task = self._create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def keep(self, task: "asyncio.Task[Any]") -> None:
        """Keep a task that goes on when its exchange has been answered; `finish` cancels it."""
        self._detached.add(task)
        task.add_done_callback(self._detached.discard)

    def submit(
        self,
        exchange: Exchange,
        function: Callable[..., Any],
        arguments: dict[str, Any],
        done: Done,
    ) -> bool:
        """Have a call made in a thread; false if none is free and too many wait."""
        return self._pool is not None and self._pool.submit(function, arguments, done, exchange)

    @property
    def are_threads_full(self) -> bool:
        """Whether `submit` refuses calls."""
        return self._pool is None or self._pool.is_full

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have a call made in a thread and wait for its result.

        Raises:
            RuntimeError: the threads are closed.
        """
        return await self._open_pool().run(function, *arguments)

    async def in_thread_ahead(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """As `in_thread`, ahead of new requests: for what has waited for its turn already."""
        return await self._open_pool().run(function, *arguments, ahead=True)

    def _open_pool(self) -> ThreadPool:
        if self._pool is None:
            raise RuntimeError("the server has stopped")
        return self._pool


class _OfThread(threading.local):
    """The lanes that a thread belongs to: that of the loop, and those of the pool."""

    lanes: Lanes | None = None


_of_thread: Final = _OfThread()


def lanes_here() -> Lanes:
    """The lanes of the running thread.

    Raises:
        RuntimeError: it is not one of an application.
    """
    if _of_thread.lanes is None:
        raise RuntimeError("this thread belongs to no application that is being served")
    return _of_thread.lanes
