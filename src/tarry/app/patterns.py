"""Route patterns: the path an author writes, taken apart into segments.

A pattern is a URL path in which `{name}` or `{name:kind}` stands for one whole
segment: `/users/{id:int}`.  Static text may be written as people read it or
percent-encoded as in a URL; both mean the same.  A trailing slash is
significant, a leading one may be left out.

A kind decides whether a segment matches at all: `/users/{id:int}` does not
match `/users/ada`, so that the answer is 404 or another route.  The type of an
argument is asked afterwards: with `/users/{id}` and `def user(id: int)` the
same path matches and is answered with 400.

A new kind is a row in `KINDS`.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote
from uuid import UUID

from tarry.message import target

Accepts = Callable[[str], object]


class PatternError(ValueError):
    """A pattern that means nothing, with the reason; raised when a route is added."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What a parameter segment accepts.

    Of two kinds at the same place the one with the lower `rank` is tried
    first.  `accepts` is asked about a segment that is not empty, `None` takes
    each.  `type` is what an argument without annotation becomes.
    """

    name: str
    rank: int
    type: type
    accepts: Accepts | None


_HEX4: Final = "[0-9A-Fa-f]{4}"
is_uuid: Final = re.compile(f"{_HEX4}(?:{_HEX4}-){{4}}{_HEX4 * 3}").fullmatch
"""Whether a text is a UUID in the form of RFC 9562 section 4."""

STR: Final = Kind("str", 4, str, None)
PATH: Final = Kind("path", 5, str, None)
"""The rest of the path: one or more segments, none of them empty but perhaps the last."""

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
    """A segment whose text becomes a value."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern; a `str` among the segments is static text, decoded.

    A trailing slash is an empty last segment.  `text` begins with "/" and is
    otherwise as the author wrote it.
    """

    text: str
    segments: tuple[str | Parameter, ...]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameter segments from left to right."""
        return tuple(each for each in self.segments if isinstance(each, Parameter))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters from left to right."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def types(self) -> dict[str, type]:
        """The type that the kind of each parameter stands for."""
        return {parameter.name: parameter.kind.type for parameter in self.parameters}


def parse_pattern(text: str) -> Pattern:
    """Take a pattern apart.

    Raises:
        PatternError: empty text, an empty segment within, a parameter that is
            not a whole segment, a name that is no identifier or comes twice,
            an unknown kind, `path` before the end, `?`, `#`, `*`, "." or ".."
            as a segment, or text that does not percent-decode.
    """
    if not text:
        raise PatternError("the pattern is empty; write '/' for the root")
    rooted = text if text.startswith("/") else f"/{text}"
    pieces = rooted[1:].split("/")
    if "" in pieces[:-1]:
        raise PatternError(f"pattern {text!r} has an empty segment, which matches nothing")
    pattern = Pattern(rooted, tuple(_segment(piece, text) for piece in pieces))
    _check_parameters(pattern)
    return pattern


def _segment(piece: str, text: str) -> str | Parameter:
    if piece.startswith("{") and piece.endswith("}") and not {"{", "}"} & set(piece[1:-1]):
        return _parameter(piece[1:-1], text)
    if "{" in piece or "}" in piece:
        raise PatternError(
            f"pattern {text!r}: a parameter is a whole segment, and {piece!r} is not;"
            " wildcards and regular expressions are separate features"
        )
    return _static(piece, text)


def _parameter(inner: str, text: str) -> Parameter:
    given, colon, kind_name = inner.partition(":")
    # Python reads identifiers in this form, so an argument can only have such a name.
    name = unicodedata.normalize("NFKC", given)
    if not name.isidentifier():
        raise PatternError(f"pattern {text!r}: {given!r} cannot be the name of an argument")
    kind = KINDS.get(kind_name) if colon else STR
    if kind is None:
        raise PatternError(
            f"pattern {text!r}: there is no kind {kind_name!r}; there are {', '.join(KINDS)}"
        )
    return Parameter(name, kind)


_KEPT: Final = {
    "?": "a query belongs to the arguments of the function",
    "#": "a fragment never reaches a server",
    "*": "wildcards are a separate feature; write %2A for the character",
}
"""Characters that static text cannot have, and why."""


def _static(piece: str, text: str) -> str:
    for character, reason in _KEPT.items():
        if character in piece:
            raise PatternError(f"pattern {text!r} has {character!r}: {reason}")
    try:
        static = target.decode_segment(_ascii(piece).encode())
    except ValueError as error:
        raise PatternError(f"pattern {text!r}: {error}") from error
    if static in {".", ".."}:
        raise PatternError(f"pattern {text!r}: clients resolve {static!r} before they ask")
    return static


def _ascii(text: str) -> str:
    """Percent-encode what a URL cannot have, but leave what is percent-encoded already."""
    return quote(text, safe="%!$&'()+,;=:@-._~")


def _check_parameters(pattern: Pattern) -> None:
    names = pattern.names
    for number, name in enumerate(names):
        if name in names[:number]:
            raise PatternError(f"pattern {pattern.text!r} has two parameters {name!r}")
    for segment in pattern.segments[:-1]:
        if isinstance(segment, Parameter) and segment.kind is PATH:
            raise PatternError(
                f"pattern {pattern.text!r}: {{{segment.name}:path}} takes the rest of the path,"
                " so nothing can follow it"
            )
