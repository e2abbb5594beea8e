"""Answers of the HTTP/1.1 engine: framing, keep-alive, early answers, and its ends."""

from __future__ import annotations

import pytest

from tarry.message.heads import LengthError, ResponseHead
from tarry.protocol.engine import Reading
from tarry.protocol.errors import PeerError
from tests.protocol.feeding import GET, OK, STAMP, Notes, chunked, new_engine, post

FIELDS = b"content-type: text/plain\r\ndate: Fri, 20 Nov 2026 20:00:00 GMT\r\nserver: tarry\r\n"
NOT_FOUND = ResponseHead(404)


def engine_with(data, **limits):
    """An engine that has taken `data` without answering, and what it sends."""
    notes = Notes(new_engine(**limits), answer=False)
    notes.feed(data)
    assert notes.error is None
    return notes.engine


def answered(data, head=OK, body=b"ok"):
    engine = engine_with(data)
    engine.respond(0, head, body, STAMP)
    return engine.data_to_send(), engine.closing


def streamed(data, head, *pieces):
    engine = engine_with(data)
    engine.start(0, head, STAMP)
    for piece in pieces:
        engine.send(0, piece)
    engine.end(0)
    return engine.data_to_send(), engine.closing


def with_length(size, status=200):
    return ResponseHead(
        status, [(b"content-type", b"text/plain"), (b"content-length", b"%d" % size)]
    )


def line(version, *fields):
    return b"GET / HTTP/%b\r\nhost: a\r\n%b\r\n" % (version, b"".join(f + b"\r\n" for f in fields))


@pytest.mark.parametrize(
    ("request_", "closes", "said"),
    [
        (line(b"1.1"), False, None),
        (line(b"1.1", b"connection: close"), True, b"close"),
        (line(b"1.1", b"Connection: foo, Close"), True, b"close"),
        (line(b"1.1", b"connection: keep-alive"), False, None),
        (line(b"1.1", b"connection: closed"), False, None),
        (line(b"1.0"), True, b"close"),
        (line(b"1.0", b"connection: keep-alive"), False, b"keep-alive"),
        (line(b"1.0", b"connection: Keep-Alive"), False, b"keep-alive"),
        (line(b"1.0", b"connection: close"), True, b"close"),
    ],
)
@pytest.mark.parametrize("how", [answered, lambda data: streamed(data, with_length(2), b"ok")])
def test_keep_alive(request_, closes, said, how):
    out, closing = how(request_)
    connection = b"" if said is None else b"connection: %b\r\n" % said

    assert closing is closes
    assert out.count(b"connection:") == (said is not None)
    assert connection in out
    assert out.startswith(b"HTTP/1.1 200 OK\r\n" + FIELDS)
    assert out.endswith(b"\r\n\r\nok")
    assert out.count(b"content-length: 2\r\n") == 1


def test_a_plain_answer_byte_for_byte():
    assert answered(GET) == (
        b"HTTP/1.1 200 OK\r\n" + FIELDS + b"content-length: 2\r\n\r\nok",
        False,
    )


@pytest.mark.parametrize("host", [b"a", b"never-seen.example"])
def test_the_first_and_the_next_answer_are_the_same(host):
    engine = engine_with(GET.replace(b"a", host))
    outs = []
    for _ in range(3):
        engine.respond(0, OK, b"ok", STAMP)
        outs.append(engine.data_to_send())
        engine.receive_data(GET)

    assert outs[0] == outs[1] == outs[2]


