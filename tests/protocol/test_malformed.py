"""Every malformed request gets a whole answer over a real socket, and the server lives on."""

from __future__ import annotations

import json

import pytest

from tarry import App, Request
from tests.protocol.streams import MALFORMED
from tests.wire import ask

GOOD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


SMUGGLED: list[str] = []


@pytest.fixture(scope="module")
def url():
    app = App()
    app.add_route("/", lambda: "fine", inline=True)
    app.add_route("/", read_all, methods=["POST"])
    app.add_route("/smuggled", lambda: SMUGGLED.append("a request within a body"), inline=True)
    with app.start() as server:
        yield server.url


async def read_all(request: Request):
    return len(await request.body())


@pytest.mark.parametrize("name", MALFORMED)
def test_is_refused_and_the_connection_closes(url, name):
    status, data = MALFORMED[name]
    reply, closed = ask(url, data)

    assert reply.status == status
    assert closed
    assert json.loads(reply.body)["status"] == status
    assert not SMUGGLED
    assert ask(url, GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[0].body == b"fine"


def test_there_are_many():
    assert len(MALFORMED) > 60
