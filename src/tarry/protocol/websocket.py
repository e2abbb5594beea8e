"""WebSocket (RFC 6455), our side of one: handshake, messages, close.

Frames and permessage-deflate are those of `websockets`, whose protocol does
no I/O either.  This engine puts messages together with their limits, decodes
text as it comes, and looks at no more bytes than somebody wants messages of.
"""

import codecs
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from tarry.message.heads import Field, RequestHead
from tarry.message.websockets import (
    BROKEN,
    INVALID_DATA,
    MAX_CONTROL_BYTES,
    TOO_BIG,
    Ping,
    Pong,
    Received,
    WebSocketOptions,
)
from tarry.protocol.engine import Stamp
from tarry.protocol.errors import PeerError

PIECE_BYTES: Final = 16 * 1024
"""How much is parsed at once: bounds the frames, and what inflates, before anybody wants them."""

_HANDSHAKE_FIELDS: Final = (
    "Connection", "Upgrade", "Origin", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions",
)  # fmt: skip

_VERSION: Final = "Sec-WebSocket-Version"

# 4 KiB windows: what websockets chose by measuring for chat-like messages.
_DEFLATE: Final = ServerPerMessageDeflateFactory(
    server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
)

_logger: Final = logging.getLogger("tarry.protocol.websocket")
# Below that, websockets tells of each connection twice.
_logger.setLevel(logging.WARNING)

_Utf8Decoder: Final = codecs.getincrementaldecoder("utf-8")


