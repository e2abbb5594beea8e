"""Routes for people: the tree of an application, and rows for a table."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol


class RouteInfo(Protocol):
    """What a route tells about itself."""

    @property
    def path(self) -> str:
        """The pattern, such as `/users/{id:int}`."""

    @property
    def methods(self) -> Sequence[str]:
        """The methods it was registered for."""

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
    return [RouteRow(", ".join(route.methods), route.path, route.name) for route in routes]


def site_map(routes: Iterable[RouteInfo]) -> str:
    """The tree of all paths with the methods and the handler of each, one line a route.

    Segments stand in the order in which they were first registered.  A "/"
    alone below a segment is the path that ends with a slash.
    """
    rows = list(_rows(_grow(routes), "/", "", ""))
    tree_width = max(_width(tree) for tree, _ in rows)
    methods_width = max(len(row.methods) for _, row in rows)
    lines = (
        f"{tree}{' ' * (tree_width - _width(tree))}  {row.methods:{methods_width}}  {row.handler}"
        for tree, row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _grow(routes: Iterable[RouteInfo]) -> _Branch:
    root = _Branch()
    for route in routes:
        branch = root
        for segment in route.path.removeprefix("/").split("/"):
            branch = branch.children.setdefault(segment, _Branch())
        branch.routes.append(route)
    # The root ends with a slash, but nobody sees it as below itself.
    root.routes = root.children.pop("", _Branch()).routes
    return root


def _rows(branch: _Branch, label: str, corner: str, indent: str) -> Iterator[tuple[str, RouteRow]]:
    first, *more = route_table(branch.routes) or [RouteRow("", "", "")]
    yield corner + label, first
    bar = "│" if branch.children else ""
    yield from ((indent + bar, row) for row in more)
    last = len(branch.children) - 1
    for number, (segment, child) in enumerate(branch.children.items()):
        turn, below = ("└─ ", "   ") if number == last else ("├─ ", "│  ")
        yield from _rows(child, segment or "/", indent + turn, indent + below)


def _width(text: str) -> int:
    """Columns on a terminal, where East Asian characters take two."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)
