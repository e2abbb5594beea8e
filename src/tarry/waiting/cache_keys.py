"""Keys under which results are kept: the same for equal values, another for any others."""

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from tarry.app.results import to_canonical_json
from tarry.state.file_digests import file_digest

Place: TypeAlias = tuple[Any, ...]
"""The names and numbers that lead to a part of a value."""


def key_digest(value: Any) -> str:
    """A value as 32 hexadecimal digits, the same in all processes and on all machines.

    It is anything that a handler could return as JSON: the order of names and
    of sets does not matter, and NaN is null.  In place of a `Path`, as the value itself or in
    dicts, lists and tuples, counts what is in the file, or that there is none.
    That is read once and then again when size, date or inode have changed, so
    it may block.

    Raises:
        TypeError, ValueError, RecursionError: a part that has no form in JSON,
            or a path that leads to something else than a file.
        OSError: a file cannot be read.
    """
    files = [(place, file_digest(path)) for place, path in _paths_in(value, ())]
    return blake2b(to_canonical_json([_without_paths(value), files]), digest_size=16).hexdigest()


def holds_path(value: Any) -> bool:
    """Whether files belong to a key, so that to make it may block."""
    return any(True for _ in _paths_in(value, ()))


def _paths_in(value: Any, place: Place) -> Iterable[tuple[Place, Path]]:
    if isinstance(value, PurePath):
        yield place, Path(value)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _paths_in(part, (*place, name))
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _paths_in(part, (*place, number))


def _without_paths(value: Any) -> Any:
    if isinstance(value, PurePath):
        return None
    if isinstance(value, dict):
        return {name: _without_paths(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(part) for part in value]
    return value
