"""Whatever is asked, an answer comes, none is 500, and the server goes on.

`TARRY_FUZZ_EXAMPLES` is how many requests each test tries.
"""

from __future__ import annotations

import logging
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fuzz.application import make_app
from tarry.testing import IncompleteAnswer
from tests.security.any_request import HANDSHAKE, AnyRequest, any_requests, connections
from tests.websocket_frames import close
from tests.wire import Wire

EXAMPLES = int(os.environ.get("TARRY_FUZZ_EXAMPLES", "150"))
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

many = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Complaints(logging.Handler):
    """Keeps what is logged as an error; that a busy machine is slow is only a warning."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))

    def check(self):
        """Fail if there were any; those of one example are not those of the next."""
        lines, self.lines = self.lines, []
        assert not lines, "\n".join(lines)


@pytest.fixture(scope="module")
def complaints():
    handler = Complaints()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return make_app(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def url(app):
    with app.start(access_log=False) as server:
        yield server.url


@pytest.fixture(scope="module")
def http2_client(tmp_path_factory):
    with make_app(tmp_path_factory.mktemp("files")).testing(http2=True) as client:
        yield client


def is_expected(status):
    """Whether an application that never fails by itself may answer so."""
    return 200 <= status < 500 or status in (501, 503)


def final_reply(wire, method):
    """The answer, after those like 100 Continue."""
    reply = wire.read(method)
    while reply.status in (100, 103):
        reply = wire.read(method)
    return reply


def closes(reply):
    """Whether the answer says so; with 426 the field has another value besides."""
    return any(name.lower() == "connection" and value == "close" for name, value in reply.headers)


def leave_socket(wire):
    """Close a WebSocket that was opened."""
    wire.send(close(1000))
    wire.rest()


@many
@example(AnyRequest("GET", "/socket", [], b""), "1.1", HANDSHAKE)
@given(any_requests(), st.sampled_from(("1.1", "1.1", "1.1", "1.0")), connections)
def test_an_answer_to_any_request_and_to_the_next(url, complaints, request, version, connection):
    with Wire(url) as wire:
        wire.send(request.encode(version, connection))
        reply = final_reply(wire, request.method)
        if reply.status == 101:
            leave_socket(wire)
        elif closes(reply):
            assert wire.is_closed()
        else:
            wire.send(GET)
            assert wire.read().body == b"here"

    assert reply.status == 101 or is_expected(reply.status), reply
    with Wire(url) as wire:
        wire.send(GET)
        assert wire.read().status == 200
    complaints.check()


@many
@given(st.lists(any_requests(), min_size=1, max_size=4))
def test_answers_to_pipelined_requests(url, complaints, requests):
    """Each gets its own; behind one that closes the connection nothing is answered."""
    with Wire(url) as wire:
        wire.send(b"".join(request.encode("1.1", ()) for request in requests))
        for request in requests:
            reply = final_reply(wire, request.method)
            assert is_expected(reply.status), reply
            if closes(reply):
                assert wire.is_closed()
                break
        else:
            wire.send(GET)
            assert wire.read().body == b"here"
    complaints.check()


@many
@given(any_requests())
def test_an_answer_to_any_request_over_http2(http2_client, complaints, request):
    try:
        reply = http2_client.request(
            request.method, request.target, headers=request.fields, data=request.body
        )
        status = reply.status
    except IncompleteAnswer as error:
        # HTTP/2 resets a malformed request (RFC 9113 section 8.1.1).
        status = 400 if error.reply is None else 0
    except ValueError:
        status = 400  # one that the client refuses to send
    assert is_expected(status), request
    assert http2_client.get("/").body == b"here"
    complaints.check()
