"""Handlers whose results are kept: `@app.cached` puts a function and its options together."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple, TypeVar

from tarry.app.params import describe_function, read_arguments
from tarry.app.route_options import RegistrationError
from tarry.app.stepping import is_generator_function
from tarry.state.cache import Cache
from tarry.waiting.cache_keys import key_digest
from tarry.waiting.cached_arguments import (
    Binders,
    has_dependencies,
    make_key_of_arguments,
    make_key_with,
)
from tarry.waiting.cached_calls import CachedCalls, Entry, warn_not_kept
from tarry.waiting.flights import Flights
from tarry.waiting.lot import Lot

Function = TypeVar("Function", bound=Callable[..., Any])


class Caching:
    """The cached handlers of one application."""

    def __init__(self, cache: Cache, parking: Lot, binders: Binders) -> None:
        self.cache = cache
        self.parking = parking
        self.flights = Flights()
        self._binders = binders
        self._taken: set[tuple[str, ...]] = set()

    def decorate(
        self,
        function: Function,
        keep_s: float,
        key: Callable[..., Any] | None,
        section: str | None,
        *,
        disk: bool,
    ) -> Function:
        """The function with its results kept; see `App.cached`."""
        if is_generator_function(function):
            warn_not_kept(function, "generators")
            return function
        signature = read_arguments(function)
        identity = identity_of(function)
        section = f"{identity.module}:{identity.name}" if section is None else section
        place = section, identity.module, identity.name, identity.file
        if place in self._taken:
            raise RegistrationError(
                f"cached: there is another function {identity.name} with the section {section!r};"
                f" give this one a section= of its own [{describe_function(function)}]"
            )
        if key is None:
            make_key = make_key_of_arguments(signature, self._binders)
        else:
            make_key = make_key_with(key, signature)
        self._taken.add(place)
        calls = CachedCalls(self.cache, self.parking, self.flights, function)
        calls.entry = functools.partial(entry_of, section, key_digest(identity))
        calls.keep_s = keep_s
        calls.make_key = make_key
        calls.uses_disk = disk and self.cache.has_disk
        calls.holds_thread = has_dependencies(signature, self._binders)
        return calls.endpoint()  # type: ignore[return-value]  # because it is called as the function is


class Identity(NamedTuple):
    """What tells a function from others that keep results.

    The file, since of several programs each is the module `__main__`; the code,
    so that a function that was changed does not answer as before.
    """

    module: str
    name: str
    file: str
    code: str


def identity_of(function: Callable[..., Any]) -> Identity:
    """The identity of a function, as it is written now."""
    plain: Any = inspect.unwrap(function)
    plain = plain.func if isinstance(plain, functools.partial) else plain
    named = plain if hasattr(plain, "__qualname__") else type(plain)
    code = getattr(plain, "__code__", None)
    file = "" if code is None else str(Path(code.co_filename).absolute())
    return Identity(named.__module__ or "", named.__qualname__, file, repr(_parts_of(code)))


def _parts_of(constant: object) -> object:
    """What a function does, without the lines on which it stands."""
    if isinstance(constant, CodeType):
        return constant.co_code, constant.co_names, [_parts_of(c) for c in constant.co_consts]
    # Sets of texts are in another order in each process.
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else repr(constant)


def entry_of(section: str, identity: str, value: Any) -> Entry:
    """Where the result for a value is kept; raises what `key_digest` does."""
    return section, key_digest([identity, value])
