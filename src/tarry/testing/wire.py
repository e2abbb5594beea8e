"""The client's half of a connection, for HTTP/1.1 and HTTP/2.

The parser is the one that the server uses, in its client role; `SocketClient`
has another, and the tests of both ask the same questions.
"""

import asyncio
from typing import Any, Final, cast

import zttp

from tarry.message.headers import Headers
from tarry.message.heads import Field, Fields
from tarry.testing.replies import IncompleteAnswer, Reply
from tarry.testing.requests import OutgoingRequest
from tarry.testing.transport import HIGH_WATER_BYTES

CANCEL: Final = zttp.H2ErrorCode.CANCEL


class _Pending:
    """A request whose answer is under way."""

    def __init__(self, request: OutgoingRequest) -> None:
        self.request = request
        self.name = request.name
        self.done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._head: zttp.Response | None = None
        self._pieces: list[bytes] = []
        self.is_reset = False

    def take_head(self, event: zttp.Response) -> None:
        # 100 Continue and its like are not the answer (RFC 9110 section 15.2).
        if event.status_code >= 200:
            self._head = event

    def take_data(self, event: zttp.Data) -> None:
        self._pieces.append(event.data)

    def _reply(self) -> Reply | None:
        if self._head is None:
            return None
        headers = Headers.from_fields(Fields(self._head.headers))
        return Reply(self._head.status_code, headers, b"".join(self._pieces))

    def end(self) -> None:
        """The answer is complete, or will never be."""
        if self.done.done():
            return
        reply = self._reply()
        if reply is not None:
            self.done.set_result(reply)
        else:
            self.break_off()

    def break_off(self) -> None:
        """Neither the rest of the answer comes, nor is that of the request taken."""
        self.is_reset = True
        if not self.done.done():
            self.done.set_exception(IncompleteAnswer(self.name, self._reply()))


