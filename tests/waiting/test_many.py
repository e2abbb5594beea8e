"""Many requests that wait at once, on real sockets: none holds a thread."""

from __future__ import annotations

import contextlib
import resource
import threading

from tarry import App
from tests.wire import TIMEOUT_S, Wire

PARKED = 5000
THREADS = 4
SPARE_FILES = 500
"""What a test run has open besides; each request has a socket at both ends."""


@contextlib.contextmanager
def many_files():
    """As many open files as this process may have: how many requests that allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * PARKED + SPARE_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    try:
        yield min(PARKED, (max(soft, allowed) - SPARE_FILES) // 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Waiting:
    """The waits of a `def` handler, and the threads that it ran in."""

    def __init__(self, app):
        self.app = app
        self.waits = {}
        self.threads = set()
        self.entered = threading.Semaphore(0)

    def handler(self, number: int):
        self.threads.add(threading.get_ident())
        wait = self.waits[number] = self.app.park(str)
        self.entered.release()
        return wait


def test_thousands_of_requests_wait_and_four_threads_answer_them():
    app = App(max_threads=THREADS, max_queued=PARKED)
    waiting = Waiting(app)
    app.add_route("/{number}", waiting.handler)
    with many_files() as count, contextlib.ExitStack() as stack:
        server = stack.enter_context(app.start(access_log=False, stop_timeout_s=0.1))
        wires = [stack.enter_context(Wire(server.url)) for _ in range(count)]
        for number, wire in enumerate(wires):
            wire.send(b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n" % number)
        for _ in wires:
            assert waiting.entered.acquire(timeout=TIMEOUT_S)

        for number in reversed(range(count)):
            assert waiting.waits[number].wake(f"answer {number}")
        for number, wire in enumerate(wires):
            assert wire.read().body == f"answer {number}".encode()
    assert len(waiting.threads) <= THREADS


WAKERS = 100


def test_of_a_thousand_wakes_from_threads_one_is_the_first():
    app = App()
    waiting, accepted = Waiting(app), []
    app.add_route("/{number}", waiting.handler)
    start = threading.Barrier(WAKERS)

    def wake(name):
        start.wait(TIMEOUT_S)
        for number, wait in waiting.waits.items():
            if wait.wake(f"{number} by {name}"):
                accepted.append(f"{number} by {name}")

    with app.start(access_log=False, stop_timeout_s=0.1) as server, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.url)) for _ in range(10)]
        for number, wire in enumerate(wires):
            wire.send(b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n" % number)
            assert waiting.entered.acquire(timeout=TIMEOUT_S)
        threads = [threading.Thread(target=wake, args=(name,)) for name in range(WAKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answers = [wire.read().body.decode() for wire in wires]

    assert sorted(accepted) == sorted(answers)
