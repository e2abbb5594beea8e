"""The body of a request as an author reads it: in pieces, whole, as a form, or like a file.

All ways lead through `BodyReading.pieces`, which takes the content coding off
and tells who listens.  A body that was read whole can be read again; one that
was read in pieces is gone, but for a form whose bytes were few.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from tarry.app.form_reader import read_form
from tarry.app.forms import FormData, FormLimits
from tarry.exchange import BodyTooLarge, Exchange, InThread
from tarry.message.codings import Decoder, decoder_for

KEPT_FORM_BYTES: Final = 1024 * 1024
"""A form up to this size can be read again as raw bytes; a larger one has only its fields."""

FILE_BUFFER_BYTES: Final = 256 * 1024
"""What a thread that reads a body like a file gets at once, at most."""

Told = Callable[[str, bytes], Awaitable[None]]
"""Tells who listens: `"data"` with a piece, `"end"` with nothing."""


class BodyReading:
    """One body and how far it has been read; `told` hears of every piece and of the end."""

    __slots__ = ("_exchange", "_source", "_whole", "form", "told")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._source: AsyncIterator[bytes] | None = None
        self._whole: bytes | None = None
        self.form: FormData | None = None
        self.told: Told | None = None

    @property
    def known(self) -> bytes | None:
        """The whole body, if somebody has read it whole."""
        body = self._exchange.body
        if self._whole is None and body is not None:
            # Read on that way are only bodies without a content coding.
            self._whole = body.whole
        return self._whole

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body piece by piece, without its content coding; goes on where one stopped.

        Raises:
            BodyTooLarge: it has more than `max_bytes`, with or without its coding.
            ClientGone: the client left before the end.
            MalformedCoding, ExpansionTooLarge, UnknownCoding: what it is coded in.
        """
        known = self.known
        if self._source is None:
            self._source = self._told_pieces(self._decoded() if known is None else _once(known))
        elif known is not None:
            self._source = _once(known)
        async for piece in self._source:
            yield piece

    async def _told_pieces(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            if self.told is not None:
                await self.told("data", piece)
            yield piece
        told, self.told = self.told, None
        if told is not None:
            await told("end", b"")

    async def read_to_end(self) -> None:
        """Read what nobody has read, for those who listen."""
        async for _ in self.pieces():
            continue

    async def whole(self) -> bytes:
        """All of the body, `b""` if there is none; can be called again.

        Raises:
            RuntimeError: it has been read in pieces, which nobody kept.
            And what `pieces` raises.
        """
        if self.known is None and self._source is not None:
            raise RuntimeError(
                "the body has been read in pieces already; read it whole first, or take it as "
                "an argument: `raw: Annotated[bytes, Body()]`"
            )
        if self._whole is None:
            body = self._exchange.body
            coded = self._exchange.head.headers.get(b"content-encoding") is not None
            if body is None or coded or self.told is not None:
                self._whole = b"".join([piece async for piece in self.pieces()])
            else:
                self._whole = await body.read_all()
        return self._whole

    async def read_form(self, limits: FormLimits, in_thread: InThread) -> FormData:
        """The body as a form, urlencoded or multipart.

        Raises:
            HttpError: 400 for a damaged form, 413 for one over its limits, 415
                for another media type.
            And what `pieces` raises.
        """
        if self.form is None:
            content_type = self._exchange.head.headers.get(b"content-type") or b""
            self.form = await read_form(
                content_type.decode("latin-1"), self._kept_pieces(), limits, in_thread
            )
        return self.form

    async def _kept_pieces(self) -> AsyncIterator[bytes]:
        kept: list[bytes] = []
        size = 0
        async for piece in self.pieces():
            size += len(piece)
            if size <= KEPT_FORM_BYTES:
                kept.append(piece)
            else:
                kept.clear()
            yield piece
        if size <= KEPT_FORM_BYTES:
            self._whole = b"".join(kept)

    def as_file(self, loop: asyncio.AbstractEventLoop) -> io.BufferedReader:
        """The body like a binary file, for another thread than that of `loop`."""
        return io.BufferedReader(_BodyFile(self.pieces(), loop), FILE_BUFFER_BYTES)

    def close(self) -> None:
        """Let go of what a form holds on disk."""
        if self.form is not None:
            self.form.close()

    async def _decoded(self) -> AsyncIterator[bytes]:
        body = self._exchange.body
        if body is None:
            return
        decoder = request_decoder(self._exchange)
        if decoder is None:
            while piece := await body.read():
                yield piece
            return
        size = 0
        while piece := await body.read():
            for part in decoder.feed(piece):
                size += len(part)
                if size > body.max_bytes:
                    raise BodyTooLarge(body.max_bytes)
                yield part
        decoder.finish()


async def _once(whole: bytes) -> AsyncIterator[bytes]:
    if whole:
        yield whole


class _BodyFile(io.RawIOBase):
    """Reads the pieces of a body from another thread, which waits for them."""

    def __init__(self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._pieces = pieces
        self._loop = loop
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._left:
            next_piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            self._left = memoryview(next_piece.result())
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    async def _next(self) -> bytes:
        return await anext(self._pieces, b"")


def request_decoder(exchange: Exchange) -> Decoder | None:
    """What takes the content coding off a request's body; `None` if it has none.

    Raises:
        UnknownCoding: answer 415, naming those that are known.
    """
    values = exchange.head.headers.getall(b"content-encoding")
    return decoder_for(b",".join(values).decode("latin-1")) if values else None
