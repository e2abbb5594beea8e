"""From method and path to a route: a tree with one level per path segment.

Each node has its static children in a table and its parameter children in
order of precedence: static text, then `int`, `float` and `uuid`, then `str`,
then `path`.  A search goes depth first and takes the first branch that has a
route for the path and the method; a more specific route without the method
hides nothing.  Only a `path` child takes several segments, and nothing follows
it, so a search meets a node at one depth only and never twice.  Its cost is
bounded by the nodes whose edges fit: static children cost one look-up however
many there are, so a path of n segments visits at most 4ⁿ nodes (static, int,
float, str) and never more than the tree has.  To come anywhere near, an author
has to write that many overlapping patterns; a client alone cannot.

Static patterns also stand in a table by raw path, which answers most requests
without decoding anything.  It is asked first, as a static route precedes all.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from tarry.app.patterns import PATH, Accepts, Kind, Parameter, Pattern
from tarry.message import target

R = TypeVar("R")
Found = tuple[R, tuple[str, ...]]

_PERCENT: Final = ord("%")
_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]+")
_METHOD_ORDER: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class DuplicateRoute(ValueError):
    """A route for the same paths and method is there; `existing` is that one."""

    def __init__(self, method: str, pattern: Pattern, existing: Any) -> None:
        super().__init__(f"there is a route already for {method} {pattern.text}")
        self.existing = existing


class NotFound(LookupError):
    """No route has this path."""


class MethodNotAllowed(LookupError):
    """Routes have this path, but none of them the method.

    `allowed` is what an Allow field lists (RFC 9110 section 10.2.1): HEAD if
    GET is there, and OPTIONS always.
    """

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(", ".join(allowed))
        self.allowed = allowed


class _Entry(Generic[R]):
    """One call of `add`."""

    __slots__ = ("methods", "pattern", "route")

    def __init__(self, pattern: Pattern, methods: tuple[str, ...], route: R) -> None:
        self.pattern = pattern
        self.methods = methods
        self.route = route


class _Endpoint(Generic[R]):
    """The routes at one place, by method; `answers` also has HEAD where there is GET."""

    __slots__ = ("answers", "entries")

    def __init__(self) -> None:
        self.entries: dict[str, _Entry[R]] = {}
        self.answers: dict[bytes, R] = {}

    def set(self, method: str, entry: _Entry[R]) -> None:
        self.entries[method] = entry
        self._refresh()

    def remove(self, method: str) -> None:
        del self.entries[method]
        self._refresh()

    def _refresh(self) -> None:
        self.answers.clear()
        if "GET" in self.entries:
            self.answers[b"HEAD"] = self.entries["GET"].route
        for method, entry in self.entries.items():
            self.answers[method.encode("ascii")] = entry.route


class _Node(Generic[R]):
    """One place in the tree.

    `children` are by static text or by kind.  `parameters` has those of one
    segment again, in order of precedence, and `rest` the one of kind `path`.
    """

    __slots__ = ("children", "endpoint", "parameters", "rest")

    def __init__(self) -> None:
        self.children: dict[str | Kind, _Node[R]] = {}
        self.endpoint: _Endpoint[R] = _Endpoint()
        self.parameters: tuple[tuple[Accepts | None, _Node[R]], ...] = ()
        self.rest: _Node[R] | None = None

    def child(self, segment: str | Parameter) -> "_Node[R]":
        """The child for a segment, made if it is not there."""
        key = _key(segment)
        if key not in self.children:
            self.children[key] = _Node()
            self._refresh()
        return self.children[key]

    def drop(self, segment: str | Parameter) -> None:
        """Forget the child for a segment."""
        del self.children[_key(segment)]
        self._refresh()

    def _refresh(self) -> None:
        kinds = [kind for kind in self.children if isinstance(kind, Kind) and kind is not PATH]
        kinds.sort(key=lambda kind: kind.rank)
        self.parameters = tuple((kind.accepts, self.children[kind]) for kind in kinds)
        self.rest = self.children.get(PATH)


def _key(segment: str | Parameter) -> str | Kind:
    return segment if isinstance(segment, str) else segment.kind


class Router(Generic[R]):
    """Routes by path and method; iterating gives them in order of registration.

    `static` has the routes without parameters, by raw path and method.

    Not for use by several threads at once: change it on the loop that asks it.
    """

    def __init__(self) -> None:
        # Splitting "/a" gives "" and "a", so the root is found under "".
        self._above_root: _Node[R] = _Node()
        self._root = self._above_root.child("")
        self.static: dict[bytes, dict[bytes, R]] = {}
        self._entries: dict[_Entry[R], None] = {}

    def add(self, pattern: Pattern, methods: Iterable[str], route: R) -> None:
        """Have `route` found for the paths of `pattern` and each of the methods.

        Raises:
            DuplicateRoute: a route is there for one of the methods and the same
                paths, whatever their parameters are called; nothing was added.
            ValueError: no method, or one that is no token.
        """
        names = _method_names(methods)
        endpoint = self._endpoint(pattern)
        for method in names:
            if method in endpoint.entries:
                raise DuplicateRoute(method, pattern, endpoint.entries[method].route)
        entry = _Entry(pattern, names, route)
        for method in names:
            endpoint.set(method, entry)
        self._entries[entry] = None
        if not pattern.names:
            self.static[_raw(pattern)] = endpoint.answers

    def _endpoint(self, pattern: Pattern) -> _Endpoint[R]:
        node = self._root
        for segment in pattern.segments:
            node = node.child(segment)
        return node.endpoint

    def remove(self, pattern: Pattern, methods: Iterable[str]) -> None:
        """Take routes away, and with them every trace of their patterns.

        Raises:
            LookupError: a method without a route; nothing was removed.
            ValueError: no method, or one that is no token.
        """
        names = _method_names(methods)
        trail = self._trail(pattern)
        endpoint = trail[-1].endpoint if trail else _Endpoint[R]()
        for method in names:
            if method not in endpoint.entries:
                raise LookupError(f"there is no route for {method} {pattern.text}")
        for method in names:
            self._remove_entry(endpoint.entries[method], method)
            endpoint.remove(method)
        if not endpoint.entries:
            self.static.pop(_raw(pattern), None)
            self._prune(pattern, trail)

    def _trail(self, pattern: Pattern) -> list[_Node[R]]:
        """The nodes from the root to the end of a pattern, none if it is not there."""
        trail = [self._root]
        for segment in pattern.segments:
            child = trail[-1].children.get(_key(segment))
            if child is None:
                return []
            trail.append(child)
        return trail

    def _remove_entry(self, entry: _Entry[R], method: str) -> None:
        entry.methods = tuple(each for each in entry.methods if each != method)
        if not entry.methods:
            del self._entries[entry]

    def _prune(self, pattern: Pattern, trail: list[_Node[R]]) -> None:
        for number in reversed(range(len(pattern.segments))):
            node = trail[number + 1]
            if node.children or node.endpoint.entries:
                break
            trail[number].drop(pattern.segments[number])

    def __iter__(self) -> Iterator[tuple[Pattern, tuple[str, ...], R]]:
        for entry in self._entries:
            yield entry.pattern, entry.methods, entry.route

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, method: bytes, path: bytes) -> Found[R]:
        """The route for a raw path, and the decoded values of its parameters.

        A `path` parameter gives its segments joined by "/".  As each is decoded
        on its own before, the value can have more slashes, and "." or ".."
        segments: check it before it names a file.

        Raises:
            NotFound: no route has this path; always for `*`.
            MethodNotAllowed: routes have it, but none has the method.
            target.InvalidTarget: the path does not decode; answer 400.
        """
        answers = self.static.get(path)
        if answers is not None:
            route = answers.get(method)
            if route is not None:
                return route, ()
        return self._descend(method, path) or self._search(method, path)

    def _descend(self, method: bytes, path: bytes) -> Found[R] | None:
        """Go down without looking back, which is all that most requests need.

        `_search` goes this way first, so what is found here is what it would find.
        """
        # A byte is found in bytes by its number in a tenth of the time.
        if _PERCENT in path or 0 in path or not path.isascii():
            return None
        node = self._above_root
        values: tuple[str, ...] = ()
        for segment in path.decode().split("/"):
            child = node.children.get(segment)
            if child is None:
                if not segment:
                    return None
                for accepts, child in node.parameters:  # noqa: B007 — because the else leaves
                    if accepts is None or accepts(segment):
                        values = (*values, segment)
                        break
                else:
                    return None
            node = child
        route = node.endpoint.answers.get(method)
        return None if route is None else (route, values)

    def _search(self, method: bytes, path: bytes) -> Found[R]:
        if path == b"*":  # the server as a whole (RFC 9112 section 3.2.4), which no route is
            raise NotFound
        segments = target.decode_path(path)
        allowed: set[bytes] = set()
        # An empty segment within is in no pattern: `//x` must not pass for `/x`.
        if "" not in segments[:-1]:
            for endpoint, values in self._candidates(segments):
                route = endpoint.answers.get(method)
                if route is not None:
                    return route, values
                allowed.update(endpoint.answers)
        if not allowed:
            raise NotFound
        raise MethodNotAllowed(_sorted_methods({*allowed, b"OPTIONS"}))

    def _candidates(self, segments: list[str]) -> Iterator[tuple[_Endpoint[R], tuple[str, ...]]]:
        """The ends of all patterns that fit, the most specific one first."""
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
                if node.rest is not None:
                    stack.append((node.rest, end, (*values, "/".join(segments[index:]))))
                for accepts, child in reversed(node.parameters):
                    if accepts is None or accepts(segment):
                        stack.append((child, index + 1, (*values, segment)))
            static = node.children.get(segment)
            if static is not None:
                stack.append((static, index + 1, values))


def _method_names(methods: Iterable[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(method.upper() for method in methods))
    if not names:
        raise ValueError("a route needs a method")
    for name in names:
        if not _METHOD.fullmatch(name):
            raise ValueError(f"{name!r} is no method")
    return names


def _sorted_methods(methods: Iterable[bytes]) -> tuple[str, ...]:
    """Methods as people list them: the common ones first, others by alphabet."""
    names = {method.decode("ascii") for method in methods}
    common = tuple(name for name in _METHOD_ORDER if name in names)
    return common + tuple(sorted(names.difference(common)))


def _raw(pattern: Pattern) -> bytes:
    """The path of a static pattern as clients send it (RFC 3986 sections 2.1 and 3.3)."""
    texts = (quote(str(segment), safe="!$&'()*+,;=:@") for segment in pattern.segments)
    return ("/" + "/".join(texts)).encode("ascii")
