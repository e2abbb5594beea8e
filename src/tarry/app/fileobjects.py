"""Open files as results: read in threads, sent as a stream, closed afterwards."""

import io
import os
import stat
from typing import Any, Final

from tarry.app.responses import Stream
from tarry.exchange import FILE_READ_BYTES

_BINARY: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"


class FilePieces:
    """The rest of an open file, from where it stands, in pieces; closes it with itself."""

    __slots__ = ("_file",)

    def __init__(self, file: Any) -> None:
        self._file = file

    def __iter__(self) -> "FilePieces":
        return self

    def __next__(self) -> str | bytes:
        piece: str | bytes | None = self._file.read(FILE_READ_BYTES)
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Close the file, if it can be closed."""
        close = getattr(self._file, "close", None)
        if close is not None:
            close()


def stream_of(file: Any) -> Stream:
    """A stream of what is left of an open file; of known length if that can be known."""
    content_type = _TEXT if isinstance(file, io.TextIOBase) else _BINARY
    return Stream(FilePieces(file), content_type=content_type, length=_bytes_left(file))


def _bytes_left(file: Any) -> int | None:
    """How many bytes a binary file has left, `None` where only reading would tell.

    Only for files whose bytes are those of a buffer or of the disk: one that
    decompresses has a descriptor, too.
    """
    file = getattr(file, "file", file)  # the wrapper of tempfile
    if isinstance(file, io.BytesIO):
        size_bytes = file.getbuffer().nbytes
    elif isinstance(getattr(file, "raw", file), io.FileIO):
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            return None
        size_bytes = info.st_size
    else:
        return None
    position: int = file.tell()
    return max(0, size_bytes - position)
