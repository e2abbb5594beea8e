"""`Worker`: a worker process as the server sees it.

Each has a connection of its own, so that one which is killed while it writes
or reads leaves nothing locked for the others.
"""

import atexit
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing import forkserver
from multiprocessing.connection import wait
from typing import Final

from tarry.jobs.runners.child import serve
from tarry.jobs.runners.messages import Message, Task, decode_message, encode

_context: Final = (
    multiprocessing.get_context("forkserver")
    if "forkserver" in multiprocessing.get_all_start_methods()
    else multiprocessing.get_context("spawn")
)

_PRELOADED: Final = "tarry.jobs.runners.child"


def _preload() -> None:
    """Have the process that forks import once what all workers need: 20 ms a start, not 200."""
    modules = getattr(forkserver._forkserver, "_preload_modules", ["__main__"])
    if _PRELOADED not in modules:  # what an author wants there stays
        _context.set_forkserver_preload([*modules, _PRELOADED])


_of_multiprocessing: Final = threading.Lock()
"""Held while processes are started and ended: each start looks after all that have ended."""

_alive: Final[set["Worker"]] = set()


@atexit.register
def _kill_all() -> None:
    """Kill what is left, before multiprocessing waits for it."""
    for worker in list(_alive):
        worker.kill()


class Worker:
    """A process that performs one attempt after another; `begun` counts them.

    It is not forked from the server, whose threads and loop would not survive
    that, but from a process made for it, or started anew where there can be
    none.  Blocks until it exists.

    Raises:
        Exception: no process can be started; multiprocessing has many ways to say so.
    """

    def __init__(self) -> None:
        self._connection, theirs = _context.Pipe()
        try:
            with _of_multiprocessing:
                _preload()
                self._process = _context.Process(target=serve, args=(theirs,), daemon=True)
                self._process.start()
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()
        self.begun = 0
        self._pid = self._process.pid or 0
        self._sentinel = self._process.sentinel
        _alive.add(self)

    @property
    def is_idle(self) -> bool:
        """Whether it can take an attempt; what one without any has to say is that it has died."""
        return not wait([self._connection, self._sentinel], 0)

    def send(self, task: Task) -> None:
        """Have an attempt performed; if the process has died, `receive` says so."""
        with contextlib.suppress(OSError):
            self._connection.send_bytes(encode(task))

    def receive(self, until_s: float | None = None) -> Message | None:
        """The next message, `None` when there is none because the process has died.  Blocks.

        Raises:
            TimeoutError: there is none until then, by the monotonic clock.
        """
        timeout_s = None if until_s is None else max(0.0, until_s - time.monotonic())
        # The connection alone would not do: what a job has forked may hold its other end.
        ready = wait([self._connection, self._sentinel], timeout_s)
        if not ready:
            raise TimeoutError
        try:
            if self._connection in ready or self._connection.poll():
                return decode_message(self._connection.recv_bytes())
        except (EOFError, OSError):
            """It has died; maybe in the middle of a message."""
        return None

    def kill(self) -> None:
        """Kill the process and all that it has started; from any thread."""
        try:
            os.killpg(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            if not wait([self._sentinel], 0):  # it lives, and has no group of its own yet
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)

    def end(self) -> str:
        """Kill it, wait for its end, and say how it came to it, such as "was ended by SIGKILL"."""
        self.kill()
        wait([self._sentinel])
        _alive.discard(self)
        with _of_multiprocessing:
            self._process.join()
            status = self._process.exitcode or 0
            self._process.close()
        self._connection.close()
        return _described(status)


def _described(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal, which has no name
        return f"was ended by signal {-status}"
