"""From an exchange to a call: the router decides which handler, its lane runs it."""

from collections.abc import Callable, Iterable
from typing import Any, Final, get_type_hints

from tarry.app.binders import Binder, standard_binders
from tarry.app.binding import compile_binding
from tarry.app.calling import Caller
from tarry.app.errors import HttpError
from tarry.app.failures import ErrorHandlers
from tarry.app.lanes import Lane, Lanes, lane_of
from tarry.app.params import describe_function
from tarry.app.patterns import parse_pattern
from tarry.app.request import Request
from tarry.app.responses import Html
from tarry.app.router import DuplicateRoute, MethodNotAllowed, NotFound, Router
from tarry.app.watchdog import Watchdog
from tarry.exchange import Exchange
from tarry.message.heads import ResponseHead
from tarry.message.target import InvalidTarget

DEFAULT_MAX_THREADS: Final = 40
"""Handlers that block at once; more wait.  AnyIO and so FastAPI have 40, too."""

DEFAULT_MAX_QUEUED: Final = 1000
"""Requests that wait for a thread; beyond it the answer is 503."""


class RouteError(ValueError):
    """A route that cannot be registered; the text names function, file and line."""


class Route:
    """A handler at its place."""

    __slots__ = ("function", "lane", "methods", "name", "path", "run")

    def __init__(
        self,
        path: str,
        methods: tuple[str, ...],
        function: Callable[..., Any],
        lane: Lane,
        run: Callable[[Exchange, tuple[str, ...]], None],
    ) -> None:
        self.path = path
        self.methods = methods
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.lane = lane
        self.run = run


class Dispatcher:
    """Routes, binders and error handlers of an application, and the way through them.

    It is what a server serves: see `exchange.Application`.
    """

    def __init__(
        self, max_threads: int = DEFAULT_MAX_THREADS, max_queued: int = DEFAULT_MAX_QUEUED
    ) -> None:
        self.router: Router[Route] = Router()
        self.errors = ErrorHandlers()
        self.binders: dict[Any, Binder] = {
            Request: lambda exchange, _: Request(exchange),
            **standard_binders(),
        }
        self._static = self.router.static
        self._lanes = Lanes(max_threads, max_queued)
        self._caller = Caller(self._lanes, self.errors)
        self._watchdog: Watchdog | None = None

    def add_route(
        self, path: str, methods: Iterable[str], function: Callable[..., Any], *, inline: bool
    ) -> Route:
        """Make a route and register it.

        Raises:
            RouteError: a path, signature or combination that cannot be, or a
                second route for the same place, naming both.
        """
        try:
            pattern = parse_pattern(path)
            lane = lane_of(function, inline)
            binding = compile_binding(function, pattern.names, self.binders, pattern.types)
            run = self._caller.compile(function, binding, lane, html=_returns_html(function))
            route = Route(pattern.text, tuple(methods), function, lane, run)
            self.router.add(pattern, route.methods, route)
        except DuplicateRoute as error:
            raise RouteError(
                f"{error}: {describe_function(error.existing.function)} is there before "
                f"{describe_function(function)}"
            ) from error
        except (TypeError, ValueError) as error:
            raise RouteError(f"{error} [route {path}, {describe_function(function)}]") from error
        return route

    async def startup(self) -> None:
        """Serve on the running loop from now on."""
        self._lanes.open()
        self._watchdog = Watchdog()

    async def shutdown(self) -> None:
        """End threads and watchdog."""
        self._lanes.close()
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None

    def handle(self, exchange: Exchange) -> None:
        """Answer an exchange, now or later."""
        head = exchange.head
        # Asked here, too, since most requests are for static routes: it saves them a call.
        answers = self._static.get(head.path)
        if answers is not None:
            route = answers.get(head.method)
            if route is not None:
                route.run(exchange, ())
                return
        try:
            route, values = self.router.find(head.method, head.path)
        except NotFound:
            self._miss(exchange)
        except MethodNotAllowed as error:
            self._wrong_method(exchange, error.allowed)
        except InvalidTarget as error:
            self._caller.failed(exchange, HttpError(400, f"the path does not decode: {error}"))
        else:
            route.run(exchange, values)

    def _miss(self, exchange: Exchange) -> None:
        if exchange.head.path == b"*":
            methods = {method for _, methods, _ in self.router for method in methods}
            self._tell_methods(exchange, ("OPTIONS", *sorted(methods - {"OPTIONS"})))
        else:
            self._caller.failed(exchange, HttpError(404, "there is nothing at this address"))

    def _wrong_method(self, exchange: Exchange, allowed: tuple[str, ...]) -> None:
        if exchange.head.method == b"OPTIONS":
            self._tell_methods(exchange, allowed)
            return
        detail = f"this address takes {', '.join(allowed)}"
        headers = [(b"allow", ", ".join(allowed).encode())]
        self._caller.failed(exchange, HttpError(405, detail, headers=headers))

    def _tell_methods(self, exchange: Exchange, allowed: tuple[str, ...]) -> None:
        exchange.respond(ResponseHead(204, [(b"allow", ", ".join(allowed).encode())]), b"")


def _returns_html(function: Callable[..., Any]) -> bool:
    try:
        return get_type_hints(function).get("return") is Html
    except (NameError, TypeError):  # a name that is not importable, or no plain function
        return False
