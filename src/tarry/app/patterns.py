"""Route patterns: the path an author writes, taken apart into segments.

A pattern is a URL path in which `{name}` or `{name:kind}` stands for one whole
segment: `/users/{id:int}`.  Static text may be written as people read it or
percent-encoded as in a URL; both mean the same.  A trailing slash is
significant, a leading one may be left out.

`*` stands for exactly one segment, `**` and `{name:path}` for one or more, and
`{name:path:2}` for exactly two.  What a wildcard stands for has a name as well:
`wildcard`, and `wildcard2`, `wildcard3` and so on for the next ones.

A pattern has at most one part that takes several segments.  So what stands
before and after it has its place counted from one end of the path, nothing is
ever tried at two places, and matching takes time linear in the path.

A kind decides whether a segment matches at all: `/users/{id:int}` does not
match `/users/ada`, so that the answer is 404 or another route.  The type of an
argument is asked afterwards: with `/users/{id}` and `def user(id: int)` the
same path matches and is answered with 400.

The kinds are in `kinds`.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from tarry.app.kinds import KINDS, PATH, STR, WILDCARDS, Parameter
from tarry.app.path_values import BuildError
from tarry.message import target


class PatternError(ValueError):
    """A pattern that means nothing, with the reason; raised when a route is added."""


MAX_COUNT: Final = 999
"""The largest number of segments in `{name:path:count}`; longer paths are nobody's design."""

_COUNT: Final = re.compile("[1-9][0-9]{0,2}")

_SENT_PLAINLY: Final = "!$&'()*+,;=:@"
"""What clients leave as it is in a segment, beside letters, digits and `-._~` (RFC 3986 3.3)."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern; a `str` among the segments is static text, decoded.

    A trailing slash is an empty last segment.  `text` begins with "/" and is
    otherwise as the author wrote it.
    """

    text: str
    segments: tuple[str | Parameter, ...]

    def __str__(self) -> str:
        return self.text

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Parameters and wildcards from left to right."""
        return tuple(each for each in self.segments if isinstance(each, Parameter))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters and wildcards from left to right."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def required_names(self) -> tuple[str, ...]:
        """The names that the author wrote, so that the function should take them."""
        return tuple(each.name for each in self.parameters if not each.is_wildcard)

    @property
    def types(self) -> dict[str, type]:
        """The type that the kind of each parameter stands for."""
        return {parameter.name: parameter.kind.type for parameter in self.parameters}

    def build(self, values: Mapping[str, object]) -> str:
        """The percent-encoded path with these values, which leads back to this pattern.

        A parameter of several segments takes a text with slashes, or a list or
        tuple of segments.

        Raises:
            BuildError: a value that is missing, belongs to no parameter, or
                would not arrive as it is; the text names it.
        """
        for name in self.names:
            if name not in values:
                raise BuildError(f"{self.text} needs a value for {name!r}")
        for name in values:
            if name not in self.names:
                raise BuildError(f"{self.text} has no parameter {name!r}")
        end = self.segments[-1]
        return "/" + "/".join(
            each.quote(values[each.name], at_end=each is end)
            if isinstance(each, Parameter)
            else quote(each, safe=_SENT_PLAINLY)
            for each in self.segments
        )


def parse_pattern(text: str) -> Pattern:
    """Take a pattern apart.

    Raises:
        PatternError: empty text, an empty segment within, a parameter or
            wildcard that is not a whole segment, a name that is no identifier
            or comes twice, an unknown kind, a second part of several segments,
            `?`, `#`, "." or ".." as a segment, or text that does not
            percent-decode.
    """
    if not text:
        raise PatternError("the pattern is empty; write '/' for the root")
    rooted = text if text.startswith("/") else f"/{text}"
    pieces = rooted[1:].split("/")
    if "" in pieces[:-1]:
        raise PatternError(f"pattern {text!r} has an empty segment, which matches nothing")
    wildcard_names = _wildcard_names()
    segments = tuple(_segment(piece, text, wildcard_names) for piece in pieces)
    pattern = Pattern(rooted, segments)
    _check_parameters(pattern)
    return pattern


def _wildcard_names() -> Iterator[str]:
    yield "wildcard"
    yield from (f"wildcard{number}" for number in itertools.count(2))


def _segment(piece: str, text: str, wildcard_names: Iterator[str]) -> str | Parameter:
    if piece in WILDCARDS:
        return Parameter(next(wildcard_names), WILDCARDS[piece])
    if piece.startswith("{") and piece.endswith("}") and not {"{", "}"} & set(piece[1:-1]):
        return _parameter(piece[1:-1], text)
    if "{" in piece or "}" in piece:
        raise PatternError(
            f"pattern {text!r}: a parameter is a whole segment, and {piece!r} is not;"
            " a part of a segment needs a regular expression (regexp=)"
        )
    return _static(piece, text)


def _parameter(inner: str, text: str) -> Parameter:
    given, colon, kind_text = inner.partition(":")
    # Python reads identifiers in this form, so an argument can only have such a name.
    name = unicodedata.normalize("NFKC", given)
    if not name.isidentifier():
        raise PatternError(f"pattern {text!r}: {given!r} cannot be the name of an argument")
    if kind_text.startswith("path:"):
        return Parameter(name, PATH, _count(kind_text.removeprefix("path:"), text))
    kind = KINDS.get(kind_text) if colon else STR
    if kind is None:
        raise PatternError(
            f"pattern {text!r}: there is no kind {kind_text!r}; there are {', '.join(KINDS)}"
        )
    return Parameter(name, kind)


def _count(digits: str, text: str) -> int:
    if not _COUNT.fullmatch(digits):
        raise PatternError(
            f"pattern {text!r}: {digits!r} is no number of segments from 1 to {MAX_COUNT}"
        )
    return int(digits)


_KEPT: Final = {
    "?": "a query belongs to the arguments of the function",
    "#": "a fragment never reaches a server",
    "*": "a wildcard is a whole segment, '*' for one or '**' for several; a part of a segment"
    " needs a regular expression (regexp=), and the character is written %2A",
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
    if sum(parameter.kind.many for parameter in pattern.parameters) > 1:
        raise PatternError(
            f"pattern {pattern.text!r}: only one part can take several segments, or it would not"
            " be clear which takes what"
        )
