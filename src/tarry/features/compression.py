"""Compresses answers for clients that take it: a filter around handlers.

Whole bodies are compressed at once if that is quick, else they become streams; streams stay
streams, each piece of which reaches the client when it was given.
"""

import asyncio
import copy
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Final

from tarry.app.request import Request
from tarry.app.responses import Response, Stream
from tarry.app.streaming import as_bytes
from tarry.message.codings import Encoder, choose_coding, encoder_for, installed_encoders
from tarry.message.headers import Headers
from tarry.message.heads import LengthError
from tarry.message.mediatypes import parse_media_type

INLINE_BYTES: Final = 262_144
"""Up to here a body is compressed on the event loop: 1 to 3 ms (measured with JSON)."""

SLICE_BYTES: Final = 65_536
"""Larger bodies are compressed in threads, so much at a time."""

CODINGS: Final = ("br", "zstd", "gzip")
"""What is offered, the best first where the client has no preference."""

COMPRESSIBLE_TYPES: Final = frozenset(
    ["text/*", "*+json", "*+xml", "*+yaml"]
    + [f"application/{name}" for name in ("json", "json-seq", "x-ndjson", "javascript", "xml")]
    + [f"application/{name}" for name in ("x-javascript", "yaml", "toml", "sql", "wasm")]
    + ["application/vnd.ms-fontobject", "font/otf", "font/ttf"]
    + ["image/bmp", "image/vnd.microsoft.icon", "image/x-icon"]
)
"""Media types that get smaller: exact, `type/*`, or `*+suffix`."""

EVENT_STREAM: Final = "text/event-stream"
"""In no pattern, for it stays open: 0.1 to 0.8 MB for each client that listens (measured)."""

# 206 is a part of what was not compressed; the others have no body.
_STATUSES_LEFT_ALONE: Final = frozenset({204, 205, 206, 304})

# Encoded already, a part, or a digest of the body as it is (RFC 9530).
_FIELDS_LEFT_ALONE: Final = ("content-encoding", "content-range", "content-digest", "repr-digest")


class Compression:
    """Sends text, JSON and the like compressed, to clients that take it.

    `min_bytes` is the size from which it pays; `types` are media types as in
    `COMPRESSIBLE_TYPES`; `codings` are the names to offer, the preferred
    first, `None` for those of `CODINGS` that are installed; `levels` are for
    single codings, as in `encoder_for`.

    Answers in another coding already, parts (206), those with a digest, with
    `Cache-Control: no-transform` or of another type stay as they are; so do
    files, which have compressed neighbours of their own.  Those of a listed
    type get `Vary: Accept-Encoding`, compressed or not.  A compressed answer
    has a weak ETag, for its bytes are not those the ETag was made for (RFC
    9110 section 8.8.1).  Events (`text/event-stream`) are compressed only if
    `types` names them.

    The size of an answer tells what is in it.  Where a page shows a secret
    together with something that the client sent, a foreign site can guess the
    secret bit by bit (BREACH, CVE-2013-3587): set `Cache-Control:
    no-transform` on such answers, or mask the secret anew in each.

    Raises:
        UnknownCoding: a coding that does not exist or is not installed.
        ValueError: a level that a coding does not have.
    """

    def __init__(
        self,
        *,
        min_bytes: int = 1024,
        types: Collection[str] = COMPRESSIBLE_TYPES,
        codings: Sequence[str] | None = None,
        levels: Mapping[str, int] | None = None,
    ) -> None:
        self._min_bytes = min_bytes
        self._types = frozenset(each.lower() for each in types)
        self._codings = codings
        self._levels = dict(levels or {})
        for name in {*(codings or ()), *self._levels}:
            encoder_for(name, level=self._levels.get(name))

    def filter(self, request: Request) -> Generator[None, Response, None]:
        """The filter: takes the response and compresses it in place."""
        response = yield
        self.apply(request.headers, response)

    def apply(self, request_headers: Headers, response: Response) -> None:
        """Compress a response whose body is `bytes` or a `Stream`; no other body is touched.

        The response is changed in place, so it must not be one that is
        answered with again; its stream may be, if its pieces can.
        """
        if response.status == 304:
            _match_stored(request_headers, response.headers)
        body = response.body
        if not isinstance(body, bytes | Stream):
            return
        if isinstance(body, Stream):
            body = _gather(response, body)
        if not self._is_compressible(response):
            return
        _add_vary(response.headers)
        size_bytes = body.length if isinstance(body, Stream) else len(body)
        if size_bytes is not None and size_bytes < self._min_bytes:
            return
        coding = choose_coding(request_headers.joined("accept-encoding"), self._offers())
        if coding is not None:
            encoder = encoder_for(coding, level=self._levels.get(coding))
            _compress(response, body, coding, encoder)

    def _offers(self) -> Sequence[str]:
        if self._codings is None:
            # Not earlier, for it loads the libraries.
            installed = installed_encoders()
            self._codings = [name for name in CODINGS if name in installed]
        return self._codings

    def _is_compressible(self, response: Response) -> bool:
        headers = response.headers
        if response.status in _STATUSES_LEFT_ALONE:
            return False
        if any(name in headers for name in _FIELDS_LEFT_ALONE):
            return False
        if "no-transform" in _elements(headers.joined("cache-control")):
            return False
        return self._is_listed(headers.get("content-type", ""))

    def _is_listed(self, content_type: str) -> bool:
        media = parse_media_type(content_type)
        if media is None:
            return False
        ways_to_name_it = {media.essence}
        if media.essence != EVENT_STREAM:
            _, plus, suffix = media.subtype.rpartition("+")
            ways_to_name_it |= {f"{media.type}/*", f"*{plus}{suffix}"}
        return not self._types.isdisjoint(ways_to_name_it)


