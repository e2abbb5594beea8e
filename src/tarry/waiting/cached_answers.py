"""Answers of handlers as bytes in a cache; those that are files hold as long as the file stays."""

import stat
import struct
from pathlib import Path
from typing import Final

from tarry.waiting.records import DamagedRecord, KeptAnswer, KeptFile, decode_answer, encode

_FORMAT: Final = struct.Struct("<Bqq")
"""The version of the format, then size and date of the file, if it is one."""

_VERSION: Final = 1
_NO_FILE: Final = (0, 0)


def packed(answer: KeptAnswer | KeptFile) -> bytes | None:
    """An answer as it is kept, `None` for a file that is not there; looks at the file."""
    stamp = _stamp_of(answer.path) if isinstance(answer, KeptFile) else _NO_FILE
    return None if stamp is None else _FORMAT.pack(_VERSION, *stamp) + encode(answer)


def unpacked(data: bytes | None) -> KeptAnswer | KeptFile | None:
    """The answer that was kept, `None` if there is none, or its file has changed; looks at that."""
    answer = _decoded(data)
    if data is None or not isinstance(answer, KeptFile):
        return answer
    _, *stamp = _FORMAT.unpack_from(data)
    return answer if tuple(stamp) == _stamp_of(answer.path) else None


def unpacked_at_once(data: bytes | None) -> KeptAnswer | None:
    """As `unpacked`, only if there is no file to look at, which may block."""
    answer = _decoded(data)
    return answer if isinstance(answer, KeptAnswer) else None


def _decoded(data: bytes | None) -> KeptAnswer | KeptFile | None:
    if data is None or len(data) < _FORMAT.size or data[0] != _VERSION:
        return None
    try:
        return decode_answer(data[_FORMAT.size :])
    except DamagedRecord:
        return None


def _stamp_of(path: str) -> tuple[int, int] | None:
    try:
        info = Path(path).stat()
    except (OSError, ValueError):
        return None
    return (info.st_size, info.st_mtime_ns) if stat.S_ISREG(info.st_mode) else None
