"""The client for plain tests: it drives an application without sockets or ports."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar, Unpack

from tarry.exchange import Application
from tarry.server.settings import ServerSettings
from tarry.testing.async_client import TIMEOUT_S, AsyncClient
from tarry.testing.clock import JumpingClock
from tarry.testing.pending import AsyncPendingReply, PendingReply
from tarry.testing.replies import Reply
from tarry.testing.requests import Methods, RequestOptions
from tarry.timing import Clock, Duration

Result = TypeVar("Result")


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
        self._clock = clock
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
        return self._call(self._client.request(method, path, **options))

    def begin(self, method: str, path: str, **options: Unpack[RequestOptions]) -> PendingReply:
        """Send a request without waiting for its answer, which may take as long as it needs.

        Raises:
            RuntimeError: the client is not open.
            ValueError: a request that cannot be sent.
        """
        return PendingReply(self._call(self._begin(method, path, options)), self._call)

    async def _begin(self, method: str, path: str, options: RequestOptions) -> AsyncPendingReply:
        return self._client.begin(method, path, **options)

    def parked(self, method: str, path: str, **options: Unpack[RequestOptions]) -> PendingReply:
        """As `begin`, but return when the request is parked; see `PendingReply.parked`."""
        pending = self.begin(method, path, **options)
        pending.parked()
        return pending

    def advance(self, duration: Duration) -> None:
        """Have time pass, and return when what is due then has happened.

        Raises:
            TypeError: the client has no `JumpingClock`, or this is no duration.
            ValueError: back instead of ahead.
        """
        if not isinstance(self._clock, JumpingClock):
            raise TypeError(
                "only a JumpingClock can be advanced: Client(app, clock=JumpingClock())"
            )
        self._call(self._advance(self._clock, duration))

    async def _advance(self, clock: JumpingClock, duration: Duration) -> None:
        await clock.advance(duration)

    def _call(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """What a coroutine returns in the loop of the application."""
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("the client is not open: use it in a with statement")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

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
