"""Routes for people: the tree of an application, and rows for a table.

What narrows a route stands in brackets behind its path: `/users [params a=b]`.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol


class RouteInfo(Protocol):
    """What a route tells about itself.

    One that is narrowed also has `conditions`, whose text tells to what.
    """

    @property
    def path(self) -> str:
        """The pattern as text: `/users/{id:int}`, or `regexp ^/x` for an expression."""

    @property
    def methods(self) -> Sequence[str]:
        """The methods it was registered for; "*" is any."""

    @property
    def name(self) -> str:
        """The name of the handler."""


class RouteRow(NamedTuple):
    """One route in a table."""

    methods: str
    path: str
    handler: str


class _Branch:
    """A path segment with the routes that end there and the segments that follow."""

    def __init__(self) -> None:
        self.routes: list[RouteInfo] = []
        self.children: dict[str, _Branch] = {}


def route_table(routes: Iterable[RouteInfo]) -> list[RouteRow]:
    """One row for each route, in the given order."""
    return [
        RouteRow(", ".join(route.methods), f"{route.path}{_narrowing(route)}", route.name)
        for route in routes
    ]


def _narrowing(route: RouteInfo) -> str:
    conditions = getattr(route, "conditions", None)
    return f" [{conditions}]" if conditions else ""


def site_map(routes: Iterable[RouteInfo]) -> str:
    """The tree of all paths with the methods and the handler of each, one line a route.

    Segments stand in the order in which they were first registered, and
    expressions at the end.  A "/" alone below a segment is the path that ends
    with a slash.
    """
    rows = list(_rows(_grow(routes), "/", "", ""))
    tree_width = max(_width(tree) for tree, _, _ in rows)
    methods_width = max(len(methods) for _, methods, _ in rows)
    lines = (
        f"{_padded(tree, tree_width)}  {methods:{methods_width}}  {handler}"
        for tree, methods, handler in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _grow(routes: Iterable[RouteInfo]) -> _Branch:
    root = _Branch()
    regexps: dict[str, _Branch] = {}
    for route in routes:
        branch = root
        if route.path.startswith("/"):
            for segment in route.path[1:].split("/"):
                branch = branch.children.setdefault(segment, _Branch())
        else:
            branch = regexps.setdefault(route.path, _Branch())
        branch.routes.append(route)
    # The root ends with a slash, but nobody sees it as below itself.
    root.routes = root.children.pop("", _Branch()).routes
    root.children.update(regexps)
    return root


def _rows(branch: _Branch, label: str, corner: str, indent: str) -> Iterator[tuple[str, str, str]]:
    """Tree, methods and handler of each line."""
    first, more = branch.routes[:1], branch.routes[1:]
    yield _row(corner + label, *first)
    bar = indent + ("│" if branch.children else "")
    # Brackets of several routes stand below one another.
    width = _width(corner + label) if any(map(_narrowing, branch.routes)) else 0
    yield from (_row(_padded(bar, width), route) for route in more)
    last = len(branch.children) - 1
    for number, (segment, child) in enumerate(branch.children.items()):
        turn, below = ("└─ ", "   ") if number == last else ("├─ ", "│  ")
        yield from _rows(child, segment or "/", indent + turn, indent + below)


def _row(tree: str, route: RouteInfo | None = None) -> tuple[str, str, str]:
    if route is None:
        return tree, "", ""
    return f"{tree}{_narrowing(route)}", ", ".join(route.methods), route.name


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Columns on a terminal, where East Asian characters take two."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)
