"""The WebSocket engine: handshake, messages, limits and the ways to end, without a socket."""

from __future__ import annotations

import itertools
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.message.heads import Fields, PlainRequestHead
from tarry.message.websockets import Ping, Pong, WebSocketOptions
from tarry.protocol.errors import PeerError
from tarry.protocol.websocket import PIECE_BYTES, WebSocketEngine
from tests.protocol.feeding import STAMP
from tests.websocket_frames import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    TEXT,
    close,
    close_code,
    fragments,
    frame,
    read_frames,
    text,
)

FIELDS = {
    b"host": b"a",
    b"connection": b"keep-alive, Upgrade",
    b"upgrade": b"WebSocket",
    b"sec-websocket-key": KEY.encode(),
    b"sec-websocket-version": b"13",
}
DEFLATE = {b"sec-websocket-extensions": b"permessage-deflate; client_max_window_bits"}


def head(changes=(), *more, method=b"GET", version=b"1.1", end_stream=True):
    fields = {**FIELDS, **dict(changes)}
    pairs = [(name, value) for name, value in fields.items() if value is not None]
    return PlainRequestHead(
        method, b"/", Fields([*pairs, *more]), http_version=version, end_stream=end_stream
    )


def opened(changes=(), **options):
    """An engine after its handshake."""
    engine = WebSocketEngine(head(changes), WebSocketOptions(**options))
    engine.accept([], STAMP)
    engine.data_to_send()
    return engine


def feed(engine, data, size=None):
    """All events that bytes bring, given in pieces of a size."""
    events = []
    for start in range(0, len(data), size or max(len(data), 1)):
        engine.receive_data(data[start : start + (size or len(data))])
        while (event := engine.next_event()) is not None:
            events.append(event)
    return events


def ends_with(engine, code):
    """Check that it ended with a close frame of this code, and that nothing more is taken."""
    sent = read_frames(engine.data_to_send())
    assert [kind for kind, _, _ in sent][-1:] == [CLOSE]
    assert close_code(sent[-1][2]) == code == engine.close_code
    assert engine.closing
    assert feed(engine, text("more")) == []
    assert engine.data_to_send() == b""


# ── handshake ─────────────────────────────────────────────────────────────────────────────


def test_a_handshake_is_answered_as_in_the_rfc():
    engine = WebSocketEngine(head(), WebSocketOptions())
    engine.accept([(b"set-cookie", b"a=1")], STAMP)
    lines = engine.data_to_send().decode().split("\r\n")

    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert lines[-2:] == ["", ""]
    assert sorted(line.lower() for line in lines[1:-2]) == sorted(
        [
            "upgrade: websocket",
            "connection: upgrade",
            f"sec-websocket-accept: {ACCEPT}".lower(),
            "date: fri, 20 nov 2026 20:00:00 gmt",
            "server: tarry",
            "set-cookie: a=1",
        ]
    )


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (426, {"method": b"POST"}),
        (426, {"method": b"HEAD"}),
        (426, {"version": b"1.0"}),
        (426, {"version": b"2"}),
        (426, {"changes": {b"upgrade": None}}),
        (426, {"changes": {b"upgrade": b"h2c"}}),
        (426, {"changes": {b"connection": None}}),
        (426, {"changes": {b"connection": b"close"}}),
        (426, {"changes": {b"sec-websocket-version": b"12"}}),
        (426, {"changes": {b"sec-websocket-version": b"013"}}),
        (426, {"changes": {b"sec-websocket-version": None}}),
        (400, {"end_stream": False}),
        (400, {"changes": {b"sec-websocket-key": None}}),
        (400, {"changes": {b"sec-websocket-key": b""}}),
        (400, {"changes": {b"sec-websocket-key": KEY.encode()[:-4]}}),
        (400, {"changes": {b"sec-websocket-key": b"?" * 24}}),
        (400, {"changes": {b"sec-websocket-key": b"\xff" * 24}}),
        (400, {"changes": {b"connection": b"upgrade, ("}}),
        (400, {"changes": {b"upgrade": b"\xe9"}}),
        (400, {"changes": {b"sec-websocket-protocol": b"ch\xe4t"}}),
        (400, {"changes": {b"sec-websocket-protocol": b"a b"}}),
        (400, {"changes": {b"sec-websocket-protocol": b"\xf0\x9f\x98\x80, chat"}}),
    ],
)
def test_what_is_no_good_handshake_is_refused(status, arguments):
    options = WebSocketOptions(subprotocols=("chat",))
    with pytest.raises(PeerError) as raised:
        WebSocketEngine(head(**arguments), options)
    assert raised.value.status == status


