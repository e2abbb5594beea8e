"""The folder of a cache: where its files are, and how they are written and found.

A file is in a folder of its section, in one of 256 folders there.  Its `mtime`
is when the entry was used last.  Its `atime` is when the entry expires: a hint
that saves reading its head, and others who read the file may change it.
"""

import contextlib
import io
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tarry.state.cache_entries import (
    FIXED_BYTES,
    DamagedEntry,
    Head,
    decode_head,
    head_bytes,
    name_on_disk,
)
from tarry.state.folders import make_private_folder

DEFAULT_FOLDER: Final = ".tarry/cache"

BLOCK_BYTES: Final = 4096
"""What file systems give out at once: a small file takes as much."""

_MAX_HINT_S: Final = 2**31 - 1
"""Some file systems know no later time; who looks then reads the head."""

_DIGEST: Final = re.compile("[0-9a-f]{32}")
_FIRST_DIGITS: Final = re.compile("[0-9a-f]{2}")
_FILE: Final = re.compile(r"[0-9a-f]{32}(?:\.[0-9]+-[0-9]+\.tmp)?")
_numbers: Final = itertools.count()


class FoundFile(NamedTuple):
    """A file of a cache; `is_temporary` if it was not written to its end, or is being written."""

    used_ns: int
    path: Path
    size_bytes: int
    may_expire_s: float
    is_temporary: bool


def path_in(folder: Path, section: str, key: str) -> Path:
    """Where the file of an entry is."""
    name = name_on_disk(key)
    return section_path(folder, section) / name[:2] / name


def section_path(folder: Path, section: str) -> Path:
    """Where the files of a section are."""
    return folder / name_on_disk(section)


def in_blocks(size_bytes: int) -> int:
    """What a file of this size takes on disk."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def make_folder(folder: Path) -> None:
    """Make the folder of a cache; raises `OSError` if that cannot be."""
    if folder == Path(DEFAULT_FOLDER).absolute():
        make_private_folder(folder.parent)
    make_private_folder(folder)


def write_whole(path: Path, data: bytes, used_ns: int, expires_s: float) -> None:
    """Put a file in its place when it is complete: nobody ever sees a part of it.

    Raises:
        OSError: it cannot be written; nothing stays behind.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{next(_numbers)}.tmp")
    try:
        with _opened(temporary) as file:
            file.write(data)
        mark_used(temporary, used_ns, expires_s)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[io.BufferedWriter]:
    for is_last in (False, True):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileNotFoundError:  # somebody has just cleared the section away
            if is_last:
                raise
        else:
            with os.fdopen(descriptor, "wb") as file:
                yield file
            return


def mark_used(path: Path, used_ns: int, expires_s: float) -> None:
    """Note when the entry in a file was used; raises `OSError` if that cannot be."""
    hint_ns = int(min(max(expires_s, 0), _MAX_HINT_S) * 1_000_000_000)
    os.utime(path, ns=(hint_ns, used_ns))


def read_head(path: Path) -> Head:
    """The head of the entry in a file.

    Raises:
        DamagedEntry: there is none in it.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        beginning = file.read(FIXED_BYTES)
        missing_bytes = head_bytes(beginning) - len(beginning)
        if missing_bytes > os.fstat(file.fileno()).st_size:
            raise DamagedEntry("it is longer than its file")
        return decode_head(beginning + file.read(missing_bytes))


def section_paths(folder: Path) -> list[Path]:
    """Where the sections are."""
    return _listed(folder, _DIGEST)


def files_in(section: Path) -> Iterator[FoundFile]:
    """The files of a section; what does not belong to a cache is left out.

    Raises:
        OSError: a folder cannot be read.
    """
    for folder in _listed(section, _FIRST_DIGITS):
        for path in _listed(folder, _FILE):
            with contextlib.suppress(FileNotFoundError):
                info = path.lstat()
                size_bytes = in_blocks(info.st_size)
                is_temporary = path.suffix == ".tmp"
                yield FoundFile(info.st_mtime_ns, path, size_bytes, info.st_atime, is_temporary)


def remove_empty(section: Path) -> None:
    """Remove the folders of a section that have nothing in them any more."""
    for folder in (*_listed(section, _FIRST_DIGITS), section):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _listed(folder: Path, names: re.Pattern[str]) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if names.fullmatch(path.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
