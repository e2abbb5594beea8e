"""Where routes are registered: what an application and its groups have in common.

`Registrar` has all the ways in: decorators, groups, controllers and scans.
Each ends in `_add`, which is all that an application has to write itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, Unpack, overload

from tarry.app.controllers import (
    ControllerKeywords,
    controller_of,
    is_controller,
    read_controller,
)
from tarry.app.marked_routes import controller_routes, function_routes
from tarry.app.params import describe_function
from tarry.app.route_options import (
    Filter,
    Methods,
    Registration,
    RegistrationError,
    RouteKeywords,
    RouteOptions,
    Scope,
    ScopeKeywords,
    read_mark,
    read_scope,
)
from tarry.app.scanning import import_modules, marked_in

Function = TypeVar("Function", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type[Any])


class Registrar(ABC):
    """Something that routes are added to.

    Decorators return the function or class as it is, so several of them can
    stand above it.  All of them take these keywords:

    `name`: what a URL is built by; with several paths it is that of the first.
    `inline`: run a `def` on the loop itself; for small functions that never block.
    `params`, `headers`: narrow the route to requests that have these.
    `filters`: functions to run around this route, the outermost first.
    `max_body_bytes`: the largest body, in place of the application's limit.
    `replace`: take the place of a route that is there already.
    `ticket`: let clients that wait too long go with a ticket; the handler goes on.
    """

    @abstractmethod
    def _add(
        self,
        path: str | None,
        regexp: str | None,
        function: Callable[..., Any],
        options: RouteOptions,
        origin: str,
    ) -> None:
        """Register a function at a path or for a regular expression; see `Registration`."""

    def _add_all(self, registrations: Iterable[Registration]) -> None:
        # All are made before the first is added, so that an error leaves nothing half done.
        for registration in list(registrations):
            self._add(*registration)

    # ---- functions ---------------------------------------------------------------------

    def route(
        self,
        *paths: str,
        regexp: str | None = None,
        methods: Methods = "GET",
        **options: Unpack[RouteKeywords],
    ) -> Callable[[Function], Function]:
        """Register the decorated function for one or more paths, or for a regular expression.

        `methods` is "GET, POST", a list, or "*" for any.

        Raises:
            RegistrationError: saying what is wrong, when it is called or used.
        """
        return self._decorator("route", paths, regexp, methods, options)

    def get(
        self, *paths: str, regexp: str | None = None, **options: Unpack[RouteKeywords]
    ) -> Callable[[Function], Function]:
        """As `route`, for GET; HEAD comes with it."""
        return self._decorator("get", paths, regexp, "GET", options)

    def post(
        self, *paths: str, regexp: str | None = None, **options: Unpack[RouteKeywords]
    ) -> Callable[[Function], Function]:
        """As `route`, for POST."""
        return self._decorator("post", paths, regexp, "POST", options)

    def put(
        self, *paths: str, regexp: str | None = None, **options: Unpack[RouteKeywords]
    ) -> Callable[[Function], Function]:
        """As `route`, for PUT."""
        return self._decorator("put", paths, regexp, "PUT", options)

    def patch(
        self, *paths: str, regexp: str | None = None, **options: Unpack[RouteKeywords]
    ) -> Callable[[Function], Function]:
        """As `route`, for PATCH."""
        return self._decorator("patch", paths, regexp, "PATCH", options)

    def delete(
        self, *paths: str, regexp: str | None = None, **options: Unpack[RouteKeywords]
    ) -> Callable[[Function], Function]:
        """As `route`, for DELETE."""
        return self._decorator("delete", paths, regexp, "DELETE", options)

    def add_route(
        self,
        path: str,
        function: Callable[..., Any],
        *,
        methods: Methods = "GET",
        **options: Unpack[RouteKeywords],
    ) -> None:
        """Register a function without decorating it; see `route`."""
        self._decorator("add_route", (path,), None, methods, options)(function)

    def _decorator(
        self,
        verb: str,
        paths: tuple[str, ...],
        regexp: str | None,
        methods: Methods,
        keywords: RouteKeywords,
    ) -> Callable[[Function], Function]:
        if paths and callable(paths[0]):
            raise RegistrationError(
                f"{verb}: a path comes first, such as {verb}('/users'),"
                f" not function {describe_function(paths[0])}"
            )
        mark = read_mark(paths, regexp, methods, keywords)

        def register(function: Function) -> Function:
            if not callable(function):
                raise RegistrationError(f"{function!r} cannot be called, so it is no handler")
            origin = getattr(function, "__name__", type(function).__name__)
            self._add_all(mark.registrations(function, origin))
            return function

        return register

    # ---- many at once ------------------------------------------------------------------

    def group(self, prefix: str = "", **options: Unpack[ScopeKeywords]) -> "Group":
        """Routes that share a prefix, filters, narrowing and the limit of a body.

        A request has to meet the narrowing of the group and that of the route;
        a route's own `max_body_bytes` comes first.

        Raises:
            RegistrationError: an option that cannot be.
        """
        return Group(self, read_scope(prefix, **options))

    @overload
    def controller(self, cls: Class, /) -> Class: ...
    @overload
    def controller(
        self, prefix: str = "", **options: Unpack[ControllerKeywords]
    ) -> Callable[[Class], Class]: ...
    def controller(self, prefix: Any = "", **options: Unpack[ControllerKeywords]) -> Any:
        """Register the decorated class at once; see `controllers.controller` for the options."""
        if isinstance(prefix, type):
            return self.controller()(prefix)

        def register(cls: Class) -> Class:
            self._add_all(_routes_of(cls, prefix, options))
            return cls

        return register

    def add_controller(
        self, cls: type[Any], prefix: str = "", **options: Unpack[ControllerKeywords]
    ) -> None:
        """Register the marked methods of a class.

        Prefix and options are those of `controllers.controller`.  Without any,
        those hold that the class, or else a base of it, is decorated with.

        Raises:
            RegistrationError: naming the class and what is wrong with it; also if
                options are given here and by its decorator.
        """
        self._add_all(_routes_of(cls, prefix, options))

    def scan(
        self, package: str, regexp: str = ".*", *, project_dir: str | Path | None = None
    ) -> list[str]:
        """Import the modules of a package and register what is marked in them.

        Those modules are taken whose full dotted name matches `regexp` from
        beginning to end, in the order of their names, `package` itself being
        one of them.  What counts is defined there, not imported: functions with
        a mark of `controllers`, and classes with `controllers.controller`.
        `project_dir` is the folder of the package if Python does not find it.

        Returns the names of the modules.

        Raises:
            ScanError: no module matches, or one cannot be imported.
            RegistrationError: something that is marked cannot be registered.
        """
        modules = import_modules(package, regexp, project_dir=project_dir)
        for module in modules.values():
            for found in marked_in(module):
                is_class = isinstance(found, type)
                self._add_all(_routes_of(found) if is_class else function_routes(found))
        return list(modules)


class Group(Registrar):
    """Routes below a prefix, with narrowing and filters in common; see `Registrar.group`.

    With the prefix `/api`, the path `/x` or `x` is `/api/x`, "" is `/api`, and
    "/" is `/api/`.  A regular expression matches whole paths and cannot have a
    prefix, so it belongs to a group without one.

    `filters` may grow until the application starts, also for routes that are
    there already.
    """

    def __init__(self, parent: Registrar, scope: Scope) -> None:
        self._parent = parent
        self._scope = scope

    @property
    def prefix(self) -> str:
        """What the paths begin with, within the group around this one."""
        return self._scope.prefix

    @property
    def filters(self) -> list[Filter]:
        """What runs around the routes of this group, the outermost first."""
        return self._scope.filters

    def _add(
        self,
        path: str | None,
        regexp: str | None,
        function: Callable[..., Any],
        options: RouteOptions,
        origin: str,
    ) -> None:
        if regexp is not None and self.prefix:
            raise RegistrationError(
                f"regexp={regexp!r} matches whole paths, so the prefix {self.prefix!r} of its group"
                f" does not apply: use a group without one [{describe_function(function)}]"
            )
        registration = Registration(path, regexp, function, options, origin)
        self._parent._add(*self._scope.enclose(registration))


def _routes_of(
    cls: type[Any], prefix: str = "", options: ControllerKeywords | None = None
) -> list[Registration]:
    if not isinstance(cls, type):
        raise RegistrationError(f"{cls!r} is no class, so it is no controller")
    if not prefix and not options:
        return controller_routes(cls, controller_of(cls))
    if is_controller(cls):
        raise RegistrationError(
            f"class {cls.__module__}.{cls.__qualname__} has its options from @controller;"
            " give them there or here, not twice"
        )
    return controller_routes(cls, read_controller(prefix, **(options or {})))
