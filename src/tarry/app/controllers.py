"""Classes whose methods are handlers, and the marks that say which.

`route`, `get`, `post`, `put`, `patch` and `delete` only mark: a method of a
class, or a function of a module that is scanned.  `controller` marks a class.
What is marked becomes registrations in `marked_routes`.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard, TypeVar, Unpack, overload

from tarry.app.route_options import (
    Methods,
    RegistrationError,
    RouteKeywords,
    RouteMark,
    Scope,
    ScopeKeywords,
    check_keywords,
    checked_name,
    parse_methods,
    read_mark,
    read_scope,
)

Markable = TypeVar(
    "Markable",
    bound="Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any]",
)
Class = TypeVar("Class", bound=type[Any])

_ROUTES: Final = "__tarry_routes__"
_CONTROLLER: Final = "__tarry_controller__"


# ---- marks of functions --------------------------------------------------------------


class _Verb:
    """A decorator that marks a function as the handler of one method.

    It takes paths or `regexp`, and the keywords of `Registrar`.  Without a path
    it means the address of the class itself; then the parentheses can go, too.

    Raises:
        RegistrationError: an option that cannot be.
    """

    __slots__ = ("_methods",)

    def __init__(self, methods: str) -> None:
        self._methods = methods

    @overload
    def __call__(
        self, *paths: str, regexp: str | None = None, **options: Unpack[RouteKeywords]
    ) -> Callable[[Markable], Markable]: ...
    @overload
    def __call__(self, function: Markable, /) -> Markable: ...
    def __call__(
        self, *paths: Any, regexp: str | None = None, **options: Unpack[RouteKeywords]
    ) -> Any:
        return _marking(paths, regexp, self._methods, options)


get: Final = _Verb("GET")
post: Final = _Verb("POST")
put: Final = _Verb("PUT")
patch: Final = _Verb("PATCH")
delete: Final = _Verb("DELETE")


@overload
def route(
    *paths: str,
    regexp: str | None = None,
    methods: Methods | None = None,
    **options: Unpack[RouteKeywords],
) -> Callable[[Markable], Markable]: ...
@overload
def route(function: Markable, /) -> Markable: ...
def route(
    *paths: Any,
    regexp: str | None = None,
    methods: Methods | None = None,
    **options: Unpack[RouteKeywords],
) -> Any:
    """Mark a function as a handler; it is registered with its class or by a scan.

    Without `methods` it has those of its class, else GET.  Without a path it
    means the address of the class itself; then the parentheses can go, too.

    Raises:
        RegistrationError: an option that cannot be.
    """
    return _marking(paths, regexp, methods, options)


def _marking(
    paths: tuple[Any, ...], regexp: str | None, methods: Methods | None, options: RouteKeywords
) -> Any:
    bare = paths[0] if len(paths) == 1 and not isinstance(paths[0], str) else None
    if bare is not None or (not paths and regexp is None):
        paths = ("",)
    mark = read_mark(paths, regexp, methods, options)
    return _marked(mark, bare) if bare is not None else functools.partial(_marked, mark)


def _marked(mark: RouteMark, function: Markable) -> Markable:
    if isinstance(function, type) or not hasattr(function, "__name__"):
        raise RegistrationError(
            f"{function!r} is no function: a class takes @controller, anything else goes into a def"
        )
    try:
        # The uppermost decorator comes first, although it is applied last.
        setattr(function, _ROUTES, (mark, *marks_of(function)))
    except AttributeError as error:
        raise RegistrationError(f"{function!r} cannot be marked: put it into a def") from error
    return function


def marks_of(function: object) -> tuple[RouteMark, ...]:
    """The marks of a function, also of one that functools.wraps has made of it."""
    # Asked past `__getattr__`: modules and classes hold objects that pretend to be others.
    marks: tuple[RouteMark, ...] = inspect.getattr_static(function, _ROUTES, ())
    if not marks and is_static(function):
        return marks_of(function.__func__)
    return marks


def is_static(
    value: object,
) -> TypeGuard["staticmethod[Any, Any] | classmethod[Any, Any, Any]"]:
    """Whether this, as it stands in a class, is called without an object."""
    return issubclass(type(value), staticmethod | classmethod)


# ---- marks of classes ----------------------------------------------------------------


class ControllerKeywords(ScopeKeywords, total=False):
    """The keywords of a controller; see `controller`."""

    singleton: bool
    args: Iterable[Any]
    kwargs: Mapping[str, Any] | None
    methods: Methods | None
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerMark:
    """What is said about a class; see `controller`."""

    scope: Scope
    singleton: bool = False
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    methods: tuple[str, ...] | None = None
    name: str | None = None


@overload
def controller(cls: Class, /) -> Class: ...
@overload
def controller(
    prefix: str = "", **options: Unpack[ControllerKeywords]
) -> Callable[[Class], Class]: ...
def controller(prefix: Any = "", **options: Unpack[ControllerKeywords]) -> Any:
    """Mark a class as a controller: its marked methods, and those of its bases, are handlers.

    Paths of methods begin with `prefix`; regular expressions match whole paths
    and do not.  `methods` are for those that have none of their own.  A request
    has to meet `params` and `headers` of the class and of the method.
    `filters` run around those of the method, and a method's own
    `max_body_bytes` comes first.  With `name="users"` the method `show` is
    called `users.show`, unless it has a name.

    Each request gets a new object, made with `args` and `kwargs` where the
    handler runs: in its thread, or on the loop.  With `singleton` there is one
    object for all, made when the class is registered.

    Raises:
        RegistrationError: an option that cannot be.
    """
    if isinstance(prefix, type):
        return controller()(prefix)
    mark = read_controller(prefix, **options)

    def decorate(cls: Class) -> Class:
        if not isinstance(cls, type):
            raise RegistrationError(f"{cls!r} is no class, so it is no controller")
        setattr(cls, _CONTROLLER, mark)
        return cls

    return decorate


def read_controller(
    prefix: str, *, singleton: bool = False, args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None, methods: Methods | None = None,
    name: str | None = None, **around: Unpack[ScopeKeywords],
) -> ControllerMark:  # fmt: skip
    """Check what is said about a class; see `controller`."""
    check_keywords(around, ControllerKeywords)
    return ControllerMark(
        scope=read_scope(prefix, **around),
        singleton=singleton,
        args=tuple(args),
        kwargs=dict(kwargs or {}),
        methods=None if methods is None else parse_methods(methods),
        name=checked_name(name),
    )


def is_controller(value: object) -> bool:
    """Whether this is a class that `controller` has marked, itself and not only a base of it."""
    return issubclass(type(value), type) and _CONTROLLER in vars(value)


def controller_of(cls: type[Any]) -> ControllerMark:
    """What `controller` says about a class or else the nearest base of it."""
    mark: ControllerMark | None = getattr(cls, _CONTROLLER, None)
    return ControllerMark(scope=Scope()) if mark is None else mark
