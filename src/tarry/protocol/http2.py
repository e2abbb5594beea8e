"""HTTP/2 (RFC 9113): many requests at once on one connection.

Frames, header compression, stream states and flow control are the parser's;
here its events become those that HTTP/1.1 has, and limits are kept.
"""

from collections.abc import Callable
from typing import Any, Final

import zttp

from tarry.message.heads import Field, LengthError, LowerCaseFields, RequestHead, ResponseHead
from tarry.protocol.engine import Reading, Stamp
from tarry.protocol.errors import PeerError
from tarry.protocol.events import WRITABLE, Data, EndOfBody, Event, StreamReset
from tarry.protocol.limits import Limits
from tarry.protocol.priority import PriorityGuard
from tarry.protocol.strictness import KNOWN_HOSTS, METHODS, checked

ENHANCE_YOUR_CALM: Final = zttp.H2ErrorCode.ENHANCE_YOUR_CALM
NO_ERROR: Final = zttp.H2ErrorCode.NO_ERROR
PROTOCOL_ERROR: Final = zttp.H2ErrorCode.PROTOCOL_ERROR
INTERNAL_ERROR: Final = zttp.H2ErrorCode.INTERNAL_ERROR
REFUSED_STREAM: Final = zttp.H2ErrorCode.REFUSED_STREAM

_SLASH, _HASH = b"/#"

_MANY: Final = 1024
_LENGTHS: Final = [(b"content-length", b"%d" % size) for size in range(_MANY)]
"""The fields for the lengths of small answers, made once."""

_NEED_DATA: Final = zttp.NEED_DATA


class _Stream:
    """One request: its head as the parser gives it, and how far its answer is."""

    __slots__ = (
        "answered", "body_open", "end_stream", "headers", "left", "method", "muted", "path",
        "query", "received_bytes", "started", "stream_id", "target",
    )  # fmt: skip

    http_version: Final = b"2"

    def __init__(self, event: zttp.Request) -> None:
        self.method = event.method
        self.target = event.target
        self.path = event.path
        self.query = event.query
        self.headers = LowerCaseFields(event.headers)
        self.stream_id = event.stream_id
        self.end_stream = end_stream = event.end_stream
        self.body_open = not end_stream
        self.muted = self.method == b"HEAD"
        self.started = self.answered = False
        self.received_bytes = 0
        self.left: int | None = None

    @property
    def expect_continue(self) -> bool:
        """Whether the client waits to be asked for the body; the parser tells that of HTTP/1."""
        return not self.end_stream and self.headers.get(b"expect") is not None


