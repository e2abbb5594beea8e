"""A client that asks much and reads nothing cannot fill the memory with its answers.

HTTP/1.1 is in tests/protocol/test_pipelining.py.
"""

from __future__ import annotations

import time

from tarry import App
from tests.both.clients import H2Client
from tests.wire import TIMEOUT_S

MOST_WINDOW = 2**31 - 1
REQUESTS = 1_000
LARGE = b"x" * 100_000


def test_http2_with_the_largest_windows():
    app = App()
    handled = []

    def large():
        handled.append(1)
        return LARGE

    app.add_route("/", large, inline=True)
    with app.start(access_log=False) as server, H2Client(server.url, window=MOST_WINDOW) as client:
        client.h2.increment_flow_control_window(MOST_WINDOW - 65_535)
        client.flush()
        client.take()
        client.socket.sendall(many_requests(client))
        sizes = [
            connection._transport.get_write_buffer_size()
            for connection in once_paused(server._worker._service.connections)
        ]

        assert max(sizes) <= 10 * len(LARGE)
        assert len(handled) < REQUESTS / 2


def many_requests(client):
    """More than the library would open at once; the first answers end while the last are sent."""
    data = b""
    for number in range(REQUESTS):
        block = client.h2.encoder.encode(client.head())
        data += len(block).to_bytes(3, "big") + b"\x01\x05" + (2 * number + 1).to_bytes(4, "big")
        data += block
    return data


def once_paused(connections):
    """The connections, once the client's pace holds one of them back."""
    end = time.monotonic() + TIMEOUT_S
    while not any(connection._writing_paused for connection in list(connections)):
        assert time.monotonic() < end, "nothing holds the server back"
    return list(connections)