class WebSocketEngine:
    """One WebSocket; made from the request for it, open after `accept`.

    Feed it with `receive_data`, take what came with `next_event` for as long
    as it is wanted, and write what `data_to_send` returns.  `close_code` is
    `None` as long as messages can be sent; then it and `close_reason` say how
    it ended.  `closing` says that nothing will be sent any more.

    Raises:
        PeerError: 426 for what is no request for a WebSocket of version 13,
            400 for a malformed one.
    """

    __slots__ = (
        "_decoder", "_dropping", "_eof", "_fragments", "_frames", "_held", "_message_bytes",
        "_options", "_parts", "_protocol", "_response", "close_code", "close_reason", "closing",
    )  # fmt: skip

    def __init__(self, head: RequestHead, options: WebSocketOptions) -> None:
        self._options = options
        self._protocol = ServerProtocol(
            state=OPEN,
            extensions=[_DEFLATE] if options.compression else None,
            subprotocols=[Subprotocol(name) for name in options.subprotocols],
            select_subprotocol=_select_subprotocol,
            # What can come in between, so that the limit itself is ours to tell.
            max_size=options.max_message_bytes + MAX_CONTROL_BYTES,
            logger=_logger,
        )
        self._response = self._handshake(head)
        self._frames: deque[Frame] = deque()
        self._held = bytearray()
        self._eof = self._dropping = self.closing = False
        self._decoder: codecs.IncrementalDecoder | None = None
        self._parts: list[str] | list[bytes] | None = None
        self._fragments = self._message_bytes = 0
        self.close_code: int | None = None
        self.close_reason = ""

    # ---- handshake -------------------------------------------------------------------

    def _handshake(self, head: RequestHead) -> Response:
        if head.method != b"GET" or head.http_version != b"1.1":
            raise PeerError(426, "this address is for WebSocket, by GET over HTTP/1.1")
        if not head.end_stream:
            raise PeerError(400, "a request for a WebSocket has no body")
        fields = [
            (name, value.decode("latin-1"))
            for name in _HANDSHAKE_FIELDS
            for value in head.headers.getall(name.lower().encode())
        ]
        response = self._protocol.accept(Request(head.target.decode("latin-1"), Headers(fields)))
        if response.status_code != 101:
            raise self._refusal(response.status_code)
        return response

    def _refusal(self, status: int) -> PeerError:
        error = self._protocol.handshake_exc
        field = error.name if isinstance(error, InvalidHeader) else ""
        if field == _VERSION:
            return PeerError(426, "the only version of WebSocket known here is 13")
        if status == 426:
            return PeerError(426, "this address is for WebSocket")
        where = f": {field}" if field in _HANDSHAKE_FIELDS else ""
        return PeerError(400, f"the request for a WebSocket is malformed{where}")

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol both speak, if there is one."""
        return self._protocol.subprotocol

    def accept(self, fields: Iterable[Field], stamp: Stamp) -> None:
        """Answer the request with 101 and these fields beside our own."""
        response = self._response
        del response.headers["Date"]  # the stamp has it
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        head = response.serialize().removesuffix(b"\r\n")
        self._protocol.writes.append(b"%b%b%b\r\n" % (head, stamp.http1, lines))

    # ---- receiving -------------------------------------------------------------------

    @property
    def clean(self) -> bool:
        """Whether the peer has said that it ends, so that nothing more comes from it."""
        return self._protocol.close_rcvd is not None

    @property
    def more(self) -> bool:
        """Whether `next_event` may have something without further bytes."""
        return bool(self._frames or self._held)

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; they are looked at by `next_event`."""
        self._held += data

    def receive_eof(self) -> None:
        """The peer will send nothing more; what it sent before can still be taken."""
        self._eof = True

    def lose(self) -> None:
        """The connection broke: what was not looked at is forgotten."""
        self._held.clear()
        self._protocol.receive_eof()
        self._notice_end()

    def next_event(self) -> Received | None:
        """What came next, or `None` when more bytes are needed or it has ended."""
        while True:
            while self._frames:
                event = self._take(self._frames.popleft())
                if event is not None:
                    return event
            if not self._held:
                break
            self._protocol.receive_data(self._held[:PIECE_BYTES])
            del self._held[:PIECE_BYTES]
            frames = self._protocol.events_received()
            self._frames.extend(frames)  # type: ignore[arg-type]  # because the handshake is over
            self._notice_end()
        if self._eof:
            self._protocol.receive_eof()
            self._notice_end()
        return None

    def _notice_end(self) -> None:
        if self._protocol.state is not OPEN and self.close_code is None:
            close = self._protocol.close_sent
            self.close_code = BROKEN if close is None else int(close.code)
            self.close_reason = "" if close is None else close.reason

    def _take(self, frame: Frame) -> Received | None:
        """What a frame completes."""
        kind = frame.opcode
        if kind is Opcode.CLOSE or self._dropping:
            return None
        if kind is Opcode.PING:
            return Ping(bytes(frame.data))
        if kind is Opcode.PONG:
            return Pong(bytes(frame.data))
        try:
            if kind is Opcode.CONT or not frame.fin:
                return self._take_fragment(frame)
            self._check("bytes", len(frame.data), self._options.max_message_bytes)
            return str(frame.data, "utf-8") if kind is Opcode.TEXT else bytes(frame.data)
        except UnicodeDecodeError:
            self._fail(INVALID_DATA, "the text is not UTF-8")
        except _TooBig as error:
            self._fail(TOO_BIG, str(error))
        return None

    def _take_fragment(self, frame: Frame) -> str | bytes | None:
        if frame.opcode is not Opcode.CONT:
            self._parts = []
            self._decoder = _Utf8Decoder() if frame.opcode is Opcode.TEXT else None
            self._fragments = self._message_bytes = 0
        self._fragments += 1
        self._message_bytes += len(frame.data)
        self._check("bytes", self._message_bytes, self._options.max_message_bytes)
        self._check("frames", self._fragments, self._options.max_fragments)
        return self._join(bytes(frame.data), frame.fin)

    def _join(self, data: bytes, ends: bool) -> str | bytes | None:
        """Decode at once, so that broken text ends at its first byte (RFC 6455 section 8.1)."""
        parts: list[str] | list[bytes] = self._parts or []
        parts.append(data if self._decoder is None else self._decoder.decode(data, ends))  # type: ignore[arg-type]  # because a message has parts of one kind
        self._parts = None if ends else parts
        if not ends:
            return None
        return b"".join(parts) if self._decoder is None else "".join(parts)  # type: ignore[arg-type]  # because a message has parts of one kind

    def _check(self, unit: str, size: int, most: int) -> None:
        if size > most:
            raise _TooBig(f"a message has at most {most} {unit} here")

    def _fail(self, code: int, reason: str) -> None:
        """Tell the peer what it did, and look at nothing further (RFC 6455 section 7.1.7)."""
        self._protocol.fail(code, reason)
        self._frames.clear()
        self._held.clear()
        self._dropping = True
        self._notice_end()

    # ---- sending ---------------------------------------------------------------------

    def send(self, message: str | bytes, fragment_bytes: int | None = None) -> None:
        """Send a message, in frames of at most `fragment_bytes` if that is given.

        Raises:
            UnicodeEncodeError: a text that is none, with half a surrogate pair.
        """
        is_text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        size = fragment_bytes or max(len(data), 1)
        self.send_first(data[:size], is_text=is_text, last=len(data) <= size)
        for start in range(size, len(data), size):
            self.send_next(data[start : start + size], last=start + size >= len(data))

    def send_first(self, data: bytes, *, is_text: bool, last: bool) -> None:
        """Send the first frame of a message."""
        send = self._protocol.send_text if is_text else self._protocol.send_binary
        send(data, fin=last)

    def send_next(self, data: bytes, *, last: bool) -> None:
        """Send a further frame of a message."""
        self._protocol.send_continuation(data, fin=last)

    def ping(self, data: bytes = b"") -> None:
        """Send a ping, as long as the socket is open."""
        if self._protocol.state is OPEN:
            self._protocol.send_ping(data)

    def close(self, code: int, reason: str = "") -> None:
        """Begin to close; what still comes is dropped.  Without effect the second time."""
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, reason)
            self._dropping = True
            self._notice_end()

    def data_to_send(self) -> bytes:
        """The bytes to write now; they are forgotten here."""
        pieces = self._protocol.data_to_send()
        if len(pieces) == 1 and pieces[0]:
            return pieces[0]
        # An empty piece is their sign for the end.
        self.closing = self.closing or b"" in pieces
        return b"".join(pieces)


class _TooBig(Exception):
    """A message is beyond a limit."""


def _select_subprotocol(
    protocol: ServerProtocol, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """The first of ours that the client offers; none is an answer too (RFC 6455 section 4.2.2)."""
    there = set(offered)
    return next((ours for ours in protocol.available_subprotocols or () if ours in there), None)
