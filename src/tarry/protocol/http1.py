"""HTTP/1.1 (RFC 9112): one request at a time, answered in order.

The engine finds the end of each head itself and gives exactly that to the
parser.  So every limit is exact, further requests on the connection stay
unread until their turn, and an idle connection holds no parser.
"""

import zttp

from tarry.message.heads import Field, LengthError, RequestHead, ResponseHead
from tarry.protocol import http1_heads as heads
from tarry.protocol.chunked import ChunkedDecoder
from tarry.protocol.engine import Reading, Stamp
from tarry.protocol.errors import PeerError
from tarry.protocol.events import Data, EndOfBody, Event, SwitchToHTTP2
from tarry.protocol.limits import Limits
from tarry.protocol.strictness import KNOWN_HOSTS, METHODS, check_expectation, checked

PREFACE_HEAD = b"PRI * HTTP/2.0\r\n\r\n"
"""The first part of the HTTP/2 preface, which looks like a head (RFC 9113 section 3.4)."""

_IDLE, _HEAD, _BODY, _NOTHING = Reading.IDLE, Reading.HEAD, Reading.BODY, Reading.NOTHING
_Request = zttp.Request
_SLASH, _HASH = b"/#"
_PLAIN_METHODS = METHODS - {b"HEAD"}

_MANY = 1024
_SIZES = [b"%d\r\n\r\n" % size for size in range(_MANY)]
"""The ends of heads of small answers, made once."""


class HeadParser:
    """The parser of one worker: heads come whole, so all its connections share it."""

    __slots__ = ("parser",)

    def __init__(self) -> None:
        self.parser = zttp.Connection(zttp.SERVER)

    def renew(self) -> None:
        """Start afresh after an error, or after a head whose body is read elsewhere."""
        self.parser = zttp.Connection(zttp.SERVER)