class ClientWire(asyncio.Protocol):
    """A client's connection: `ask` sends a request and waits for its answer.

    On HTTP/1.1 it takes one request at a time, on HTTP/2 any number; `is_free`
    says whether it takes one now.
    """

    _transport: asyncio.Transport

    def __init__(self, *, http2: bool) -> None:
        self._http2 = http2
        self._parser: Any = zttp.Connection(zttp.CLIENT, zttp.HTTP2 if http2 else zttp.HTTP1)
        self._pending: dict[int, _Pending] = {}
        self._usable = True
        self._paused = False
        self._moved = asyncio.Event()

    @property
    def is_free(self) -> bool:
        """Whether another request can be sent on it."""
        return self._usable and (self._http2 or not self._pending)

    def stream_id_of(self, request: OutgoingRequest) -> int | None:
        """The number under which a request is under way here; `None` if it is not."""
        for stream_id, pending in self._pending.items():
            if pending.request is request:
                return stream_id
        return None

    async def ask(self, request: OutgoingRequest) -> Reply:
        """Send a request; the client leaves if the caller is cancelled.

        Raises:
            IncompleteAnswer: the server broke the answer off.
            ValueError: a request that cannot be sent.
        """
        try:
            return await self._ask(request)
        except zttp.LocalProtocolError as error:
            self.leave()
            raise ValueError(f"{request.name} cannot be sent: {error}") from error

    async def _ask(self, request: OutgoingRequest) -> Reply:
        sender = self._send_head(request)
        stream_id = sender.stream_id if self._http2 else 0
        pending = self._pending[stream_id] = _Pending(request)
        try:
            whole = await self._send_body(request, sender, pending)
            if not (self._http2 or (whole and request.has_length)):
                # A server drops only so much of a body that nobody reads, and may then close.
                self._usable = False
            return await pending.done
        finally:
            self._forget(stream_id, pending)

    def _send_head(self, request: OutgoingRequest) -> Any:
        """Queue the head; what takes the body: a stream, or on HTTP/1.1 the parser itself."""
        version = b"2" if self._http2 else b"1.1"
        method, target = request.method.encode("ascii"), request.target.encode("ascii")
        fields = _fields(request, self._http2)
        return self._parser.send_request(method, target, version, fields) or self._parser

    async def _send_body(self, request: OutgoingRequest, sender: Any, pending: _Pending) -> bool:
        """Send the body at the pace of the server; false if it answered before the end."""
        for piece in request.pieces:
            if not self._is_wanted(pending):
                return False
            if piece:
                sender.send_data(piece)
                self._flush()
                await self._room(sender, pending)
        if not self._is_wanted(pending):
            return False
        sender.end_message()
        self._flush()
        return True

    async def _room(self, sender: Any, pending: _Pending) -> None:
        """Wait while the server is slower than the body, or lets no more of a stream through."""
        while self._is_wanted(pending) and (
            self._paused or (self._http2 and sender.pending_bytes > HIGH_WATER_BYTES)
        ):
            self._moved.clear()
            await self._moved.wait()

    def _is_wanted(self, pending: _Pending) -> bool:
        """Whether the body still is; on HTTP/2 an answer alone does not end the request."""
        return not (pending.is_reset if self._http2 else pending.done.done())

    def _forget(self, stream_id: int, pending: _Pending) -> None:
        # Who waited for it may have been cancelled, and the future with them.
        if pending.done.cancelled() or not pending.done.done():
            self._cancel(stream_id, pending)
        elif not self._usable:
            self._transport.close()
        self._pending.pop(stream_id, None)

    def _cancel(self, stream_id: int, pending: _Pending) -> None:
        """Say that nobody waits for an answer; on HTTP/1.1 only the end of all says it."""
        if not self._http2:
            self.leave()
        elif not pending.is_reset:
            self._parser.stream(stream_id).reset(CANCEL)
            self._flush()

    def leave(self) -> None:
        """Break the connection off."""
        self._usable = False
        self._transport.abort()

    # ---- called by the transport --------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)
        if self._http2:
            self._parser.initiate_connection()
            self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes came: hand what they bring to those that wait for it."""
        self._parser.receive_data(data)
        self._take_events()
        self._flush()
        self._moved.set()

    def eof_received(self) -> bool:
        """The server sends no more."""
        self._parser.receive_data(b"")
        self._take_events()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing more comes."""
        self._break_off()
        self._moved.set()

    def pause_writing(self) -> None:
        """The server is slower than a body."""
        self._paused = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._paused = False
        self._moved.set()

    # ---- events -------------------------------------------------------------------------

    def _flush(self) -> None:
        data = self._parser.data_to_send()
        if data:
            self._transport.write(data)

    def _take_events(self) -> None:
        try:
            while (event := self._parser.next_event()) not in _NOTHING_MORE:
                self._take(event)
        except zttp.RemoteProtocolError:
            self._break_off()

    def _take(self, event: Any) -> None:
        if isinstance(event, zttp.GoAway):
            self._usable = False
        pending = self._pending.get(getattr(event, "stream_id", 0))
        if pending is None:
            return
        if isinstance(event, zttp.Response):
            pending.take_head(event)
        elif isinstance(event, zttp.Data):
            pending.take_data(event)
        elif isinstance(event, zttp.RstStream):
            pending.break_off()
        elif isinstance(event, zttp.EndOfMessage):
            self._end(pending)

    def _end(self, pending: _Pending) -> None:
        pending.end()
        if self._http2:
            return
        if self._parser.should_close():
            self._usable = False
        else:
            self._parser.start_next_cycle()

    def _break_off(self) -> None:
        self._usable = False
        for pending in self._pending.values():
            pending.break_off()


_NOTHING_MORE: Final = (zttp.NEED_DATA, zttp.CONNECTION_CLOSED)
"""Events that say that there is none."""


def _fields(request: OutgoingRequest, http2: bool) -> list[Field]:
    """The fields as each version wants them: in small letters, or with the body's framing."""
    if http2:
        return [(name.lower(), value) for name, value in request.fields]
    if request.has_length:
        return request.fields
    return [*request.fields, (b"transfer-encoding", b"chunked")]
