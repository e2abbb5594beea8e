"""The client for tests whose loop is the test's own.

A request goes through the very connection and engine that serve it in
production; only the socket is replaced, by a `MemoryTransport`.
"""

import asyncio
import contextlib
import functools
from collections.abc import Coroutine
from typing import Any, Final, Unpack

from tarry.exchange import Application, Exchange
from tarry.server.connection import Connection
from tarry.server.service import Service
from tarry.server.settings import ServerSettings
from tarry.server.worker import TICK_S
from tarry.testing.clock import JumpingClock, going_by
from tarry.testing.cookies import CookieKeeper
from tarry.testing.errors import HandlerErrors
from tarry.testing.pending import AsyncPendingReply
from tarry.testing.replies import IncompleteAnswer, Reply
from tarry.testing.requests import Methods, OutgoingRequest, RequestOptions, outgoing
from tarry.testing.transport import connect
from tarry.testing.wire import ClientWire
from tarry.timing import Clock, SystemClock, Ticker

HOST: Final = "tarry.test"
"""The Host that is asked for; nobody has it (RFC 6761 section 6.2)."""

TIMEOUT_S: Final = 10.0
"""How long a client waits for an answer; only a test that fails waits that long."""


class AsyncClient(Methods[Coroutine[Any, Any, Reply]]):
    """A client in the running loop: `async with AsyncClient(app) as client: ...`.

    Entering starts the application, leaving ends it.  A request whose task is
    cancelled is a client that leaves.  With `http2` all requests share one
    HTTP/2 connection.  With `raise_errors` an error in a handler is raised
    here instead of becoming a 500; `keep_cookies` sends back what answers set.
    A `clock` becomes that of the application, too, if it has one.
    """

    def __init__(
        self,
        app: Application,
        *,
        http2: bool = False,
        raise_errors: bool = False,
        keep_cookies: bool = False,
        timeout_s: float = TIMEOUT_S,
        settings: ServerSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._app = app
        self._http2 = http2
        self._errors = HandlerErrors() if raise_errors else None
        self._cookies = CookieKeeper(f"http://{HOST}") if keep_cookies else None
        self._timeout_s = timeout_s
        self._settings = settings or ServerSettings(access_log=False)
        self._clock = clock or SystemClock()
        self._clock_of_app = clock
        self._service: Service | None = None
        self._wires: dict[ClientWire, Connection] = {}
        self._pending: set[AsyncPendingReply] = set()
        self._under_way = 0

    async def __aenter__(self) -> "AsyncClient":
        with contextlib.ExitStack() as undo:
            undo.enter_context(going_by(self._app, self._clock_of_app))
            await self._app.startup()
            self._service = service = Service(self._app, self._settings, self._clock)
            service.on_park = self._look
            loop = asyncio.get_running_loop()
            undo.callback(Ticker(loop.call_later, TICK_S, service.tick).stop)
            if isinstance(self._clock, JumpingClock):
                tick = functools.partial(self._tick, service)
                undo.callback(self._clock.on_jump(lambda: loop.call_soon_threadsafe(tick)))
            if self._errors is not None:
                self._errors.attach()
                undo.callback(self._errors.detach)
            self._undo = undo.pop_all()
        return self

    def _tick(self, service: Service) -> None:
        """The clock has jumped: what is due then happens now."""
        service.tick(exactly=True)
        tick_of_app = getattr(self._app, "tick", None)
        if tick_of_app is not None:
            tick_of_app(exactly=True)

    async def __aexit__(self, *error: object) -> None:
        if self._service is None:
            return
        service, self._service = self._service, None
        with self._undo:
            await self._leave(service)
            await self._app.shutdown()
            if service.access_log is not None:
                service.access_log.close()

    async def _leave(self, service: Service) -> None:
        closed = asyncio.Event()
        service.on_empty = closed.set
        for wire in self._wires:
            wire.leave()
        self._wires.clear()
        if self._pending:
            await asyncio.wait([pending.task for pending in self._pending])
        if service.connections:
            await closed.wait()

    async def request(self, method: str, path: str, **options: Unpack[RequestOptions]) -> Reply:
        """Send a request and wait for its reply; `path` has the query too.

        Raises:
            IncompleteAnswer: the server broke the answer off.
            TimeoutError: no whole answer in time.
            ValueError: a request that cannot be sent.
        """
        request = self._outgoing(method, path, options)
        try:
            async with asyncio.timeout(self._timeout_s) as timeout:
                return await self._send(request, path)
        except TimeoutError as error:
            if not timeout.expired():  # it is what a handler has raised
                raise
            late = f"no whole answer to {request.name} within {self._timeout_s:g} s"
            raise TimeoutError(late) from error

    def begin(self, method: str, path: str, **options: Unpack[RequestOptions]) -> AsyncPendingReply:
        """Send a request without waiting for its answer, which may take as long as it needs.

        Raises:
            RuntimeError: the client is not open.
            ValueError: a request that cannot be sent.
        """
        request = self._outgoing(method, path, options)
        self._open_service()
        asking = self._send(request, path)
        pending = AsyncPendingReply(request, asking, self._is_parked, self._timeout_s)
        self._pending.add(pending)
        pending.task.add_done_callback(lambda _: self._pending.discard(pending))
        return pending

    async def parked(
        self, method: str, path: str, **options: Unpack[RequestOptions]
    ) -> AsyncPendingReply:
        """As `begin`, but return when the request is parked; see `AsyncPendingReply.parked`."""
        pending = self.begin(method, path, **options)
        await pending.parked()
        return pending

    def _is_parked(self, request: OutgoingRequest) -> bool:
        for wire, connection in self._wires.items():
            stream_id = wire.stream_id_of(request)
            if stream_id is not None:
                exchange = connection.open.get(stream_id)
                return exchange is not None and exchange.is_parked
        return False

    def _look(self, exchange: Exchange) -> None:
        for pending in self._pending:
            pending.look()

    def _outgoing(self, method: str, path: str, options: RequestOptions) -> OutgoingRequest:
        kept = self._cookies.header_for(path) if self._cookies is not None else None
        return outgoing(method, path, HOST, options, kept)

    async def _send(self, request: OutgoingRequest, path: str) -> Reply:
        wire = self._free_wire()
        if self._errors is not None and not self._under_way:
            self._errors.forget()
        self._under_way += 1
        try:
            reply = await self._ask(wire, request)
        finally:
            self._under_way -= 1
        if self._cookies is not None:
            self._cookies.keep(path, reply.headers)
        return reply

    async def _ask(self, wire: ClientWire, request: OutgoingRequest) -> Reply:
        try:
            reply = await wire.ask(request)
        except IncompleteAnswer:
            if self._errors is not None:
                self._errors.raise_first()
            raise
        if self._errors is not None and reply.status == 500:
            self._errors.raise_first()
        return reply

    def _free_wire(self) -> ClientWire:
        """A connection that can take a request; a new one as a client would open it."""
        service = self._open_service()
        for wire in self._wires:
            if wire.is_free:
                return wire
        wire = ClientWire(http2=self._http2)
        self._wires[wire] = connection = Connection(service)
        connect(lambda: connection, wire)
        return wire

    def _open_service(self) -> Service:
        if self._service is None:
            raise RuntimeError("the client is not open: use it in a with statement")
        return self._service
