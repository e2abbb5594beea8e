"""One worker: an event loop that serves one application until it is stopped."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable
from enum import Enum
from typing import Final

from tarry.exchange import Application
from tarry.server.connection import Connection
from tarry.server.listeners import ListenError, listen, url_of
from tarry.server.service import Service
from tarry.server.settings import ServerSettings
from tarry.timing import Clock, SystemClock, Ticker

logger: Final = logging.getLogger("tarry")

TICK_S: Final = 0.25
"""How often timeouts and the Date field are looked at."""


class Phase(Enum):
    """The life of a worker; it only goes forward."""

    NEW = "not started"
    ACCEPTING = "takes connections"
    DRAINING = "finishes what is under way"
    CLOSING = "cuts what did not finish"
    CLOSED = "done"


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the event loop of a setting.

    Raises:
        ValueError: uvloop is asked for but not installed.
    """
    if name == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop  # here, since only who serves needs it
    except ImportError as error:
        if name == "uvloop":
            raise ValueError('loop="uvloop" needs uvloop: pip install uvloop') from error
        return asyncio.new_event_loop
    return uvloop.new_event_loop


class Worker:
    """Serves an application in the running loop, between `start` and `stop`."""

    def __init__(
        self,
        application: Application,
        settings: ServerSettings,
        clock: Clock | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        self.phase = Phase.NEW
        self.settings = settings
        self._application = application
        self._clock = clock or SystemClock()
        self._listener = listener
        self._url = ""
        self._empty = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopping: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where the worker is reached, with the real port."""
        return self._url

    async def start(self) -> None:
        """Listen, start the application and accept connections.

        Raises:
            ListenError: the address cannot be listened on.
        """
        settings = self.settings
        listener = self._listener or listen(settings.host, settings.port, settings.backlog)
        self._url = url_of(listener)
        try:
            await self._application.startup()
        except BaseException:
            listener.close()
            raise
        loop = asyncio.get_running_loop()
        self._service = service = Service(self._application, settings, self._clock)
        service.on_empty = self._empty.set
        self._ticker = Ticker(loop.call_later, TICK_S, service.tick)
        self._server = await loop.create_server(
            lambda: Connection(service), sock=listener, backlog=settings.backlog
        )
        self.phase = Phase.ACCEPTING

    def stop_soon(self) -> None:
        """Begin to stop; a second call cuts what is under way."""
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        else:
            self._cut()
            self._application.hurry()

    async def stop(self) -> None:
        """Stop: take nothing new, finish what is under way within `stop_timeout_s`, close."""
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def stopped(self) -> None:
        """Return when the worker has stopped."""
        await self._stopped.wait()

    async def _stop(self) -> None:
        self.phase = Phase.DRAINING
        self._server.close()
        service = self._service
        service.draining = True
        try:
            self._application.drain()
        except Exception:  # nor an application
            logger.exception("the application did not take the notice that the server stops")
        for connection in list(service.connections):
            try:
                connection.shut()
            except Exception:  # one connection must not keep the others from ending
                logger.exception("a connection could not be shut")
                connection.cut()
        if service.connections:
            self._empty.clear()
            try:
                await asyncio.wait_for(self._empty.wait(), self.settings.stop_timeout_s)
            except TimeoutError:
                logger.warning("%d connections did not finish in time", len(service.connections))
        self.phase = Phase.CLOSING
        self._cut()
        self._ticker.stop()
        await self._application.shutdown()
        if service.access_log is not None:
            service.access_log.close()
        self.phase = Phase.CLOSED
        self._stopped.set()

    def _cut(self) -> None:
        for connection in list(self._service.connections):
            connection.cut()


async def serve(application: Application, settings: ServerSettings) -> None:
    """Serve in the running loop until SIGINT or SIGTERM, or until cancelled.

    Raises:
        ListenError: the address cannot be listened on.
    """
    worker = Worker(application, settings)
    await worker.start()
    loop = asyncio.get_running_loop()
    handled = _handle_signals(loop, worker.stop_soon)
    logger.info("serving %s (Ctrl-C stops)", worker.url)
    try:
        await worker.stopped()
    finally:
        await worker.stop()
        for number in handled:
            loop.remove_signal_handler(number)


def _handle_signals(
    loop: asyncio.AbstractEventLoop, stop: Callable[[], None]
) -> list[signal.Signals]:
    """Stop on SIGINT and SIGTERM; only a main thread can have signals."""
    if threading.current_thread() is not threading.main_thread():
        return []
    numbers = [signal.SIGINT, signal.SIGTERM]
    for number in numbers:
        loop.add_signal_handler(number, stop)
    return numbers


def run(application: Application, settings: ServerSettings) -> None:
    """Serve in a loop of its own until SIGINT or SIGTERM.

    Raises:
        SystemExit: the address cannot be listened on; the text says why.
    """
    try:
        with asyncio.Runner(loop_factory=loop_factory(settings.loop)) as runner:
            runner.run(serve(application, settings))
    except ListenError as error:
        raise SystemExit(f"tarry: {error}") from error


class ServerHandle:
    """A server that runs in a thread of its own, as `start` returns it."""

    def __init__(self, application: Application, settings: ServerSettings) -> None:
        self._ready = threading.Event()
        self._errors: list[BaseException] = []
        self._worker: Worker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(
            target=self._run, args=(application, settings), name="tarry-server", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        if self._errors:
            self._thread.join()
            raise self._errors[0]

    @property
    def url(self) -> str:
        """Where the server is reached, with the real port; no slash at the end."""
        return self._worker.url if self._worker is not None else ""

    def stop(self) -> None:
        """Stop as on SIGTERM and wait for the end; without effect the second time."""
        if self._loop is not None and self._worker is not None:
            try:
                self._loop.call_soon_threadsafe(self._worker.stop_soon)
            except RuntimeError:  # the loop is closed: the server has stopped already
                pass
        self._thread.join()

    def __enter__(self) -> "ServerHandle":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _run(self, application: Application, settings: ServerSettings) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory(settings.loop)) as runner:
                runner.run(self._serve(application, settings))
        except BaseException as error:  # noqa: BLE001 — it belongs to whoever started the thread
            self._errors.append(error)
        finally:
            self._ready.set()

    async def _serve(self, application: Application, settings: ServerSettings) -> None:
        worker = Worker(application, settings)
        await worker.start()
        self._loop, self._worker = asyncio.get_running_loop(), worker
        self._ready.set()
        await worker.stopped()
