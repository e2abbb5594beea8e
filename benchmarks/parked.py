"""The parked rows: what a request weighs while it waits, and how fast it is answered then."""

import selectors
import socket
import statistics
import time
from contextlib import ExitStack

from benchmarks.idle import count_readable
from benchmarks.machine import raise_open_files_limit
from benchmarks.processes import Server, ServerFailed, rss_bytes
from benchmarks.results import Sample
from benchmarks.rows import Row

WARM_UP_PARKED = 200
SPARE_FILES = 500
MAX_PARKED = 19_000
SINGLE_WAKES = 300
WOKEN_AT_ONCE = 10_000
SETTLE_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0


class Client:
    """Parks requests at a server and has them woken."""

    def __init__(self, server: Server, path: str, stack: ExitStack) -> None:
        self._server = server
        self._request = request_for(path)
        self._stack = stack
        self._control = self._connect()
        self.parked: list[socket.socket] = []

    def _connect(self) -> socket.socket:
        port = self._server.port
        # An address for each server: the ports of one do not last for several rounds.
        source = (f"127.1.{port >> 8}.{port & 255 or 1}", 0)
        connection = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS, source)
        return self._stack.enter_context(connection)

    def park(self, count: int) -> None:
        """Park so many further requests, each on a connection of its own."""
        for _ in range(count):
            connection = self._connect()
            connection.sendall(self._request)
            self.parked.append(connection)
        self.ask("/parked-count", len(self.parked))

    def ask(self, path: str, until: int) -> None:
        """Ask on the connection for control; repeat until the number in the answer is there."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < end:
            self._control.sendall(request_for(path))
            if int(receive_body(self._control)) >= until:
                return
            time.sleep(0.05)
        raise ServerFailed(f"fewer than {until} requests were parked")

    def wake(self, count: int) -> None:
        """Have the oldest ones woken; does not wait for the answer."""
        self._control.sendall(request_for(f"/wake?count={count}"))

    def woken(self, count: int) -> None:
        """Wait until the oldest ones have their answers, and the one who woke them has its own."""
        with selectors.DefaultSelector() as selector:
            for connection in self.parked[:count]:
                selector.register(connection, selectors.EVENT_READ)
            left = count
            while left:
                ready = selector.select(TIMEOUT_SECONDS)
                if not ready:
                    raise ServerFailed(f"{left} of {count} requests were not answered")
                for key, _ in ready:
                    receive_body(key.fileobj)  # type: ignore[arg-type]  # because it is what was registered
                    selector.unregister(key.fileobj)
                    left -= 1
        receive_body(self._control)
        del self.parked[:count]


def parked_sample(server: Server, row: Row) -> Sample:
    """Park as many as the limit of open files allows, wake some alone, then 10 000 at once.

    Raises:
        ServerFailed: an answer was missing, or came before it was asked for.
    """
    count = min(MAX_PARKED, raise_open_files_limit() - SPARE_FILES)
    try:
        with ExitStack() as stack:
            client = Client(server, row.path, stack)
            client.park(WARM_UP_PARKED)
            time.sleep(SETTLE_SECONDS)
            before = rss_bytes(server.pid)
            client.park(count - WARM_UP_PARKED)
            time.sleep(SETTLE_SECONDS)
            after = rss_bytes(server.pid)
            if early := count_readable(client.parked):
                raise ServerFailed(f"{early} of {count} parked requests were not held")
            single_us = [1e6 * seconds_to_wake(client, 1) for _ in range(SINGLE_WAKES)]
            at_once = min(WOKEN_AT_ONCE, len(client.parked))
            elapsed_seconds = seconds_to_wake(client, at_once)
    except OSError as error:
        raise ServerFailed(f"a parked request broke off: {error!r}") from error
    return Sample(
        cost=(after - before) / (count - WARM_UP_PARKED),
        p50_us=statistics.median(single_us),
        p99_us=statistics.quantiles(single_us, n=100)[98],
        elapsed_seconds=elapsed_seconds,
    )


def seconds_to_wake(client: Client, count: int) -> float:
    """From the request that wakes until the last of those that it wakes has its answer."""
    begin = time.perf_counter()
    client.wake(count)
    client.woken(count)
    return time.perf_counter() - begin


def request_for(path: str) -> bytes:
    """A request as a plain client sends it."""
    head = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: benchmarks/1.0\r\naccept: */*"
    return head.encode() + b"\r\n\r\n"


def receive_body(connection: socket.socket) -> bytes:
    """The body of the answer, which is short and announces its length."""
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        if end:
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            if len(body) >= int(length):
                return body
        data = connection.recv(4096)
        if not data:
            raise ConnectionResetError("closed before the answer was complete")
        received += data
