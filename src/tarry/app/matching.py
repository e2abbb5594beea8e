"""Whether a path is one of those that a pattern or an expression means, for filters.

Both kinds of matcher take the decoded segments of a path, as
`target.decode_path` gives them.
"""

from collections.abc import Callable, Sequence

from tarry.app.patterns import parse_pattern
from tarry.app.regexps import MAX_REGEXP_PATH_CHARACTERS, compile_regexp, joined
from tarry.app.tree import Tree

PathMatcher = Callable[[Sequence[str]], bool]


def path_matcher(text: str) -> PathMatcher:
    """What tells whether a path fits a pattern, exactly as it would for a route.

    So `/api/**` has what is below `/api/`, but neither `/api` nor `/api/`.
    Takes time linear in the path.

    Raises:
        PatternError: as `parse_pattern` says.
    """
    tree: Tree[None] = Tree()
    endpoint = tree.endpoint(parse_pattern(text))

    def fits(segments: Sequence[str]) -> bool:
        for found, _ in tree.candidates(segments):  # noqa: SIM110 — because any() takes twice as long
            if found is endpoint:
                return True
        return False

    return fits


def regexp_matcher(text: str) -> PathMatcher:
    """What tells whether an expression matches the beginning of a path.

    `^/admin` does so for `/admin/x`; the leading slash belongs to the path.
    The expression is not asked about paths longer than
    `MAX_REGEXP_PATH_CHARACTERS`: these always fit.  A filter may guard
    something, and a long path must not be a way around it.

    Raises:
        PatternError: an expression that does not compile, with the position.
    """
    expression = compile_regexp(text)

    def fits(segments: Sequence[str]) -> bool:
        path = joined(segments)
        return len(path) > MAX_REGEXP_PATH_CHARACTERS or expression.match(path) is not None

    return fits
