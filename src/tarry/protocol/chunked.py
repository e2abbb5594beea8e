"""The chunked transfer coding (RFC 9112 section 7.1), from bytes to a body.

The parser used for heads decodes chunks too, but it neither tells where the
message ended nor shows the chunk extensions, and both must be checked: what
follows is the next request, and an extension that is no token has smuggled
requests through other servers.
"""

import re
from enum import Enum
from typing import Final

from tarry.protocol.errors import PeerError
from tarry.protocol.limits import Limits

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_SIZE_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})"
    rb"(?:[ \t]*;[ \t]*"
    + _TOKEN
    + rb"(?:[ \t]*=[ \t]*(?:"
    + _TOKEN
    + rb"|"
    + _QUOTED
    + rb"))?)*\r\n"
)


class _Next(Enum):
    SIZE = "the size line of a chunk"
    DATA = "the bytes of a chunk"
    DATA_END = "the line end after a chunk"
    TRAILERS = "trailer fields, then an empty line"
    NOTHING = "nothing: the body has ended"


class ChunkedDecoder:
    """Decodes one body; `ended` says that it is complete.

    `trailer_lines` then holds the trailer section as it came, unparsed.
    """

    __slots__ = ("_left", "_limits", "_line", "_next", "trailer_lines")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._next = _Next.SIZE
        self._line = bytearray()
        self._left = 0
        self.trailer_lines = b""

    @property
    def ended(self) -> bool:
        """Whether the last chunk and the trailers have been read."""
        return self._next is _Next.NOTHING

    def decode(self, data: bytes) -> tuple[bytes, int]:
        """The body bytes in `data`, and how many bytes of `data` were used.

        All of `data` is used unless the body ends within it.

        Raises:
            PeerError: 400 for bad framing, 431 for trailers over their limit.
        """
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and self._next is not _Next.NOTHING:
            if self._next is _Next.DATA:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._next = _Next.DATA_END
            elif self._next is _Next.DATA_END:
                at = self._take_data_end(data, at)
            else:
                at = self._take_line(data, at)
        return b"".join(pieces), at

    def _take_data_end(self, data: bytes, at: int) -> int:
        wanted = 2 - len(self._line)
        self._line += data[at : at + wanted]
        if not b"\r\n".startswith(self._line):
            raise PeerError(400, "a chunk is longer than its size says")
        if len(self._line) == 2:
            self._line.clear()
            self._next = _Next.SIZE
        return at + wanted

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1
        self._line += data[at : end or len(data)]
        in_trailers = self._next is _Next.TRAILERS
        if (
            in_trailers
            and len(self.trailer_lines) + len(self._line) > self._limits.max_trailer_bytes
        ):
            raise PeerError(431, "the trailer section is too large")
        if not in_trailers and len(self._line) > self._limits.max_chunk_line_bytes:
            raise PeerError(400, "the size line of a chunk is too long")
        if not end:
            return len(data)
        line = bytes(self._line)
        self._line.clear()
        if in_trailers:
            self._trailer(line)
        else:
            self._size(line)
        return end

    def _size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise PeerError(400, "the size line of a chunk is malformed")
        self._left = int(match[1], 16)
        self._next = _Next.DATA if self._left else _Next.TRAILERS

    def _trailer(self, line: bytes) -> None:
        self.trailer_lines += line
        if line == b"\r\n":
            self._next = _Next.NOTHING
