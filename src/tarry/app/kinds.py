"""Kinds of parameters: what a part of a pattern accepts, and how a value becomes its text.

A new kind is a row in `KINDS`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tarry.app.path_values import BuildError, segments_of, text_of
from tarry.message import target

Accepts = Callable[[str], object]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What a parameter segment accepts.

    Of two kinds at the same place the one with the lower `rank` is tried
    first.  `accepts` is asked about a segment that is not empty, `None` takes
    each.  `type` is what an argument without annotation becomes.  A kind with
    `many` takes one or more segments, none of them empty but perhaps the last
    of the path.
    """

    name: str
    rank: int
    type: type
    accepts: Accepts | None
    many: bool = False


_HEX4: Final = "[0-9A-Fa-f]{4}"
is_uuid: Final = re.compile(f"{_HEX4}(?:{_HEX4}-){{4}}{_HEX4 * 3}").fullmatch
"""Whether a text is a UUID in the form of RFC 9562 section 4."""

STR: Final = Kind("str", 4, str, None)
STAR: Final = Kind("*", 5, str, None)
PATH: Final = Kind("path", 6, str, None, many=True)
DOUBLE_STAR: Final = Kind("**", 7, str, None, many=True)

WILDCARDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (STAR, DOUBLE_STAR)}
"""The kinds that are written without a name."""

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        # 19 digits hold every 64-bit number.
        Kind("int", 1, int, re.compile("-?[0-9]{1,19}").fullmatch),
        Kind("float", 2, float, re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,19})?").fullmatch),
        Kind("uuid", 3, UUID, is_uuid),
        STR,
        PATH,
    )
}
"""The kinds an author can write after the colon."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of a pattern whose text becomes a value.

    `count` is the exact number of segments it takes, `None` if its kind says
    it all.
    """

    name: str
    kind: Kind
    count: int | None = None

    @property
    def is_wildcard(self) -> bool:
        """Whether the author wrote `*` or `**`, so that nobody has to ask for its value."""
        return self.kind.name in WILDCARDS

    def quote(self, value: object, *, at_end: bool) -> str:
        """A value, percent-encoded as it stands in a URL.

        Only at the end of a pattern, and without `count`, the last of several
        segments may be empty: the path then ends with a slash.

        Raises:
            BuildError: a value that this parameter would not get back from there.
        """
        try:
            segments = segments_of(value) if self.kind.many else (text_of(value),)
            may_end_with_slash = at_end and self.kind.many and self.count is None
            slash = may_end_with_slash and len(segments) > 1 and not segments[-1]
            self._check(segments[:-1] if slash else segments)
            return "/".join(target.quote_segment(segment) for segment in segments)
        except ValueError as error:
            raise BuildError(f"parameter {self.name!r} cannot be {value!r}: {error}") from error

    def _check(self, segments: tuple[str, ...]) -> None:
        if self.count is not None and len(segments) != self.count:
            raise BuildError(f"it has {len(segments)} segments instead of {self.count}")
        if "" in segments or not segments:
            raise BuildError("a segment is empty")
        if self.kind.accepts is not None and not self.kind.accepts(segments[0]):
            raise BuildError(f"that is no {self.kind.name}")