@pytest.mark.parametrize("name", [b"sec-websocket-key", b"origin"])
def test_what_there_is_one_of_must_not_come_twice(name):
    twice = [(name, KEY.encode()), (name, KEY.encode())]
    with pytest.raises(PeerError) as raised:
        WebSocketEngine(head({name: None}, *twice), WebSocketOptions())
    assert raised.value.status == 400


def test_a_refusal_names_the_field_but_repeats_nothing_of_it():
    with pytest.raises(PeerError) as raised:
        WebSocketEngine(head({b"sec-websocket-key": b"<secret>"}), WebSocketOptions())
    assert raised.value.detail.endswith("Sec-WebSocket-Key")
    assert "secret" not in raised.value.detail


def test_extensions_that_are_malformed_are_refused_where_they_count():
    bad = head({b"sec-websocket-extensions": b"permessage-deflate; ="})
    with pytest.raises(PeerError) as raised:
        WebSocketEngine(bad, WebSocketOptions(compression=True))
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("offered", "ours", "chosen"),
    [
        (b"chat, superchat", ("superchat", "chat"), "superchat"),
        (b"chat", ("superchat", "chat"), "chat"),
        (b"other", ("chat",), None),
        (None, ("chat",), None),
        (b"chat", (), None),
        (b"Chat", ("chat",), None),
    ],
)
def test_the_first_subprotocol_of_ours_is_chosen_that_the_client_offers(offered, ours, chosen):
    engine = WebSocketEngine(
        head({b"sec-websocket-protocol": offered}), WebSocketOptions(subprotocols=ours)
    )
    engine.accept([], STAMP)

    assert engine.subprotocol == chosen
    lines = engine.data_to_send().lower().split(b"\r\n")
    named = [line for line in lines if line.startswith(b"sec-websocket-protocol")]
    assert named == ([b"sec-websocket-protocol: %b" % chosen.encode()] if chosen else [])


# ── messages ──────────────────────────────────────────────────────────────────────────────

STREAM = b"".join(
    [
        text("hello"),
        frame(BINARY, b"\x00\xff" * 100),
        text(""),
        fragments(TEXT, b"gr\xc3", b"\xbc\xc3\x9f", b"", b"e"),
        frame(PING, b"there?"),
        frame(BINARY, b"a" * 70_000),
        frame(PONG),
    ]
)
EVENTS = [
    "hello", b"\x00\xff" * 100, "", "grüße", Ping(b"there?"), b"a" * 70_000, Pong(b""),
]  # fmt: skip


@pytest.mark.parametrize("size", [None, 1, 2, 3, 7, 1000, PIECE_BYTES, PIECE_BYTES + 1])
def test_messages_are_the_same_in_whatever_pieces_they_come(size):
    engine = opened()

    assert feed(engine, STREAM, size) == EVENTS
    assert read_frames(engine.data_to_send()) == [(PONG, True, b"there?")]
    assert engine.close_code is None


@settings(max_examples=60)
@given(st.lists(st.integers(1, len(STREAM)), max_size=8))
def test_messages_are_the_same_however_they_are_cut(cuts):
    engine = opened()
    edges = [0, *sorted(cuts), len(STREAM)]
    events = []
    for start, end in itertools.pairwise(edges):
        events += feed(engine, STREAM[start:end])
    assert events == EVENTS


def test_control_frames_come_between_fragments():
    engine = opened()
    data = (
        frame(TEXT, b"a", fin=False)
        + frame(PING, b"1")
        + frame(CONT, b"b", fin=False)
        + frame(PONG, b"2")
        + frame(CONT, b"c")
    )

    assert feed(engine, data) == [Ping(b"1"), Pong(b"2"), "abc"]


