"""An open WebSocket: bytes from a socket to its engine, messages to who receives, and back.

It takes the socket over from the `Connection` that read the handshake, so
HTTP pays nothing for it.  Back-pressure goes both ways: reading pauses while
messages wait for the handler, and who sends waits while the peer takes nothing.
"""

import asyncio
from collections import deque
from typing import Final

from tarry.exchange import Exchange, WebSocketClosed
from tarry.message.websockets import (
    BROKEN,
    GOING_AWAY,
    INTERNAL_ERROR,
    Ping,
    Pong,
    Received,
    WebSocketOptions,
    check_close,
    check_ping,
)
from tarry.protocol.websocket import WebSocketEngine
from tarry.server.service import Service
from tarry.timing import Timed

QUEUE_HIGH_WATER_BYTES: Final = 64 * 1024
"""Bytes of messages that wait for the handler at which reading pauses, whatever their number.
One message is always taken whole, so this and the largest one are what a peer can make us keep."""

UNREAD_PONGS_BYTES: Final = 64 * 1024
"""Pongs for a peer that takes nothing at which reading pauses: a flood of pings (CVE-2019-9512
is HTTP/2's) must not fill our memory."""

LINGER_BYTES: Final = 1024 * 1024
"""What a peer may go on sending after the end before it is cut."""


