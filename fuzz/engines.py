"""The engines: HTTP/1.1, HTTP/2 and WebSocket, fed whole and in pieces."""

from __future__ import annotations

import struct
from typing import Any

from fuzz.target import Target, cut, expect
from tarry.message.heads import Fields, InvalidField, PlainRequestHead, ResponseHead, check_field
from tarry.message.websockets import WebSocketOptions
from tarry.protocol.engine import Reading, Stamp
from tarry.protocol.errors import PeerError
from tarry.protocol.events import Data, EndOfBody, StreamReset, StreamWritable, SwitchToHTTP2
from tarry.protocol.http1 import HeadParser, HTTP1Engine
from tarry.protocol.http2 import HTTP2Engine
from tarry.protocol.limits import Limits
from tarry.protocol.websocket import WebSocketEngine

STAMP = Stamp(b"Fri, 20 Nov 2026 20:00:00 GMT")
OK = ResponseHead(200, [(b"content-type", b"text/plain")])
REFUSALS = frozenset({400, 408, 413, 414, 417, 431, 501})


# ---- HTTP/1.1 ------------------------------------------------------------------------------


class Conversation:
    """An engine whose requests are answered at once, and what it told."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.told: list[Any] = []
        self.bodies: dict[int, bytes] = {}
        self.refused = self.switched = False

    def feed(self, data: bytes) -> None:
        """Give it bytes, and take what they bring."""
        event = self._try(lambda: self.engine.receive_data(data))
        while event is not None:
            if not isinstance(event, PeerError):
                self._note(event)
            event = None if self.switched else self._try(self.engine.next_event)
        self.engine.data_to_send()

    def _try(self, receive: Any) -> Any:
        try:
            return receive()
        except PeerError as error:
            expect(error.status in REFUSALS, "no refusal", error.status)
            self.told.append((error.stream_id, "refused", error.status))
            self.bodies.pop(error.stream_id, None)
            self.engine.refuse(error.stream_id, ResponseHead(error.status), b"why", STAMP)
            self.refused = True
            return error

    def _note(self, event: Any) -> None:
        if isinstance(event, SwitchToHTTP2):
            self.told.append("HTTP/2 from here on")
            self.switched = True
            return
        if isinstance(event, StreamWritable):
            return
        number = event.stream_id
        if isinstance(event, Data):
            self.bodies[number] = self.bodies.get(number, b"") + event.data
            return
        if isinstance(event, EndOfBody):
            self.told.append((number, self.bodies.pop(number, b"") + event.data, event.trailers))
        elif isinstance(event, StreamReset):
            self.told.append((number, "reset"))
            return
        else:
            expect(event.path[:1] == b"/" or event.path == b"*", "no path", event.path)
            expect(event.method.isascii() and event.target.isascii(), "no ASCII", event.target)
            self.told.append((number, event.method, event.target, list(event.headers)))
            if not event.end_stream:
                return
        self.engine.respond(number, OK, b"ok", STAMP)


def told(engine: Any, pieces: list[bytes]) -> Conversation:
    """What an engine tells of bytes in these pieces."""
    conversation = Conversation(engine)
    for piece in pieces:
        if conversation.engine.closing or conversation.switched:
            break
        conversation.feed(piece)
    return conversation


def check_http1(data: bytes) -> None:
    """The same requests whole and in pieces; the end tells of an error or of nothing more."""
    limits = Limits(max_head_bytes=4000, max_target_bytes=1000, max_fields=20)
    whole = told(HTTP1Engine(limits, HeadParser()), [data])
    parts = told(HTTP1Engine(limits, HeadParser()), cut(data))
    # Whether the end of a fault is seen or only its beginning can make another reason.
    common = min(len(whole.told), len(parts.told)) - (whole.refused or parts.refused)
    expect(whole.told[:common] == parts.told[:common], "requests differ", whole.told, parts.told)
    expect(not whole.refused or parts.refused, "not refused in pieces", whole.told)
    if (
        not whole.switched
        and not whole.engine.closing
        and whole.engine.reading is not Reading.NOTHING
    ):
        try:
            whole.engine.receive_eof()
        except PeerError as error:
            expect(error.status == 400, "no refusal", error.status)
        expect(whole.engine.closing or whole.engine.reading is Reading.BODY, "it goes on")


# ---- HTTP/2 --------------------------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame of HTTP/2 (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + struct.pack("!BBL", kind, flags, stream_id) + payload


SETTINGS = frame(4, 0, 0)
GET = b"\x82\x86\x84\x41\x01a"
"""GET, http, "/" of the static table, and `:authority` as a literal (RFC 7541)."""
POST = b"\x83\x86\x84\x41\x01a"


def check_http2(data: bytes) -> None:
    """The same requests whole and in pieces, and nothing but refusals."""
    whole = told(HTTP2Engine(Limits()), [PREFACE + SETTINGS + data])
    parts = told(HTTP2Engine(Limits()), cut(PREFACE + SETTINGS + data))
    common = min(len(whole.told), len(parts.told))
    expect(whole.told[:common] == parts.told[:common], "requests differ", whole.told, parts.told)
    expect(whole.engine.closing == parts.engine.closing, "the end differs", whole.told, parts.told)


# ---- WebSocket -----------------------------------------------------------------------------

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = [(b"host", b"a"), (b"connection", b"upgrade"), (b"upgrade", b"websocket"),
             (b"sec-websocket-key", KEY), (b"sec-websocket-version", b"13")]  # fmt: skip
DEFLATE = (b"sec-websocket-extensions", b"permessage-deflate")


FAULTS = frozenset({1002, 1007, 1009})


def websocket(*fields: tuple[bytes, bytes]) -> WebSocketEngine:
    """An open socket."""
    head = PlainRequestHead(b"GET", b"/", Fields([*HANDSHAKE, *fields]))
    options = WebSocketOptions(compression=True, max_message_bytes=10_000, max_fragments=50)
    engine = WebSocketEngine(head, options)
    engine.accept([], STAMP)
    engine.data_to_send()
    return engine


def check_websocket(data: bytes) -> None:
    """The same messages and the same end, whole and in pieces, with and without compression."""
    for fields in ((), (DEFLATE,)):
        whole, code = messages(websocket(*fields), [data])
        parts, other = messages(websocket(*fields), cut(data))
        expect(whole == parts, "messages differ", whole, parts)
        # All frames of a piece are read before the text in the first is found to be none.
        expect(code == other or {code, other} & FAULTS, "ends differ", code, other)


def messages(engine: WebSocketEngine, pieces: list[bytes]) -> tuple[list[Any], int | None]:
    """What a socket brings, and how it ends."""
    received: list[Any] = []
    for piece in pieces:
        engine.receive_data(piece)
        while (message := engine.next_event()) is not None:
            received.append(message)
            if isinstance(message, str | bytes):
                expect(len(message) <= 10_000, "a message too large", len(message))
        engine.data_to_send()
    engine.receive_eof()
    engine.next_event()
    expect(engine.close_code is not None, "it has not ended")
    return received, engine.close_code


def check_handshakes(data: bytes) -> None:
    """Any fields are a handshake or a refusal."""
    lines = [line.partition(b":") for line in data.split(b"\n")]
    fields = [(name, value) for name, _, value in lines]
    try:
        for field in fields:
            check_field(*field)
    except InvalidField:
        return  # no engine lets it pass
    head = PlainRequestHead(b"GET", b"/", Fields(fields))
    try:
        engine = WebSocketEngine(head, WebSocketOptions(compression=True, subprotocols=("a", "b")))
    except PeerError as error:
        expect(error.status in (400, 426), "no refusal", error.status)
        return
    engine.accept([], STAMP)
    sent = engine.data_to_send()
    expect(sent.startswith(b"HTTP/1.1 101 ") and sent.endswith(b"\r\n\r\n"), "no handshake", sent)
    expect(sent.count(b"\r\n\r\n") == 1 and sent.count(b"\n") == sent.count(b"\r\n"), "split", sent)


def masked(first: int, payload: bytes, *, mask: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """One frame of a client (RFC 6455 section 5.2)."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0xFE, size)
    content = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([first]) + length + mask + content


