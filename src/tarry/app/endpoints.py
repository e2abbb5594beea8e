"""What the router keeps at one place: routes by method and narrowing."""

from typing import Final, Generic, TypeVar

from tarry.app.conditions import Conditions
from tarry.app.patterns import Pattern
from tarry.app.regexps import Regexp

R = TypeVar("R")

ANY_METHOD: Final = "*"
"""Stands for every method, also for those that nobody has thought of yet."""

COMMON_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods most requests have, in the order in which people list them."""


class Entry(Generic[R]):
    """One call of `Router.add`."""

    __slots__ = ("conditions", "methods", "pattern", "route")

    def __init__(
        self,
        pattern: Pattern | Regexp,
        methods: tuple[str, ...],
        route: R,
        conditions: Conditions | None,
    ) -> None:
        self.pattern = pattern
        self.methods = methods
        self.route = route
        self.conditions = conditions

    @property
    def narrowing(self) -> int:
        """How many expressions have to hold at least."""
        return 0 if self.conditions is None else self.conditions.count


class Endpoint(Generic[R]):
    """The routes at one place.

    `entries` has them by method and conditions.  `answers` has, for each
    method, the route that is found whatever else the request has: none if the
    first to be tried is narrowed.
    """

    __slots__ = ("_chains", "answers", "entries")

    def __init__(self) -> None:
        self.entries: dict[tuple[str, Conditions | None], Entry[R]] = {}
        self.answers: dict[bytes, R] = {}
        self._chains: dict[bytes, tuple[Entry[R], ...]] = {}

    def set(self, method: str, entry: Entry[R]) -> Entry[R] | None:
        """Have an entry for a method, after all that are there; gives the one it replaces."""
        key = method, entry.conditions
        replaced = self.entries.pop(key, None)
        self.entries[key] = entry
        self._refresh()
        return replaced

    def remove(self, method: str, conditions: Conditions | None) -> Entry[R]:
        """Take away and give the entry for a method and conditions."""
        removed = self.entries.pop((method, conditions))
        self._refresh()
        return removed

    def chain(self, method: bytes) -> tuple[Entry[R], ...]:
        """What to try for a method, in this order.

        Routes for the method itself come first, for HEAD then those for GET,
        and those for any method last; among them the most narrowed first, and
        then in order of registration.
        """
        chain = self._chains.get(method)
        return self._chains.get(b"*", ()) if chain is None else chain

    @property
    def methods(self) -> frozenset[bytes]:
        """The methods with a route; `*` for any, and HEAD where there is GET."""
        return frozenset(self._chains)

    def _refresh(self) -> None:
        by_method: dict[str, list[Entry[R]]] = {}
        for (method, _), entry in self.entries.items():
            by_method.setdefault(method, []).append(entry)
        for entries in by_method.values():
            entries.sort(key=lambda entry: -entry.narrowing)
        self._chains = {
            method.encode("ascii"): tuple(_chain(method, by_method))
            for method in _methods(by_method)
        }
        # Changed in place, as the router's table of static paths has this dict itself.
        self.answers.clear()
        for name, (first, *_) in self._chains.items():
            if first.conditions is None and name != b"*":
                self.answers[name] = first.route


def _methods(by_method: dict[str, list[Entry[R]]]) -> set[str]:
    implied = {"HEAD"} if "GET" in by_method else set()
    if ANY_METHOD in by_method:
        # Any others are found by `chain`; these are common enough for the short way.
        implied.update(COMMON_METHODS)
    return {*by_method, *implied}


def _chain(method: str, by_method: dict[str, list[Entry[R]]]) -> list[Entry[R]]:
    sources = {"HEAD": ("HEAD", "GET", ANY_METHOD), ANY_METHOD: (ANY_METHOD,)}
    names = sources.get(method, (method, ANY_METHOD))
    return [entry for name in names for entry in by_method.get(name, [])]
