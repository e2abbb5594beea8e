"""Requests are handled when all sockets of a round were read, and answered a few at a time."""

from __future__ import annotations

import contextvars
import threading
from contextlib import ExitStack, contextmanager

import pytest

from tarry.protocol.engine import Reading
from tarry.server.arrivals import HANDLED_TOGETHER
from tests.server.http2_client import HTTP2Client
from tests.server.serving import OK, WAIT_S, greet
from tests.wire import Wire

POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n"


def get(path=b"/"):
    return b"GET %s HTTP/1.1\r\nhost: a\r\n\r\n" % path


def echo(exchange):
    """Answer with the path, or with the body if there is one."""
    if exchange.body is None:
        exchange.respond(OK, exchange.head.path)
    else:
        exchange.body.on_complete(lambda body: exchange.respond(OK, body), pytest.fail)


@contextmanager
def one_round(server):
    """Keep the loop busy, so that what is sent meanwhile is read in one round."""
    inside, let_go = threading.Event(), threading.Event()

    def hold():
        inside.set()
        assert let_go.wait(WAIT_S)

    server.loop.call_soon_threadsafe(hold)
    assert inside.wait(WAIT_S)
    yield
    let_go.set()


@contextmanager
def wires(server, count):
    with ExitStack() as stack:
        yield [stack.enter_context(Wire(server.url)) for _ in range(count)]


def ask_at_once(server, paths):
    """Replies to one request for each path, all read in one round; `None` for one cut off."""
    with wires(server, len(paths)) as asking:
        server.until_connected(len(paths))
        with one_round(server):
            for wire, path in zip(asking, paths, strict=True):
                wire.send(get(path))
        return [read(wire) for wire in asking]


def read(wire):
    try:
        return wire.read().body
    except EOFError:
        return None


def arriving(server, data, then):
    """On the loop: have `data` arrive on the one connection, then call `then` with that."""

    def arrive():
        (connection,) = server.service.connections
        connection.data_received(data)
        then(connection)

    server.call(arrive)


# ── a round ───────────────────────────────────────────────────────────────────────────────


def test_all_sockets_of_a_round_are_read_before_the_first_request_is_handled(serve):
    def handle(exchange):
        engines = [each.engine for each in server.service.connections]
        unread.append(sum(each.reading is Reading.IDLE and not each.out_bytes for each in engines))
        exchange.respond(OK, exchange.head.path)

    unread = []
    server = serve(handle)
    paths = [b"/%d" % number for number in range(5)]

    assert ask_at_once(server, paths) == paths
    assert unread == [0] * 5


def test_a_few_requests_are_handled_before_the_first_of_them_gets_its_answer(serve):
    def handle(exchange):
        unsent.append(sum(each.engine.out_bytes > 0 for each in server.service.connections))
        exchange.respond(OK, b"")

    unsent = []
    server = serve(handle)
    ask_at_once(server, [b"/"] * (HANDLED_TOGETHER + 3))

    assert unsent == [*range(HANDLED_TOGETHER), 0, 1, 2]


def test_an_error_in_one_request_does_not_lose_the_others(serve, caplog):
    def handle(exchange):
        if exchange.head.path == b"/bad":
            raise LookupError("a mistake of an application")
        echo(exchange)

    server = serve(handle)

    assert ask_at_once(server, [b"/a", b"/bad", b"/b"]) == [b"/a", None, b"/b"]
    (record,) = caplog.records
    assert record.name == "tarry"
    assert record.exc_info[0] is LookupError


def test_context_variables_are_not_seen_by_the_other_requests_of_a_round(serve):
    def handle(exchange):
        seen.append(variable.get(None))
        variable.set("secret")
        exchange.respond(OK, b"")

    variable, seen = contextvars.ContextVar("variable"), []
    ask_at_once(serve(handle), [b"/"] * 3)

    assert seen == [None] * 3


def test_each_request_of_a_round_is_logged_once(serve, lines):
    server = serve(echo, access_log=True)
    ask_at_once(server, [b"/a", b"/b", b"/c"])
    server.stop()

    assert sorted(text.split('"')[1] for text in lines.texts) == [
        "GET /a HTTP/1.1",
        "GET /b HTTP/1.1",
        "GET /c HTTP/1.1",
    ]


def test_the_logged_time_begins_when_the_request_arrives(serve, lines):
    def pass_by(connection):
        server.clock.now_s += 2

    server = serve(greet, access_log=True)
    with Wire(server.url) as wire:
        server.until_connected()
        arriving(server, get(), pass_by)
        wire.read()
    server.stop()

    assert [text.rpartition("run=")[2] for text in lines.texts] == ["2000.0ms"]


