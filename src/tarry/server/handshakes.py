"""The handshake of a WebSocket: an exchange that becomes something else."""

from collections.abc import Iterable

from tarry.exchange import ClientGone, Exchange, HandshakeError
from tarry.message.heads import Field, check_response_field
from tarry.message.websockets import WebSocketOptions
from tarry.protocol.errors import PeerError
from tarry.protocol.websocket import WebSocketEngine
from tarry.server.websockets import WebSocketConnection


class Handshake:
    """A good request for a WebSocket; see `exchange.WebSocketHandshake`."""

    __slots__ = ("_engine", "_options", "_stream")

    def __init__(self, stream: Exchange, options: WebSocketOptions) -> None:
        if stream.carrier.service.draining:
            raise HandshakeError(503, "the server is stopping")
        try:
            self._engine = WebSocketEngine(stream.head, options)
        except PeerError as error:
            raise HandshakeError(error.status, error.detail) from error
        self._stream = stream
        self._options = options

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol both will speak, if there is one."""
        return self._engine.subprotocol

    def accept(self, fields: Iterable[Field]) -> WebSocketConnection:
        """Answer 101 with these fields: from now on the connection is a WebSocket.

        Raises:
            ClientGone: the client has left meanwhile.
            InvalidField: a field that would break the message; nothing was sent.
        """
        stream = self._stream
        lines = [(name.lower(), value) for name, value in fields]
        for name, value in lines:
            check_response_field(name, value)
        if stream.gone or stream.carrier.lost:
            raise ClientGone("the client left")
        self._engine.accept(lines, stream.carrier.service.stamp)
        stream.status, stream.sent_bytes = 101, 0
        # Whatever becomes of the socket, there is nothing more to answer.
        stream.started = stream.answered = True
        return WebSocketConnection(stream, self._engine, self._options)
