"""What each content coding is made with: zlib, Brotli and Zstandard behind one interface.

The libraries that do not come with Python are optional and imported at first use, so that a
server which compresses nothing does not load them.
"""

import functools
import sys
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final, NamedTuple, Protocol

PIECE_BYTES: Final = 65_536
"""The most that a decompressor gives at once, however far its input expands."""

MAX_MEMBERS: Final = 1000
"""Streams that one body may be made of: gzip members (RFC 1952 section 2.2), zstd frames.

Tools that write several start one for every 64 KiB or more.  An empty zstd frame has 8 bytes and
takes 11 µs, so 16 MiB of them would take 23 s.
"""

GZIP_WINDOW_BITS: Final = zlib.MAX_WBITS + 16
"""How zlib is told to read and write the gzip format instead of its own."""

ZSTD_WINDOW_LOG: Final = 23
"""8 MiB, the most that the coding allows (RFC 9659 section 3); the library would take 128 MiB."""

BROTLI_WINDOW_LOG: Final = 19
"""512 KiB to look back in, as nginx has it: with the usual 4 MiB a long stream costs that much."""

# The library fills one block of 32 KiB and looks at the limit then: 32 KiB would mean 96 KiB.
_BROTLI_LIMIT_BYTES: Final = 16_384


class MalformedCoding(ValueError):
    """A body that is not what its Content-Encoding says; answer 400."""


class Decompressor(Protocol):
    """Undoes one coding; input should come in slices of some KiB, for a rest is copied often."""

    @property
    def at_end(self) -> bool:
        """Whether the input may end here."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What can be said by now, in pieces of at most `PIECE_BYTES`; take all of them.

        Raises:
            MalformedCoding: no stream of this coding, or one that goes on after its end.
        """


class Encoder(Protocol):
    """Compresses one body; of what it gives nothing may be left out, `b""` is nothing."""

    def encode(self, data: bytes) -> bytes:
        """Take more; gives what is ready, often nothing."""

    def flush(self) -> bytes:
        """What is needed to decode everything so far; costs some bytes each time."""

    def finish(self) -> bytes:
        """The end of the body; nothing can follow."""


class _Members:
    """Streams that follow one another, each read by an object of its own."""

    def __init__(
        self, open_member: Callable[[], Any], error: type[Exception], max_members: int
    ) -> None:
        self._open_member = open_member
        self._error = error
        self._member = open_member()
        self._members_left = max_members - 1

    @property
    def at_end(self) -> bool:
        return bool(self._member.eof)

    def feed(self, data: bytes) -> Iterator[bytes]:
        piece = b""
        # A piece may leave more behind even when all input is taken.
        while data or (piece and not self.at_end):
            if self.at_end:
                self._open_next()
            try:
                piece = self._member.decompress(data, PIECE_BYTES)
            except self._error as error:
                raise MalformedCoding("the body does not decode") from error
            # What it could not use yet: zlib gives that back, zstd keeps it.
            data = self._member.unused_data or getattr(self._member, "unconsumed_tail", b"")
            if piece:
                yield piece

    def _open_next(self) -> None:
        if not self._members_left:
            raise MalformedCoding("the body goes on after the end of its coding")
        self._members_left -= 1
        self._member = self._open_member()


def _gunzip() -> Decompressor:
    """The members of a gzip file."""
    open_member = functools.partial(zlib.decompressobj, GZIP_WINDOW_BITS)
    return _Members(open_member, zlib.error, MAX_MEMBERS)


def _inflate() -> Decompressor:
    """One stream in the zlib format: that is what `deflate` means (RFC 9110 section 8.4.1.2)."""
    return _Members(zlib.decompressobj, zlib.error, 1)


def _unzstd() -> Decompressor:
    """Zstandard frames, none with a window beyond `ZSTD_WINDOW_LOG`."""
    zstd = _zstd()
    options = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
    open_member = functools.partial(zstd.ZstdDecompressor, options=options)
    return _Members(open_member, zstd.ZstdError, MAX_MEMBERS)


class _Unbrotli:
    """One Brotli stream (RFC 7932)."""

    def __init__(self) -> None:
        self._brotli = _brotli()
        self._stream = self._brotli.Decompressor()

    @property
    def at_end(self) -> bool:
        return bool(self._stream.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        piece = self._process(data)
        while piece:
            yield piece
            piece = b"" if self.at_end else self._process(b"")

    def _process(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._stream.process(data, output_buffer_limit=_BROTLI_LIMIT_BYTES)
        except self._brotli.error as error:
            raise MalformedCoding("the body does not decode, or goes on after its end") from error
        return piece


class _Gzip:
    """One gzip member without a time, so that the same data gives the same bytes."""

    __slots__ = ("_stream", "encode")

    def __init__(self, level: int) -> None:
        self._stream = zlib.compressobj(level, wbits=GZIP_WINDOW_BITS)
        self.encode = self._stream.compress

    def flush(self) -> bytes:
        return self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._stream.flush()


class _Brotli:
    """One Brotli stream."""

    __slots__ = ("encode", "finish", "flush")

    def __init__(self, level: int) -> None:
        stream = _brotli().Compressor(quality=level, lgwin=BROTLI_WINDOW_LOG)
        self.encode: Callable[[bytes], bytes] = stream.process
        self.flush: Callable[[], bytes] = stream.flush
        self.finish: Callable[[], bytes] = stream.finish


class _Zstd:
    """One Zstandard frame."""

    __slots__ = ("_stream", "encode")

    def __init__(self, level: int) -> None:
        self._stream = _zstd().ZstdCompressor(level)
        self.encode: Callable[[bytes], bytes] = self._stream.compress

    def flush(self) -> bytes:
        flushed: bytes = self._stream.flush(self._stream.FLUSH_BLOCK)
        return flushed

    def finish(self) -> bytes:
        finished: bytes = self._stream.flush(self._stream.FLUSH_FRAME)
        return finished


def _zlib() -> ModuleType:
    return zlib


def _brotli() -> ModuleType:
    import brotli  # type: ignore[import-untyped]  # because it comes without types

    if not hasattr(brotli.Decompressor, "can_accept_more_data"):
        raise ImportError("Brotli before 1.2 cannot bound what it gives at once (CVE-2025-6176)")
    module: ModuleType = brotli
    return module


def _zstd() -> ModuleType:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


class Codec(NamedTuple):
    """One coding: its library, both directions, and the levels it can have, the usual one first.

    Without an encoder it is only understood.
    """

    library: Callable[[], ModuleType]
    decompressor: Callable[[], Decompressor]
    encoder: Callable[[int], Encoder] | None
    usual_level: int
    levels: range


# The usual levels take 1 to 3 ms for 256 KiB of JSON (measured); the libraries' own,
# gzip 6 and br 11, are for files that are compressed once.  Zstandard beyond 19 needs windows
# that no client has to take.
CODECS: Final = {
    "gzip": Codec(_zlib, _gunzip, _Gzip, 4, range(1, 10)),
    "deflate": Codec(_zlib, _inflate, None, 0, range(0)),
    "br": Codec(_brotli, _Unbrotli, _Brotli, 4, range(12)),
    "zstd": Codec(_zstd, _unzstd, _Zstd, 3, range(1, 20)),
}
"""The codings, by their names in Content-Encoding."""


@functools.cache
def is_installed(name: str) -> bool:
    """Whether a coding of `CODECS` can be used; loads its library to find out."""
    try:
        CODECS[name].library()
    except ImportError:
        return False
    return True
