"""Refuses HTTP/2 priorities that depend on nothing or on themselves.

The parser skips priorities unread, so frames are looked at here, by their
headers alone: RFC 9113 section 6.3 and RFC 7540 section 5.3.1 make both an
error, and a peer that sends one is out of step with the rest as well.
"""

import struct
from typing import Final

PREFACE_BYTES: Final = 24
"""What comes before the first frame (RFC 9113 section 3.4)."""

_HEADERS: Final = 0x1
_PRIORITY: Final = 0x2
_PADDED: Final = 0x8
_HAS_PRIORITY: Final = 0x20
_HEADER_BYTES: Final = 9
_MOST_BYTES: Final = _HEADER_BYTES + 1 + 4
"""A frame's header, the length of its padding, and the stream it depends on."""

_frame_header: Final = struct.Struct(">BHBBI").unpack_from
_stream: Final = struct.Struct(">I").unpack_from


class PriorityGuard:
    """Follows the frames of one connection from its first byte."""

    __slots__ = ("_rest", "_skip")

    def __init__(self) -> None:
        self._skip = PREFACE_BYTES
        self._rest = b""

    def refuses(self, data: bytes) -> bool:
        """Whether `data`, which continues what came before, has a faulty priority."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at = self._skip
        size = len(data)
        while at + _HEADER_BYTES <= size:
            high, low, kind, flags, stream_id = _frame_header(data, at)
            if kind == _PRIORITY or (kind == _HEADERS and flags & _HAS_PRIORITY):
                frame_bytes = _HEADER_BYTES + (high << 16 | low)
                if size < at + min(frame_bytes, _MOST_BYTES):
                    break
                if _is_faulty(data, at, kind, flags, stream_id):
                    return True
            at += _HEADER_BYTES + (high << 16 | low)
        if at < size:
            self._rest = data[at:]
            self._skip = 0
        else:
            self._skip = at - size
        return False


def _is_faulty(data: bytes, at: int, kind: int, flags: int, stream_id: int) -> bool:
    if kind == _PRIORITY and not stream_id:
        return True
    at += _HEADER_BYTES + (1 if kind == _HEADERS and flags & _PADDED else 0)
    if at + 4 > len(data):
        return False  # too short for what it says; the parser refuses it
    depends_on: int = _stream(data, at)[0] & 0x7FFF_FFFF
    return depends_on == stream_id