# ---- targets -------------------------------------------------------------------------------

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAMES = (masked(0x81, b"hello"), masked(0x82, b"\x00\xff"), masked(0x01, b"a"), masked(0x80, b"b"),
          masked(0x00, b""), masked(0x89, b"ping"), masked(0x8A, b""), masked(0x88, b"\x03\xe8bye"),
          masked(0xC1, b"\xf2H\xcd\xc9\xc9\x07\x00"), masked(0x81, b"\xc3"), masked(0x82, b"x" * 200),
          b"\x81\x05hello", b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", masked(0x83, b""))  # fmt: skip
H2_FRAMES = (
    frame(1, 5, 1, GET), frame(1, 5, 3, GET), frame(1, 4, 1, POST), frame(1, 4, 3, POST),
    frame(0, 1, 1, b"body"), frame(0, 0, 1, b"part"), frame(0, 9, 3, b"\x02xx\0\0"), frame(3, 0, 1, b"\0\0\0\x08"),
    frame(8, 0, 0, b"\0\0\0\x01"), frame(8, 0, 1, b"\0\0\0\0"), frame(6, 0, 0, b"12345678"),
    frame(2, 0, 1, b"\0\0\0\x01\x10"), frame(1, 1, 5, GET), frame(9, 4, 5, b""), frame(7, 0, 0, b"\0" * 8),
    frame(4, 1, 0), frame(4, 0, 0, b"\0\x04\0\0\0\x0a"), frame(1, 5, 7, GET + b"\x40\x01x\x01y"),
    frame(5, 4, 1, b"\0\0\0\x02"), frame(99, 0, 0, b"x"), frame(1, 5, 9, b"\xff\xff\xff\xff\xff"),
)  # fmt: skip

TARGETS = (
    Target("http1", check_http1,
           (HEAD, HEAD * 3, CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + HEAD, b"HEAD /a?b HTTP/1.0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + HEAD, PREFACE),
           {b"start": (b"<request>", b"<request><start>"),
            b"request": (b"<line><fields>\r\n", b"<line><fields>Content-Length: 5\r\n\r\nhello",
                         b"<line><fields>Transfer-Encoding: chunked\r\n\r\n<chunks>"),
            b"line": (b"<method> <target> HTTP/<version>\r\nHost: <host>\r\n",
                      b"<method> <target> HTTP/1.1\r\n"),
            b"method": (b"GET", b"POST", b"HEAD", b"OPTIONS", b"BREW", b"get", b"CONNECT"),
            b"target": (b"/", b"/a/b?c", b"*", b"http://a/", b"a", b"/\xff", b"/a#b", b""),
            b"version": (b"1.1", b"1.1", b"1.0", b"1.2", b"2.0"),
            b"host": (b"a", b"a:80", b"", b"a b", b"a,b", b"[::1]"),
            b"fields": (b"", b"<field>\r\n<fields>"),
            b"field": (b"X: y", b"Connection: close", b"Content-Length: 0", b"Expect: 100-continue",
                       b"Transfer-Encoding: gzip", b"Connection: keep-alive", b"x :y", b" fold"),
            b"chunks": (b"0\r\n\r\n", b"5\r\nhello\r\n<chunks>", b"1;a=b\r\nx\r\n<chunks>", b"0\r\nx: y\r\n\r\n",
                        b"g\r\n", b"0x1\r\nx\r\n<chunks>")},
           (HEAD, b"Transfer-Encoding: chunked\r\n", b"Content-Length: 1\r\n", b"HTTP/1.1")),
    Target("http2", check_http2, (*H2_FRAMES, H2_FRAMES[0] + H2_FRAMES[2] + H2_FRAMES[4]),
           {b"start": (b"<frame>", b"<frame><start>", b"<frame><frame><start>"), b"frame": H2_FRAMES}, H2_FRAMES),
    Target("websocket", check_websocket, FRAMES,
           {b"start": (b"<frame>", b"<frame><start>", b"<frame><frame><start>"), b"frame": FRAMES}, FRAMES),
    Target("handshakes", check_handshakes,
           (b"\n".join(b"%b:%b" % field for field in HANDSHAKE),
            b"\n".join(b"%b:%b" % field for field in [*HANDSHAKE, DEFLATE, (b"sec-websocket-protocol", b"b, a")])),
           pieces=(b"permessage-deflate; client_max_window_bits=10", b"server_max_window_bits=8",
                   b"\nsec-websocket-protocol:a", b"\nsec-websocket-extensions:x", KEY)),
)  # fmt: skip
