"""A handler at its place, and the registry of all of them."""

import functools
from collections.abc import Callable
from typing import Any, get_type_hints

from tarry.app.binding import Known, compile_binding
from tarry.app.calling import Caller, Run
from tarry.app.conditions import Conditions, parse_conditions
from tarry.app.filters import Filter
from tarry.app.lanes import Lane, lane_of
from tarry.app.patterns import Pattern, parse_pattern
from tarry.app.regexps import Regexp, parse_regexp
from tarry.app.responses import Html
from tarry.app.route_options import Registration, RouteOptions
from tarry.app.stepping import is_generator_function

_WITHOUT_BODY = {"GET", "HEAD", "OPTIONS", "TRACE"}
"""Methods whose requests seldom have a body, so that no form is looked for (RFC 9110 9.3)."""


class Route:
    """A handler at its place.

    `run` answers an exchange, filters of the route included; `handler` is the
    same without them.
    """

    __slots__ = ("conditions", "function", "handler", "lane", "methods", "name", "options",
                 "origin", "path", "pattern", "run")  # fmt: skip

    def __init__(
        self,
        registration: Registration,
        pattern: Pattern | Regexp,
        conditions: Conditions | None,
        lane: Lane,
        handler: Run,
    ) -> None:
        self.pattern = pattern
        self.path = str(pattern)
        self.function = registration.function
        self.options: RouteOptions = registration.options
        self.methods = registration.options.methods
        self.name = registration.origin
        self.conditions = conditions
        self.lane = lane
        self.handler = self.run = handler

    def filters(self) -> tuple[Filter, ...]:
        """The filters of the groups around it, outermost first, then its own."""
        return tuple(as_filter(each) for each in self.options.all_filters())


@functools.cache
def as_filter(function: Callable[..., Any]) -> Filter:
    """A function as a filter; one that is a `Filter` already stays as it is."""
    return function if isinstance(function, Filter) else Filter(function)


def make_route(
    registration: Registration, caller: Caller, known: Known, max_body_bytes: int | None
) -> Route:
    """Compile a handler, for bodies up to a limit if they have another one than the default.

    Raises:
        TypeError, ValueError: a path, signature or combination that cannot be.
    """
    path, regexp, function, options, _ = registration
    pattern = parse_pattern(path) if path is not None else parse_regexp(regexp or "")
    conditions = parse_conditions(options.params, options.headers)  # type: ignore[arg-type]  # because it refuses what is no expression
    lane = lane_of(function, options.inline)
    if options.inline and is_generator_function(function):
        raise TypeError("inline=True is for a plain function; drop it, a generator runs in steps")
    binding = compile_binding(
        function,
        pattern.names,
        known,
        pattern.types,
        optional_names=set(pattern.names) - set(pattern.required_names),
        takes_form=not _WITHOUT_BODY.issuperset(options.methods),
    )
    html = returns_html(function)
    handler = caller.compile(
        function,
        binding,
        lane,
        html=html,
        max_body_bytes=max_body_bytes,
        ticket=options.ticket,
    )
    for each in options.filters:
        as_filter(each)  # so that a mistake shows here
    return Route(registration, pattern, conditions, lane, handler)


def returns_html(function: Callable[..., Any]) -> bool:
    """Whether the text that a handler returns is HTML."""
    try:
        return get_type_hints(function).get("return") is Html
    except (NameError, TypeError):  # a name that is not importable, or no plain function
        return False
