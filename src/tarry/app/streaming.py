"""Sends a `Stream`: piece by piece, at the pace of the client."""

import asyncio
from collections.abc import AsyncIterator

from tarry.app.lanes import OnDrain
from tarry.app.presence import Presence
from tarry.app.responses import Stream
from tarry.app.results import ResultError
from tarry.app.server_sent_events import EventPieces
from tarry.app.stepping import Begun
from tarry.app.threaded import ThreadedIterator, iterate
from tarry.exchange import ClientGone, Exchange, InThread
from tarry.message.heads import ResponseHead


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
    exchange: Exchange,
    stream: Stream,
    in_thread: InThread = asyncio.to_thread,
    on_drain: OnDrain | None = None,
) -> None:
    """Send a whole stream; its pieces are closed however this ends.

    Pieces that come from an async iterable are no longer waited for when the
    client leaves: what the iterable awaits is cancelled.  Events, which may
    last forever, end when `on_drain` says that the server begins to stop.

    Raises:
        ClientGone: the client left before the end.
        LengthError: more or fewer bytes than announced.
        ResultError: a piece that is neither text nor bytes.
    """
    forget = None
    if isinstance(stream.source, EventPieces):
        stream.source.in_thread = in_thread
        if on_drain is not None:
            forget = on_drain(stream.source.drain)
    pieces = iterate(stream.pieces, in_thread)
    is_closed = False
    try:
        exchange.start(stream_head(stream))
        if exchange.head.method != b"HEAD":
            does_so_itself = isinstance(pieces, ThreadedIterator | Begun)
            async for piece in pieces if does_so_itself else _WhileThere(exchange, pieces):
                await exchange.write(as_bytes(piece))
        # Before the end, so that who has the whole answer knows that it is closed.
        is_closed = True
        await _close(pieces)
        exchange.end()
    finally:
        if forget is not None:
            forget()
        if not is_closed:
            await _close(pieces)


async def _close(pieces: AsyncIterator[str | bytes]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()


class _WhileThere:
    """The pieces of an async iterable, until the client leaves."""

    def __init__(self, exchange: Exchange, pieces: AsyncIterator[str | bytes]) -> None:
        self._exchange = exchange
        self._pieces = pieces
        self._presence = Presence(exchange)

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self

    async def __anext__(self) -> str | bytes:
        if self._exchange.gone:
            raise ClientGone("the client left")
        piece: str | bytes = await self._presence.wait_for(anext, self._pieces)
        return piece


def as_bytes(piece: object) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    raise ResultError(f"a stream gave a {type(piece).__name__}; its pieces are str or bytes")
