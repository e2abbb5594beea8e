"""A worker in a thread whose clock the test moves, and raw applications for it."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future

from tarry.message.heads import ResponseHead
from tarry.server.settings import ServerSettings
from tarry.server.worker import Worker, loop_factory
from tests.exchanges import RawApplication

WAIT_S = 10.0
"""A bound for what a test waits for; none passes by waiting this long."""

OK = ResponseHead(200, [(b"content-type", b"text/plain")])


class JumpingClock:
    """Time goes on only when a test says so."""

    def __init__(self):
        self.now_s = 1_000_000.0

    def monotonic_s(self):
        return self.now_s

    def wall_s(self):
        return self.now_s


class Handling(RawApplication):
    """An application that is one function of the exchange."""

    def __init__(self, handle):
        self.handle = handle
        self.events = []

    async def startup(self):
        self.events.append("startup")

    def drain(self):
        self.events.append("drain")

    async def shutdown(self):
        self.events.append("shutdown")


def greet(exchange):
    """Answer at once."""
    exchange.respond(OK, b"hello")


class Keeping:
    """Keeps exchanges until the test answers them."""

    def __init__(self):
        self.exchanges = []

    def __call__(self, exchange):
        self.exchanges.append(exchange)


class Serving:
    """A running worker; what a test does with it happens on its loop."""

    def __init__(self, application, *, loop="asyncio", **settings):
        if not hasattr(application, "handle"):
            application = Handling(application)
        chosen = {"port": 0, "access_log": False, "loop": loop, **settings}
        self.application = application
        self.clock = JumpingClock()
        self.settings = ServerSettings(**chosen)
        self.worker = None
        self.loop = None
        self._started = Future()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self._started.result(WAIT_S)

    def _run(self):
        with asyncio.Runner(loop_factory=loop_factory(self.settings.loop)) as runner:
            runner.run(self._serve())

    async def _serve(self):
        self.loop = asyncio.get_running_loop()
        self.worker = Worker(self.application, self.settings, self.clock)
        try:
            await self.worker.start()
        except BaseException as error:
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        await self.worker.stopped()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    @property
    def url(self):
        return self.worker.url

    @property
    def service(self):
        return self.worker._service

    @property
    def connections(self):
        return self.call(lambda: list(self.service.connections))

    def call(self, function, *arguments):
        """What `function` returns on the loop."""
        result = Future()

        def run():
            try:
                result.set_result(function(*arguments))
            except BaseException as error:
                result.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return result.result(WAIT_S)

    def until(self, predicate, within_s=WAIT_S):
        """Wait until something is so on the loop; fails if that takes long."""
        end = time.monotonic() + within_s
        while not (value := self.call(predicate)):
            assert time.monotonic() < end, "what the test waits for did not happen"
        return value

    def until_connected(self, count=1):
        self.until(lambda: len(self.service.connections) == count)

    def until_reading(self, reading):
        """Wait until the one connection waits for this."""
        self.until(lambda: [each.engine.reading for each in self.service.connections] == [reading])

    def jump(self, seconds):
        """Let time pass, and have the server look at its clock."""

        def move():
            self.clock.now_s += seconds
            self.service.tick()

        self.call(move)

    def answer(self, exchange, body=b"hello", head=OK):
        """Answer a kept exchange."""
        self.call(exchange.respond, head, body)

    def stop_soon(self):
        self.call(self.worker.stop_soon)

    def stop(self):
        """Stop and wait for the end."""
        try:
            self.loop.call_soon_threadsafe(self.worker.stop_soon)
        except RuntimeError:  # the loop is closed: it has stopped by itself
            pass
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive(), "the server did not stop"
