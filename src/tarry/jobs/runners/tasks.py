"""Runs jobs that are `async def`, as tasks on the loop of the server."""

import asyncio
from collections.abc import Mapping
from typing import Any

from tarry.jobs.attempts import Attempt, Ended, Reporter, Running, failed, succeeded, timed_out
from tarry.jobs.callables import JobFunction, close_uploads
from tarry.jobs.orders import FileArgument, FilesArgument
from tarry.jobs.runners.running import Reporting, interrupted, unknown_job
from tarry.waiting.records import CANCELLED


class TaskRunner:
    """Runs the functions of jobs, by their names, on the loop from which they are started."""

    def __init__(self, functions: Mapping[str, JobFunction]) -> None:
        self._functions = functions
        self._open: set[_Task] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    def start(self, attempt: Attempt, reporter: Reporter) -> Running:
        """Begin an attempt in a task."""
        running = _Task(attempt, reporter)
        function = self._functions.get(attempt.order.job)
        if self._is_closed or function is None:
            running.end(interrupted() if self._is_closed else unknown_job(attempt.order.job))
            return running
        self._loop = asyncio.get_running_loop()
        self._open.add(running)
        running.begin(self._loop, function).add_done_callback(lambda _: self._open.discard(running))
        return running

    def close(self, timeout_s: float) -> None:
        """Cancel all tasks and wait for them; those that go on are reported as interrupted.

        The loop has to run meanwhile, so this is for another thread.
        """
        self._is_closed = True
        if self._loop is not None and self._loop.is_running():
            stopping = asyncio.run_coroutine_threadsafe(self._stop(timeout_s), self._loop)
            try:
                stopping.result(timeout_s + LOOP_S)
            except TimeoutError:
                stopping.cancel()
        for running in list(self._open):
            running.end(interrupted())

    async def _stop(self, timeout_s: float) -> None:
        tasks = [task for running in self._open if (task := running.stop()) is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)


LOOP_S = 1.0
"""How long a busy loop may take to notice that it is to stop them."""


class _Task(Reporting):
    """An attempt in a task."""

    __slots__ = ("_loop", "_task")

    def __init__(self, attempt: Attempt, reporter: Reporter) -> None:
        super().__init__(attempt, reporter)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Ended] | None = None

    def begin(self, loop: asyncio.AbstractEventLoop, function: JobFunction) -> asyncio.Task[Ended]:
        """Start the task; its end is reported, also if it is cancelled before it has begun."""
        self._loop = loop
        task = self._task = loop.create_task(self._limited(function))
        task.add_done_callback(self._done)
        return task

    def cancel(self) -> None:
        """Cancel the task; from any thread."""
        self.is_cancelled = True
        if self._loop is not None and self._task is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)

    def stop(self) -> asyncio.Task[Ended] | None:
        """Cancel the task as the server stops; on the loop."""
        self.is_stopped = True
        if self._task is not None:
            self._task.cancel()
        return self._task

    def _done(self, task: asyncio.Task[Ended]) -> None:
        if task.cancelled():
            # By whom if not by us?  By what ends the loop.
            self.is_stopped = True
            self.end(Ended(CANCELLED))
        else:
            self.end(task.result())

    async def _limited(self, function: JobFunction) -> Ended:
        timeout_s = self.attempt.timeout_s
        try:
            async with asyncio.timeout(timeout_s) as limit:
                ended = await self._perform(function)
        except TimeoutError:
            """Of the limit; one of the function is a result already."""
        if timeout_s is not None and limit.expired():
            return timed_out(timeout_s)
        return ended

    async def _perform(self, function: JobFunction) -> Ended:
        try:
            return succeeded(await self._call(function))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return failed(error)  # of something that the function has waited for
        except BaseException as error:  # noqa: BLE001 — whatever it is, the job has ended with it
            return failed(error)

    async def _call(self, function: JobFunction) -> Any:
        order = self.attempt.order
        if any(isinstance(each, FileArgument | FilesArgument) for each in order.arguments.values()):
            arguments = await asyncio.to_thread(function.read, order)
        else:
            arguments = function.read(order)
        try:
            return await function.call(arguments, self.job())
        finally:
            close_uploads(arguments)
