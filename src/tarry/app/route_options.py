"""What an author says about a route: its places, its options, and what surrounds it.

The decorators of an application, of groups and of controllers take the same
keywords.  They are read and checked here, once, and end in a `Registration`.
A `Scope` is what a group or a controller puts around its routes.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias, TypedDict, Unpack

Filter: TypeAlias = Callable[..., Any]
"""A function that runs around a handler."""

Methods: TypeAlias = str | Iterable[str]
"""`"GET"`, `"GET, POST"`, a list or tuple of methods, or `"*"` for any; case does not matter."""

Narrowing: TypeAlias = object
"""An expression, a list or tuple of expressions, or an object made of them; opaque here."""

ANY_METHOD: Final = "*"
"""Stands for every method, also those that nobody has heard of."""

# A token of RFC 9110 section 5.6.2; routes have methods in capitals.
_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]+")


class RegistrationError(ValueError):
    """What cannot be registered, and why; raised while the application is put together."""


class RouteKeywords(TypedDict, total=False):
    """The keywords that every way to register a route takes; see `RouteOptions`."""

    name: str | None
    inline: bool
    params: Narrowing
    headers: Narrowing
    filters: Iterable[Filter]
    max_body_bytes: int | None
    replace: bool
    ticket: bool


class ScopeKeywords(TypedDict, total=False):
    """The keywords of groups and controllers; see `Scope`."""

    params: Narrowing
    headers: Narrowing
    filters: Iterable[Filter]
    max_body_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteOptions:
    """The options of one route, checked, with those of the scopes around it.

    `params` and `headers` are narrowings of which all must hold, those of outer
    scopes first.  `max_body_bytes` is the application's limit if it is `None`.
    `replace` says that the route may take the place of another one.  `inline`
    runs a `def` on the loop.  `name` is what a URL is built by.  With `ticket`
    the handler goes on when its client leaves, and the answer is kept for it.
    """

    methods: tuple[str, ...] = ("GET",)
    name: str | None = None
    inline: bool = False
    params: tuple[Narrowing, ...] = ()
    headers: tuple[Narrowing, ...] = ()
    filters: tuple[Filter, ...] = ()
    scopes: tuple["Scope", ...] = ()
    max_body_bytes: int | None = None
    replace: bool = False
    ticket: bool = False

    def all_filters(self) -> tuple[Filter, ...]:
        """The filters of the scopes, outermost first, then those of the route.

        Ask when the application starts: until then a scope can get more.
        """
        around = (each for scope in self.scopes for each in scope.filters)
        return (*around, *self.filters)


class Registration(NamedTuple):
    """A function at one place: a path or a regular expression, the other is `None`.

    `origin` is what people call the handler: `show`, or `Users.show` of a class.
    """

    path: str | None
    regexp: str | None
    function: Callable[..., Any]
    options: RouteOptions
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scope:
    """What surrounds routes: a group, or a class with its methods.

    Narrowing is fixed when a scope is made, so routes take it over at once.
    `filters` is a list that may grow until the application starts; routes
    therefore keep the scope itself, and see what was added after them.
    """

    prefix: str = ""
    params: tuple[Narrowing, ...] = ()
    headers: tuple[Narrowing, ...] = ()
    filters: list[Filter] = field(default_factory=list)
    max_body_bytes: int | None = None

    def enclose(self, registration: Registration) -> Registration:
        """The registration as it looks from outside; a regular expression stays as it is."""
        path, regexp, function, inner, origin = registration
        limit = inner.max_body_bytes
        options = dataclasses.replace(
            inner,
            params=(*self.params, *inner.params),
            headers=(*self.headers, *inner.headers),
            scopes=(self, *inner.scopes),
            max_body_bytes=self.max_body_bytes if limit is None else limit,
        )
        joined = None if path is None else join_paths(self.prefix, path)
        return Registration(joined, regexp, function, options, origin)


@dataclass(frozen=True, slots=True)
class RouteMark:
    """What one decorator says: the places of a function and its options.

    `has_methods` is false if the methods are those that were not asked for.
    """

    paths: tuple[str, ...]
    regexp: str | None
    options: RouteOptions
    has_methods: bool

    def registrations(self, function: Callable[..., Any], origin: str) -> Iterator[Registration]:
        """One for each place; a URL is built for the first, so that one has the name."""
        options = self.options
        for path in self.paths or (None,):
            yield Registration(path, self.regexp, function, options, origin)
            options = dataclasses.replace(options, name=None)


def join_paths(prefix: str, path: str) -> str:
    """The path below a prefix, with one "/" between them.

    "" is the prefix itself, as it was written, and "/" the prefix with a slash.
    """
    if not prefix or not path:
        return prefix or path
    return f"{prefix.removesuffix('/')}/{path.removeprefix('/')}"


# ---- reading keywords ----------------------------------------------------------------


def read_mark(
    paths: tuple[str, ...], regexp: str | None, methods: Methods | None, keywords: RouteKeywords
) -> RouteMark:
    """Check what a decorator was given; without `methods` it is GET.

    Raises:
        RegistrationError: not exactly one of paths and `regexp`, an option that
            cannot be, or one that there is not.
    """
    check_keywords(keywords, RouteKeywords)
    if bool(paths) == (regexp is not None):
        raise RegistrationError("a route has either paths or regexp=")
    for text in paths or (regexp,):
        if not isinstance(text, str):
            raise RegistrationError(f"{text!r} is no path: it is a text such as '/users/{{id}}'")
    options = _read_options(
        methods=parse_methods("GET" if methods is None else methods), **keywords
    )
    return RouteMark(paths, regexp, options, has_methods=methods is not None)


def _read_options(
    *, methods: tuple[str, ...], inline: bool = False, replace: bool = False,
    ticket: bool = False, name: str | None = None, **around: Unpack[ScopeKeywords],
) -> RouteOptions:  # fmt: skip
    scope = read_scope("", **around)
    return RouteOptions(
        methods=methods,
        name=checked_name(name),
        inline=inline,
        params=scope.params,
        headers=scope.headers,
        filters=tuple(scope.filters),
        max_body_bytes=scope.max_body_bytes,
        replace=replace,
        ticket=ticket,
    )


def read_scope(prefix: str, **keywords: Unpack[ScopeKeywords]) -> Scope:
    """Check what is said about many routes at once.

    Raises:
        RegistrationError: an option that cannot be, or one that there is not.
    """
    check_keywords(keywords, ScopeKeywords)
    if not isinstance(prefix, str):
        raise RegistrationError(f"{prefix!r} is no prefix: it is a text such as '/api'")
    params, headers = keywords.get("params"), keywords.get("headers")
    return Scope(
        prefix=prefix,
        params=() if params is None else (params,),
        headers=() if headers is None else (headers,),
        filters=_checked_filters(keywords.get("filters", ())),
        max_body_bytes=_checked_limit(keywords.get("max_body_bytes")),
    )


def check_keywords(given: Iterable[str], known: type) -> None:
    """Refuse a keyword that `known`, a `TypedDict`, does not have.

    Raises:
        RegistrationError: with all the keywords that there are.
    """
    for name in given:
        if name not in known.__annotations__:
            options = ", ".join(known.__annotations__)
            raise RegistrationError(f"there is no option {name!r} here; there are {options}")


def parse_methods(methods: Methods) -> tuple[str, ...]:
    """Methods in capitals, each once, in the order given; `("*",)` for any.

    Raises:
        RegistrationError: no method, one that is no token, or others beside `*`.
    """
    given = [methods] if isinstance(methods, str) else methods
    try:
        parts = [part.strip().upper() for text in given for part in text.split(",")]
    except (TypeError, AttributeError):
        raise RegistrationError(
            f"methods={methods!r}: write 'GET, POST', or a list of methods"
        ) from None
    names = tuple(dict.fromkeys(parts))
    if not names:
        raise RegistrationError("methods is empty, but a route needs one")
    for name in names:
        if not _METHOD.fullmatch(name):
            raise RegistrationError(f"methods={methods!r}: {name!r} is no method")
    if ANY_METHOD in names and len(names) > 1:
        raise RegistrationError(f"methods={methods!r}: '*' is any method, so leave the others out")
    return names


def checked_name(name: Any) -> str | None:
    """The name of a route.

    Raises:
        RegistrationError: it is no text, or empty.
    """
    if name is None:
        return None
    if isinstance(name, str) and name:
        return name
    raise RegistrationError(f"name={name!r}: a name is a text and not empty")


def _checked_filters(filters: Iterable[Filter]) -> list[Filter]:
    if callable(filters) or not isinstance(filters, Iterable):
        raise RegistrationError(f"filters={filters!r}: write a list of functions")
    checked = list(filters)
    for each in checked:
        if not callable(each):
            raise RegistrationError(f"filters has {each!r}, which cannot be called")
    return checked


def _checked_limit(max_body_bytes: Any) -> int | None:
    if max_body_bytes is None:
        return None
    if type(max_body_bytes) is int and max_body_bytes >= 0:
        return max_body_bytes
    raise RegistrationError(f"max_body_bytes={max_body_bytes!r}: a limit is a number of bytes")
