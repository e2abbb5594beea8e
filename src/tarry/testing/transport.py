"""Two ends of a connection within one event loop: all of a socket but the socket.

What one end writes arrives at the other on a later turn of the loop, in pieces
of the size in which a socket is read.  An end that pauses reading makes the
other one pause writing, so back-pressure works as it does over a network.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

READ_BYTES: Final = 64 * 1024
"""The most that arrives at once."""

HIGH_WATER_BYTES: Final = 64 * 1024
"""Bytes under way at which the writer is paused; asyncio's own default."""


class MemoryTransport(asyncio.Transport):
    """One end; made in pairs by `connect`."""

    peer: "MemoryTransport"

    def __init__(self, protocol: asyncio.Protocol, peername: tuple[str, int]) -> None:
        super().__init__({"peername": peername})
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._sent = bytearray()
        self._delivery_due = self._writing_paused = False
        self._reading = True
        self._eof_sent = self._eof_delivered = False
        self._closing = self._lost = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another protocol hear of everything from now on."""
        self._protocol = cast("asyncio.Protocol", protocol)

    # ---- sending ----------------------------------------------------------------------

    def write(self, data: Any) -> None:
        """Send to the other end; after `close` without effect, as with a socket."""
        if self._closing or self._eof_sent:
            return
        self._sent += data
        if len(self._sent) > HIGH_WATER_BYTES and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()
        self._deliver_soon()

    def get_write_buffer_size(self) -> int:
        """Bytes that have not arrived yet."""
        return len(self._sent)

    def can_write_eof(self) -> bool:
        """Yes."""
        return True

    def write_eof(self) -> None:
        """Say that nothing more will be sent; the other direction stays open."""
        self._eof_sent = True
        self._deliver_soon()

    def _deliver_soon(self) -> None:
        if not self._delivery_due and not self._lost:
            self._delivery_due = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Hand the next piece, or the end, to the other end if it reads."""
        self._delivery_due = False
        if self.peer._lost and self._sent:
            # What comes after a socket is closed is answered by a reset.
            self._lose(ConnectionResetError("the other end has closed the connection"))
        elif self._sent and self.peer._reading:
            piece = bytes(self._sent[:READ_BYTES])
            del self._sent[:READ_BYTES]
            self.peer._receive(piece)
            self._wrote()
        elif not self._sent and (self._eof_sent or self._closing):
            self._deliver_end()

    def _wrote(self) -> None:
        if self._writing_paused and not self._sent:
            self._writing_paused = False
            self._protocol.resume_writing()
        self._deliver_soon()

    def _deliver_end(self) -> None:
        if not self._eof_delivered:
            self._eof_delivered = True
            self.peer._receive_eof()
        if self._closing:
            self._lose(None)

    # ---- receiving --------------------------------------------------------------------

    def _receive(self, data: bytes) -> None:
        if not self._closing:
            self._protocol.data_received(data)

    def _receive_eof(self) -> None:
        if not self._closing and not self._protocol.eof_received():
            self.close()

    def is_reading(self) -> bool:
        """Whether what arrives is taken."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Take nothing until `resume_reading`."""
        self._reading = False

    def resume_reading(self) -> None:
        """Take again what arrives."""
        self._reading = True
        self.peer._deliver_soon()

    # ---- the end ----------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Whether it was closed, or lost."""
        return self._closing

    def close(self) -> None:
        """End this end when what was sent has arrived; what comes meanwhile is dropped."""
        if not self._closing:
            self._closing = self._reading = True
            self.peer._deliver_soon()
            self._deliver_soon()

    def abort(self) -> None:
        """End both ends at once; what is under way is lost."""
        self._closing = True
        self._lose(None)
        self.peer._lose(ConnectionResetError("the other end broke the connection off"))

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._closing = self._lost = True
            self._sent.clear()
            # A protocol must not hear of it within its own call of close or abort.
            self._loop.call_soon(self._protocol.connection_lost, error)
            self.peer._deliver_soon()


def connect(accept: Callable[[], asyncio.Protocol], client: asyncio.Protocol) -> None:
    """Connect a client to what `accept` makes, as a listening socket would.

    Both hear of it at once; the server's end says that its peer is 127.0.0.1.
    """
    server = accept()
    server_end = MemoryTransport(server, ("127.0.0.1", 50_000))
    client_end = MemoryTransport(client, ("127.0.0.1", 80))
    server_end.peer, client_end.peer = client_end, server_end
    server.connection_made(server_end)
    client.connection_made(client_end)