def test_no_more_is_parsed_than_somebody_takes():
    engine = opened()
    many = PIECE_BYTES // 2
    engine.receive_data(frame(PING, b"x") * many)

    assert engine.next_event() == Ping(b"x")
    # The pongs tell how many frames were looked at.
    assert 0 < len(read_frames(engine.data_to_send())) <= PIECE_BYTES // 7 + 1
    assert engine.more
    events = 1
    while engine.next_event() is not None:
        events += 1
    assert events == many
    assert not engine.more


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_what_is_sent_is_one_frame(size):
    engine = opened()
    engine.send(b"x" * size)
    engine.send("é" * (size // 2))

    assert read_frames(engine.data_to_send()) == [
        (BINARY, True, b"x" * size),
        (TEXT, True, "é".encode() * (size // 2)),
    ]


@pytest.mark.parametrize(
    ("message", "size", "frames"),
    [
        ("abc", 3, [(TEXT, True, b"abc")]),
        ("abcd", 3, [(TEXT, False, b"abc"), (CONT, True, b"d")]),
        ("abcdef", 3, [(TEXT, False, b"abc"), (CONT, True, b"def")]),
        (b"abc", 1, [(BINARY, False, b"a"), (CONT, False, b"b"), (CONT, True, b"c")]),
        ("é", 1, [(TEXT, False, b"\xc3"), (CONT, True, b"\xa9")]),
        (b"", 1, [(BINARY, True, b"")]),
    ],
)
def test_a_message_is_sent_in_fragments(message, size, frames):
    engine = opened()
    engine.send(message, size)

    assert read_frames(engine.data_to_send()) == frames


def test_a_text_that_is_no_unicode_sends_nothing():
    engine = opened()
    with pytest.raises(UnicodeEncodeError):
        engine.send("\ud800")
    engine.send("fine")

    assert read_frames(engine.data_to_send()) == [(TEXT, True, b"fine")]


# ── what breaks the protocol ──────────────────────────────────────────────────────────────

BROKEN = {
    "unmasked": (1002, frame(TEXT, b"x", masked=False)),
    "rsv1": (1002, frame(TEXT, b"x", rsv=4)),
    "rsv2": (1002, frame(TEXT, b"x", rsv=2)),
    "rsv3": (1002, frame(PING, b"x", rsv=1)),
    "opcode 3": (1002, frame(3, b"x")),
    "opcode 11": (1002, frame(11, b"x")),
    "long ping": (1002, frame(PING, b"x" * 126)),
    "long close": (1002, frame(CLOSE, b"\x03\xe8" + b"x" * 124)),
    "fragmented ping": (1002, frame(PING, b"x", fin=False)),
    "continuation of nothing": (1002, frame(CONT, b"x")),
    "message within a message": (1002, frame(TEXT, b"x", fin=False) + frame(TEXT, b"x")),
    "close within a message": (1002, frame(TEXT, b"x", fin=False) + close(1000)),
    "text that is not UTF-8": (1007, frame(TEXT, b"\xff")),
    "surrogate": (1007, frame(TEXT, b"\xed\xa0\x80")),
    "overlong": (1007, frame(TEXT, b"\xc0\xaf")),
    "text that ends too soon": (1007, frame(TEXT, b"\xc3")),
    "fragments that end too soon": (1007, fragments(TEXT, b"a", b"\xc3")),
    "reason that is not UTF-8": (1007, close(1000, b"\xff")),
    "close of one byte": (1002, frame(CLOSE, b"\x03")),
    "close 0": (1002, close(0)),
    "close 999": (1002, close(999)),
    "close 1004": (1002, close(1004)),
    "close 1005": (1002, close(1005)),
    "close 1006": (1002, close(1006)),
    "close 1015": (1002, close(1015)),
    "close 2000": (1002, close(2000)),
    "close 65535": (1002, close(65535)),
}


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_protocol_ends_it(name, size):
    code, data = BROKEN[name]
    engine = opened()

    assert feed(engine, text("before") + data, size) == ["before"]
    ends_with(engine, code)


def test_broken_text_ends_it_at_the_fragment_that_breaks_it():
    engine = opened()
    assert feed(engine, frame(TEXT, b"good", fin=False)) == []
    assert engine.close_code is None
    feed(engine, frame(CONT, b"\xff", fin=False))

    ends_with(engine, 1007)


def test_nothing_that_follows_a_fault_is_reported():
    engine = opened()
    data = text("before") + frame(TEXT, b"\xff") + text("after") + close(1000)

    assert feed(engine, data) == ["before"]
    assert feed(engine, text("later")) == []
    assert [kind for kind, _, _ in read_frames(engine.data_to_send())] == [CLOSE]


# ── limits ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [None, 1])
def test_a_message_may_have_the_most_bytes_and_not_one_more(size):
    engine = opened(max_message_bytes=1000)
    whole = frame(BINARY, b"x" * 1000)
    parts = fragments(BINARY, b"x" * 600, b"x" * 400, b"")

    assert feed(engine, whole + parts, size) == [b"x" * 1000] * 2
    feed(engine, frame(BINARY, b"x" * 1001), size)
    ends_with(engine, 1009)


def test_fragments_count_together():
    engine = opened(max_message_bytes=1000)

    assert feed(engine, fragments(TEXT, b"x" * 600, b"x" * 401)) == []
    ends_with(engine, 1009)


def test_a_ping_may_come_when_a_message_is_as_large_as_can_be():
    engine = opened(max_message_bytes=1000)
    data = frame(BINARY, b"x" * 1000, fin=False) + frame(PING, b"p" * 125) + frame(CONT)

    assert feed(engine, data) == [Ping(b"p" * 125), b"x" * 1000]


@pytest.mark.parametrize("announced", [2_000, 2**31, 2**63 - 1])
def test_an_announced_length_is_refused_before_the_bytes_come(announced):
    engine = opened(max_message_bytes=1000)
    feed(engine, frame(BINARY, b"", length=announced))

    ends_with(engine, 1009)


def test_a_message_may_have_the_most_frames_and_not_one_more():
    engine = opened(max_fragments=10)
    assert feed(engine, fragments(BINARY, *[b""] * 9, b"x")) == [b"x"]
    assert feed(engine, fragments(BINARY, *[b""] * 10, b"x")) == []

    ends_with(engine, 1009)


# ── permessage-deflate ────────────────────────────────────────────────────────────────────


def deflated(data):
    packer = zlib.compressobj(wbits=-12)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_compression_is_off_unless_asked_for():
    engine = opened(DEFLATE)
    feed(engine, frame(TEXT, deflated(b"hello"), rsv=4))

    ends_with(engine, 1002)


def test_compressed_messages_are_inflated_and_answered_in_kind():
    engine = opened(DEFLATE, compression=True)

    assert feed(engine, frame(TEXT, deflated(b"hello"), rsv=4)) == ["hello"]
    engine.send("x" * 1000)
    kind, _, payload = read_frames(bytes([TEXT | 0x80]) + engine.data_to_send()[1:])[0]
    assert kind == TEXT
    assert zlib.decompressobj(wbits=-12).decompress(payload + b"\0\0\xff\xff") == b"x" * 1000


@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False), (10_000_000, False)])
def test_the_limit_holds_for_what_a_message_inflates_to(size, fits):
    engine = opened(DEFLATE, compression=True, max_message_bytes=1000)
    events = feed(engine, frame(BINARY, deflated(b"x" * size), rsv=4)[: PIECE_BYTES * 2])

    if fits:
        assert events == [b"x" * size]
    else:
        assert events == []
        ends_with(engine, 1009)


def test_what_does_not_inflate_ends_it():
    engine = opened(DEFLATE, compression=True)
    feed(engine, frame(BINARY, b"\xff" * 50, rsv=4))

    ends_with(engine, 1002)


# ── the end ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (close(1000), 1000, ""),
        (close(1001, b"bye"), 1001, "bye"),
        (close(4000, b"x" * 123), 4000, "x" * 123),
        (close(), 1005, ""),
    ],
)
def test_a_close_is_answered_in_kind_and_what_came_before_is_taken(data, code, reason, size):
    engine = opened()

    assert feed(engine, text("last") + data + text("after"), size) == ["last"]
    assert (engine.close_code, engine.close_reason) == (code, reason)
    (kind, _, payload), *none = read_frames(engine.data_to_send())
    assert (kind, close_code(payload), none) == (CLOSE, None if code == 1005 else code, [])
    assert engine.closing


