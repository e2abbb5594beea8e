"""From the items of an `Events` to the bytes of its stream, with pings while none comes.

A task of its own reads the items, so that waiting for the next one can end in
a ping without disturbing who is asked for it; a generator is begun, resumed
and closed in one and the same task.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from tarry.app.responses import Events, ServerEvent, Stream
from tarry.app.threaded import iterate
from tarry.exchange import InThread
from tarry.message.eventstream import encode_event
from tarry.timing import Handle

PING: Final = encode_event(None, comment="ping")
"""A comment, which clients skip; sending it shows whether they are still there."""

RECONNECT_MS: Final = 1_000
"""How long the clients of a server that stops wait at least before they connect again."""

RECONNECT_JITTER_MS: Final = 2_000
"""Up to so much longer, so that they do not all come at once."""

_END: Final = b""

CallLater = Callable[..., Handle]
"""As a loop's `call_later`: seconds, function, arguments."""


def event_stream(events: Events) -> Stream:
    """The stream with which events are sent."""
    return Stream(EventPieces(events), content_type="text/event-stream", headers=events.headers)


class EventPieces:
    """Each event as bytes, and a ping after so many seconds without one.

    The next item is asked for when the one before has been sent.  Plain
    iterables are read by `in_thread`, which may be replaced before the first
    piece is taken; `call_later` is that of the running loop unless given.
    `jitter` is a random number from 0 to 1.
    """

    __slots__ = ("_call_later", "_closed", "_draining", "_error", "_events", "_jitter", "_pieces",
                 "_reader", "_source", "in_thread")  # fmt: skip

    def __init__(
        self,
        events: Events,
        call_later: CallLater | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.in_thread: InThread = asyncio.to_thread
        self._events = events
        self._call_later = call_later
        self._jitter = jitter
        self._draining = False
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._source: AsyncIterator[Any] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._reader is None:
            self._begin()
        else:
            self._pieces.task_done()
        piece = await self._next_or_ping()
        if piece == _END:
            self._raise_error()
            raise StopAsyncIteration
        return piece

    def _begin(self) -> None:
        if self._events.retry_ms is not None and not self._draining:
            self._pieces.put_nowait(encode_event(None, retry_ms=self._events.retry_ms))
        self._reader = asyncio.create_task(self._read(self._open()))

    def _open(self) -> AsyncIterator[Any]:
        self._source = iterate(self._events.items, self.in_thread)
        return self._source

    async def _next_or_ping(self) -> bytes:
        if self._events.ping_s is None or not self._pieces.empty():
            return await self._pieces.get()
        call_later = self._call_later or asyncio.get_running_loop().call_later
        timer = call_later(self._events.ping_s, self._pieces.put_nowait, PING)
        try:
            return await self._pieces.get()
        finally:
            timer.cancel()

    async def _read(self, source: AsyncIterator[Any]) -> None:
        try:
            try:
                async for item in source:
                    if self._closed:  # a generator that went on after it was cancelled
                        break
                    self._pieces.put_nowait(_encode(item))
                    await self._pieces.join()
            finally:
                await self._close_source()
        except BaseException as error:  # noqa: BLE001 — raised by `__anext__` or `aclose`
            if not (self._closed and isinstance(error, asyncio.CancelledError)):
                self._error = error
        self._pieces.put_nowait(_END)

    def drain(self) -> None:
        """End after the event under way, and tell the client when to connect again."""
        if not self._draining:
            self._draining = True
            retry_ms = RECONNECT_MS + round(self._jitter() * RECONNECT_JITTER_MS)
            self._pieces.put_nowait(encode_event(None, retry_ms=retry_ms))
            self._pieces.put_nowait(_END)

    async def aclose(self) -> None:
        """Close the items, wherever they are.

        Raises:
            Exception: what the items raised and nobody has heard of.
        """
        self._closed = True
        if self._reader is None:
            self._open()
        else:
            self._reader.cancel()
            await asyncio.wait((self._reader,))
        await self._close_source()  # by now the reader has done it, if it ever ran
        self._raise_error()

    async def _close_source(self) -> None:
        source, self._source = self._source, None
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # or its traceback would keep this frame, and the items, alive


def _encode(item: Any) -> bytes:
    return (item if isinstance(item, ServerEvent) else ServerEvent(item)).encode()
