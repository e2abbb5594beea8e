"""The level of a cache that is on disk: whole files within a quota, for several processes.

The files themselves are all that is known of it, so that processes need not
talk to one another.  Nothing that is wrong with it makes a request fail.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from tarry.state.cache_entries import DamagedEntry, decode_entry, encode_entry
from tarry.state.cache_folder import (
    FoundFile,
    files_in,
    in_blocks,
    make_folder,
    mark_used,
    path_in,
    read_head,
    remove_empty,
    section_path,
    section_paths,
    write_whole,
)
from tarry.state.cache_memory import Name

logger: Final = logging.getLogger("tarry")

RETRY_S: Final = 60.0
"""How long nothing is written after that has failed, since it most likely would again."""

WRITING_S: Final = 3600.0
"""A file that was begun so long ago will not be finished."""

ROOM: Final = 8
"""A full level gives up an eighth at once, since looking for the oldest takes a look at all."""

SHARE: Final = 16
"""Who has written a sixteenth of the quota looks what others have written meanwhile."""

Uses = Callable[[], Iterable[tuple[Name, int]]]
"""Gives what was used elsewhere since the last time, and when."""


class FileLevel:
    """Files in a folder, of which the least recently used go first; from any thread, and blocking.

    They may take `max_bytes` in all, in whole blocks.  The folder is made when
    the first entry is written.  Times are seconds since 1970, `used_ns`
    nanoseconds that grow with each use.
    """

    def __init__(self, folder: Path, max_bytes: int, uses: Uses) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._uses = uses
        self._lock = threading.Lock()
        # How many bytes can be written before somebody has to look; none before the first look.
        self._left_bytes = 0
        self._is_failing = False
        self._retry_s = 0.0

    def get(self, name: Name, now_s: float, used_ns: int) -> tuple[bytes, float] | None:
        """Value and expiry of an entry, which is used by that; a file that is none is removed."""
        path = path_in(self._folder, *name)
        try:
            head, value = decode_entry(path.read_bytes())
        except OSError:
            return None
        except DamagedEntry:
            _discard(path)
            return None
        if (head.section, head.key) != name or not now_s < head.expires_s:
            _discard(path)
            return None
        with contextlib.suppress(OSError):  # others may have removed it, or own it
            mark_used(path, used_ns, head.expires_s)
        return value, head.expires_s

    def put(self, name: Name, value: bytes, expires_s: float, now_s: float, used_ns: int) -> None:
        """Keep a value in place of an older one.

        One that is larger than all of it, or cannot be written, is not kept.
        """
        data = encode_entry(*name, expires_s, value)
        path = path_in(self._folder, *name)
        if in_blocks(len(data)) > self._max_bytes or now_s < self._retry_s:
            _discard(path)
            return
        try:
            make_folder(self._folder)
            write_whole(path, data, used_ns, expires_s)
            self._make_room(in_blocks(len(data)), now_s)
        except OSError as error:
            _discard(path)
            self._fail(error, now_s)
        else:
            self._is_failing = False

    def _fail(self, error: OSError, now_s: float) -> None:
        self._retry_s = now_s + RETRY_S
        if not self._is_failing:
            self._is_failing = True
            logger.warning(
                "the cache goes on without its folder %s, which cannot be written: %s",
                self._folder,
                error,
            )

    def remove(self, name: Name) -> bool:
        """Forget an entry; whether there was one.  Raises `OSError` if it cannot be removed."""
        try:
            path_in(self._folder, *name).unlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def clear(self, section: str | None) -> set[Path]:
        """Forget a section, or all; gives the files there were.

        Raises:
            OSError: one cannot be removed.
        """
        everywhere = section_paths(self._folder)
        only = everywhere if section is None else [section_path(self._folder, section)]
        removed = set()
        for path in only:
            for file in files_in(path):
                file.path.unlink(missing_ok=True)
                if not file.is_temporary:
                    removed.add(file.path)
            remove_empty(path)
        return removed

    def path_of(self, name: Name) -> Path:
        """Where an entry is, if it is there."""
        return path_in(self._folder, *name)

    def sections(self) -> dict[str, tuple[int, int]]:
        """Entries and bytes of each section; raises `OSError` if a folder cannot be read."""
        sizes = {}
        for path in section_paths(self._folder):
            files = [file for file in files_in(path) if not file.is_temporary]
            name = _name_of(files)
            if name is not None:
                sizes[name] = len(files), sum(file.size_bytes for file in files)
        return sizes

    # ---- room ------------------------------------------------------------------------------

    def _make_room(self, written_bytes: int, now_s: float) -> None:
        """Count what has been written, and remove what has to go for it."""
        with self._lock:
            self._left_bytes -= written_bytes
            if self._left_bytes < 0:
                self._look(now_s)

    def _look(self, now_s: float) -> None:
        for name, used_ns in self._uses():
            self._mark_used(name, used_ns)
        files = [file for path in section_paths(self._folder) for file in files_in(path)]
        files = sorted(file for file in files if not _is_over(file, now_s))
        taken_bytes = sum(file.size_bytes for file in files)
        if taken_bytes > self._max_bytes:
            enough_bytes = self._max_bytes - self._max_bytes // ROOM
            for file in files[:-1]:  # the newest fits, as its size was looked at
                if taken_bytes <= enough_bytes:
                    break
                _discard(file.path)
                taken_bytes -= file.size_bytes
        self._left_bytes = min(self._max_bytes - taken_bytes, self._max_bytes // SHARE)

    def _mark_used(self, name: Name, used_ns: int) -> None:
        path = path_in(self._folder, *name)
        with contextlib.suppress(OSError):
            mark_used(path, used_ns, path.stat().st_atime)


def _is_over(file: FoundFile, now_s: float) -> bool:
    """Whether a file is of no use any more; it is removed then."""
    if file.is_temporary:
        is_over = file.used_ns / 1_000_000_000 + WRITING_S < now_s
    else:
        is_over = file.may_expire_s <= now_s and _is_expired(file.path, now_s)
    if is_over:
        _discard(file.path)
    return is_over


def _is_expired(path: Path, now_s: float) -> bool:
    try:
        return not now_s < read_head(path).expires_s
    except OSError:
        return False
    except DamagedEntry:
        return True


def _name_of(files: list[FoundFile]) -> str | None:
    for file in files:
        with contextlib.suppress(DamagedEntry, OSError):
            return read_head(file.path).section
    return None


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
