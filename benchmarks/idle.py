"""The idle-memory row: what a connection costs while it waits for its next request."""

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.processes import Server, ServerFailed, rss_bytes

WARM_UP_CONNECTIONS = 100
IDLE_CONNECTIONS = 2000
SETTLE_SECONDS = 0.5
TIMEOUT_SECONDS = 10.0

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\nuser-agent: benchmarks/1.0\r\naccept: */*\r\n\r\n"


def idle_bytes_per_connection(server: Server, connections: int = IDLE_CONNECTIONS) -> float:
    """Growth of the server's resident memory per open connection that had one answer.

    Some connections are opened first and stay open, so that what a server sets
    up once is not counted.

    Raises:
        ServerFailed: an answer was missing, or the server closed an idle connection.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(one) for one in asked(server.port, WARM_UP_CONNECTIONS)]
        time.sleep(SETTLE_SECONDS)
        before = rss_bytes(server.pid)
        opened += [stack.enter_context(one) for one in asked(server.port, connections)]
        time.sleep(SETTLE_SECONDS)
        after = rss_bytes(server.pid)
        if closed := count_readable(opened):
            raise ServerFailed(f"{closed} of {len(opened)} idle connections were closed")
    return (after - before) / connections


def asked(port: int, count: int) -> Iterator[socket.socket]:
    """Open connections one after the other, each with one request answered."""
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        try:
            connection.sendall(REQUEST)
            receive_answer(connection)
        except OSError as error:
            connection.close()
            raise ServerFailed(f"no answer: {error!r}") from error
        yield connection


def receive_answer(connection: socket.socket) -> None:
    """Read up to the end of the text that every server answers on `/`."""
    received = b""
    while b"Hello, World!" not in received:
        data = connection.recv(4096)
        if not data:
            raise ConnectionResetError("closed before the answer was complete")
        received += data


def count_readable(connections: list[socket.socket]) -> int:
    """How many connections have something to read, which for an idle one is its end."""
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        return len(selector.select(timeout=0))
