"""The body of a request as an author reads it: in pieces, whole, as a form, or like a file.

All ways lead through `BodyReading.pieces`, which takes the content coding off
and tells who listens.  A body that was read whole can be read again; one that
was read in pieces is gone, but for a form whose bytes were few.
"""

import asyncio
import functools
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

from tarry.app.form_reader import read_form
from tarry.app.forms import FormData, FormLimits
from tarry.exchange import BodyTooLarge, Exchange, InThread, RequestBody
from tarry.message.codings import Decoder, ExpansionTooLarge, MalformedCoding, decoder_for

KEPT_FORM_BYTES: Final = 1024 * 1024
"""A form up to this size can be read again as raw bytes; a larger one has only its fields."""

FILE_BUFFER_BYTES: Final = 256 * 1024
"""What a thread that reads a body like a file gets at once, at most."""

Told = Callable[[str, bytes], Awaitable[None]]
"""Tells who listens: `"data"` with a piece, `"end"` with nothing."""


class BodyReading:
    """One body and how far it has been read; `told` hears of every piece and of the end.

    Who is cancelled while they wait for a piece loses nothing: the next reader
    goes on there.
    """

    __slots__ = ("_begun", "_exchange", "_returned", "_source", "_whole", "form", "told")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._source: RequestBody | _DecodedBody | None = None
        self._begun = False
        self._returned: list[bytes] = []
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
            RuntimeError: a form has been made of it, too large to be kept.
        """
        if self.known is not None:
            await self._tell_known(self.known)
            if self.known:
                yield self.known
            return
        if self.form is not None:
            raise RuntimeError("the body has been read as a form, too large to be kept beside it")
        while piece := await self._next():
            self._begun = True
            yield piece

    async def _next(self) -> bytes:
        """The next piece, `b""` at the end."""
        if self._returned:
            return self._returned.pop(0)
        source = self._open()
        piece = b"" if source is None else await source.read()
        if self.told is not None and piece:
            try:
                await self.told("data", piece)
            except asyncio.CancelledError:
                self._returned.append(piece)
                raise
        elif self.told is not None:
            await self._tell_known(b"")
        return piece

    def _open(self) -> "RequestBody | _DecodedBody | None":
        if self._source is None and (body := self._exchange.body) is not None:
            decoder = request_decoder(self._exchange)
            self._source = body if decoder is None else _DecodedBody(body, decoder)
        return self._source

    async def _tell_known(self, rest: bytes) -> None:
        """Tell who listens of what is left, and of the end."""
        told, self.told = self.told, None
        if told is not None:
            if rest:
                await told("data", rest)
            await told("end", b"")

    async def read_to_end(self) -> None:
        """Read what nobody has read, for those who listen."""
        if self.known is not None:
            await self._tell_known(self.known)
        else:
            while await self._next():
                self._begun = True

    async def whole(self) -> bytes:
        """All of the body, `b""` if there is none; can be called again.

        Raises:
            RuntimeError: it has been read in pieces, which nobody kept.
            And what `pieces` raises.
        """
        if self.known is None:
            self._check_untouched("read it whole first, or take it as an argument:"
                                  " `raw: Annotated[bytes, Body()]`")  # fmt: skip
            self._whole = await self._read_whole()
        return self._whole or b""

    def _check_untouched(self, advice: str) -> None:
        if self._begun:
            raise RuntimeError(f"the body has been read in pieces already; {advice}")

    async def _read_whole(self) -> bytes:
        source = self._open()
        if isinstance(source, RequestBody) and self.told is None and not self._returned:
            return await source.read_all()
        pieces = []
        try:
            while piece := await self._next():
                pieces.append(piece)
        except asyncio.CancelledError:
            self._returned[:0] = pieces
            raise
        return b"".join(pieces)

    async def read_form(self, limits: FormLimits, in_thread: InThread) -> FormData:
        """The body as a form, urlencoded or multipart.

        Raises:
            HttpError: 400 for a damaged form, 413 for one over its limits, 415
                for another media type.
            RuntimeError: the body has been read in pieces, which nobody kept.
            And what `pieces` raises.
        """
        if self.form is None:
            if self.known is None:
                self._check_untouched("nobody can tell any more what was in the form")
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
        return io.BufferedReader(_BodyFile(self.pieces, loop), FILE_BUFFER_BYTES)

    def close(self) -> None:
        """Let go of what a form holds on disk."""
        if self.form is not None:
            self.form.close()


class _DecodedBody:
    """A body without its content coding, read as a `RequestBody` is."""

    __slots__ = ("_body", "_decoder", "_failure", "_parts", "_size_bytes")

    def __init__(self, body: RequestBody, decoder: Decoder) -> None:
        self._body = body
        self._decoder = decoder
        self._parts: Iterator[bytes] = iter(())
        self._size_bytes = 0
        self._failure: Callable[[], Exception] | None = None

    async def read(self) -> bytes:
        """The next piece, `b""` at the end; an error comes again at each further call."""
        if self._failure is not None:
            raise self._failure()
        try:
            while not (part := next(self._parts, b"")):
                piece = await self._body.read()
                if not piece:
                    self._decoder.finish()
                    return b""
                self._parts = filter(None, self._decoder.feed(piece))
            self._size_bytes += len(part)
            if self._size_bytes > self._body.max_bytes:
                raise BodyTooLarge(self._body.max_bytes)
        except BodyTooLarge as error:
            self._failure = functools.partial(BodyTooLarge, error.max_bytes)
            raise
        except (MalformedCoding, ExpansionTooLarge) as error:
            # Not the error itself: with its traceback it would hold the buffers of the decoder.
            self._failure = functools.partial(type(error), *error.args)
            raise
        return part


class _BodyFile(io.RawIOBase):
    """Reads the pieces of a body from another thread, which waits for them."""

    def __init__(
        self, read: Callable[[], AsyncIterator[bytes]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._read = read
        self._pieces = read()
        self._loop = loop
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._left:
            self._check_thread()
            next_piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            self._left = memoryview(next_piece.result())
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def _check_thread(self) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return
        if running is self._loop:
            raise RuntimeError(
                "request.file waits for the loop, so it cannot be read on it: read it in a def"
                " handler without inline=True, or take `async for piece in request.stream()`"
            )

    async def _next(self) -> bytes:
        try:
            return await anext(self._pieces, b"")
        except BaseException:
            self._pieces = self._read()  # the old one has ended, which is not the body's end
            raise


def request_decoder(exchange: Exchange) -> Decoder | None:
    """What takes the content coding off a request's body; `None` if it has none.

    Raises:
        UnknownCoding: answer 415, naming those that are known.
    """
    values = exchange.head.headers.getall(b"content-encoding")
    return decoder_for(b",".join(values).decode("latin-1")) if values else None
