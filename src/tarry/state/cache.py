"""A cache of bytes by section and key: a level in memory, and one on disk.

Whoever keeps something here knows how its bytes are made and what they mean;
nothing is ever unpickled.  What is kept can be gone at any moment.
"""

import contextlib
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tarry.state.cache_files import FileLevel
from tarry.state.cache_folder import DEFAULT_FOLDER as DEFAULT_FOLDER  # it is an option, too
from tarry.state.cache_memory import MemoryLevel, Name
from tarry.timing import Clock, SystemClock

DEFAULT_MEMORY_BYTES: Final = 64 * 1024**2
DEFAULT_DISK_BYTES: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Section:
    """What a section of a cache takes; many entries are in memory and on disk."""

    name: str
    memory_entries: int
    memory_bytes: int
    disk_entries: int
    disk_bytes: int


class Cache:
    """Bytes that can be made again; from any thread.

    At most `memory_bytes` are in memory and `disk_bytes` in files of the
    `folder`, where several processes may share them; 0 does without that level.
    The least recently used go first, on both.  The folder is made when the
    first entry is written.  What cannot be written is logged once, and kept in
    memory alone.  `clock` may be replaced as long as nothing is kept.

    Disk work blocks: off the event loop call what you like, on it `in_memory`,
    and `put` with `disk=False`.

    Raises:
        ValueError: a quota below 0.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] = DEFAULT_FOLDER,
        *,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        disk_bytes: int = DEFAULT_DISK_BYTES,
        clock: Clock | None = None,
    ) -> None:
        if memory_bytes < 0 or disk_bytes < 0:
            raise ValueError("a cache may have 0 bytes, which is none, or more")
        self.clock: Clock = clock or SystemClock()
        self.has_disk = disk_bytes > 0
        self._lock = threading.Lock()
        self._epoch = 0
        self._last_use_ns = 0
        self._memory = MemoryLevel(memory_bytes)
        self._files = FileLevel(Path(folder).absolute(), disk_bytes, self._take_uses)

    @property
    def epoch(self) -> int:
        """Grows whenever something is removed; see `put`."""
        return self._epoch

    def in_memory(self, section: str, key: str) -> bytes | None:
        """The value if it is in memory, which takes some microseconds."""
        with self._lock:
            now_s = self.clock.wall_s()
            return self._memory.get((section, key), now_s, self._use_ns(now_s))

    def get(self, section: str, key: str) -> bytes | None:
        """The value, wherever it is; `None` if it is not kept, or has expired."""
        value = self.in_memory(section, key)
        if value is not None or not self.has_disk:
            return value
        name = section, key
        with self._lock:
            epoch, now_s = self._epoch, self.clock.wall_s()
            used_ns = self._use_ns(now_s)
        found = self._files.get(name, now_s, used_ns)
        if found is None:
            return None
        value, expires_s = found
        with self._lock:
            if epoch == self._epoch:
                self._memory.put(name, value, expires_s)
        return value

    def put(
        self,
        section: str,
        key: str,
        value: bytes,
        keep_s: float,
        *,
        disk: bool = True,
        epoch: int | None = None,
    ) -> None:
        """Keep a value for so many seconds, in place of an older one.

        With `disk=False` it is kept in memory alone.  Who says of which `epoch`
        the value is, read before it was made, keeps nothing that somebody has
        cleared away in the meantime.

        Raises:
            TypeError: the value is no bytes.
        """
        if not isinstance(value, bytes):
            raise TypeError(f"a cache keeps bytes, not {type(value).__name__}; encode it first")
        name = section, key
        with self._lock:
            if epoch is None:
                epoch = self._epoch
            if epoch != self._epoch:
                return
            now_s = self.clock.wall_s()
            used_ns = self._use_ns(now_s)
            self._memory.put(name, value, now_s + keep_s)
        if disk and self.has_disk:
            self._files.put(name, value, now_s + keep_s, now_s, used_ns)
            if epoch != self._epoch:
                with contextlib.suppress(OSError):
                    self._files.remove(name)

    def remove(self, section: str, key: str) -> bool:
        """Forget one entry; whether there was one.

        Other processes that share the folder may have it in memory still.

        Raises:
            OSError: its file cannot be removed.
        """
        name = section, key
        with self._lock:
            self._epoch += 1
            was_in_memory = self._memory.remove(name)
        return (self.has_disk and self._files.remove(name)) or was_in_memory

    def clear(self, section: str | None = None) -> int:
        """Forget a section, or everything; gives how many entries there were.

        Other processes that share the folder may have some in memory still.

        Raises:
            OSError: a file cannot be removed.
        """
        with self._lock:
            self._epoch += 1
            names = self._memory.clear(section)
        if not self.has_disk:
            return len(names)
        removed = self._files.clear(section)
        return len(removed.union(self._files.path_of(name) for name in names))

    def sections(self) -> list[Section]:
        """What there is, by name; what has expired counts as long as it takes room.

        Raises:
            OSError: a folder cannot be read.
        """
        with self._lock:
            memory = self._memory.sections()
        disk = self._files.sections() if self.has_disk else {}
        return [
            Section(name, *memory.get(name, (0, 0)), *disk.get(name, (0, 0)))
            for name in sorted({*memory, *disk})
        ]

    def _use_ns(self, now_s: float) -> int:
        """When something is used: never twice the same, as the order counts."""
        self._last_use_ns = max(self._last_use_ns + 1, int(now_s * 1_000_000_000))
        return self._last_use_ns

    def _take_uses(self) -> Iterable[tuple[Name, int]]:
        with self._lock:
            return list(self._memory.take_uses())