def test_our_close_waits_for_theirs_and_drops_what_comes_before_it():
    engine = opened()
    engine.close(4001, "enough")
    engine.close(1000)

    assert read_frames(engine.data_to_send()) == [(CLOSE, True, b"\x0f\xa1enough")]
    assert not engine.closing
    assert feed(engine, text("on the way") + frame(PING, b"p")) == []
    assert read_frames(engine.data_to_send()) == [(PONG, True, b"p")]
    assert feed(engine, close(4001)) == []
    assert engine.data_to_send() == b""
    assert engine.closing
    assert (engine.close_code, engine.close_reason) == (4001, "enough")


@pytest.mark.parametrize("rest", [b"", frame(TEXT, b"hello")[:-1], frame(TEXT, b"", fin=False)])
def test_an_end_without_a_close_is_1006(rest):
    engine = opened()
    assert feed(engine, text("last") + rest) == ["last"]
    engine.receive_eof()

    assert engine.next_event() is None
    assert engine.close_code == 1006
    assert engine.data_to_send() == b""
    assert engine.closing


def test_what_came_before_the_end_can_still_be_taken():
    engine = opened()
    engine.receive_data(text("one") + text("two") + close(1000))
    engine.receive_eof()

    assert [engine.next_event(), engine.next_event(), engine.next_event()] == ["one", "two", None]
    assert engine.close_code == 1000


def test_a_broken_connection_is_1006_at_once():
    engine = opened()
    engine.receive_data(text("never looked at"))
    engine.lose()

    assert engine.close_code == 1006
    assert engine.next_event() is None


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_random_bytes_do_no_harm(data):
    engine = opened(max_message_bytes=1000)
    feed(engine, data)
    engine.receive_eof()
    while engine.next_event() is not None:
        pass
    engine.data_to_send()

    assert engine.close_code is not None
