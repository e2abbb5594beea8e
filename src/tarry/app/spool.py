"""Where the bytes of an upload lie: in memory, or in a temporary file without a name.

A file without a name is gone with its last descriptor, so that a crash leaves
nothing behind.  Methods that block say so and belong into a thread; the others
never wait for the disk.
"""

import errno
import io
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

SPOOL_BYTES: Final = 1024 * 1024
"""Most that an upload keeps in memory, and how much is written to disk at a time:
a hop into a thread costs some 50 µs, writing a MiB some 2 000 (ext4, measured)."""

_Result = TypeVar("_Result")


class UploadClosed(ValueError):
    """The bytes of an upload are no longer there."""


class Spool:
    """Bytes that come piece by piece and can then be read and saved.

    First `add`, with `write_out` in a thread whenever it asks for it, then
    `finish`; from then on there is a `file`.

    `close` may come at any time from any thread.  A call under way goes on to
    its end, and the descriptor is closed after it: else its number could be
    given to a stranger's file in the middle of a write or a link.
    """

    __slots__ = ("_closed", "_disk", "_file", "_lock", "_pending", "size_bytes")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._disk: io.FileIO | None = None
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.size_bytes = 0

    @classmethod
    def of(cls, path: Path) -> "Spool":
        """The bytes of a file that is there, which stays.  Blocks.

        Raises:
            OSError: it cannot be read.
        """
        spool = cls()
        spool._disk = io.FileIO(path)
        spool.size_bytes = os.fstat(spool._disk.fileno()).st_size
        spool.finish()
        return spool

    @property
    def in_memory(self) -> bool:
        """Whether nothing of it lies on disk."""
        return self._disk is None

    @property
    def file(self) -> BinaryIO:
        """All bytes as a file for reading, the same one at each call.

        Raises:
            UploadClosed: after `close`.
        """
        if self._closed or self._file is None:
            raise UploadClosed("the upload is closed: read or save it before its request ends")
        return self._file

    def add(self, piece: bytes) -> bool:
        """Take a piece; true if `write_out` is due."""
        self._pending += piece
        self.size_bytes += len(piece)
        return len(self._pending) > SPOOL_BYTES

    def write_out(self) -> None:
        """Move to disk what is in memory.  Blocks.

        Raises:
            OSError: it cannot be written.
        """
        try:
            with self._lock:
                if not self._closed:
                    self._write_pending()
        finally:
            self._close_if_due()

    def _write_pending(self) -> None:
        if self._disk is None:
            self._disk = _open_nameless()
        written = 0
        with memoryview(self._pending) as data:
            while written < len(data):
                written += self._disk.write(data[written:])
        self._pending.clear()

    def finish(self) -> None:
        """All pieces are there, and if some went to disk all have."""
        if self._disk is None:
            self._file = io.BytesIO(self._pending)
        elif not self._closed:
            self._disk.seek(0)
            self._file = io.BufferedReader(self._disk)
        self._pending = bytearray()

    def read(self) -> bytes:
        """All bytes; where `file` stands does not matter and does not change.  Blocks.

        Raises:
            UploadClosed: after `close`.
        """
        return self._from_start(lambda file: file.read())

    def save(self, target: Path, *, overwrite: bool) -> None:
        """Make a file of all bytes, which appears under its name when it is complete.  Blocks.

        Raises:
            FileExistsError: it is there already, and `overwrite` is false.
            OSError: it cannot be written; then nothing is left of it.
            UploadClosed: after `close`.
        """
        if not overwrite and os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        # In the same directory, so that renaming it needs no copy; and without any part of the
        # name, which can be as long as a name may be.
        temporary = target.with_name(f".{secrets.token_hex(8)}.part")
        publish = os.replace if overwrite else os.link
        try:
            self._from_start(lambda file: _place(file, temporary))
            publish(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def _from_start(self, use: Callable[[BinaryIO], _Result]) -> _Result:
        try:
            with self._lock:
                file = self.file
                position = file.tell()
                file.seek(0)
                try:
                    return use(file)
                finally:
                    file.seek(position)
        finally:
            self._close_if_due()

    def close(self) -> None:
        """Give the bytes up; a second time does nothing.

        Giving a GiB of disk back takes 50 ms (ext4, measured), so `in_memory`
        decides whether this belongs into a thread.
        """
        self._closed = True
        self._close_if_due()

    def _close_if_due(self) -> None:
        # `_closed` is set before the lock is tried, and looked at again after it is let go.
        if self._closed and self._lock.acquire(blocking=False):
            try:
                self._pending = bytearray()
                for each in (self._file, self._disk):
                    if each is not None:
                        each.close()
            finally:
                self._lock.release()


def _open_nameless() -> io.FileIO:
    """A new file in the directory for temporary ones (`TMPDIR`).

    It has no name, and so its permissions can be those of a saved file from
    the start: the umask of a process cannot be read without changing it.
    """
    directory = tempfile.gettempdir()
    try:
        # tempfile.TemporaryFile adds O_EXCL, after which the file can never get a name.
        descriptor = os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
    except (AttributeError, OSError):  # neither every system nor every file system has it
        descriptor, name = tempfile.mkstemp(dir=directory)
        Path(name).unlink()
    return io.FileIO(descriptor, "r+")


def _place(file: BinaryIO, path: Path) -> None:
    if not _link(file, path):
        with path.open("xb") as copy:
            shutil.copyfileobj(file, copy, SPOOL_BYTES)


def _link(file: BinaryIO, path: Path) -> bool:
    """Give a nameless file a name; false if that cannot be done, and it has to be copied.

    A file has one name at most: two would be changed together.
    """
    try:
        if os.fstat(file.fileno()).st_nlink:
            return False
        own_files = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.link(str(file.fileno()), path, src_dir_fd=own_files, follow_symlinks=True)
        finally:
            os.close(own_files)
    except OSError:  # in memory, on another file system, or not made by O_TMPFILE
        return False
    return True
