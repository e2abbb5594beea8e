"""What runs in a worker process: it performs one attempt after another, and tells of each.

It ends with the server: at the end of the connection it kills itself and all
that its jobs have started, at once unless code that holds the interpreter
keeps the thread from running that waits for it.
"""

import io
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tarry.jobs.attempts import Ended, failed, performed
from tarry.jobs.callables import found_function
from tarry.jobs.job import Job, Told
from tarry.jobs.runners.messages import Begins, Ends, Message, Task, Tells, decode_task, encode

PROGRESS_S: Final = 0.05
"""Progress is sent no more often than each so many seconds, the newest always."""

MAX_RESULT_BYTES: Final = 64 * 1024 * 1024
"""A larger result would have to stay in the memory of the server and in its store."""


def serve(connection: "Connection[Any, Any]") -> None:
    """Perform what comes, until the server has gone."""
    _become_worker()
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    reading = (connection, tasks)
    threading.Thread(target=_read, args=reading, name="tarry-server", daemon=True).start()
    sender = _Sender(connection)
    while True:
        task = tasks.get()
        sender.send(Begins())
        _perform(task, sender)


def _become_worker() -> None:
    # A group and session of its own: what jobs have started is killed with it, and Ctrl-C in the
    # terminal of the server does not come here.
    os.setsid()
    # Who ends the server may tell the whole control group, as systemd does; the server decides.
    # A function, not SIG_IGN, which programs that jobs start would inherit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave_to_server)
    # Daemons may not use multiprocessing themselves, and jobs may.
    multiprocessing.current_process().daemon = False
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # or what is printed would go with the process
            stream.reconfigure(line_buffering=True)


def _leave_to_server(number: int, frame: FrameType | None) -> None:
    """The server hears of it, too, and kills this process if it is to end."""


def _read(connection: "Connection[Any, Any]", tasks: "queue.SimpleQueue[Task]") -> None:
    try:
        while True:
            tasks.put(decode_task(connection.recv_bytes()))
    except (EOFError, OSError):
        """The server has closed it, or is no more."""
    finally:
        os.killpg(0, signal.SIGKILL)


def _perform(task: Task, sender: "_Sender") -> None:
    teller = _Teller(sender)
    job = Job(task.id, task.number, Path(task.folder), teller.tell, lambda: False)

    def call() -> Any:
        function = found_function(task.module, task.file, task.function)
        return function.perform(task.order, job)

    ended = performed(call)
    teller.close()
    if len(ended.value or b"") > MAX_RESULT_BYTES:
        ended = failed(_too_large(ended))
    sender.send(Ends(ended))


def _too_large(ended: Ended) -> ValueError:
    return ValueError(
        f"the result has {len(ended.value or b'')} bytes, and {MAX_RESULT_BYTES} are possible; "
        "write it to a file in job.folder and return its path"
    )


class _Sender:
    """Sends messages, one at a time, from any thread; waits while the server is behind."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        data = encode(message)
        with self._lock:
            self._connection.send_bytes(data)


class _Teller:
    """Sends what one job tells: each line at once, of its progress the newest now and then."""

    def __init__(self, sender: _Sender) -> None:
        self._sender = sender
        self._lock = threading.Lock()
        self._newest: Told | None = None
        self._timer: threading.Timer | None = None
        self._next_s = 0.0
        self._is_closed = False

    def tell(self, told: Told) -> None:
        """Send it, now or soon; nothing any more when the attempt has ended."""
        with self._lock:
            if self._is_closed:
                return
            if told.progress is None:
                self._flush()  # for it was told before
                self._sender.send(Tells(told))
                return
            self._newest = told
            wait_s = self._next_s - time.monotonic()
            if wait_s <= 0:
                self._flush()
            elif self._timer is None:
                self._timer = threading.Timer(wait_s, self._on_timer)
                self._timer.daemon = True
                self._timer.start()

    def _on_timer(self) -> None:
        with self._lock:
            self._timer = None
            self._flush()

    def _flush(self) -> None:
        if self._newest is not None:
            told, self._newest = self._newest, None
            self._next_s = time.monotonic() + PROGRESS_S
            self._sender.send(Tells(told))

    def close(self) -> None:
        """Send what is left; what is told from now on comes too late."""
        with self._lock:
            self._flush()
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
