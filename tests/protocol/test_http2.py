"""The HTTP/2 engine against two independent clients, one frame or byte at a time."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
import zttp

from tarry.message.heads import LengthError, ResponseHead
from tarry.protocol.engine import Reading
from tarry.protocol.errors import PeerError
from tarry.protocol.events import Data, EndOfBody, StreamReset
from tarry.protocol.http2 import HTTP2Engine
from tarry.protocol.limits import Limits
from tests.protocol.feeding import OK, STAMP

GET = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
POST = [(":method", "POST"), *GET[1:]]
WITH_LENGTH = ResponseHead(200, [(b"content-length", b"5")])


class Pair:
    """An engine and an `h2` client without a network between them."""

    def __init__(self, window=None, **limits):
        self.engine = HTTP2Engine(Limits(**limits))
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8",
            validate_outbound_headers=False, normalize_outbound_headers=False,
        )  # fmt: skip
        self.client = h2.connection.H2Connection(config)
        self.client.initiate_connection()
        if window is not None:
            setting = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
            self.client.update_settings({setting: window})
        self.events = []
        self.errors = []
        self.received = []
        self.exchange()

    def exchange(self):
        """Carry bytes both ways until there are none."""
        while data := self.client.data_to_send():
            self.feed(data)
            self.fetch()
        self.fetch()

    def feed(self, data):
        """Have the engine take bytes; what it refuses is answered as the server does."""
        event = self.try_(lambda: self.engine.receive_data(data))
        while event is not None:
            if not isinstance(event, PeerError):
                self.events.append(event)
            event = self.try_(self.engine.next_event)

    def try_(self, receive):
        try:
            return receive()
        except PeerError as error:
            self.errors.append(error)
            head = ResponseHead(error.status)
            self.engine.refuse(error.stream_id, head, b"refused", STAMP)
            return error

    def fetch(self):
        if data := self.engine.data_to_send():
            self.received += self.client.receive_data(data)

    def ask(self, fields=GET, body=None, end=True):
        stream_id = self.client.get_next_available_stream_id()
        self.client.send_headers(stream_id, fields, end_stream=end and body is None)
        if body is not None:
            self.client.send_data(stream_id, body, end_stream=end)
        self.exchange()
        return stream_id

    def of(self, kind, stream_id=None):
        """What the client received of a kind."""
        return [
            event
            for event in self.received
            if isinstance(event, kind) and stream_id in (None, getattr(event, "stream_id", None))
        ]

    def body(self, stream_id):
        return b"".join(event.data for event in self.of(h2.events.DataReceived, stream_id))

    def status(self, stream_id):
        heads = self.of(h2.events.ResponseReceived, stream_id)
        return [int(dict(head.headers)[":status"]) for head in heads]

    def reset_code(self, stream_id):
        return [event.error_code for event in self.of(h2.events.StreamReset, stream_id)]

    @property
    def goaway(self):
        return next((event.error_code for event in self.of(h2.events.ConnectionTerminated)), None)


def test_several_streams_are_answered_in_any_order():
    pair = Pair()
    streams = [pair.ask() for _ in range(5)]
    assert [event.stream_id for event in pair.events] == streams
    for stream_id in reversed(streams):
        pair.engine.respond(stream_id, OK, b"%d" % stream_id, STAMP)
    pair.exchange()

    assert [event.stream_id for event in pair.of(h2.events.StreamEnded)] == streams[::-1]
    assert all(pair.body(stream_id) == b"%d" % stream_id for stream_id in streams)
    assert pair.engine.reading is Reading.IDLE


def test_byte_by_byte():
    whole, bytewise = Pair(), Pair()
    for pair, size in ((whole, 10_000), (bytewise, 1)):
        pair.client.send_headers(1, POST)
        pair.client.send_data(1, b"hello")
        pair.client.send_headers(1, [("checksum", "12")], end_stream=True)
        data = pair.client.data_to_send()
        for at in range(0, len(data), size):
            pair.feed(data[at : at + size])

    def told(pair):
        head, *rest = pair.events
        body = b"".join(event.data for event in rest)
        return list(head.headers), body, rest[-1].trailers

    assert told(whole) == told(bytewise)
    assert told(whole)[1:] == (b"hello", [(b"checksum", b"12")])


@pytest.mark.parametrize("window", [1, 10, 65_535])
@pytest.mark.parametrize("size", [0, 1, 65_536, 200_000])
def test_a_body_waits_for_the_window_of_the_client(window, size):
    size = min(size, window * 1_000)
    pair = Pair(window)
    stream_id = pair.ask()
    pair.engine.respond(stream_id, OK, b"x" * size, STAMP)
    pair.exchange()
    assert len(pair.body(stream_id)) == min(window, size)
    assert pair.engine.pending_bytes(stream_id) == size - min(window, size)

    while len(pair.body(stream_id)) < size:
        got = len(pair.body(stream_id))
        pair.client.increment_flow_control_window(window, stream_id)
        pair.client.increment_flow_control_window(window)
        pair.exchange()
        assert got < len(pair.body(stream_id)) <= got + window

    assert pair.of(h2.events.StreamEnded, stream_id)
    assert pair.engine.pending_bytes(stream_id) == 0
    assert pair.engine.reading is Reading.IDLE


def test_a_stream_with_trailers_and_an_answer_in_pieces():
    pair = Pair()
    stream_id = pair.ask(POST, b"hello", end=False)
    pair.client.send_headers(stream_id, [("a", "b")], end_stream=True)
    pair.exchange()
    end = pair.events[-1]
    assert isinstance(end, EndOfBody)
    assert end.trailers == [(b"a", b"b")]

    pair.engine.start(stream_id, OK, STAMP)
    pair.engine.send(stream_id, b"one")
    pair.engine.send(stream_id, b"two")
    pair.engine.end(stream_id)
    pair.exchange()
    assert pair.body(stream_id) == b"onetwo"
    assert pair.status(stream_id) == [200]


def test_large_bodies_are_taken_at_any_window():
    pair = Pair()
    stream_id = pair.ask(POST, end=False)
    left = 1_000_000
    while left:
        size = min(left, pair.client.local_flow_control_window(stream_id), 16_384)
        assert size
        pair.client.send_data(stream_id, b"x" * size, end_stream=size == left)
        left -= size
        pair.exchange()

    assert sum(len(event.data) for event in pair.events if isinstance(event, Data)) == 1_000_000


def test_a_reset_by_the_client_reaches_who_answers():
    pair = Pair()
    stream_id = pair.ask()
    pair.client.reset_stream(stream_id)
    pair.exchange()
    assert isinstance(pair.events[-1], StreamReset)
    pair.engine.respond(stream_id, OK, b"late", STAMP)
    pair.engine.start(stream_id, OK, STAMP)
    pair.engine.send(stream_id, b"late")
    pair.engine.end(stream_id)
    pair.engine.abort(stream_id)
    pair.exchange()

    assert pair.status(stream_id) == []
    assert pair.engine.reading is Reading.IDLE


def test_an_aborted_answer_is_a_reset_stream():
    pair = Pair()
    stream_id = pair.ask()
    pair.engine.start(stream_id, OK, STAMP)
    pair.engine.send(stream_id, b"part")
    pair.engine.abort(stream_id)
    pair.exchange()

    assert pair.reset_code(stream_id) == [2]
    assert not pair.of(h2.events.StreamEnded, stream_id)


@pytest.mark.parametrize("how", ["respond", "send", "end"])
def test_a_wrong_length_is_an_error(how):
    pair = Pair()
    stream_id = pair.ask()
    if how == "respond":
        with pytest.raises(LengthError):
            pair.engine.respond(stream_id, WITH_LENGTH, b"hell", STAMP)
        return
    pair.engine.start(stream_id, WITH_LENGTH, STAMP)
    pair.engine.send(stream_id, b"hell")
    with pytest.raises(LengthError):
        pair.engine.end(stream_id) if how == "end" else pair.engine.send(stream_id, b"o!")


@pytest.mark.parametrize("fields", [[(":method", "HEAD"), *GET[1:]], GET])
@pytest.mark.parametrize("status", [200, 204, 304])
def test_statuses_and_methods_without_body(fields, status):
    pair = Pair()
    for _ in range(2):
        pair.ask(fields)
    pair.engine.respond(1, ResponseHead(status), b"ignored" if fields is not GET else b"", STAMP)
    pair.engine.start(3, ResponseHead(status), STAMP)
    if fields is not GET or status != 200:
        pair.engine.send(3, b"ignored")
    pair.engine.end(3)
    pair.exchange()

    for stream_id in (1, 3):
        assert pair.status(stream_id) == [status]
        assert pair.body(stream_id) == b""
        assert pair.of(h2.events.StreamEnded, stream_id)


def test_continue():
    pair = Pair()
    stream_id = pair.ask([*POST, ("expect", "100-continue")], end=False)
    assert pair.events[0].expect_continue
    pair.engine.continue_(stream_id)
    pair.exchange()
    assert pair.of(h2.events.InformationalResponseReceived, stream_id)

    pair.engine.start(stream_id, OK, STAMP)
    pair.engine.continue_(stream_id)
    pair.exchange()
    assert len(pair.of(h2.events.InformationalResponseReceived, stream_id)) == 1


REFUSED = {
    "lower-case method": (400, [(":method", "get"), *GET[1:]]),
    "path without slash": (400, [*GET[:2], (":path", "index"), GET[3]]),
    "fragment": (400, [*GET[:2], (":path", "/#a"), GET[3]]),
    "byte beyond ASCII": (400, [*GET[:2], (":path", "/\xe9"), GET[3]]),
    "asterisk": (400, [*GET[:2], (":path", "*"), GET[3]]),
    "no authority": (400, GET[:3]),
    "userinfo": (400, [*GET[:3], (":authority", "u@a")]),
    "path in authority": (400, [*GET[:3], (":authority", "a/b")]),
    "empty authority": (400, [*GET[:3], (":authority", "")]),
    "target": (414, [*GET[:2], (":path", "/" + "a" * 8_192), GET[3]]),
    "fields": (431, [*GET, *[("x", "y")] * 101]),
}


def test_an_unknown_expectation():
    pair = Pair()
    pair.ask([*POST, ("expect", "x")], end=False)
    assert [error.status for error in pair.errors] == [417]


RESET = {
    "upper-case name": [*GET, ("X", "y")],
    "CR LF in a value": [*GET, ("x", "a\r\nb")],
    "NUL in a value": [*GET, ("x", "a\0b")],
    "space in a name": [*GET, ("x y", "z")],
    "colon in a name": [*GET, ("x:y", "z")],
    "connection": [*GET, ("connection", "close")],
    "transfer-encoding": [*GET, ("transfer-encoding", "chunked")],
    "te": [*GET, ("te", "gzip")],
    "upgrade": [*GET, ("upgrade", "x")],
    "host and authority differ": [*GET, ("host", "b")],
    "two paths": [*GET, (":path", "/b")],
    "unknown pseudo field": [*GET, (":x", "y")],
    "pseudo field last": [*GET[:3], ("x", "y"), GET[3]],
    "no path": [GET[0], GET[1], GET[3]],
    "empty path": [*GET[:2], (":path", ""), GET[3]],
    "content-length of letters": [*GET, ("content-length", "abc")],
    "content-length +5": [*GET, ("content-length", "+5")],
    "content-length empty": [*GET, ("content-length", "")],
    "content-length list": [*GET, ("content-length", "5, 5")],
    "two content-lengths": [*GET, ("content-length", "5"), ("content-length", "6")],
    "content-length too large": [*GET, ("content-length", "9" * 20)],
    "content-length without body": [*GET, ("content-length", "5")],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_request_leaves_the_connection_alive(name):
    status, fields = REFUSED[name]
    pair = Pair()
    bad = pair.ask(fields)
    error = pair.errors[0]
    assert (error.status, error.stream_id) == (status, bad)
    assert not pair.events

    good = pair.ask()
    pair.engine.respond(good, OK, b"ok", STAMP)
    pair.exchange()
    assert pair.status(bad) == [status]
    assert pair.status(good) == [200]
    assert pair.goaway is None


@pytest.mark.parametrize("name", RESET)
@pytest.mark.parametrize("end", [True, False])
def test_a_malformed_request_resets_its_stream_alone(name, end):
    if not end and name == "content-length without body":
        end = True
    pair = Pair()
    bad = pair.ask(RESET[name], end=end)
    assert not [event for event in pair.events if not isinstance(event, StreamReset)]
    assert pair.reset_code(bad) == [1]

    good = pair.ask()
    pair.engine.respond(good, OK, b"ok", STAMP)
    pair.exchange()
    assert pair.status(good) == [200]


def test_content_length_and_body_differ():
    for length, body in (("4", b"hello"), ("6", b"hello")):
        pair = Pair()
        stream_id = pair.ask([*POST, ("content-length", length)], body)
        assert pair.reset_code(stream_id) == [1]
        assert not [event for event in pair.events if isinstance(event, EndOfBody)]


@pytest.mark.parametrize(
    ("limit", "fine", "beyond", "status"),
    [
        ("max_fields", [*GET, *[("x", "y")] * 9], [*GET, *[("x", "y")] * 10], 431),
        ("max_target_bytes", [*GET[:2], (":path", "/" + "a" * 9), GET[3]],
         [*GET[:2], (":path", "/" + "a" * 10), GET[3]], 414),
    ],
)  # fmt: skip
def test_limits_of_heads(limit, fine, beyond, status):
    pair = Pair(**{limit: 10})
    pair.ask(fine)
    assert not pair.errors
    pair.ask(beyond)
    assert [error.status for error in pair.errors] == [status]


def test_an_early_answer_to_an_endless_body_gives_it_up():
    pair = Pair(max_drain_bytes=1_000)
    stream_id = pair.ask(POST, end=False)
    pair.engine.respond(stream_id, OK, b"ok", STAMP)
    pair.exchange()
    assert pair.status(stream_id) == [200]
    pair.client.send_data(stream_id, b"x" * 1_000)
    pair.exchange()
    assert pair.reset_code(stream_id) == []
    pair.client.send_data(stream_id, b"x")
    pair.exchange()

    assert pair.reset_code(stream_id) == [0]


def test_goaway_of_the_client():
    pair = Pair()
    stream_id = pair.ask()
    pair.client.close_connection()
    pair.exchange()
    assert not pair.engine.closing
    pair.engine.respond(stream_id, OK, b"ok", STAMP)

    assert pair.engine.closing


def test_shut_finishes_what_is_under_way():
    pair = Pair()
    stream_id = pair.ask()
    pair.engine.shut()
    pair.engine.shut()
    assert not pair.engine.closing
    pair.fetch()
    assert pair.goaway == 0
    pair.engine.respond(stream_id, OK, b"the answer", STAMP)

    assert pair.engine.closing
    # The client library takes no more frames after a GOAWAY, though RFC 9113 section 6.8 has them.
    assert b"the answer" in pair.engine.data_to_send()


def test_shut_refuses_further_streams():
    pair = Pair()
    pair.ask()
    pair.engine.shut()
    # The client has not yet heard of it.
    pair.client.send_headers(3, GET, end_stream=True)
    pair.feed(pair.client.data_to_send())

    assert [event.stream_id for event in pair.events] == [1]
    assert not pair.engine.closing


def test_shut_and_eof_of_an_idle_connection():
    pair = Pair()
    pair.engine.shut()
    assert pair.engine.closing

    pair = Pair()
    pair.engine.receive_eof()
    assert pair.engine.closing


@pytest.mark.parametrize("most", [5, 100])
def test_rapid_reset(most):
    """CVE-2023-44487: streams opened and given up in vain end the connection."""
    pair = Pair(max_resets=most)
    for _ in range(most):
        pair.client.reset_stream(pair.ask())
        pair.exchange()
    assert not pair.engine.closing
    pair.client.reset_stream(pair.ask())
    pair.exchange()

    assert pair.engine.closing
    assert pair.goaway == 11


@pytest.mark.parametrize("most", [5, 100])
def test_made_you_reset(most):
    """CVE-2025-8671: streams that the server must reset count, too."""
    pair = Pair(max_resets=most)
    for _ in range(most + 1):
        assert not pair.engine.closing
        pair.ask(RESET["te"])

    assert pair.engine.closing
    assert pair.goaway == 11


def test_resets_of_answered_streams_do_no_harm():
    pair = Pair(max_resets=5)
    for _ in range(50):
        stream_id = pair.ask(POST, end=False)
        pair.engine.respond(stream_id, OK, b"ok", STAMP)
        pair.exchange()
        pair.client.reset_stream(stream_id)
        pair.exchange()

    assert not pair.engine.closing


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x00\x00\x02\x00\x00\x00\x00\x00",
        b"\x00\x00\x08\x06\x00\x00\x00\x00\x01" + b"x" * 8,
        b"\x00\x00\x01\x00\x00\x00\x00\x00\x00x",
        b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x00\x00\x01\x01\x04\x00\x00\x00\x02\x82",
        b"\x00\x00\x04\x09\x04\x00\x00\x00\x01\x82\x82\x82\x82",
    ],
)
def test_broken_frames_end_the_connection_with_a_reason(garbage):
    pair = Pair()
    pair.feed(garbage)
    pair.fetch()

    assert pair.engine.closing
    assert pair.goaway not in (None, 0)
    assert pair.engine.receive_data(b"more") is None


@pytest.mark.parametrize("frame", [
    pytest.param(b"\x00\x00\x05\x02\x00\x00\x00\x00\x00\x00\x00\x00\x03\x01", id="on stream 0"),
    pytest.param(b"\x00\x00\x05\x02\x00\x00\x00\x00\x03\x00\x00\x00\x03\x01", id="on itself"),
])  # fmt: skip
def test_priority(frame):
    """RFC 9113 section 6.3 and RFC 7540 section 5.3.1: an error."""
    pair = Pair()
    pair.feed(frame)
    out = pair.engine.data_to_send()

    assert pair.engine.closing or b"\x00\x00\x04\x03\x00\x00\x00\x00\x03" in out


def test_something_else_than_the_preface():
    engine = HTTP2Engine(Limits())
    assert engine.receive_data(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + b"x" * 20) is None

    assert engine.closing


def test_the_client_of_the_parser():
    """The same against zttp's own client: two streams, a body, and trailers."""
    client = zttp.Connection(zttp.CLIENT, zttp.HTTP2)
    client.initiate_connection()
    engine = HTTP2Engine(Limits())
    fields = [(b"host", b"a")]
    first = client.send_request(b"GET", b"/one", b"2", fields)
    first.end_message()
    second = client.send_request(b"POST", b"/two", b"2", fields)
    second.send_data(b"hello")
    second.end_message([(b"a", b"b")])
    events = [engine.receive_data(client.data_to_send())]
    while (event := engine.next_event()) is not None:
        events.append(event)
    heads = [event for event in events if hasattr(event, "method")]
    assert [(head.method, head.target) for head in heads] == [(b"GET", b"/one"), (b"POST", b"/two")]
    assert b"".join(event.data for event in events if hasattr(event, "data")) == b"hello"
    assert events[-1].trailers == [(b"a", b"b")]

    for head in heads:
        engine.respond(head.stream_id, OK, head.target, STAMP)
    client.receive_data(engine.data_to_send())
    bodies = {}
    while (event := client.next_event()) is not zttp.NEED_DATA:
        if isinstance(event, zttp.Data):
            bodies[event.stream_id] = event.data
    assert bodies == {heads[0].stream_id: b"/one", heads[1].stream_id: b"/two"}


def test_no_bytes_of_a_body_go_past_the_engine():
    assert not Pair().engine.count_sent(1, 0)
