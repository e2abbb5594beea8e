"""Sends a `Stream`: piece by piece, at the pace of the client."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Final

from tarry.app.responses import Stream
from tarry.app.results import ResultError
from tarry.exchange import Exchange
from tarry.message.heads import ResponseHead

_END: Final = object()


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


async def send_stream(exchange: Exchange, stream: Stream) -> None:
    """Send a whole stream; its pieces are closed however this ends.

    Raises:
        ClientGone: the client left before the end.
        LengthError: more or fewer bytes than announced.
        ResultError: a piece that is neither text nor bytes.
    """
    head = stream_head(stream)
    pieces = _pieces(stream.pieces)
    try:
        exchange.start(head)
        if exchange.head.method != b"HEAD":
            async for piece in pieces:
                await exchange.write(_as_bytes(piece))
        exchange.end()
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def _pieces(
    pieces: Iterable[str | bytes] | AsyncIterable[str | bytes],
) -> AsyncIterator[str | bytes]:
    if isinstance(pieces, AsyncIterable):
        return aiter(pieces)
    return _from_thread(pieces)


async def _from_thread(pieces: Iterable[str | bytes]) -> AsyncIterator[str | bytes]:
    """Read a plain iterable in threads, one piece at a time; it may block."""
    iterator = iter(pieces)
    try:
        while (piece := await asyncio.to_thread(next, iterator, _END)) is not _END:
            yield piece  # type: ignore[misc]  # because the sentinel is excluded above
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await asyncio.to_thread(close)


def _as_bytes(piece: object) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    raise ResultError(f"a stream gave a {type(piece).__name__}; its pieces are str or bytes")