class WebSocketConnection(asyncio.Protocol, Timed):
    """A connection that became a WebSocket; see `exchange.WebSocketLink`."""

    __slots__ = (
        "_ended", "_engine", "_heard", "_linger_left", "_options", "_pinged", "_queue",
        "_queued_bytes", "_reading_paused", "_receiver", "_service", "_stream", "_transport",
        "_unread_pongs_bytes", "_unsent_bytes", "_waiters", "_writing_paused",
    )  # fmt: skip

    def __init__(
        self, stream: Exchange, engine: WebSocketEngine, options: WebSocketOptions
    ) -> None:
        Timed.__init__(self)
        self._stream = stream
        self._engine = engine
        self._options = options
        self._queue: deque[Received] = deque()
        self._queued_bytes = self._unread_pongs_bytes = self._unsent_bytes = 0
        self._reading_paused = self._heard = self._pinged = self._ended = False
        self._linger_left: int | None = None
        self._receiver: asyncio.Future[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._service: Service = stream.carrier.service
        self._begin()

    def _begin(self) -> None:
        """Take the socket over, with what came behind the handshake."""
        service = self._service
        service.opened(self)
        self._transport: asyncio.Transport
        self._transport, rest, self._writing_paused = self._stream.carrier.release(self)
        service.timers.set(self, service.timers.now_s + self._options.ping_interval_s)
        self._engine.receive_data(rest)
        self._take()
        self._stream.sent_bytes = 0
        if service.draining:
            self.shut()

    # ---- the socket's side -----------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes came: queue the messages they bring, answer pings."""
        self._heard = True
        if self._linger_left is not None:
            self._linger(len(data))
            return
        self._engine.receive_data(data)
        self._take()

    def eof_received(self) -> bool:
        """The peer sends no more: a WebSocket has no half-closed state, so it ends."""
        self._engine.receive_eof()
        self._take()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is closed: whoever still waits on it hears of it."""
        self._engine.lose()
        self._ended = True
        self._service.timers.remove(self)
        self._take()
        if self.close_code == BROKEN:
            self._stream.lose()
        self._service.log(self._stream)
        self._service.closed(self)
        self._wake_all()

    def pause_writing(self) -> None:
        """The peer is slower than its messages: who sends waits."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._writing_paused = False
        self._unread_pongs_bytes = 0
        self._wake_waiters()
        self._go_on()

    def _take(self) -> None:
        """Queue what has come for as long as there is room, then write the engine's answers."""
        engine, control_frames = self._engine, self._options.control_frames
        while not self._is_full():
            event = engine.next_event()
            if event is None:
                break
            if not isinstance(event, Ping | Pong):
                self._queue.append(event)
                self._queued_bytes += len(event)
            elif control_frames:
                self._queue.append(event)
        if self._queue or engine.close_code is not None:
            self._wake_receiver()
        written = self._flush()
        if self._writing_paused:
            self._unread_pongs_bytes += written
        if self._is_full() or self._unread_pongs_bytes > UNREAD_PONGS_BYTES:
            self._pause_reading()

    def _is_full(self) -> bool:
        """Whether the handler is behind; after the end nothing further is kept in any case."""
        return self._engine.close_code is None and (
            len(self._queue) >= self._options.max_queued_messages
            or self._queued_bytes >= QUEUE_HIGH_WATER_BYTES
        )

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _go_on(self) -> None:
        """Take what was held back, and read on if there is room."""
        if self._engine.more:
            self._take()
        full = self._is_full() or self._unread_pongs_bytes > UNREAD_PONGS_BYTES
        if self._reading_paused and not full and not self._transport.is_closing():
            # Nothing could be heard of the peer meanwhile.
            self._reading_paused, self._heard = False, True
            self._transport.resume_reading()

    def _flush(self) -> int:
        """Write what the engine has: how many bytes; close when it has ended."""
        out = self._engine.data_to_send()
        if out and not self._ended:
            self._stream.sent_bytes += len(out)
            self._transport.write(out)
        if self._engine.closing and self._linger_left is None:
            self._close()
        elif self._engine.close_code is not None:
            self._wake_waiters()
        return len(out)

    # ---- the handler's side ------------------------------------------------------------

    @property
    def close_code(self) -> int | None:
        """The code with which it ended, `None` as long as it is open."""
        return self._engine.close_code

    @property
    def close_reason(self) -> str:
        """The reason given for the end."""
        return self._engine.close_reason

    async def receive(self) -> Received:
        """What came next; pings and pongs only if the options ask for them.

        Raises:
            WebSocketClosed: it has ended, and all that came before was taken.
            RuntimeError: another task receives at the same time.
        """
        while not self._queue:
            self._check_open()
            if self._receiver is not None:
                raise RuntimeError("another task receives from this WebSocket already")
            self._receiver = asyncio.get_running_loop().create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        event = self._queue.popleft()
        if not isinstance(event, Ping | Pong):
            self._queued_bytes -= len(event)
        if not self._queue and (self._reading_paused or self._engine.more):
            self._go_on()
        return event

    def send(self, message: str | bytes, fragment_bytes: int | None = None) -> None:
        """Send a whole message without waiting."""
        self._check_open()
        self._engine.send(message, fragment_bytes)
        self._flush()

    def send_first(self, data: bytes, *, last: bool) -> None:
        """Send the first frame of a binary message without waiting."""
        self._check_open()
        self._engine.send_first(data, is_text=False, last=last)
        self._flush()

    def send_next(self, data: bytes, *, last: bool) -> None:
        """Send a further frame of a message without waiting."""
        self._check_open()
        self._engine.send_next(data, last=last)
        self._flush()

    async def drained(self) -> None:
        """Wait until the peer has taken enough of what was sent."""
        while self._writing_paused:
            self._check_open()
            await self._next_change()

    def ping(self, data: bytes) -> None:
        """Send a ping without waiting."""
        check_ping(data)
        self._check_open()
        self._engine.ping(data)
        self._flush()

    def close(self, code: int, reason: str) -> None:
        """Begin to close; without effect the second time.

        Raises:
            ValueError: a code or reason that cannot be sent.
        """
        check_close(code, reason)
        if self.close_code is None:
            self._engine.close(code, reason)
            self._set_deadline(self._options.close_timeout_s)
            self._wake_all()
            self._flush()
            self._go_on()

    async def ended(self) -> None:
        """Wait until the connection is no more; the server sees to it that it ends."""
        while not self._ended:
            await self._next_change()

    def _check_open(self) -> None:
        if self._engine.close_code is not None:
            raise WebSocketClosed(self._engine.close_code, self._engine.close_reason)

    def _next_change(self) -> asyncio.Future[None]:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return waiter

    def _wake_receiver(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _wake_all(self) -> None:
        self._wake_receiver()
        self._wake_waiters()

    # ---- time and the end ----------------------------------------------------------------

    def _set_deadline(self, after_s: float) -> None:
        timers = self._service.timers
        timers.set(self, timers.now_s + after_s)

    def expire(self) -> None:
        """A ping is due; or a peer that was given time has let it pass."""
        if self.close_code is not None:
            self._transport.abort()
        elif self._pinged and not self._is_alive():
            self._give_up()
        else:
            self._pinged, self._heard = True, False
            self._unsent_bytes = self._transport.get_write_buffer_size()
            if not self._writing_paused:
                self._engine.ping()
                self._flush()
            self._set_deadline(self._options.ping_interval_s)

    def _is_alive(self) -> bool:
        """Whether there was any sign of the peer since the last ping."""
        if self._heard:
            return True
        if self._writing_paused:
            return self._transport.get_write_buffer_size() < self._unsent_bytes
        # It may well be there: we do not listen, since the handler is behind.
        return self._reading_paused

    def _give_up(self) -> None:
        """End it without an answer from the peer, which is most likely not there."""
        self._engine.close(INTERNAL_ERROR, "no answer to a ping")
        self._wake_all()
        self._flush()
        self._close()

    def _close(self) -> None:
        """Close, but let a peer that may still be sending read why first."""
        transport = self._transport
        if self._ended or transport.is_closing():
            return
        unsent = transport.get_write_buffer_size() > 0
        settings = self._service.settings
        self._set_deadline(self._options.close_timeout_s if unsent else settings.linger_timeout_s)
        sends_no_more = self._engine.clean or self.close_code == BROKEN
        if sends_no_more or not transport.can_write_eof():
            transport.close()
            return
        self._linger_left = LINGER_BYTES
        transport.write_eof()
        self._go_on()

    def _linger(self, size: int) -> None:
        self._linger_left = (self._linger_left or 0) - size
        if self._linger_left < 0:
            self._transport.abort()

    def shut(self) -> None:
        """Say that the server stops, and wait for the peer no longer than for any close."""
        self.close(GOING_AWAY, "the server stops")

    def cut(self) -> None:
        """Close at once."""
        self._transport.abort()
