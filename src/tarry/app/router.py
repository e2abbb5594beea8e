"""From method and path to a route.

The most specific route is found that has the path and the method and whose
conditions are met.  Patterns come first, in the order that `tree` describes;
then regular expressions, in order of registration.  Of the routes at one place
those for the method itself come before those for any method, then those with
more conditions, then those registered earlier.  A more specific route that has
another method or whose conditions are not met hides nothing.

Static patterns also stand in a table by raw path, which answers most requests
without decoding anything.  It is asked first, as a static route precedes all,
and has only what is found without a further look: see `Endpoint.answers`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final, Generic, TypeVar

from tarry.app.conditions import Conditions
from tarry.app.endpoints import COMMON_METHODS, Endpoint, Entry
from tarry.app.patterns import Pattern
from tarry.app.regexps import Regexp
from tarry.app.tree import Candidate, Tree
from tarry.message import target

R = TypeVar("R")
Found = tuple[R, tuple[str, ...]]
Accepts = Callable[[Conditions], bool]

_PERCENT: Final = ord("%")
_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]+")


class DuplicateRoute(ValueError):
    """A route for the same paths, method and conditions is there; `existing` is that one."""

    def __init__(
        self,
        method: str,
        pattern: Pattern | Regexp,
        existing: Any,
        conditions: Conditions | None = None,
    ) -> None:
        super().__init__(
            f"there is a route already for {_description(method, pattern, conditions)}"
        )
        self.existing = existing


class NotFound(LookupError):
    """No route has this path."""


class NarrowedOut(NotFound):
    """Routes have this path and method, but take other parameters or headers."""


class MethodNotAllowed(LookupError):
    """Routes have this path, but none of them the method.

    `allowed` is what an Allow field lists (RFC 9110 section 10.2.1): HEAD if
    GET is there, and OPTIONS always.
    """

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(", ".join(allowed))
        self.allowed = allowed


class Router(Generic[R]):
    """Routes by path, method and conditions; iterating gives them in order of registration.

    `static` has routes without parameters, by raw path and method: those that
    are found whatever else the request has.

    Not for use by several threads at once: change it on the loop that asks it.
    """

    def __init__(self) -> None:
        self.static: dict[bytes, dict[bytes, R]] = {}
        self._tree: Tree[R] = Tree()
        self._above_root = self._tree.above_root
        self._regexps: dict[Regexp, Endpoint[R]] = {}
        self._entries: dict[Entry[R], None] = {}

    # ---- changes ---------------------------------------------------------------------

    def add(
        self,
        pattern: Pattern | Regexp,
        methods: str | Iterable[str],
        route: R,
        conditions: Conditions | None = None,
        *,
        replace: bool = False,
    ) -> None:
        """Have `route` found for the paths of `pattern`, the methods and the conditions.

        `"*"` stands for every method; a route at the same place for the method
        itself is tried before.  With `replace` the route takes the place of
        those that it would duplicate, and counts as registered now.

        Raises:
            DuplicateRoute: a route is there for one of the methods, the same
                paths, whatever their parameters are called, and equal
                conditions; nothing was added.
            ValueError: no method, or one that is no token.
        """
        names = _method_names(methods)
        there = self._maybe_endpoint(pattern) or Endpoint[R]()
        for method in names:
            existing = there.entries.get((method, conditions))
            if existing is not None and not replace:
                raise DuplicateRoute(method, pattern, existing.route, conditions)
        entry = Entry(pattern, names, route, conditions)
        endpoint = self._endpoint(pattern)
        for method in names:
            self._forget(endpoint.set(method, entry), method)
        self._entries[entry] = None

    def _endpoint(self, pattern: Pattern | Regexp) -> Endpoint[R]:
        """The endpoint of a pattern, made if it is not there."""
        if isinstance(pattern, Regexp):
            return self._regexps.setdefault(pattern, Endpoint())
        endpoint = self._tree.endpoint(pattern)
        if not pattern.parameters:
            self.static[_raw(pattern)] = endpoint.answers
        return endpoint

    def _maybe_endpoint(self, pattern: Pattern | Regexp) -> Endpoint[R] | None:
        if isinstance(pattern, Regexp):
            return self._regexps.get(pattern)
        return self._tree.maybe_endpoint(pattern)

    def remove(
        self,
        pattern: Pattern | Regexp,
        methods: str | Iterable[str],
        conditions: Conditions | None = None,
    ) -> None:
        """Take routes away, and with them every trace of their patterns.

        Raises:
            LookupError: a method without a route for these conditions; nothing
                was removed.
            ValueError: no method, or one that is no token.
        """
        names = _method_names(methods)
        endpoint = self._maybe_endpoint(pattern) or Endpoint[R]()
        for method in names:
            if (method, conditions) not in endpoint.entries:
                raise LookupError(
                    f"there is no route for {_description(method, pattern, conditions)}"
                )
        for method in names:
            self._forget(endpoint.remove(method, conditions), method)
        if not endpoint.entries:
            self._drop(pattern)

    def _forget(self, entry: Entry[R] | None, method: str) -> None:
        if entry is None:
            return
        entry.methods = tuple(each for each in entry.methods if each != method)
        if not entry.methods:
            del self._entries[entry]

    def _drop(self, pattern: Pattern | Regexp) -> None:
        if isinstance(pattern, Regexp):
            del self._regexps[pattern]
        else:
            if not pattern.parameters:
                del self.static[_raw(pattern)]
            self._tree.prune(pattern)

    def __iter__(self) -> Iterator[tuple[Pattern | Regexp, tuple[str, ...], R]]:
        for entry in self._entries:
            yield entry.pattern, entry.methods, entry.route

    def __len__(self) -> int:
        return len(self._entries)

    # ---- questions -------------------------------------------------------------------

    def find(self, method: bytes, path: bytes, accepts: Accepts | None = None) -> Found[R]:
        """The route for a raw path, and the decoded values of its parameters.

        `accepts` tells whether the request meets conditions; without it, it
        meets none.  The value of what takes several segments is a `PathText`:
        as each segment is decoded on its own before, the text can have more
        slashes, and "." or ".." segments: check it before it names a file.

        Raises:
            NotFound: no route has this path; always for `*`.
            NarrowedOut: routes have path and method, but other conditions.
            MethodNotAllowed: routes have the path, but none has the method.
            target.InvalidTarget: the path does not decode; answer 400.
        """
        answers = self.static.get(path)
        if answers is not None:
            route = answers.get(method)
            if route is not None:
                return route, ()
        return self.descend(method, path) or self.search(method, path, accepts)

    def descend(self, method: bytes, path: bytes) -> Found[R] | None:
        """Go down without looking back, which is all that most requests need.

        `search` goes this way first, so what is found here is what it would find.
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

    def search(self, method: bytes, path: bytes, accepts: Accepts | None) -> Found[R]:
        """As `find`, for what `descend` has not found; raises the same."""
        if path == b"*":  # the server as a whole (RFC 9112 section 3.2.4), which no route is
            raise NotFound
        narrowed_out = False
        allowed: set[bytes] = set()
        for endpoint, values in self._candidates(target.decode_path(path)):
            for entry in endpoint.chain(method):
                conditions = entry.conditions
                if conditions is None or (accepts is not None and accepts(conditions)):
                    return entry.route, values
                narrowed_out = True
            allowed.update(endpoint.methods)
        # An Allow field that lists the very method that is refused would help nobody.
        if narrowed_out:
            raise NarrowedOut
        if not allowed:
            raise NotFound
        raise MethodNotAllowed(_sorted_methods({*allowed, b"OPTIONS"}))

    def _candidates(self, segments: list[str]) -> Iterator[Candidate[R]]:
        """The places of a path, patterns before regular expressions."""
        candidates = self._tree.candidates(segments)
        return chain(candidates, self._expressed(segments)) if self._regexps else candidates

    def _expressed(self, segments: list[str]) -> Iterator[Candidate[R]]:
        for regexp, endpoint in self._regexps.items():
            values = regexp.values(segments)
            if values is not None:
                yield endpoint, values

    def methods(self) -> tuple[str, ...]:
        """The methods of all routes, as an answer to `OPTIONS *` lists them.

        Where a route takes any method, these are the common ones and OPTIONS.
        """
        names = {method.encode("ascii") for entry in self._entries for method in entry.methods}
        implied = {name.encode("ascii") for name in COMMON_METHODS} if b"*" in names else set()
        head = {b"HEAD"} if b"GET" in names else set()
        return _sorted_methods({*names, *implied, *head, b"OPTIONS"} - {b"*"})


def _description(method: str, pattern: Pattern | Regexp, conditions: Conditions | None) -> str:
    """A route for people."""
    narrowing = "" if conditions is None else f" [{conditions}]"
    return f"{method} {pattern}{narrowing}"


def _method_names(methods: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(methods, str):
        methods = (methods,)
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
    common = tuple(name for name in COMMON_METHODS if name in names)
    return common + tuple(sorted(names.difference(common)))


def _raw(pattern: Pattern) -> bytes:
    """The path of a static pattern as clients send it."""
    return pattern.build({}).encode("ascii")
