"""What is in files, as digests, read again only when a file has changed."""

import os
import stat
import threading
from collections import OrderedDict
from hashlib import file_digest as digest_of_file
from pathlib import Path
from typing import Final

from tarry.timing import SystemClock

MAX_DIGESTS: Final = 10_000

RACY_S: Final = 2.0
"""A file that was written so short ago may be written again without another date: FAT counts in
two seconds, the kernel of Linux in some milliseconds."""

_Version = tuple[int, int, int, int]


class FileDigests:
    """Digests by path, size, date and inode, of the files asked for last; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: OrderedDict[str, tuple[_Version, str]] = OrderedDict()
        self._clock = SystemClock()

    def get(self, path: str | os.PathLike[str]) -> str | None:
        """The digest of what is in a file, `None` if there is none; it reads all of it once.

        Raises:
            ValueError: it is no regular file.
            OSError: it cannot be read.
        """
        name = str(Path(path).absolute())
        try:
            info = Path(name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(info.st_mode):
            raise ValueError(f"{name} is no file; of a folder name the files that count")
        with self._lock:
            version, digest = self._digests.get(name, (None, ""))
            if version == _version(info):
                self._digests.move_to_end(name)
                return digest
        return self._read(name)

    def _read(self, name: str) -> str | None:
        begun_s = self._clock.wall_s()
        try:
            with Path(name).open("rb") as file:
                info = os.fstat(file.fileno())
                digest = digest_of_file(file, "blake2b").hexdigest()
                is_same = _version(os.fstat(file.fileno())) == _version(info)
        except FileNotFoundError:
            return None
        if is_same and info.st_mtime < begun_s - RACY_S:
            with self._lock:
                self._digests[name] = _version(info), digest
                if len(self._digests) > MAX_DIGESTS:
                    self._digests.popitem(last=False)
        return digest


def _version(info: os.stat_result) -> _Version:
    return info.st_size, info.st_mtime_ns, info.st_ino, info.st_dev


file_digest: Final = FileDigests().get
"""The digest of what is in a file; see `FileDigests.get`."""