class HTTP1Engine:
    """One HTTP/1.1 connection, our side of it; see `protocol.engine.Engine`."""

    __slots__ = (
        "_chunked_answer", "_coming", "_decoder", "_dropped_bytes", "_dropping", "_eof",
        "_expecting", "_first", "_head_parser", "_held", "_is_head", "_keep", "_left", "_limits",
        "_mute", "_out", "_plain", "_searched", "_shut", "_small_head_bytes", "_started",
        "_stripped", "_unusual", "_version_1_0", "_whole_body", "closing", "more",
        "reading",
    )  # fmt: skip

    def __init__(self, limits: Limits, head_parser: HeadParser) -> None:
        self._limits = limits
        self._small_head_bytes = limits.small_head_bytes
        self._head_parser = head_parser
        self.reading = _IDLE
        self.closing = self.more = False
        self._held = bytearray()
        self._searched = 0
        self._out = b""
        self._first = self._unusual = True
        self._stripped = self._eof = self._shut = self._dropping = False
        self._plain = self._is_head = self._version_1_0 = False
        self._keep = True
        self._started = self._chunked_answer = self._expecting = self._mute = False
        self._coming = self._dropped_bytes = 0
        self._decoder: ChunkedDecoder | None = None
        self._left: int | None = None
        self._whole_body: bytes | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes received but not yet looked at, because an answer is due first."""
        return len(self._held) + len(self._whole_body or b"")

    @property
    def out_bytes(self) -> int:
        """Bytes that `data_to_send` would return."""
        return len(self._out)

    @property
    def stalled_bytes(self) -> int:
        """Always 0: HTTP/1.1 has no flow control of its own."""
        return 0

    # ---- receiving -------------------------------------------------------------------

    def receive_data(self, data: bytes) -> Event | None:
        """Take bytes from the peer; the first event they bring, or `None`.

        Raises:
            PeerError: the bytes break the protocol; answer `error.status` and close.
        """
        try:
            if self.reading is _IDLE and not self.more:
                end = data.find(b"\r\n\r\n") + 4
                if end == len(data) > 3:
                    return self._take_head(data)
                if end > 4:
                    return self._take_head_and_more(data, end)
            if self._passes(data):
                return self._pass(data)
        except PeerError:
            self.closing = True
            raise
        self._held += data
        return self.next_event()

    def _passes(self, data: bytes) -> bool:
        """Whether the bytes are all part of a body, so that they need no keeping and cutting."""
        return (
            self.reading is _BODY
            and not self.closing
            and 0 < len(data) <= self._coming
            and not self._held
            and self._whole_body is None
        )

    def _pass(self, data: bytes) -> Event | None:
        """A piece of a body of known length as it came; a large one costs no copy."""
        self._expecting = False
        self._coming -= len(data)
        if self._dropping:
            self._drop(len(data))
        if not self._coming:
            event = self._end_body(data)
        else:
            event = None if self._dropping else Data(0, data)
        self.more = False
        return event

    def hold(self, data: bytes) -> None:
        """Take bytes from the peer, but do not look at them before `next_event` is called."""
        self._held += data
        self.more = True

    def _take_head_and_more(self, data: bytes, end: int) -> Event | None:
        """A head and what came with it: most often all of a small body, which is kept whole."""
        event = self._take_head(data[:end])
        rest = data[end:]
        if self.reading is _BODY and len(rest) == self._coming:
            self._whole_body = rest
        elif type(event) is SwitchToHTTP2:
            event.data += rest
        else:
            self._held += rest
        self.more = True
        return event

    def next_event(self) -> Event | None:
        """The next event, or `None` when more bytes or an answer are needed.

        Raises:
            PeerError: as for `receive_data`.
        """
        if self.closing:
            return None
        event = None
        try:
            if self.reading is _BODY:
                event = self._take_body() if self._whole_body is None else self._take_whole_body()
            # A dropped body may have made room for the next head.
            if event is None and self._held and self.reading in (_IDLE, _HEAD):
                event = self._find_head()
            if event is None and self._eof:
                self._end_at_eof()
        except PeerError:
            self.closing = True
            raise
        self.more = bool(self._held) or self.reading is _BODY
        return event

    def receive_eof(self) -> None:
        """The peer will send nothing more.

        Raises:
            PeerError: 400, in the middle of a body.
        """
        self._eof = self._unusual = True
        self._end_at_eof()

    def _end_at_eof(self) -> None:
        """What is complete is answered still; nobody waits for a rest that cannot come."""
        if self.reading is _BODY and not self._dropping and self._whole_body is None:
            raise PeerError(400, "the body is shorter than announced")
        if self.reading is not _NOTHING and self._whole_body is None:
            self.closing = True

    def _find_head(self) -> Event | None:
        held = self._held
        if held.startswith(b"\r\n") and not self._stripped:
            # One empty line before a request is forgiven (RFC 9112 section 2.2).
            del held[:2]
            self._stripped = self._unusual = True
        end = held.find(b"\r\n\r\n", self._searched) + 4
        if end < 4:
            searched, self._searched = self._searched, max(0, len(held) - 3)
            if held and held != b"\r":
                self.reading = _HEAD
                self._is_head = held.startswith(b"HEAD ")
                heads.check_beginning(held, self._limits, searched)
            return None
        raw = bytes(held[:end])
        del held[:end]
        self._searched = 0
        return self._take_head(raw)

    def _take_head(self, raw: bytes) -> Event | None:
        """Read a complete head and decide what follows it."""
        if len(raw) > self._small_head_bytes:
            self._is_head = raw[:7].lstrip(b"\r\n").startswith(b"HEAD ")
            heads.check_sizes(raw, self._limits)
        parser = self._head_parser.parser
        try:
            parsed = parser.receive_event(raw)
        except zttp.RemoteProtocolError as error:
            return self._take_odd_head(raw, error)
        if type(parsed) is not _Request:
            self._head_parser.renew()
            raise PeerError(400, "the request line is malformed")
        # The parser's own head is handed on unread: its lazy block makes heads cheap.
        head: RequestHead = parsed  # type: ignore[assignment]  # because HTTP/1 has no plain lists
        target = head.target
        if (
            head.method in _PLAIN_METHODS
            and head.headers.get(b"host") in KNOWN_HOSTS
            and head.http_version == b"1.1"
            and target[0] == _SLASH
            and _HASH not in target
            and target.isascii()
        ):
            self._plain = True
        else:
            head = self._check_head(head)
        if parser.should_close() or self._shut:
            self._plain = self._keep = False
            self._unusual = True
        if head.end_stream:
            parser.start_next_cycle()
            self.reading = _NOTHING
        else:
            self._head_parser.renew()
            self._begin_body(head)
        return head

    def _take_odd_head(self, raw: bytes, error: zttp.ProtocolError) -> Event | None:
        """What the parser refused: an empty line before it, the HTTP/2 preface, or a fault."""
        self._head_parser.renew()
        self._is_head = raw.startswith(b"HEAD ")
        if raw == PREFACE_HEAD and self._first:
            return SwitchToHTTP2(raw + bytes(self._held))
        if raw.startswith(b"\r\n") and not self._stripped and len(raw) > 4:
            self._stripped = self._unusual = True
            return self._take_head(raw[2:])
        raise heads.diagnose(raw, self._limits) from error

    def _check_head(self, head: RequestHead) -> RequestHead:
        """The rest: HEAD, HTTP/1.0, odd targets, the first sight of a host, and faults."""
        self._is_head = head.method == b"HEAD"
        if head.http_version not in (b"1.0", b"1.1"):
            self._head_parser.renew()
            raise PeerError(400, "the version is neither HTTP/1.0 nor HTTP/1.1")
        try:
            head = checked(head)
        except PeerError:
            self._head_parser.renew()
            raise
        self._unusual = True
        self._version_1_0 = head.http_version == b"1.0"
        self._plain = not self._is_head and not self._version_1_0
        return head

    def _begin_body(self, head: RequestHead) -> None:
        headers = head.headers
        if headers.get(b"expect") is not None:
            check_expectation(head)
        length = heads.body_length(headers, head.http_version)
        self._coming = length or 0
        self._decoder = ChunkedDecoder(self._limits) if length is None else None
        # HTTP/1.0 does not know it (RFC 9110 section 10.1.1).
        self._expecting = head.expect_continue and not self._version_1_0
        self._dropping = False
        self._dropped_bytes = 0
        self.reading = _BODY
        self.more = True

    def _take_body(self) -> Event | None:
        """The next piece of a body, or its end."""
        if not self._held:
            return None
        self._expecting = False
        decoder = self._decoder
        if decoder is None:
            data = bytes(self._held[: self._coming])
            self._coming -= len(data)
            del self._held[: len(data)]
            ended = not self._coming
        else:
            data, used = decoder.decode(bytes(self._held))
            del self._held[:used]
            ended = decoder.ended
        if self._dropping:
            self._drop(len(data))
        if not ended:
            return Data(0, data) if data and not self._dropping else None
        return self._end_body(data)

    def _take_whole_body(self) -> Event | None:
        data, self._whole_body = self._whole_body or b"", None
        self._coming = 0
        self._expecting = False
        return self._end_body(data)

    def _end_body(self, data: bytes) -> Event | None:
        trailers: list[Field] = []
        if self._decoder is not None:
            trailers = _trailers(self._decoder.trailer_lines)
            self._decoder = None
        self.reading = _NOTHING
        if self._dropping:
            self._dropping = False
            self._next_request()
            return None
        return EndOfBody(0, data, trailers)

    def _drop(self, size: int) -> None:
        self._dropped_bytes += size
        if self._dropped_bytes > self._limits.max_drain_bytes:
            self.closing = True

    # ---- sending ---------------------------------------------------------------------

    def continue_(self, stream_id: int) -> None:
        """Ask a client that expects it for the body (100 Continue)."""
        if self._expecting and not self._started:
            self._expecting = False
            self._out += b"HTTP/1.1 100 Continue\r\n\r\n"

    def respond(self, stream_id: int, head: ResponseHead, body: bytes, stamp: Stamp) -> None:
        """Give a whole answer.

        Raises:
            LengthError: the head announced another length.
        """
        if self._plain and head.plain and self.reading is _NOTHING:
            lines = head.stamped_lines if head.stamp is stamp else heads.encode_stamped(head, stamp)
            size = len(body)
            self._out += lines + (_SIZES[size] if size < _MANY else b"%d\r\n\r\n" % size) + body
            self.reading = _IDLE
            if self._unusual:
                self._next_request()
            return
        if head.length is not None and head.length != len(body) and not self._without_body(head):
            raise LengthError(f"content-length is {head.length}, the body has {len(body)} bytes")
        self._begin_answer(head, len(body) if head.length is None else head.length, stamp)
        if not self._without_body(head):
            self._out += body
        self._finish()

    def start(self, stream_id: int, head: ResponseHead, stamp: Stamp) -> None:
        """Begin an answer whose body follows."""
        if head.length is None and self._version_1_0 and not self._without_body(head):
            self._keep = False
        self._begin_answer(head, head.length, stamp)

    def _without_body(self, head: ResponseHead) -> bool:
        return self._is_head or head.without_body

    def _begin_answer(self, head: ResponseHead, length: int | None, stamp: Stamp) -> None:
        self._started = True
        self._keep = self._keep and self._can_skip_body()
        self._chunked_answer = length is None and not self._version_1_0 and not head.without_body
        self._left = None if self._without_body(head) else length
        framing = b""
        if self._chunked_answer:
            framing = b"transfer-encoding: chunked\r\n"
        elif length is not None and not head.without_body:
            framing = b"content-length: %d\r\n" % length
        self._mute = self._without_body(head)
        if self._mute:
            self._chunked_answer = False
        if not self._keep:
            framing += b"connection: close\r\n"
        elif self._version_1_0:
            framing += b"connection: keep-alive\r\n"
        self._out += b"%b%b%b\r\n" % (heads.encode(head), stamp.lines_beside(head), framing)

    def _can_skip_body(self) -> bool:
        """Whether what is left of the request's body is little enough to read and drop."""
        if self.reading is not _BODY:
            return True
        if self._decoder is not None or self._expecting:
            # How much a chunked body has left nobody knows, nor whether an unasked one comes:
            # the client must hear now that the connection ends, not find out later.
            return False
        return self._coming <= self._limits.max_drain_bytes

    def send(self, stream_id: int, data: bytes) -> None:
        """Add a piece of the body.

        Raises:
            LengthError: more than the head announced.
        """
        if not data or self._mute:
            return
        if self._chunked_answer:
            self._out += b"%x\r\n%b\r\n" % (len(data), data)
            return
        if self._left is not None:
            self._count(len(data), self._left)
        self._out += data

    def _count(self, size: int, left: int) -> None:
        if size > left:
            raise LengthError(f"the body is {size - left} bytes longer than announced")
        self._left = left - size

    def count_sent(self, stream_id: int, size: int) -> bool:
        """Count bytes of the body that go to the socket past the engine; false if none may.

        Raises:
            LengthError: more than the head announced.
        """
        if self._left is None or self.closing:
            return False
        self._count(size, self._left)
        return True

    def end(self, stream_id: int) -> None:
        """End the body.

        Raises:
            LengthError: less than the head announced.
        """
        if self._left:
            raise LengthError(f"the body is {self._left} bytes shorter than announced")
        if self._chunked_answer:
            self._out += b"0\r\n\r\n"
        self._finish()

    def _finish(self) -> None:
        if not self._keep:
            self.closing = True
        elif self.reading is _BODY:
            self._dropping = True
        else:
            self._next_request()

    def _next_request(self) -> None:
        self.reading = _IDLE
        self._keep = True
        self._unusual = self._eof
        self._first = self._stripped = self._started = False
        self._is_head = self._version_1_0 = False
        if self._eof and not self._held:
            self.closing = True

    def abort(self, stream_id: int) -> None:
        """Break off an answer, which ends the connection."""
        self.closing = True

    def refuse(self, stream_id: int, head: ResponseHead, body: bytes, stamp: Stamp) -> None:
        """Answer an error of the peer, unless an answer has begun, and end the connection."""
        if not self._started:
            self._keep = self._version_1_0 = False
            self._begin_answer(head, len(body), stamp)
            if not self._mute:
                self._out += body
        self.closing = True

    def shut(self) -> None:
        """Take no further request; an answer under way is finished."""
        self._shut = True
        self._keep = self._plain = False
        if self.reading is _IDLE or self.reading is _HEAD:
            self.reading = _NOTHING
            self.closing = True
        elif self._dropping:
            self.closing = True

    def release(self) -> bytes:
        """Give the connection to another protocol: what came after the last head."""
        rest, self._held = bytes(self._held), bytearray()
        self.more = False
        return rest

    def pending_bytes(self, stream_id: int) -> int:
        """Always 0: HTTP/1.1 has no flow control of its own."""
        return 0

    def data_to_send(self) -> bytes:
        """The bytes to write now; they are forgotten here."""
        out, self._out = self._out, b""
        return out


def _trailers(lines: bytes) -> list[Field]:
    """Trailer fields, read by the parser with its rules for fields.

    Raises:
        PeerError: 400 for a malformed or forbidden trailer.
    """
    if lines == b"\r\n":
        return []
    parser = zttp.Connection(zttp.SERVER)
    parser.receive_event(b"PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
    try:
        event = parser.receive_event(b"0\r\n" + lines)
    except zttp.RemoteProtocolError as error:
        raise PeerError(400, "a trailer field is malformed or not allowed") from error
    return event.trailers if type(event) is zttp.EndOfMessage else []
