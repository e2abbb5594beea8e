"""A connection that was refused, and whose client stays, cannot keep a server from stopping."""

from __future__ import annotations

import threading

import pytest

from tarry import App
from tests.both.clients import H2Client
from tests.wire import TIMEOUT_S, Wire


def refused_http1(url):
    wire = Wire(url)
    wire.send(b"nonsense\r\n\r\n")
    assert wire.read().status == 400
    return wire


def refused_http2(url):
    client = H2Client(url)
    # A window update of nothing: the connection ends with a GOAWAY.
    client.socket.sendall(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00")
    while client.goaway is None:
        client.take()
    return client


def refused_stream(url):
    client = H2Client(url)
    bad = client.answer(client.open(client.head("GET", "/#fragment")))
    assert bad.status == 400
    return client


@pytest.mark.parametrize("refuse", [refused_http1, refused_http2, refused_stream])
def test_a_server_stops_while_a_refused_client_stays(refuse):
    server = App().start()
    with refuse(server.url):
        stopping = threading.Thread(target=server.stop, daemon=True)
        stopping.start()
        stopping.join(TIMEOUT_S)

        assert not stopping.is_alive()
