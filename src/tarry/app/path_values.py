"""Values of path parameters: the text of several segments, and values on their way into a URL."""

from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Final
from uuid import UUID

_TEXTUAL: Final = (str, int, float, Decimal, UUID, date, time, PurePath)
"""Types whose `str` is what an argument of the type is read from."""


class BuildError(ValueError):
    """Values from which no URL can be built that leads back to the route; names the value."""


class PathText(str):
    """The text of one or more segments joined by "/".

    `segments` has each of them, decoded on its own: one that was sent as
    `a%2Fb` is `a/b`, which the text alone does not tell from two.  The last is
    `""` where the path ended with a slash.
    """

    __slots__ = ("segments",)

    segments: tuple[str, ...]

    def __new__(cls, segments: Sequence[str]) -> "PathText":
        """Join segments."""
        made = str.__new__(cls, "/".join(segments))
        made.segments = tuple(segments)
        return made

    def __getnewargs__(self) -> tuple[tuple[str, ...]]:  # type: ignore[override]  # because __new__ differs
        return (self.segments,)


def text_of(value: object) -> str:
    """The text of a value in a URL, as an argument of its type is read from.

    Raises:
        BuildError: a type that no text stands for, such as `None` or `bytes`.
    """
    if isinstance(value, Enum):
        return text_of(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, _TEXTUAL):
        return str(value)
    raise BuildError(f"a {type(value).__name__} cannot stand in a path")


def segments_of(value: object) -> tuple[str, ...]:
    """The segments of a value that may have several: a text with slashes, or a list or tuple.

    Raises:
        BuildError: a type that no text stands for.
    """
    if isinstance(value, PathText):
        return value.segments
    if isinstance(value, list | tuple):
        return tuple(text_of(each) for each in value)
    return tuple(text_of(value).split("/"))