def _gather(response: Response, stream: Stream) -> Stream:
    """Let a response have all fields of its stream, and a stream of its own to change."""
    fields = list(stream.headers.items())
    if not ("content-type" in stream.headers or "content-type" in response.headers):
        fields.append(("content-type", stream.content_type))
    response.headers = Headers([*fields, *response.headers.items()])
    response.status = stream.status if response.status == 200 else response.status
    response.body = own = copy.copy(stream)
    own.headers = Headers()
    announced = response.headers.get("content-length", "")
    if own.length is None and announced.isascii() and announced.isdecimal():
        own.length = int(announced)
        del response.headers["content-length"]
    return own


def _compress(response: Response, body: bytes | Stream, coding: str, encoder: Encoder) -> None:
    if isinstance(body, Stream):
        _compress_stream(body, encoder)
    elif len(body) > INLINE_BYTES:
        slices = (body[at : at + SLICE_BYTES] for at in range(0, len(body), SLICE_BYTES))
        response.body = Stream(_Pieces(slices, _Coder(encoder)))
    else:
        coded = encoder.encode(body) + encoder.finish()
        if len(coded) >= len(body):
            return
        response.body = coded
    _describe(response.headers, coding)


def _compress_stream(stream: Stream, encoder: Encoder) -> None:
    coder = _Coder(encoder, stream.length, flushes=True)
    pieces = stream.pieces
    if isinstance(pieces, AsyncIterable):
        stream.pieces = _AsyncPieces(pieces, coder)
    else:
        stream.pieces = _Pieces(pieces, coder)
    stream.length = None


def _describe(headers: Headers, coding: str) -> None:
    headers["content-encoding"] = coding
    _weaken_etag(headers)
    # Parts are asked for in bytes of what is sent now.
    for name in ("content-length", "accept-ranges"):
        headers.pop(name, None)


def _match_stored(request_headers: Headers, headers: Headers) -> None:
    """Give 304 the ETag and Vary of the compressed answer that the client has stored.

    They have to be those of the 200 (RFC 9110 section 15.4.5), and a strong
    ETag would name another one (RFC 9111 section 4.3.4).
    """
    etag = headers.get("etag", "")
    if etag.startswith('"') and f"W/{etag}" in (request_headers.joined("if-none-match") or ""):
        _weaken_etag(headers)
        _add_vary(headers)


def _weaken_etag(headers: Headers) -> None:
    etag = headers.get("etag", "")
    if etag.startswith('"'):
        headers["etag"] = f"W/{etag}"


def _add_vary(headers: Headers) -> None:
    given = headers.joined("vary")
    if _elements(given).isdisjoint({"*", "accept-encoding"}):
        headers["vary"] = f"{given}, Accept-Encoding" if given else "Accept-Encoding"


def _elements(field: str | None) -> set[str]:
    return {element.strip("\t ").lower() for element in (field or "").split(",")}


class _Coder:
    """Compresses pieces as they come and holds them to the length that was announced."""

    def __init__(
        self, encoder: Encoder, length: int | None = None, *, flushes: bool = False
    ) -> None:
        self.ended = False
        self._encoder = encoder
        self._flushes = flushes
        self._length = length
        self._taken_bytes = 0

    def encode(self, piece: bytes) -> bytes:
        """The piece compressed, or `b""` while it waits for more."""
        self._taken_bytes += len(piece)
        if self._length is not None and self._taken_bytes > self._length:
            raise LengthError(f"the body is longer than the announced {self._length} bytes")
        coded = self._encoder.encode(piece)
        return coded + self._encoder.flush() if self._flushes and piece else coded

    def finish(self) -> bytes:
        self.ended = True
        if self._length is not None and self._taken_bytes < self._length:
            raise LengthError(f"the body is shorter than the announced {self._length} bytes")
        return self._encoder.finish()


class _Pieces(Iterator[bytes]):
    """The pieces of an iterable, compressed in the thread that reads them.

    No generator, for one that was never begun (HEAD) would not close its source.
    """

    def __init__(self, source: Iterable[str | bytes], coder: _Coder) -> None:
        self._source = iter(source)
        self._coder = coder

    def __next__(self) -> bytes:
        if self._coder.ended:
            raise StopIteration
        for piece in self._source:
            if coded := self._coder.encode(as_bytes(piece)):
                return coded
        return self._coder.finish()

    def close(self) -> None:
        close: Any = getattr(self._source, "close", None)
        if close is not None:
            close()


class _AsyncPieces(AsyncIterator[bytes]):
    """The pieces of an async iterable, large ones compressed in a thread."""

    def __init__(self, source: AsyncIterable[str | bytes], coder: _Coder) -> None:
        self._source = aiter(source)
        self._coder = coder

    async def __anext__(self) -> bytes:
        if self._coder.ended:
            raise StopAsyncIteration
        async for piece in self._source:
            if coded := await self._encode(as_bytes(piece)):
                return coded
        return self._coder.finish()

    async def _encode(self, piece: bytes) -> bytes:
        if len(piece) > INLINE_BYTES:
            return await asyncio.to_thread(self._coder.encode, piece)
        return self._coder.encode(piece)

    async def aclose(self) -> None:
        close: Any = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