class HTTP2Engine:
    """One HTTP/2 connection, our side of it; see `protocol.engine.Engine`."""

    __slots__ = (
        "_connection", "_left_streams", "_limits", "_max_fields", "_max_target_bytes", "_open",
        "_priority_guard", "_shut", "_vain", "_waiting", "closing", "more", "out_bytes",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._max_target_bytes = limits.max_target_bytes
        self._max_fields = limits.max_fields
        self._connection = zttp.Connection(zttp.SERVER, zttp.HTTP2)
        self._connection.initiate_connection()
        self._open: dict[int, _Stream] = {}
        self._priority_guard = PriorityGuard()
        self._left_streams = limits.max_streams_per_connection
        self._shut = False
        self._vain = self.out_bytes = 0
        self._waiting: set[int] = set()
        self.closing = False
        self.more = True

    @property
    def reading(self) -> Reading:
        """What the engine waits for."""
        if not self._open:
            return Reading.IDLE
        if any(stream.body_open for stream in self._open.values()):
            return Reading.BODY
        return Reading.NOTHING

    @property
    def held_bytes(self) -> int:
        """Always 0: requests do not wait for one another here."""
        return 0

    @property
    def stalled_bytes(self) -> int:
        """Bytes of answers that the client's windows hold back."""
        return sum(self.pending_bytes(stream_id) for stream_id in self._waiting)

    # ---- receiving -------------------------------------------------------------------

    def receive_data(self, data: bytes) -> Event | None:
        """Take bytes from the peer; the first event they bring, or `None`.

        Raises:
            PeerError: a request that HTTP forbids; the connection goes on.
        """
        if self.closing:
            return None
        self.hold(data)
        return self.next_event()

    def hold(self, data: bytes) -> None:
        """Take bytes from the peer, but do not look at them before `next_event` is called."""
        if self._priority_guard.refuses(data):
            self._connection.close(PROTOCOL_ERROR)
            self.closing = True
            return
        try:
            self._connection.receive_data(data)
        except zttp.RemoteProtocolError:
            self.closing = True  # the parser has queued the GOAWAY that says why

    def next_event(self) -> Event | None:
        """The next event, or `None` when more bytes are needed.

        Raises:
            PeerError: as for `receive_data`.
        """
        while not self.closing:
            try:
                event = self._connection.next_event()
            except zttp.RemoteProtocolError:
                self.closing = True
                return None
            if event is _NEED_DATA:
                return None
            take = _TAKERS.get(type(event))
            if take is not None:
                reported = take(self, event)
                if reported is not None:
                    return reported
        return None

    def _take_request(self, event: zttp.Request) -> Event | None:
        stream_id = event.stream_id
        if self._shut:
            self._connection.stream(stream_id).reset(REFUSED_STREAM)
            return None
        self._open[stream_id] = head = _Stream(event)
        self._left_streams -= 1
        if not self._left_streams:
            self.shut()
        target = head.target
        if (
            head.end_stream
            and head.headers.get(b"host") in KNOWN_HOSTS
            and head.method in METHODS
            and target[0] == _SLASH
            and _HASH not in target
            and target.isascii()
            and len(target) <= self._max_target_bytes
            and len(head.headers) <= self._max_fields
        ):
            return head
        return self._checked(head)

    def _checked(self, head: _Stream) -> RequestHead:
        try:
            return self._check_limits(checked(head))
        except PeerError as error:
            error.stream_id = head.stream_id
            raise

    def _check_limits(self, head: RequestHead) -> RequestHead:
        limits = self._limits
        if len(head.target) > limits.max_target_bytes:
            raise PeerError(414, f"the target is longer than {limits.max_target_bytes} bytes")
        if len(head.headers) > limits.max_fields:
            raise PeerError(431, f"there are more than {limits.max_fields} header fields")
        return head

    def _take_data(self, event: zttp.Data) -> Event | None:
        stream = self._open.get(event.stream_id)
        if stream is None or not event.data:
            return None
        stream.received_bytes += len(event.data)
        if stream.answered:
            if stream.received_bytes > self._limits.max_drain_bytes:
                self._give_up(event.stream_id, NO_ERROR)
            return None
        return Data(event.stream_id, event.data)

    def _take_end(self, event: zttp.EndOfMessage) -> Event | None:
        stream = self._open.get(event.stream_id)
        if stream is None:
            return None
        stream.body_open = False
        if stream.answered:
            self._close_stream(event.stream_id)
            return None
        return EndOfBody(event.stream_id, b"", event.trailers)

    def _take_reset(self, event: zttp.RstStream) -> Event | None:
        self._vain += 1
        if self._vain > self._limits.max_resets:
            self._connection.close(ENHANCE_YOUR_CALM)
            self.closing = True
        if self._open.pop(event.stream_id, None) is None:
            return None
        self._waiting.discard(event.stream_id)
        self._close_when_done()
        return StreamReset(event.stream_id)

    def _take_window(self, event: zttp.WindowUpdate | zttp.Settings) -> Event | None:
        if not self._waiting:
            return None
        for stream_id in list(self._waiting):
            self._sent(stream_id)
        return WRITABLE

    def _take_goaway(self, event: zttp.GoAway) -> Event | None:
        self.shut()
        return None

    def _take_closed(self, event: zttp.ConnectionClosed) -> Event | None:
        self.closing = True
        return None

    def receive_eof(self) -> None:
        """The peer will send nothing more, so nothing of it can go on."""
        self.closing = True

    # ---- sending ---------------------------------------------------------------------

    def continue_(self, stream_id: int) -> None:
        """Ask a client that expects it for the body (100 Continue)."""
        stream = self._open.get(stream_id)
        if stream is not None and not stream.started:
            self._connection.stream(stream_id).send_informational(100)

    def respond(self, stream_id: int, head: ResponseHead, body: bytes, stamp: Stamp) -> None:
        """Give a whole answer.

        Raises:
            LengthError: the head announced another length.
        """
        stream = self._open.get(stream_id)
        if stream is None:
            return
        without_body = stream.muted or head.without_body
        size = len(body)
        if head.plain and size < _MANY:
            fields = [*head.fields, *stamp.fields_beside(head), _LENGTHS[size]]
        else:
            fields = _fields(head, body, stamp, without_body)
        out = self._connection.stream(stream_id)
        if without_body or not body:
            out.send_response(head.status, fields, True)
        else:
            out.send_response(head.status, fields)
            out.send_data(body)
            out.end_message()
            self.out_bytes += size
        self._vain = max(0, self._vain - 1)
        if stream.body_open or out.pending_bytes:
            self._finish(stream_id, stream)
        else:
            del self._open[stream_id]
            if self._shut:
                self._close_when_done()

    def start(self, stream_id: int, head: ResponseHead, stamp: Stamp) -> None:
        """Begin an answer whose body follows."""
        stream = self._open.get(stream_id)
        if stream is None:
            return
        stream.started = True
        stream.left = head.length
        fields = [*head.fields, *stamp.fields_beside(head)]
        if head.length is not None and not head.without_body:
            fields.append((b"content-length", b"%d" % head.length))
        if head.without_body:
            stream.muted = True
        self._connection.stream(stream_id).send_response(head.status, fields, stream.muted)

    def send(self, stream_id: int, data: bytes) -> None:
        """Add a piece of the body.

        Raises:
            LengthError: more than the head announced.
        """
        stream = self._open.get(stream_id)
        if stream is None or stream.muted or not data:
            return
        if stream.left is not None:
            if len(data) > stream.left:
                over = len(data) - stream.left
                raise LengthError(f"the body is {over} bytes longer than announced")
            stream.left -= len(data)
        self._connection.stream(stream_id).send_data(data)
        self.out_bytes += len(data)
        self._sent(stream_id)

    def count_sent(self, stream_id: int, size: int) -> bool:
        """False: all bytes of a body are in frames."""
        return False

    def end(self, stream_id: int) -> None:
        """End the body.

        Raises:
            LengthError: less than the head announced.
        """
        stream = self._open.get(stream_id)
        if stream is None:
            return
        if not stream.muted:
            if stream.left:
                raise LengthError(f"the body is {stream.left} bytes shorter than announced")
            self._connection.stream(stream_id).end_message()
        self._finish(stream_id, stream)

    def _finish(self, stream_id: int, stream: _Stream) -> None:
        stream.answered = True
        stream.received_bytes = 0
        self._vain = max(0, self._vain - 1)
        self._sent(stream_id)

    def _sent(self, stream_id: int) -> None:
        """Close a stream whose answer has left; wait with one that the window holds back."""
        stream = self._open.get(stream_id)
        if self.pending_bytes(stream_id):
            self._waiting.add(stream_id)
        else:
            self._waiting.discard(stream_id)
            if stream is not None and stream.answered and not stream.body_open:
                self._close_stream(stream_id)

    def _close_stream(self, stream_id: int) -> None:
        if stream_id not in self._waiting:
            self._open.pop(stream_id, None)
            self._close_when_done()

    def _give_up(self, stream_id: int, code: int) -> None:
        self._connection.stream(stream_id).reset(code)
        self._waiting.discard(stream_id)
        self._open.pop(stream_id, None)
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._shut and not self._open:
            self.closing = True

    def abort(self, stream_id: int) -> None:
        """Break off an answer: the client sees a reset stream."""
        if stream_id in self._open:
            self._give_up(stream_id, INTERNAL_ERROR)

    def refuse(self, stream_id: int, head: ResponseHead, body: bytes, stamp: Stamp) -> None:
        """Answer a `PeerError`, unless an answer has begun, and end the stream."""
        stream = self._open.get(stream_id)
        if stream is None:
            return
        if stream.started:
            self.abort(stream_id)
            return
        body_open, stream.body_open = stream.body_open, False
        self.respond(stream_id, head, body, stamp)
        if body_open:
            # The rest of the body is unwanted (RFC 9113 section 8.1).
            self._connection.stream(stream_id).reset(NO_ERROR)

    def shut(self) -> None:
        """Take no further request; answers under way are finished."""
        if not self._shut:
            self._shut = True
            self._connection.close(NO_ERROR)
        self._close_when_done()

    def pending_bytes(self, stream_id: int) -> int:
        """Bytes of an answer that wait for the peer's flow control."""
        return self._connection.stream(stream_id).pending_bytes or 0

    def data_to_send(self) -> bytes:
        """The bytes to write now; they are forgotten here."""
        self.out_bytes = 0
        return self._connection.data_to_send()


def _fields(head: ResponseHead, body: bytes, stamp: Stamp, without_body: bool) -> list[Field]:
    """The fields of a whole answer, where something about its length is special."""
    fields = [*head.fields, *stamp.fields_beside(head)]
    if head.without_body:
        return fields
    if head.length is not None and head.length != len(body) and not without_body:
        raise LengthError(f"content-length is {head.length}, the body has {len(body)} bytes")
    length = len(body) if head.length is None else head.length
    return [*fields, (b"content-length", b"%d" % length)]


_TAKERS: Final[dict[type, Callable[[HTTP2Engine, Any], Event | None]]] = {
    zttp.Request: HTTP2Engine._take_request,
    zttp.Data: HTTP2Engine._take_data,
    zttp.EndOfMessage: HTTP2Engine._take_end,
    zttp.RstStream: HTTP2Engine._take_reset,
    zttp.WindowUpdate: HTTP2Engine._take_window,
    zttp.Settings: HTTP2Engine._take_window,
    zttp.GoAway: HTTP2Engine._take_goaway,
    zttp.ConnectionClosed: HTTP2Engine._take_closed,
}
"""What to do with each kind of event; pings the parser answers itself."""
