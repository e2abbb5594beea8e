"""What all connections of one worker share."""

import contextvars
from collections.abc import Callable
from typing import Final, Protocol

from tarry.exchange import Application, Exchange
from tarry.message.dates import format_date
from tarry.message.heads import Fields, PlainRequestHead
from tarry.protocol.engine import Stamp
from tarry.protocol.http1 import HeadParser
from tarry.server.accesslog import AccessLog
from tarry.server.arrivals import Arrivals
from tarry.server.settings import ServerSettings
from tarry.timing import Clock, TimerTable

CLIENT_LEFT: Final = 499
"""Logged as the status of a request whose client left; no answer has it.  nginx has the same."""

_UNREADABLE: Final = PlainRequestHead(b"-", b"-", Fields(), http_version=b"-")


class OpenConnection(Protocol):
    """A connection, as the worker sees it."""

    def shut(self) -> None:
        """Finish what is under way, then close."""

    def cut(self) -> None:
        """Close at once."""


class Service:
    """Application, settings, timers and open connections of one worker.

    `handle` is the application's, `handle_begun` for an exchange that was given
    to `begin` before.  `arrivals` are the connections whose requests are handled
    soon.  `stamp` holds the fields of the current second, `idle_deadline_s` when
    a connection that falls idle now will close; `on_empty` is called when the
    last connection has closed, `on_park` with each exchange that is parked.
    `context` has the context variables of no request.
    """

    __slots__ = (
        "_application", "_clock", "_stamp_second", "access_log", "arrivals", "connections",
        "context", "draining", "handle", "handle_begun", "head_parser", "idle_deadline_s",
        "limits", "on_empty", "on_park", "settings", "stamp", "timers",
    )  # fmt: skip

    def __init__(self, application: Application, settings: ServerSettings, clock: Clock) -> None:
        self._application = application
        self.head_parser = HeadParser()
        self.settings = settings
        self.limits = settings.limits
        self.timers = TimerTable(clock)
        self.access_log = AccessLog(settings.access_log_format) if settings.access_log else None
        self.handle: Callable[[Exchange], None] = application.handle
        self.handle_begun: Callable[[Exchange], None] = application.handle
        if self.access_log is not None:
            self.handle, self.handle_begun = self._begin_and_log, self._handle_and_log
        self.connections: dict[OpenConnection, None] = {}
        self.context = contextvars.copy_context()
        self.arrivals = Arrivals(self.context)
        self.draining = False
        self.on_empty: Callable[[], None] | None = None
        self.on_park: Callable[[Exchange], None] | None = None
        self._clock = clock
        self._stamp_second = -1
        self.stamp = Stamp(b"")
        self.tick()

    def tick(self, *, exactly: bool = False) -> None:
        """Look at the clock: expire what is due and renew the date; see `TimerTable.advance`."""
        self.timers.advance(exactly=exactly)
        self.idle_deadline_s = self.timers.now_s + self.settings.idle_timeout_s
        second = int(self._clock.wall_s())
        if second != self._stamp_second:
            self._stamp_second = second
            date = format_date(second).encode()
            self.stamp = Stamp(date, self.settings.server_header.encode())

    def begin(self, exchange: Exchange) -> None:
        """Have the time of a request counted from now on, where there is a log."""
        if self.access_log is not None:
            exchange.arrived_s = self._clock.monotonic_s()
            exchange.parked_s = 0.0

    def _begin_and_log(self, exchange: Exchange) -> None:
        self.begin(exchange)
        self._handle_and_log(exchange)

    def _handle_and_log(self, exchange: Exchange) -> None:
        self._application.handle(exchange)
        if exchange.answered:
            self.log(exchange)

    def parked(self, exchange: Exchange) -> None:
        """Nothing runs for an exchange from now on."""
        if self.access_log is not None:
            exchange.parked_s -= self._clock.monotonic_s()
        if self.on_park is not None:
            self.on_park(exchange)

    def resumed(self, exchange: Exchange) -> None:
        """An exchange runs again."""
        if self.access_log is not None:
            exchange.parked_s += self._clock.monotonic_s()

    def log(self, exchange: Exchange) -> None:
        """Have an answered request logged, where there is a log."""
        if self.access_log is not None:
            if exchange.is_parked:  # to the end: its client left, or it was answered as it was
                exchange.resume()
            parked_s = exchange.parked_s
            run_s = self._clock.monotonic_s() - exchange.arrived_s - parked_s
            status, sent_bytes = exchange.status, exchange.sent_bytes
            self.access_log.record(
                exchange.head, exchange.client, status, sent_bytes, run_s, parked_s
            )

    def log_lost(self, exchange: Exchange) -> None:
        """Have a request logged whose client left before it was answered."""
        if self.access_log is not None:
            if not exchange.started:
                exchange.status = CLIENT_LEFT
                exchange.sent_bytes = 0
            self.log(exchange)

    def log_refused(
        self, status: int, sent_bytes: int, client: str, exchange: Exchange | None
    ) -> None:
        """Have a request logged that the server refused; there may be no exchange for it."""
        if self.access_log is None:
            return
        head = _UNREADABLE if exchange is None else exchange.head
        self.access_log.record(head, client, status, sent_bytes, 0.0)

    def opened(self, connection: OpenConnection) -> None:
        """A connection was accepted."""
        self.connections[connection] = None

    def closed(self, connection: OpenConnection) -> None:
        """A connection is no more."""
        self.connections.pop(connection, None)
        if not self.connections and self.on_empty is not None:
            self.on_empty()