def test_answers_to_pipelined_requests_leave_in_one_write(serve):
    class Writes:
        def __init__(self, transport):
            self.transport = transport

        def __getattr__(self, name):
            return getattr(self.transport, name)

        def write(self, data):
            written.append(data)
            self.transport.write(data)

    def record():
        (connection,) = server.service.connections
        connection._transport = Writes(connection._transport)

    written = []
    server = serve(echo)
    with Wire(server.url) as wire:
        server.until_connected()
        server.call(record)
        wire.send(get(b"/a") + POST + b"abc" + get(b"/b"))

        assert [wire.read().body for _ in range(3)] == [b"/a", b"abc", b"/b"]
    assert len(written) == 1


def test_requests_over_http2_are_handled_as_they_are_read(serve, monkeypatch):
    server = serve(echo)
    server.call(monkeypatch.setattr, server.service.arrivals, "_connections", None)
    with HTTP2Client(server.url) as client:
        requests = [client.request("/a"), client.request("/b")]

        assert [client.read(each) for each in requests] == [(200, b"/a"), (200, b"/b")]


# ── what happens between arrival and handling ─────────────────────────────────────────────


@pytest.mark.parametrize(
    ("first", "second", "bodies"),
    [
        (get(b"/a"), get(b"/b"), [b"/a", b"/b"]),
        (POST, b"abc", [b"abc"]),
        (POST + b"ab", b"c" + get(b"/b"), [b"abc", b"/b"]),
    ],
)
def test_more_bytes_come_after_the_request(serve, first, second, bodies):
    server = serve(echo)
    with Wire(server.url) as wire:
        server.until_connected()
        arriving(server, first, lambda connection: connection.data_received(second))

        assert [wire.read().body for _ in bodies] == bodies


@pytest.mark.parametrize(("data", "body"), [(get(b"/a"), b"/a"), (POST + b"abc", b"abc")])
def test_a_client_that_sends_no_more_gets_its_answer(serve, data, body):
    server = serve(echo)
    with Wire(server.url) as wire:
        server.until_connected()
        arriving(server, data, lambda connection: connection.eof_received())

        assert wire.read().body == body
        assert wire.is_closed()


def test_a_request_hears_that_its_client_left_just_after_it_came(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        server.until_connected()
        arriving(server, get(), lambda connection: connection.eof_received())
        exchange = server.until(lambda: keeping.exchanges)[0]

        assert exchange.gone
        server.answer(exchange)
        assert wire.read().body == b"hello"


def test_a_client_whose_connection_is_lost_is_not_served_but_logged_once(serve, keeping, lines):
    server = serve(keeping, access_log=True)
    with Wire(server.url) as wire:
        server.until_connected()
        arriving(server, get(b"/a"), lambda connection: connection.cut())

        assert wire.is_closed()
        server.until(lambda: not server.service.connections)
    server.stop()

    assert not keeping.exchanges
    assert lines.texts == ['127.0.0.1 "GET /a HTTP/1.1" 499 0 run=0.0ms']


def test_a_connection_that_is_lost_before_its_turn_is_left_alone(serve, keeping):
    server = serve(keeping)
    with Wire(server.url):
        server.until_connected()
        arriving(server, POST, lambda connection: connection.connection_lost(None))
        server.call(lambda: None)

        assert not keeping.exchanges
        assert not server.service.timers


def test_a_server_that_stops_answers_what_has_arrived(serve):
    server = serve(echo, stop_timeout_s=WAIT_S)
    with Wire(server.url) as wire:
        server.until_connected()
        arriving(server, get(b"/a"), lambda connection: connection.shut())
        reply = wire.read()

        assert (reply.body, reply.closes) == (b"/a", True)
        assert wire.is_closed()


def test_a_round_in_which_the_server_begins_to_stop_is_answered(serve):
    server = serve(echo, stop_timeout_s=WAIT_S)
    with wires(server, 3) as asking:
        server.until_connected(3)
        with one_round(server):
            for wire in asking:
                wire.send(get(b"/a"))
            server.loop.call_soon_threadsafe(server.worker.stop_soon)

        assert [wire.read().body for wire in asking] == [b"/a"] * 3


@pytest.mark.parametrize(("data", "body"), [(get(b"/a"), b"/a"), (POST + b"abc", b"abc")])
def test_the_deadline_of_a_head_that_has_come_does_not_matter_any_more(serve, data, body):
    def pass_by(connection):
        server.clock.now_s += 1000
        server.service.tick()

    server = serve(echo)
    with Wire(server.url) as wire:
        wire.send(data[:10])
        server.until_connected()
        server.until_reading(Reading.HEAD)
        arriving(server, data[10:], pass_by)
        reply = wire.read()

        assert (reply.status, reply.body, reply.closes) == (200, body, False)


def test_room_for_earlier_answers_does_not_take_the_body_past_its_request(serve):
    def make_room(connection):
        connection.pause_writing()
        connection.resume_writing()

    server = serve(echo)
    with Wire(server.url) as wire:
        server.until_connected()
        arriving(server, POST + b"abc", make_room)

        assert wire.read().body == b"abc"
