"""The level of a cache that is in memory: bytes by section and key, within a quota."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

Name = tuple[str, str]
"""Section and key of an entry."""

ENTRY_BYTES: Final = 300
"""What an entry takes beside its value and its names: 292 bytes, measured with CPython 3.11."""


class _Kept:
    """A value in memory; `used_ns` is when it was used, 0 if the disk has been told."""

    __slots__ = ("expires_s", "used_ns", "value")

    def __init__(self, value: bytes, expires_s: float) -> None:
        self.value = value
        self.expires_s = expires_s
        self.used_ns = 0


class MemoryLevel:
    """Values in memory, of which the least recently used go first; for one thread at a time.

    They may take `max_bytes` in all, each counted with its names and
    `ENTRY_BYTES`.  Times are seconds since 1970.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Name, _Kept] = OrderedDict()
        self._bytes = 0

    def get(self, name: Name, now_s: float, used_ns: int) -> bytes | None:
        """The value, which is used by that; `None` if there is none that still holds."""
        kept = self._entries.get(name)
        if kept is None:
            return None
        if not now_s < kept.expires_s:
            self.remove(name)
            return None
        kept.used_ns = used_ns
        self._entries.move_to_end(name)
        return kept.value

    def put(self, name: Name, value: bytes, expires_s: float) -> None:
        """Keep a value in place of an older one; one that is larger than all of it is not kept."""
        self.remove(name)
        size_bytes = _size_bytes(name, value)
        if size_bytes > self._max_bytes:
            return
        self._entries[name] = _Kept(value, expires_s)
        self._bytes += size_bytes
        while self._bytes > self._max_bytes:
            self.remove(next(iter(self._entries)))

    def remove(self, name: Name) -> bool:
        """Forget an entry; whether there was one."""
        kept = self._entries.pop(name, None)
        if kept is None:
            return False
        self._bytes -= _size_bytes(name, kept.value)
        return True

    def clear(self, section: str | None) -> list[Name]:
        """Forget a section, or all; gives the names of what there was."""
        names = [name for name in self._entries if section is None or name[0] == section]
        for name in names:
            self.remove(name)
        return names

    def sections(self) -> dict[str, tuple[int, int]]:
        """Entries and bytes of each section."""
        sizes: dict[str, tuple[int, int]] = {}
        for name, kept in self._entries.items():
            entries, size_bytes = sizes.get(name[0], (0, 0))
            sizes[name[0]] = entries + 1, size_bytes + _size_bytes(name, kept.value)
        return sizes

    def take_uses(self) -> Iterator[tuple[Name, int]]:
        """What was used since the last time, and when: for who would not know it otherwise."""
        for name, kept in self._entries.items():
            if kept.used_ns:
                yield name, kept.used_ns
                kept.used_ns = 0


def _size_bytes(name: Name, value: bytes) -> int:
    return ENTRY_BYTES + len(name[0]) + len(name[1]) + len(value)
