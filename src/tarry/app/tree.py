"""The tree of all patterns, with one level per part of a pattern.

Each node has its static children in a table and its parameter children in
order of precedence.  A search goes depth first, so that of two patterns the
one that is more specific at the first part where they differ comes first:
static text, then `int`, `float` and `uuid`, then `str`, then `*`, then what
takes several segments.  Of the latter at one place the one with more segments
after it comes first, then one with a count, then `path` before `**`.

A child that takes several segments is kept with the number of segments that
come after it, and nothing after it takes several: `Span.stop` says at once
where it ends.  So a search meets a node at one depth only and never twice, and
nothing backtracks within a pattern.  Its cost is bounded by the nodes whose
edges fit, each of which costs a step and for a `Span` one joining of segments:
static children cost one look-up however many there are, so a path of n
segments visits at most 5ⁿ nodes (static, int, float, str, `*`) for each `Span`,
and never more than the tree has.  To come anywhere near, an author has to write
that many overlapping patterns; a client alone cannot.
"""

from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from tarry.app.endpoints import Endpoint
from tarry.app.kinds import Accepts, Kind, Parameter
from tarry.app.path_values import PathText
from tarry.app.patterns import Pattern

R = TypeVar("R")
Candidate = tuple[Endpoint[R], tuple[str, ...]]


class Span(NamedTuple):
    """A part that takes several segments: `exact_count` if given; `after` come after it."""

    kind: Kind
    exact_count: int | None
    after: int

    def stop(self, segments: Sequence[str], start: int) -> int | None:
        """Where the part ends that begins at `start`, or `None` if it does not fit."""
        stop = len(segments) - self.after
        if stop <= start or not segments[start]:
            return None
        # The empty segment that a trailing slash makes is none to be counted.
        if self.exact_count is not None and (
            stop - start != self.exact_count or not segments[stop - 1]
        ):
            return None
        return stop

    @property
    def precedence(self) -> tuple[int, bool, int]:
        """What sorts before others at the same place is tried first."""
        return -self.after, self.exact_count is None, self.kind.rank


Key = str | Kind | Span


class Node(Generic[R]):
    """One place in the tree.

    `children` are by static text, kind or span.  `parameters` has those of one
    segment again, and `spans` those of several, in order of precedence.
    """

    __slots__ = ("children", "endpoint", "parameters", "spans")

    def __init__(self) -> None:
        self.children: dict[Key, Node[R]] = {}
        self.endpoint: Endpoint[R] = Endpoint()
        self.parameters: tuple[tuple[Accepts | None, Node[R]], ...] = ()
        self.spans: tuple[tuple[Span, Node[R]], ...] = ()

    def child(self, key: Key) -> "Node[R]":
        """The child for a part, made if it is not there."""
        if key not in self.children:
            self.children[key] = Node()
            self._refresh()
        return self.children[key]

    def drop(self, key: Key) -> None:
        """Forget the child for a part."""
        del self.children[key]
        self._refresh()

    def _refresh(self) -> None:
        kinds = [key for key in self.children if isinstance(key, Kind)]
        kinds.sort(key=lambda kind: kind.rank)
        self.parameters = tuple((kind.accepts, self.children[kind]) for kind in kinds)
        spans = [key for key in self.children if isinstance(key, Span)]
        spans.sort(key=lambda span: span.precedence)
        self.spans = tuple((span, self.children[span]) for span in spans)


class Tree(Generic[R]):
    """Endpoints by pattern."""

    def __init__(self) -> None:
        # Splitting "/a" gives "" and "a", so the root is found under "".
        self.above_root: Node[R] = Node()
        self._root = self.above_root.child("")

    def endpoint(self, pattern: Pattern) -> Endpoint[R]:
        """The endpoint of a pattern, made if it is not there."""
        node = self._root
        for key in _keys(pattern):
            node = node.child(key)
        return node.endpoint

    def maybe_endpoint(self, pattern: Pattern) -> Endpoint[R] | None:
        """The endpoint of a pattern, if it is there."""
        trail = self._trail(pattern)
        return trail[-1].endpoint if trail else None

    def prune(self, pattern: Pattern) -> None:
        """Forget the nodes of a pattern that lead to no route any more."""
        trail = self._trail(pattern)
        for parent, key, node in reversed(
            list(zip(trail, _keys(pattern), trail[1:], strict=False))
        ):
            if node.children or node.endpoint.entries:
                break
            parent.drop(key)

    def _trail(self, pattern: Pattern) -> list[Node[R]]:
        """The nodes from the root to the end of a pattern, none if it is not there."""
        trail = [self._root]
        for key in _keys(pattern):
            child = trail[-1].children.get(key)
            if child is None:
                return []
            trail.append(child)
        return trail

    def candidates(self, segments: Sequence[str]) -> Iterator[Candidate[R]]:
        """The ends of all patterns that fit a path, the most specific one first.

        Some of them may have no routes.  An empty segment within is in no
        pattern: `//x` must not pass for `/x`.
        """
        if "" in segments[:-1]:
            return
        end = len(segments)
        no_values: tuple[str, ...] = ()
        # What is tried first is pushed last.
        stack = [(self._root, 0, no_values)]
        while stack:
            node, index, values = stack.pop()
            if index == end:
                yield node.endpoint, values
                continue
            segment = segments[index]
            if segment:
                if node.spans:  # seldom, and asking costs less than an empty loop
                    for span, child in reversed(node.spans):
                        stop = span.stop(segments, index)
                        if stop is not None:
                            text = PathText(segments[index:stop])
                            stack.append((child, stop, (*values, text)))
                for accepts, child in reversed(node.parameters):
                    if accepts is None or accepts(segment):
                        stack.append((child, index + 1, (*values, segment)))
            static = node.children.get(segment)
            if static is not None:
                stack.append((static, index + 1, values))


def _keys(pattern: Pattern) -> list[Key]:
    """What each part of a pattern is found by."""
    last = len(pattern.segments) - 1
    return [_key(part, last - index) for index, part in enumerate(pattern.segments)]


def _key(part: str | Parameter, after: int) -> Key:
    if isinstance(part, str):
        return part
    return Span(part.kind, part.count, after) if part.kind.many else part.kind
