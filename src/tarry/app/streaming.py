"""Sends a `Stream`: piece by piece, at the pace of the client."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final

from tarry.app.responses import Stream
from tarry.app.results import ResultError
from tarry.exchange import ClientGone, Exchange
from tarry.message.heads import ResponseHead

_END: Final = object()

InThread = Callable[..., Awaitable[Any]]
"""Calls a function with arguments in a thread and returns its result."""


def stream_head(stream: Stream) -> ResponseHead:
    """The head of a streamed answer.

    Raises:
        InvalidField: a header that would break the message.
    """
    fields = stream.headers.to_fields()
    if "content-type" not in stream.headers:
        fields.append((b"content-type", stream.content_type.encode("latin-1")))
    if stream.length is not None:
        fields.append((b"content-length", b"%d" % stream.length))
    return ResponseHead(stream.status, fields)


async def send_stream(
    exchange: Exchange, stream: Stream, in_thread: InThread = asyncio.to_thread
) -> None:
    """Send a whole stream; its pieces are closed however this ends.

    Pieces that come from an async iterable are no longer waited for when the
    client leaves: what the iterable awaits is cancelled.

    Raises:
        ClientGone: the client left before the end.
        LengthError: more or fewer bytes than announced.
        ResultError: a piece that is neither text nor bytes.
    """
    pieces = _pieces(stream.pieces, in_thread)
    try:
        exchange.start(stream_head(stream))
        if exchange.head.method != b"HEAD":
            there = pieces if isinstance(pieces, _FromThread) else _WhileThere(exchange, pieces)
            async for piece in there:
                await exchange.write(as_bytes(piece))
        exchange.end()
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def _pieces(
    pieces: Iterable[str | bytes] | AsyncIterable[str | bytes], in_thread: InThread
) -> AsyncIterator[str | bytes]:
    if isinstance(pieces, AsyncIterable):
        return aiter(pieces)
    return _FromThread(pieces, in_thread)


class _FromThread:
    """Reads a plain iterable in threads, one piece at a time; it may block."""

    def __init__(self, pieces: Iterable[str | bytes], in_thread: InThread) -> None:
        self._pieces = iter(pieces)
        self._in_thread = in_thread
        self._is_read = False

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self

    async def __anext__(self) -> str | bytes:
        self._is_read = True
        try:
            piece: Any = await self._in_thread(next, self._pieces, _END)
        except Exception:
            self._is_read = False
            raise
        self._is_read = False
        if piece is _END:
            raise StopAsyncIteration
        return piece  # type: ignore[no-any-return]  # because a sentinel has no type of its own

    async def aclose(self) -> None:
        """Close the iterable, unless a thread is still inside; then it goes with that call."""
        close = getattr(self._pieces, "close", None)
        if close is not None and not self._is_read:
            await self._in_thread(close)


class _WhileThere:
    """The pieces of an async iterable, until the client leaves."""

    def __init__(self, exchange: Exchange, pieces: AsyncIterator[str | bytes]) -> None:
        self._exchange = exchange
        self._pieces = pieces
        self._task = asyncio.current_task()
        self._waits = self._interrupted = False
        exchange.on_gone(self._interrupt)

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self

    async def __anext__(self) -> str | bytes:
        if self._exchange.gone:
            raise ClientGone("the client left")
        self._waits = True
        try:
            return await anext(self._pieces)
        except asyncio.CancelledError:
            if self._interrupted and self._task is not None and not self._task.uncancel():
                raise ClientGone("the client left") from None
            raise
        finally:
            self._waits = False

    def _interrupt(self) -> None:
        if self._waits and self._task is not None:
            self._interrupted = self._task.cancel()


def as_bytes(piece: object) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    raise ResultError(f"a stream gave a {type(piece).__name__}; its pieces are str or bytes")
