"""Runs jobs in processes: for code that computes, and that has to end when it is cancelled."""

import queue
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from tarry.jobs.attempts import Attempt, Ended, Reporter, Running, failed, timed_out
from tarry.jobs.callables import JobFunction
from tarry.jobs.runners.messages import Begins, Ends, Task, Tells
from tarry.jobs.runners.running import Reporting, interrupted, unknown_job
from tarry.waiting.records import CANCELLED, FAILED, Failure

if TYPE_CHECKING:
    from tarry.jobs.runners.workers import Worker

START_S: Final = 60.0
"""A process that has not started by then, with the modules it needs, will not."""


class ProcessRunner:
    """Runs the functions of jobs, by their names, in up to `max_workers` processes.

    Processes are started when they are first needed, and kept for the next
    attempts; what is started beyond waits for one.
    """

    def __init__(self, functions: Mapping[str, JobFunction], max_workers: int) -> None:
        if max_workers < 1:
            raise ValueError(f"max_workers is {max_workers}; at least one process is needed")
        self._functions = functions
        self._max_workers = max_workers
        self._given: queue.SimpleQueue[_InProcess | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open: set[_InProcess] = set()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_closed = False

    def start(self, attempt: Attempt, reporter: Reporter) -> Running:
        """Begin an attempt as soon as a process is free."""
        running = _InProcess(attempt, reporter)
        name = attempt.order.job
        with self._lock:
            is_possible = name in self._functions and not self._is_closed
            if is_possible:
                self._open.add(running)
                self._give(running)
        if not is_possible:
            running.end(interrupted() if self._is_closed else unknown_job(name))
        return running

    def _give(self, running: "_InProcess") -> None:
        self._given.put(running)
        if self._idle:
            self._idle -= 1
        elif len(self._threads) < self._max_workers:
            thread = threading.Thread(target=self._work, name="tarry-job-process", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        keeper = _Keeper()
        while (running := self._given.get()) is not None:
            ended = keeper.perform(running)
            with self._lock:
                self._idle += 1
                self._open.discard(running)
            running.end(ended)
            del running, ended  # or they would stay in memory as long as this thread is idle
        keeper.close()

    def close(self, timeout_s: float) -> None:
        """Kill all processes, and report what ran as interrupted."""
        end_s = time.monotonic() + timeout_s
        with self._lock:
            self._is_closed = True
            running = list(self._open)
        for each in running:
            each.stop()
        for _ in self._threads:
            self._given.put(None)
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))
        for each in running:
            each.end(interrupted())


class _InProcess(Reporting):
    """An attempt that waits for a process, or has one."""

    __slots__ = ("_guard", "_is_begun", "_was_killed", "_worker")

    def __init__(self, attempt: Attempt, reporter: Reporter) -> None:
        super().__init__(attempt, reporter)
        self._guard = threading.Lock()
        self._is_begun = self._was_killed = False
        self._worker: Worker | None = None

    def cancel(self) -> None:
        """Kill its process; if it has not begun, its end is reported before this returns."""
        self.is_cancelled = True
        self._kill()

    def stop(self) -> None:
        """As `cancel`, as the server stops."""
        self.is_stopped = True
        self._kill()

    def _kill(self) -> None:
        with self._guard:
            has_begun = self._is_begun
            if self._worker is not None:
                self._worker.kill()
                self._was_killed = True
        if not has_begun:
            self.end(Ended(CANCELLED))

    def begin(self) -> bool:
        """Whether it still is to be done."""
        with self._guard:
            self._is_begun = not self.shall_end
            return self._is_begun

    def attach(self, worker: "Worker") -> bool:
        """Have this worker killed from now on if it is to end; false if it is already."""
        with self._guard:
            if not self.shall_end:
                self._worker = worker
            return not self.shall_end

    def detach(self) -> bool:
        """Leave the worker to others; whether it has been killed."""
        with self._guard:
            self._worker = None
            return self._was_killed


class _Keeper:
    """Performs attempts in a process, one after another; a new one when that has ended."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def perform(self, running: _InProcess) -> Ended:
        """Perform an attempt.  Blocks until it has ended, and its process too if it was killed."""
        if not running.begin():
            return Ended(CANCELLED)
        try:
            worker = self._living_worker()
        except Exception as error:  # noqa: BLE001 — whatever multiprocessing says, it is no process
            return _not_started(f"no process can be started: {error!r}")
        if not running.attach(worker):
            return Ended(CANCELLED)
        ended = None
        is_late = False
        begun_before = worker.begun
        try:
            ended = _followed(worker, running)
        except TimeoutError:
            is_late = True
        except Exception as error:  # noqa: BLE001 — the next attempt gets another process
            running.detach()
            self.close()
            return failed(error)
        was_killed = running.detach()
        if ended is None and worker.begun == begun_before > 0 and not is_late:
            # It had died unnoticed.  Once is enough: of a new one that dies this is not true.
            self.close()
            return self.perform(running)
        if ended is None:
            return self._killed(worker, running, is_late)
        if was_killed:  # just when it had ended
            self.close()
        return ended

    def _living_worker(self) -> "Worker":
        # Imported here, for most applications have no jobs for processes.
        from tarry.jobs.runners.workers import Worker

        if self._worker is not None and not self._worker.is_idle:
            self.close()
        if self._worker is None:
            self._worker = Worker()
        return self._worker

    def _killed(self, worker: "Worker", running: _InProcess, is_late: bool) -> Ended:
        how = worker.end()
        self._worker = None
        timeout_s = running.attempt.timeout_s
        if running.shall_end:
            return Ended(CANCELLED)
        if not worker.begun:
            why = f"was not ready after {START_S:g} seconds" if is_late else how
            return _not_started(f"a new process {why}; it may have printed the reason")
        if is_late and timeout_s is not None:
            return timed_out(timeout_s)
        text = f"the process of this job {how}"
        return Ended(FAILED, failure=Failure(500, text), report=text, may_retry=True)

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None


def _not_started(report: str) -> Ended:
    failure = Failure(500, "the job could not be started; the log of the server says why")
    return Ended(FAILED, failure=failure, report=report, may_retry=True)


def _followed(worker: "Worker", running: _InProcess) -> Ended | None:
    """Have an attempt performed and pass on what it tells; `None` if the process has died.

    Raises:
        TimeoutError: it takes too long, or the process does to start.
    """
    attempt = running.attempt
    worker.send(_task(attempt))
    until_s = _after(START_S)
    while (message := worker.receive(until_s)) is not None:
        match message:
            case Begins():
                worker.begun += 1
                until_s = _after(attempt.timeout_s)
            case Tells(told):
                running.tell(told)
            case Ends(ended):
                return ended
    return None


def _after(duration_s: float | None) -> float | None:
    return None if duration_s is None else time.monotonic() + duration_s


def _task(attempt: Attempt) -> Task:
    module, _, function = attempt.order.job.partition(":")
    module, file = _place(module)
    return Task(
        attempt.id, attempt.number, str(attempt.folder), attempt.order, module, file, function
    )


def _place(name: str) -> tuple[str, str | None]:
    """Under which name a worker process knows a module, and its file."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if name != "__main__":
        return name, file
    # multiprocessing gives it this name there, but not to the `__main__` of a package.
    spec_name: str = getattr(getattr(module, "__spec__", None), "name", "")
    return (spec_name if spec_name.endswith(".__main__") else "__mp_main__"), file