def test_head_says_the_length_and_sends_nothing():
    out, closing = answered(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")

    assert b"content-length: 2\r\n" in out
    assert out.endswith(b"\r\n\r\n")
    assert not closing


def test_head_of_a_stream():
    out, closing = streamed(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", OK, b"ignored")

    assert out.endswith(b"transfer-encoding: chunked\r\n\r\n")
    assert not closing


@pytest.mark.parametrize("head", [ResponseHead(204), ResponseHead(304), with_length(9, 304)])
@pytest.mark.parametrize("request_", [GET, b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n"])
def test_statuses_without_body(head, request_):
    for out, closing in (answered(request_, head), answered(request_, head, b""),
                         streamed(request_, head)):  # fmt: skip
        assert out.endswith(b"\r\n\r\n")
        assert b"transfer-encoding" not in out
        assert head.status == 304 or b"content-length" not in out
        assert not closing


@pytest.mark.parametrize("status", [204, 304])
def test_pieces_of_a_status_without_body_are_left_out(status):
    """As on HTTP/2; an error would only break the connection off."""
    out, closing = streamed(GET, ResponseHead(status), b"x")

    assert out.endswith(b"\r\n\r\n")
    assert not closing


def test_a_stream_of_unknown_length_is_chunked():
    out, closing = streamed(GET, OK, b"hello", b"", b"x" * 16)

    assert out.endswith(
        b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n"
    )
    assert not closing


def test_a_stream_of_unknown_length_on_http_1_0_ends_with_the_connection():
    out, closing = streamed(line(b"1.0", b"connection: keep-alive"), OK, b"hello", b"you")

    assert out.endswith(b"connection: close\r\n\r\nhelloyou")
    assert b"transfer-encoding" not in out
    assert closing


def test_a_wrong_length_is_an_error_before_anything_is_sent():
    for size in (1, 3):
        engine = engine_with(GET)
        with pytest.raises(LengthError):
            engine.respond(0, with_length(size), b"ok", STAMP)
        assert engine.data_to_send() == b""
        engine.respond(0, OK, b"ok", STAMP)
        assert engine.data_to_send().endswith(b"ok")


def test_a_stream_longer_than_announced():
    engine = engine_with(GET)
    engine.start(0, with_length(5), STAMP)
    engine.send(0, b"hell")
    with pytest.raises(LengthError):
        engine.send(0, b"oo")
    engine.abort(0)

    assert engine.data_to_send().endswith(b"hell")
    assert engine.closing


def test_a_stream_shorter_than_announced():
    engine = engine_with(GET)
    engine.start(0, with_length(5), STAMP)
    engine.send(0, b"hell")
    with pytest.raises(LengthError):
        engine.end(0)
    engine.abort(0)

    assert engine.closing


def test_abort_ends_the_connection():
    engine = engine_with(GET + GET)
    engine.start(0, OK, STAMP)
    engine.abort(0)

    assert engine.closing
    assert engine.next_event() is None


# ---- bodies that nobody reads ----------------------------------------------------------


@pytest.mark.parametrize("size", [1, 999, 1000])
def test_a_small_unread_body_is_dropped(size):
    head, body = post(b"x" * size)[:-size], b"x" * size
    engine = engine_with(head, max_drain_bytes=1000)
    engine.respond(0, NOT_FOUND, b"", STAMP)
    assert b"connection: close" not in engine.data_to_send()
    assert not engine.closing

    assert engine.receive_data(body[:-1]) is None
    event = engine.receive_data(body[-1:] + GET)
    assert (event or engine.next_event()).method == b"GET"


def test_a_large_unread_body_closes():
    engine = engine_with(post(b"x" * 1001)[:-1001], max_drain_bytes=1000)
    engine.respond(0, NOT_FOUND, b"", STAMP)

    assert b"connection: close" in engine.data_to_send()
    assert engine.closing


def test_the_part_of_a_body_that_has_come_does_not_count():
    engine = engine_with(post(b"x" * 2000)[:-1000], max_drain_bytes=1000)
    engine.respond(0, NOT_FOUND, b"", STAMP)

    assert not engine.closing


def test_an_unread_chunked_body_closes():
    """How long it goes on nobody knows, so the client hears at once that the connection ends."""
    engine = engine_with(chunked(b""))
    engine.respond(0, NOT_FOUND, b"", STAMP)

    assert b"connection: close" in engine.data_to_send()
    assert engine.closing


def test_after_an_error_nothing_more_is_reported():
    notes = Notes(new_engine())
    notes.feed(chunked(b"zz\r\n"))
    assert notes.error is not None

    assert notes.engine.next_event() is None
    assert notes.engine.closing


def test_answer_while_the_body_comes_with_its_head():
    """Head and whole body in one piece, answered before the body is taken."""
    engine = new_engine()
    engine.receive_data(post(b"hello"))
    engine.respond(0, OK, b"ok", STAMP)
    assert engine.next_event() is None
    assert not engine.closing

    assert engine.receive_data(GET).method == b"GET"


# ---- Expect: 100-continue --------------------------------------------------------------

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def expecting(version=b"1.1", body=b""):
    fields = b"host: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
    return engine_with(b"POST / HTTP/%b\r\n%b%b" % (version, fields, body))


def test_continue_is_sent_once_when_asked_for():
    engine = expecting()
    assert engine.data_to_send() == b""
    engine.continue_(0)
    engine.continue_(0)
    assert engine.data_to_send() == CONTINUE

    event = engine.receive_data(b"hello")
    assert event.data == b"hello"
    engine.respond(0, OK, b"ok", STAMP)
    assert not engine.closing


def test_no_continue_when_the_body_has_begun():
    engine = expecting(body=b"h")
    engine.continue_(0)

    assert engine.data_to_send() == b""


def test_no_continue_without_the_wish():
    engine = engine_with(post(b"hello")[:-5])
    engine.continue_(0)

    assert engine.data_to_send() == b""


def test_no_continue_after_the_answer_has_begun():
    engine = expecting()
    engine.start(0, OK, STAMP)
    engine.continue_(0)

    assert CONTINUE not in engine.data_to_send()


def test_no_continue_for_http_1_0():
    """RFC 9110 section 10.1.1: such an expectation must be ignored."""
    engine = expecting(b"1.0")
    engine.continue_(0)

    assert engine.data_to_send() == b""


def test_an_early_answer_to_a_client_that_waits_closes():
    """It may send the body or not, and nobody can tell which (RFC 9110 section 10.1.1)."""
    engine = expecting()
    engine.respond(0, NOT_FOUND, b"", STAMP)

    assert b"connection: close" in engine.data_to_send()
    assert engine.closing


def test_the_next_request_expects_nothing():
    engine = expecting()
    engine.continue_(0)
    engine.receive_data(b"hello")
    engine.respond(0, OK, b"", STAMP)
    engine.data_to_send()
    engine.receive_data(post(b"hello")[:-5])
    engine.continue_(0)

    assert engine.data_to_send() == b""


# ---- the end of a connection -----------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"GET", GET[:-2], b"\r\n"])
def test_eof_before_a_request(data):
    engine = engine_with(data)
    engine.receive_eof()

    assert engine.closing
    assert engine.data_to_send() == b""


@pytest.mark.parametrize("data", [post(b"hello")[:-1], chunked(b"5\r\nhello\r\n")])
def test_eof_in_a_body(data):
    engine = engine_with(data)
    with pytest.raises(PeerError) as caught:
        engine.receive_eof()
    engine.refuse(0, ResponseHead(caught.value.status), b"", STAMP)

    assert caught.value.status == 400
    assert engine.closing
    assert engine.data_to_send().startswith(b"HTTP/1.1 400 ")


def test_eof_while_an_answer_is_due():
    engine = engine_with(GET)
    engine.receive_eof()
    assert not engine.closing
    engine.respond(0, OK, b"ok", STAMP)

    assert engine.data_to_send().endswith(b"ok")
    assert engine.closing


def test_eof_after_pipelined_requests():
    engine = engine_with(GET + GET + GET)
    engine.receive_eof()
    for _ in range(3):
        assert not engine.closing
        engine.respond(0, OK, b"ok", STAMP)
        engine.next_event()

    assert engine.data_to_send().count(b"HTTP/1.1 200 OK") == 3
    assert engine.closing


@pytest.mark.parametrize("rest", [b"GET / HT", b"G", b"\r\n"])
def test_eof_after_the_beginning_of_a_pipelined_head(rest):
    engine = engine_with(GET + rest)
    engine.receive_eof()
    engine.respond(0, OK, b"ok", STAMP)
    assert engine.next_event() is None

    assert engine.closing


def test_eof_after_the_beginning_of_a_pipelined_body():
    """Nobody may wait for a rest that cannot come."""
    engine = engine_with(GET + post(b"hello")[:-2])
    engine.receive_eof()
    engine.respond(0, OK, b"ok", STAMP)
    with pytest.raises(PeerError, match="400"):
        all_events(engine)


def all_events(engine):
    events = []
    while (event := engine.next_event()) is not None:
        events.append(event)
    return events


def test_eof_while_a_body_is_dropped():
    engine = engine_with(post(b"hello")[:-1])
    engine.respond(0, OK, b"ok", STAMP)
    engine.receive_eof()

    assert engine.closing


def test_eof_while_an_answer_is_streamed_over_an_unfinished_body():
    engine = engine_with(post(b"hello")[:-1])
    engine.start(0, OK, STAMP)
    engine.data_to_send()
    with pytest.raises(PeerError):
        engine.receive_eof()
    engine.refuse(0, ResponseHead(400), b"", STAMP)

    assert engine.data_to_send() == b""
    assert engine.closing


@pytest.mark.parametrize("data", [b"", b"GET / HT"])
def test_shut_while_nothing_is_asked(data):
    engine = engine_with(data)
    engine.shut()

    assert engine.closing
    assert engine.receive_data(GET) is None


def test_shut_while_an_answer_is_due():
    engine = engine_with(GET + GET)
    engine.shut()
    assert not engine.closing
    engine.respond(0, OK, b"ok", STAMP)

    assert b"connection: close\r\n" in engine.data_to_send()
    assert engine.closing
    assert engine.next_event() is None


def test_shut_within_a_body():
    engine = engine_with(post(b"hello")[:-1])
    engine.shut()
    assert not engine.closing
    assert engine.receive_data(b"o").data == b"o"
    engine.respond(0, OK, b"ok", STAMP)

    assert b"connection: close\r\n" in engine.data_to_send()
    assert engine.closing


def test_shut_while_a_stream_is_sent():
    engine = engine_with(GET)
    engine.start(0, OK, STAMP)
    engine.shut()
    engine.send(0, b"x")
    assert not engine.closing
    engine.end(0)

    assert engine.data_to_send().endswith(b"0\r\n\r\n")
    assert engine.closing


def test_refuse_before_an_answer_and_after_it_has_begun():
    engine = engine_with(post(b"hello")[:-5])
    engine.refuse(0, ResponseHead(413), b"large", STAMP)
    out = engine.data_to_send()
    assert out.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close\r\n" in out
    assert out.endswith(b"large")
    assert engine.closing

    engine = engine_with(post(b"hello")[:-5])
    engine.start(0, OK, STAMP)
    engine.data_to_send()
    engine.refuse(0, ResponseHead(413), b"large", STAMP)
    assert engine.data_to_send() == b""
    assert engine.closing


def test_what_is_awaited():
    engine = new_engine()
    assert engine.reading is Reading.IDLE
    engine.receive_data(b"P")
    assert engine.reading is Reading.HEAD
    engine.receive_data(post(b"hello")[1:-1])
    assert engine.reading is Reading.BODY
    while engine.next_event() is not None:
        pass
    engine.receive_data(b"o")
    assert engine.reading is Reading.NOTHING
    engine.respond(0, OK, b"", STAMP)
    assert engine.reading is Reading.IDLE


def test_held_bytes_are_those_of_further_requests():
    engine = engine_with(GET + GET + GET)

    assert engine.held_bytes == 2 * len(GET)


def test_shut_spares_an_answer_that_is_due_after_a_body_was_dropped():
    engine = engine_with(post(b"hello")[:-1])
    engine.respond(0, OK, b"early", STAMP)
    engine.receive_data(b"o")
    engine.receive_data(GET)
    engine.data_to_send()
    engine.shut()
    assert not engine.closing

    engine.respond(0, OK, b"late", STAMP)
    assert engine.data_to_send().endswith(b"late")


# ── bodies that are written past the engine ───────────────────────────────────────────────


def test_bytes_that_were_written_past_the_engine_count():
    engine = engine_with(GET)
    engine.start(0, with_length(10), STAMP)
    engine.data_to_send()

    assert engine.count_sent(0, 9)
    assert engine.count_sent(0, -3)
    engine.send(0, b"1234")
    engine.end(0)
    assert engine.data_to_send() == b"1234"
    assert engine.reading is Reading.IDLE


def test_too_many_or_too_few_bytes_past_the_engine_are_noticed():
    engine = engine_with(GET)
    engine.start(0, with_length(10), STAMP)
    with pytest.raises(LengthError):
        engine.count_sent(0, 11)
    assert engine.count_sent(0, 9)
    with pytest.raises(LengthError):
        engine.end(0)


@pytest.mark.parametrize(
    ("request_", "head"),
    [
        (GET, OK),
        (line(b"1.0"), OK),
        (GET.replace(b"GET", b"HEAD"), with_length(10)),
        (GET, with_length(10, 304)),
    ],
)
def test_nothing_goes_past_the_engine_without_a_length_or_a_body(request_, head):
    engine = engine_with(request_)
    engine.start(0, head, STAMP)

    assert not engine.count_sent(0, 0)


def test_nothing_goes_past_an_engine_that_closes():
    engine = engine_with(GET)
    engine.start(0, with_length(10), STAMP)
    engine.abort(0)

    assert not engine.count_sent(0, 0)


@pytest.mark.parametrize(
    "rest",
    [b"/ HTTP/1.1\r\nhost: a\r\nx: \x1b\r\n\r\n", b"/ HTTP/1.1\r\n\r\n", b"/\r\n",
     b"/" + b"a" * 9000, b"/#a HTTP/1.1\r\nhost: a\r\n\r\n",
     b"/ HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 17_000 + b"\r\n\r\n"],
)  # fmt: skip
@pytest.mark.parametrize("before", [b"", b"\r\n"])
def test_a_refused_head_request_gets_no_body(before, rest):
    """RFC 9110 section 9.3.2."""
    for method, body in ((b"HEAD ", b""), (b"HEAP ", b"why")):
        engine = new_engine()
        with pytest.raises(PeerError) as caught:
            engine.receive_data(before + method + rest)
        engine.refuse(0, ResponseHead(caught.value.status), b"why", STAMP)
        sent = engine.data_to_send()

        assert b"content-length: 3\r\n" in sent
        assert sent.partition(b"\r\n\r\n")[2] == body
