"""One connection: bytes from a socket to an engine, its events to exchanges, answers back.

Everything here is synchronous.  A request over HTTP/1.1 is handled when all
sockets of the round have been read; whatever else happens to its connection
before comes after it.  While bytes are taken in the connection is corked:
answers given meanwhile leave together in one write at the end.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final, cast

from tarry.exchange import RequestBody
from tarry.message.heads import RequestHead
from tarry.protocol.engine import Engine, Reading
from tarry.protocol.errors import PeerError
from tarry.protocol.events import Data, EndOfBody, Event, StreamReset, StreamWritable, SwitchToHTTP2
from tarry.protocol.http1 import HTTP1Engine
from tarry.protocol.http2 import HTTP2Engine
from tarry.server.refusals import refusal_body, refusal_head
from tarry.server.service import Service
from tarry.server.streams import Stream
from tarry.timing import NEVER, Timed

_IDLE, _HEAD, _BODY, _NOTHING = Reading.IDLE, Reading.HEAD, Reading.BODY, Reading.NOTHING

SEND_HIGH_WATER_BYTES: Final = 64 * 1024
"""Bytes of one answer held back by HTTP/2 flow control at which its handler waits."""

LINGER_BYTES: Final = 1024 * 1024
"""What a refused client may go on sending before it is cut."""


class Connection(asyncio.Protocol, Timed):
    """A client's connection; carries its exchanges."""

    __slots__ = (
        "_arrived", "_client", "_diverted", "_eof", "_linger_left", "_reading_paused", "_refused",
        "_room_waiters", "_transport", "_unsent_bytes", "_writing_paused", "corked", "engine",
        "lost", "open", "service", "unsent_file_bytes",
    )  # fmt: skip

    _transport: asyncio.Transport

    def __init__(self, service: Service) -> None:
        Timed.__init__(self)
        self.service = service
        self.engine: Engine = HTTP1Engine(service.limits, service.head_parser)
        self.open: dict[int, Stream] = {}
        self._arrived: Stream | None = None
        self.corked = self.lost = self._refused = self._eof = False
        self._reading_paused = self._writing_paused = self._diverted = False
        self._linger_left: int | None = None
        self._unsent_bytes = self.unsent_file_bytes = 0
        self._room_waiters: list[asyncio.Future[None]] | None = None
        self._client: str | None = None

    # ---- the socket's side -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open; the first head must come within its timeout."""
        self._transport = cast("asyncio.Transport", transport)
        service = self.service
        service.opened(self)
        service.timers.set(self, service.timers.now_s + service.settings.head_timeout_s)
        if service.draining:
            self.shut()

    def data_received(self, data: bytes) -> None:
        """Bytes came: take all they bring up to a request, which is handled soon."""
        if self._arrived is not None:
            self.service.arrivals.take([self])
        if self._diverted and self._divert(data):
            return
        self.corked = True
        try:
            event = self.engine.receive_data(data)
            while event is not None:
                if type(event) in _TAKERS:
                    _TAKERS[type(event)](self, event)
                else:
                    # A head; `_take_head` written out, since each request comes this way.
                    stream = Stream(self, event)  # type: ignore[arg-type]  # because of the line above
                    if type(self.engine) is HTTP1Engine:
                        self._arrived = stream
                        self.service.begin(stream)
                        self.service.arrivals.add(self)
                        return
                    # Many requests may come in one read: the next ones wait for room for answers.
                    self.service.handle(stream)
                    if not stream.answered:
                        self.open[stream.head.stream_id] = stream
                engine = self.engine
                if engine.more and (engine.out_bytes < SEND_HIGH_WATER_BYTES or self._goes_on()):
                    event = engine.next_event()
                else:
                    event = None
        except PeerError as error:
            self._refuse(error)
            self._take_events()
        finally:
            self.corked = False
        self.write_taken()

    def take_arrived(self) -> None:
        """Handle the request that has arrived, if it is still there, and what came behind it."""
        stream = self._arrived
        if stream is None:
            return
        self._arrived = None
        self.corked = True
        try:
            self.service.handle_begun(stream)
            if not stream.answered:
                self.open[stream.head.stream_id] = stream
            if self.engine.more:
                self._take_events()
        finally:
            self.corked = False

    def write_taken(self) -> None:
        """Write what there is; `_flush` written out, as in `data_received`."""
        if self.lost:
            return
        engine = self.engine
        out = engine.data_to_send()
        if out:
            self._transport.write(out)
        reading = engine.reading
        if not engine.closing:
            if reading is _IDLE and self.deadline_s is self.service.idle_deadline_s:
                return  # the same object: put off since the last tick already
            if reading is _NOTHING and not engine.more:
                return
        self._settle(engine)

    def _divert(self, data: bytes) -> bool:
        """Drop what comes after a refusal; hold a request whose client takes no answers."""
        engine = self.engine
        if self._linger_left is not None:
            self._linger(len(data))
            return True
        if engine.reading is _BODY or not self._writing_paused:
            return False
        engine.hold(data)
        self._pause_reading()
        return True

    def _goes_on(self) -> bool:
        """Whether the client takes its answers; if not, its further requests wait."""
        if self.engine.out_bytes >= SEND_HIGH_WATER_BYTES:
            self._transport.write(self.engine.data_to_send())
        return not self._writing_paused

    def eof_received(self) -> bool:
        """The client sends no more: waiting handlers hear of it, whole answers still go out."""
        if self._linger_left is not None:
            return False
        if self._arrived is not None:
            self.service.arrivals.take([self])
        self._eof = True
        self.corked = True
        try:
            self.engine.receive_eof()
        except PeerError as error:
            self._refuse(error)
        for exchange in list(self.open.values()):
            exchange.lose()
        self.corked = False
        self._flush()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is closed: whoever still waits on it hears of it."""
        self.lost = True
        self.service.timers.remove(self)
        self.service.closed(self)
        self._forget_arrived()
        exchanges, self.open = self.open, {}
        for exchange in exchanges.values():
            exchange.lose()
            self.service.log_lost(exchange)
        self.wake_room_waiters()

    def pause_writing(self) -> None:
        """The client is slower than its answers: handlers wait."""
        self._writing_paused = self._diverted = True
        self._wait_for_client()

    def resume_writing(self) -> None:
        """There is room again."""
        self._writing_paused = False
        self.wake_room_waiters()
        if self._linger_left is not None:
            self._set_deadline(self.service.settings.linger_timeout_s)
            return
        self._diverted = False
        if self._arrived is not None:
            self.service.arrivals.take([self])
        elif not self.corked:
            self._go_on()

    def _wait_for_client(self) -> None:
        """Give the client the send timeout to take more of what there is for it."""
        self._unsent_bytes = self._count_unsent()
        self._set_deadline(self.service.settings.send_timeout_s)

    def _count_unsent(self) -> int:
        buffered_bytes = self._transport.get_write_buffer_size() + self.unsent_file_bytes
        return buffered_bytes + self.engine.stalled_bytes

    # ---- events ----------------------------------------------------------------------

    def _take_events(self) -> None:
        """Take what the engine still has, refusing what must be."""
        while self._goes_on():
            try:
                event = self.engine.next_event()
            except PeerError as error:
                self._refuse(error)
                continue
            if event is None:
                return
            self._take(event)

    def _take(self, event: Event) -> None:
        take = _TAKERS.get(type(event), Connection._take_head)
        take(self, event)

    def _take_head(self, head: RequestHead) -> None:
        stream = Stream(self, head)
        self.service.handle(stream)
        if not stream.answered:
            self.open[head.stream_id] = stream

    def _take_data(self, event: Data) -> None:
        exchange = self.open.get(event.stream_id)
        if exchange is not None and exchange.body is not None:
            exchange.body.feed(event.data)
            if exchange.body.full and not self._needs_window(exchange.body):
                self._pause_reading()

    def _needs_window(self, body: RequestBody) -> bool:
        """Whether answers wait for what only reading brings, and the body may grow meanwhile."""
        return self.engine.stalled_bytes > 0 and body.buffered_bytes < body.max_bytes

    def _take_end(self, event: EndOfBody) -> None:
        exchange = self.open.get(event.stream_id)
        if exchange is not None and exchange.body is not None:
            exchange.body.finish(event.trailers, event.data)

    def _take_reset(self, event: StreamReset) -> None:
        exchange = self.open.pop(event.stream_id, None)
        if exchange is not None:
            exchange.lose()
            self.service.log_lost(exchange)
            self.wake_room_waiters()

    def _take_writable(self, event: StreamWritable) -> None:
        self.wake_room_waiters()

    def _take_switch(self, event: SwitchToHTTP2) -> None:
        self.engine = HTTP2Engine(self.service.limits)
        first = self.engine.receive_data(event.data)
        if first is not None:
            self._take(first)

    def _refuse(self, error: PeerError) -> None:
        """Answer what is no request, and tell a handler that waits for the rest of one."""
        body = refusal_body(error.status, error.detail)
        head = refusal_head(error.status)
        self.engine.refuse(error.stream_id, head, body, self.service.stamp)
        exchange = self.open.pop(error.stream_id, None)
        if exchange is not None:
            exchange.started = exchange.answered = True
            exchange.lose()
        self.service.log_refused(error.status, len(body), self.client, exchange)
        self._refused = True

    # ---- called by its streams ---------------------------------------------------------

    @property
    def client(self) -> str:
        """Address of the peer, `""` where it has none."""
        if self._client is None:
            peer = self._transport.get_extra_info("peername")
            self._client = str(peer[0]) if isinstance(peer, tuple) else ""
        return self._client

    def answered(self, stream: Stream) -> None:
        """The answer of an open stream is complete: log it and go on with the next request."""
        was_open = self.open.pop(stream.head.stream_id, None) is not None
        if was_open and self.service.access_log is not None:
            self.service.log(stream)
        if not self.corked and not self.lost:
            if self._reading_paused or self.engine.more:
                self._go_on()
            else:
                self._flush()

    def _go_on(self) -> None:
        """Take what was held back meanwhile, then write."""
        if self._reading_paused:
            self.resume_reading()
        if self.engine.more:
            self.corked = True
            # Not as part of the task that has just answered another request.
            self.service.context.copy().run(self._take_events)
            self.corked = False
        self._flush()

    def rest(self) -> None:
        """A request has been parked: where only answers are awaited, no deadline is kept."""
        engine = self.engine
        if engine.reading is _NOTHING and not (
            self._writing_paused
            or engine.stalled_bytes
            or self._linger_left is not None
            or self._transport.is_closing()
        ):
            self.service.timers.set(self, NEVER)

    def release(self, successor: asyncio.Protocol) -> tuple[asyncio.Transport, bytes, bool]:
        """Give the socket to another protocol after a handshake, and take no further part.

        Returns the socket, what came behind the handshake, and whether writing is paused.
        """
        transport = self._transport
        self.lost = True
        self.open.clear()
        self.service.timers.remove(self)
        self.service.closed(self)
        out = self.engine.data_to_send()
        if out:
            transport.write(out)
        transport.set_protocol(successor)
        if self._reading_paused:
            transport.resume_reading()
        engine = cast("HTTP1Engine", self.engine)  # the only one with such handshakes
        return transport, engine.release(), self._writing_paused

    def is_full(self, stream: Stream) -> bool:
        """Whether a stream should wait before it sends more."""
        # A socket that broke takes all and sends nothing: wait to be told that it is lost.
        if self._writing_paused or self._transport.is_closing():
            return True
        return self.engine.pending_bytes(stream.head.stream_id) > SEND_HIGH_WATER_BYTES

    def wait_for_room(self) -> asyncio.Future[None]:
        """Done when there may be room for more, or the connection is lost."""
        if self.engine.stalled_bytes:  # room comes as a frame behind a body that nobody reads
            self.resume_reading()
        waiter = asyncio.get_running_loop().create_future()
        if self._room_waiters is None:
            self._room_waiters = []
        self._room_waiters.append(waiter)
        return waiter

    def wake_room_waiters(self) -> None:
        """Have all who wait look whether there is room now."""
        waiters, self._room_waiters = self._room_waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def dup_socket(self) -> int | None:
        """A second descriptor of the socket, the caller's to close.

        `None` where no plain bytes can be written to one: under TLS, without a socket, or
        without a free descriptor.
        """
        transport = self._transport
        plain = transport.get_extra_info("socket")
        if plain is None or transport.get_extra_info("sslcontext") is not None:
            return None
        if self.lost or transport.is_closing():  # its number may belong to another by now
            return None
        try:
            return os.dup(plain.fileno())
        except OSError:
            return None

    async def emptied(self, stream: Stream) -> None:
        """Wait until all that was written has been handed to the kernel.

        Raises:
            ClientGone: the client left instead.
        """
        self._transport.set_write_buffer_limits(0)
        try:
            await stream.drained()
        finally:
            self._transport.set_write_buffer_limits()

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on receiving, if that was paused."""
        if self._reading_paused and not self.lost:
            self._reading_paused = False
            self._transport.resume_reading()
            self._set_deadline(self.service.settings.body_timeout_s)

    # ---- writing, timeouts and the end -----------------------------------------------------

    def flush(self) -> None:
        """Write what there is, unless more is about to come."""
        if not self.corked:
            self._flush()

    def _flush(self) -> None:
        """Write what the engine has, then see what the connection waits for."""
        engine = self.engine
        out = engine.data_to_send()
        if out and self._linger_left is None:
            self._transport.write(out)
        self._settle(engine)

    def _settle(self, engine: Engine) -> None:
        """Close, or set the deadline of what is awaited now."""
        if engine.closing:
            self._close()
            return
        if self._writing_paused:
            # What is awaited first is that the client takes its answers.
            if engine.held_bytes:
                self._pause_reading()
            return
        reading = engine.reading
        if reading is _IDLE:
            service = self.service
            deadline_s = service.idle_deadline_s
            if self._bucket is None or deadline_s < self.deadline_s:
                service.timers.set(self, deadline_s)
            else:
                self.deadline_s = deadline_s
        else:
            self._wait_for(reading)

    def _wait_for(self, reading: Reading) -> None:
        settings = self.service.settings
        if reading is _HEAD:
            # Once per head: more bytes of it do not put the end off (slow clients).
            self._set_deadline(settings.head_timeout_s, later=False)
        elif reading is _BODY:
            self._set_deadline(settings.body_timeout_s)
        elif self.engine.stalled_bytes:
            # Frames that take nothing, such as pings, do not put the end off.
            self._set_deadline(settings.send_timeout_s, later=False)
        elif self.engine.held_bytes > settings.limits.max_pipelined_bytes:
            self._pause_reading()

    def _set_deadline(self, after_s: float, *, later: bool = True) -> None:
        timers = self.service.timers
        deadline_s = timers.now_s + after_s
        if later or self._bucket is None or deadline_s < self.deadline_s:
            timers.set(self, deadline_s)

    def expire(self) -> None:
        """The deadline has passed: what it means depends on what is awaited."""
        if self._arrived is not None:  # the deadline was that of the head, which has come
            self.service.arrivals.take([self])
            return
        reading = self.engine.reading
        if self._writing_paused or self._transport.is_closing() or self.engine.stalled_bytes:
            self._expire_writing()
        elif self._linger_left is not None:
            self._transport.abort()
        elif reading is _HEAD:
            self._time_out("the request head did not come in time")
        elif reading is _BODY and not self._reading_paused:
            self._time_out("the request body did not come in time")
        elif reading is _IDLE:
            self.shut()

    def _expire_writing(self) -> None:
        """Cut a client that took nothing since the last look."""
        if self._count_unsent() >= self._unsent_bytes > 0:
            self._transport.abort()
        else:
            self._wait_for_client()

    def _time_out(self, detail: str) -> None:
        """Refuse the request that does not come; where there is none left, end the connection."""
        late = [number for number, stream in self.open.items() if stream.is_receiving()]
        if self.engine.reading is _HEAD:
            late = [0]
        for stream_id in late:
            self._refuse(PeerError(408, detail, stream_id))
        if not late:
            self.engine.shut()
        self._flush()

    def _close(self) -> None:
        """Close, but let a client that may still be sending read the answer first."""
        engine = self.engine
        unread = self._refused or engine.reading is _BODY or engine.held_bytes > 0
        if self._eof or not unread or not self._transport.can_write_eof():
            self._transport.close()
            self._wait_for_client()
        elif self._linger_left is None:
            self._linger_left = LINGER_BYTES
            self._diverted = True
            self._transport.write_eof()
            if not self._writing_paused:
                self._set_deadline(self.service.settings.linger_timeout_s)
            if self._reading_paused:
                self._transport.resume_reading()

    def _linger(self, size: int) -> None:
        self._linger_left = (self._linger_left or 0) - size
        if self._linger_left < 0:
            self._transport.abort()

    def shut(self) -> None:
        """Finish what is under way, then close."""
        self.engine.shut()
        self._flush()

    def cut(self) -> None:
        """Close at once."""
        self._forget_arrived()
        self._transport.abort()

    def _forget_arrived(self) -> None:
        """Leave what has arrived unhandled: it is lost with the connection."""
        if self._arrived is not None:
            self.open[self._arrived.head.stream_id] = self._arrived
            self._arrived = None


_TAKERS: Final[dict[type, Callable[[Connection, Any], None]]] = {
    Data: Connection._take_data,
    EndOfBody: Connection._take_end,
    StreamReset: Connection._take_reset,
    StreamWritable: Connection._take_writable,
    SwitchToHTTP2: Connection._take_switch,
}
"""What to do with each kind of event; any other is a request head."""
