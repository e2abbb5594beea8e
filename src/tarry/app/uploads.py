"""`Upload`, one uploaded file as a handler gets it, and the safe form of its name."""

import asyncio
import os
import re
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from tarry.app.spool import Spool
from tarry.exchange import InThread
from tarry.message.headers import Headers
from tarry.message.multipart import PartHead

MAX_FILENAME_BYTES: Final = 255
"""Longest name that file systems take (NAME_MAX of Linux)."""

_FALLBACK: Final = "upload"
_SEPARATORS: Final = re.compile(r"[/\\]")
_DRIVE: Final = re.compile(r"\A[A-Za-z]:")
# Control characters; those that show a name in another order than it is (U+202E makes
# "exe.gpj" of "jpg.exe") or break its line; those that mean something to Windows.
_UNSAFE: Final = re.compile(
    '[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff<>:"|?*]'
)


class Upload:
    """One uploaded file; it is there as long as its request.

    `filename` is safe to show and to save under (`safe_filename`), though
    nothing here ever uses it as a path; `client_filename` is what was sent.
    `content_type` is what the client claims, so it proves nothing, and
    `"application/octet-stream"` if it claims none.  `headers` are those of the
    part.  Up to `SPOOL_BYTES` are kept in memory and more in a temporary file
    without a name.

    `file`, `read` and `save` are for threads; a coroutine awaits `read_async`
    and `save_async`, which do the same in a thread.

    Every use raises `UploadClosed` when the request is over.
    """

    __slots__ = ("_in_thread", "_spool", "client_filename", "content_type", "filename", "headers")

    def __init__(
        self, head: PartHead, spool: Spool, in_thread: InThread = asyncio.to_thread
    ) -> None:
        self._spool = spool
        self._in_thread = in_thread
        self.client_filename = head.filename or ""
        self.filename = safe_filename(self.client_filename)
        self.content_type = head.content_type or "application/octet-stream"
        self.headers: Headers = head.headers

    @property
    def size_bytes(self) -> int:
        """The length of the file."""
        return self._spool.size_bytes

    @property
    def in_memory(self) -> bool:
        """Whether it is small enough not to lie on disk."""
        return self._spool.in_memory

    @property
    def file(self) -> BinaryIO:
        """The content as a file for reading, seekable, the same one at each call."""
        return self._spool.file

    def read(self) -> bytes:
        """The whole content in memory, wherever `file` stands."""
        return self._spool.read()

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Save under a path and return it.

        The file appears when it is complete, at once, with the permissions
        that the umask leaves.  A large one on the file system of the temporary
        files (`TMPDIR`) is not copied.  It survives a crash of the process at
        once, one of the machine when the system has written it to disk.

        Raises:
            FileExistsError: the path exists, and `overwrite` is false.
            OSError: it cannot be written, or the file system has no hard
                links, and then `overwrite=True` works; nothing is left of it.
        """
        target = Path(path)
        self._spool.save(target, overwrite=overwrite)
        return target

    async def read_async(self) -> bytes:
        """`read` in a thread."""
        content: bytes = await self._in_thread(self.read)
        return content

    async def save_async(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """`save` in a thread; it goes on to its end also if nobody waits any more."""
        target = Path(path)
        await self._in_thread(lambda: self._spool.save(target, overwrite=overwrite))
        return target

    def close(self) -> None:
        """Give the content up; done when the request is over.  Again does nothing."""
        self._spool.close()

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.content_type!r} {self.size_bytes} bytes>"


def safe_filename(client_filename: str) -> str:
    """A name of a file, without a directory, made of whatever a client sent.

    Directories of either slash and drives are left out, control characters and
    those that no file name should have become "_", what Windows drops at the
    end is dropped, and a name over `MAX_FILENAME_BYTES` loses its middle, not
    its suffix.  Where nothing is left it is "upload".  A dot at the start
    stays.
    """
    name = _DRIVE.sub("", _SEPARATORS.split(client_filename)[-1])
    name = _UNSAFE.sub("_", name).lstrip(" ").rstrip(" .")
    return _shortened(name).rstrip(" .") or _FALLBACK


def _shortened(name: str) -> str:
    raw = name.encode()
    if len(raw) <= MAX_FILENAME_BYTES:
        return name
    suffix = PurePosixPath(name).suffix
    room = MAX_FILENAME_BYTES - len(suffix.encode())
    if room < MAX_FILENAME_BYTES // 2:
        room, suffix = MAX_FILENAME_BYTES, ""
    return raw[:room].decode(errors="ignore") + suffix
