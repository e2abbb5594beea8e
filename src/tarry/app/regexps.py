"""Regular expressions as routes, for paths that no pattern describes.

An expression has to match the whole decoded path, its leading slash included.
A dot matches any character, also a line end that came as `%0A`: otherwise such
a path would slip by an expression that guards it.
Authors can write expressions that take exponential time, so that a path has to
be short to be matched at all: see `MAX_REGEXP_PATH_CHARACTERS`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from tarry.app.kinds import STR, Parameter
from tarry.app.path_values import BuildError
from tarry.app.patterns import PatternError

MAX_REGEXP_PATH_CHARACTERS: Final = 1024
"""Longest decoded path that an expression is asked about; a longer one does not match.

It keeps expressions that backtrack quadratically, such as `/(.*)(.*)x`, at some
milliseconds.  Those that backtrack more, such as `(a+)+x`, no limit makes safe.
"""


# A letter that has to be there, as another one follows: no path begins with one.
_WITHOUT_SLASH: Final = re.compile(r"(\^?)(\w\w[^|]*)")


@dataclass(frozen=True, slots=True)
class Regexp:
    """A parsed expression as a route; used as a `Pattern` is.

    `names` has those of named groups, and for other groups their numbers:
    `("name", "2")` for `/(?P<name>x+)/(y+)`.
    """

    text: str
    expression: re.Pattern[str]

    def __str__(self) -> str:
        return f"regexp {self.text}"

    @property
    def names(self) -> tuple[str, ...]:
        """What the groups are called, in the order of their numbers."""
        named = {number: name for name, number in self.expression.groupindex.items()}
        return tuple(
            unicodedata.normalize("NFKC", named.get(number, str(number)))
            for number in range(1, self.expression.groups + 1)
        )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """A parameter of any text for each group."""
        return tuple(Parameter(name, STR) for name in self.names)

    @property
    def required_names(self) -> tuple[str, ...]:
        """None, as a group is often there for the sake of the expression only."""
        return ()

    @property
    def types(self) -> dict[str, type]:
        """`str` for each group."""
        return dict.fromkeys(self.names, str)

    def build(self, values: Mapping[str, object]) -> NoReturn:
        """Refuse: an expression does not say which path it stands for.

        Raises:
            BuildError: always.
        """
        raise BuildError(f"{self} cannot become a path again; give the route a pattern")

    def values(self, segments: Sequence[str]) -> tuple[str, ...] | None:
        """The texts of the groups if the expression matches a path, otherwise `None`.

        A group that took no part has `""`.  As for patterns, an empty segment
        within is in no route: `//x` must not pass for `/x`.
        """
        path = joined(segments)
        if "" in segments[:-1] or len(path) > MAX_REGEXP_PATH_CHARACTERS:
            return None
        match = self.expression.fullmatch(path)
        return None if match is None else match.groups("")


def parse_regexp(text: str) -> Regexp:
    """Compile a regular expression that is to match whole paths.

    Raises:
        PatternError: empty text, an expression that does not compile, with the
            position, one that begins with a letter, or groups of one name.
    """
    if not text:
        raise PatternError("the regexp is empty, which matches no path")
    if relative := _WITHOUT_SLASH.fullmatch(text):
        anchor, rest = relative.groups()
        raise PatternError(
            f"regexp {text!r} matches no path, since a path begins with '/':"
            f" write {anchor + '/' + rest!r}"
        )
    regexp = Regexp(text, compile_regexp(text))
    for name, uses in Counter(regexp.names).items():
        if uses > 1:
            raise PatternError(f"regexp {text!r} has two groups {name!r}")
    return regexp


def compile_regexp(text: str) -> re.Pattern[str]:
    """Compile, with errors for authors.

    Raises:
        PatternError: an expression that does not compile, with the position.
    """
    try:
        return re.compile(text, re.DOTALL)
    except re.error as error:
        raise PatternError(f"regexp {text!r}: {error}") from error
    except (OverflowError, RecursionError) as error:
        raise PatternError(f"regexp {text!r} is too large: {error}") from error


def joined(segments: Sequence[str]) -> str:
    """The decoded path of segments, in which an encoded slash looks like any other."""
    return "/" + "/".join(segments)
