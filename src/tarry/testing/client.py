"""Clients for tests: they drive an application without sockets or ports.

A request goes through the very connection and engine that serve it in
production; only the socket is replaced, by a `MemoryTransport`.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Final, Unpack

from tarry.exchange import Application
from tarry.server.connection import Connection
from tarry.server.service import Service
from tarry.server.settings import ServerSettings
from tarry.server.worker import TICK_S
from tarry.testing.cookies import CookieKeeper
from tarry.testing.errors import HandlerErrors
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
        self._service: Service | None = None
        self._wires: list[ClientWire] = []
        self._under_way = 0

    async def __aenter__(self) -> "AsyncClient":
        await self._app.startup()
        self._service = service = Service(self._app, self._settings, self._clock)
        self._ticker = Ticker(asyncio.get_running_loop().call_later, TICK_S, service.tick)
        if self._errors is not None:
            self._errors.attach()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._service is None:
            return
        service, self._service = self._service, None
        await self._leave(service)
        self._ticker.stop()
        await self._app.shutdown()
        if service.access_log is not None:
            service.access_log.close()
        if self._errors is not None:
            self._errors.detach()

    async def _leave(self, service: Service) -> None:
        closed = asyncio.Event()
        service.on_empty = closed.set
        for wire in self._wires:
            wire.leave()
        self._wires.clear()
        if service.connections:
            await closed.wait()

    async def request(self, method: str, path: str, **options: Unpack[RequestOptions]) -> Reply:
        """Send a request and wait for its reply; `path` has the query too.

        Raises:
            IncompleteAnswer: the server broke the answer off.
            TimeoutError: no whole answer in time.
            ValueError: a request that cannot be sent.
        """
        kept = self._cookies.header_for(path) if self._cookies is not None else None
        request = outgoing(method, path, HOST, options, kept)
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
            async with asyncio.timeout(self._timeout_s):
                reply = await wire.ask(request)
        except TimeoutError as error:
            late = f"no whole answer to {request.name} within {self._timeout_s:g} s"
            raise TimeoutError(late) from error
        except IncompleteAnswer:
            if self._errors is not None:
                self._errors.raise_first()
            raise
        if self._errors is not None and reply.status == 500:
            self._errors.raise_first()
        return reply

    def _free_wire(self) -> ClientWire:
        """A connection that can take a request; a new one as a client would open it."""
        service = self._service
        if service is None:
            raise RuntimeError("the client is not open: use it in a with statement")
        for wire in self._wires:
            if wire.is_free:
                return wire
        wire = ClientWire(http2=self._http2)
        connect(lambda: Connection(service), wire)
        self._wires.append(wire)
        return wire


class Client(Methods[Reply]):
    """A client for plain tests: `with Client(app) as client: reply = client.get("/")`.

    The application runs in a loop of its own in a thread, so it goes on between
    requests.  The options are those of `AsyncClient`.
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
        self._client = AsyncClient(
            app,
            http2=http2,
            raise_errors=raise_errors,
            keep_cookies=keep_cookies,
            timeout_s=timeout_s,
            settings=settings,
            clock=clock,
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> "Client":
        self._started: Future[None] = Future()
        self._ended: Future[None] = Future()
        threading.Thread(target=self._run, name="tarry-client", daemon=True).start()
        self._started.result()
        return self

    def __exit__(self, *error: object) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(self._stop.set)
            self._ended.result()

    def request(self, method: str, path: str, **options: Unpack[RequestOptions]) -> Reply:
        """Send a request and wait for its reply; `path` has the query too.

        Raises:
            IncompleteAnswer: the server broke the answer off.
            TimeoutError: no whole answer in time.
            ValueError: a request that cannot be sent.
        """
        if self._loop is None:
            raise RuntimeError("the client is not open: use it in a with statement")
        asked = self._client.request(method, path, **options)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()

    def _run(self) -> None:
        """The thread: what goes wrong belongs to whoever enters or leaves the client."""
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 — raised where the client is used
            (self._ended if self._started.done() else self._started).set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with self._client:
            self._loop = asyncio.get_running_loop()
            self._started.set_result(None)
            await self._stop.wait()
