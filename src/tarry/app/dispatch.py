"""From an exchange to a call: the router decides which handler, its lane runs it."""

import functools
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final

from tarry.app import lifecycle
from tarry.app.answering import HANDLER_ERRORS, Answerer
from tarry.app.binders import Binder, standard_binders
from tarry.app.calling import Caller
from tarry.app.conditions import Conditions
from tarry.app.dependencies import Provider
from tarry.app.errors import HttpError
from tarry.app.events import APP_EVENTS, Emitter
from tarry.app.facts import FormNeeded, RequestFacts
from tarry.app.failures import ErrorHandlers
from tarry.app.filters import Filter, Next
from tarry.app.lanes import Lanes
from tarry.app.params import describe_function
from tarry.app.passages import InlinePassage, Inside, Passage
from tarry.app.request import Request, request_of
from tarry.app.route_options import Registration, RegistrationError, RouteOptions
from tarry.app.router import DuplicateRoute, MethodNotAllowed, NarrowedOut, NotFound, Router
from tarry.app.routes import Route, make_route
from tarry.app.watchdog import Watchdog
from tarry.exchange import DEFAULT_MAX_BODY_BYTES, Exchange
from tarry.message.heads import ResponseHead
from tarry.message.target import InvalidTarget, decode_path

DEFAULT_MAX_THREADS: Final = 40
"""Handlers that block at once; more wait.  AnyIO and so FastAPI have 40, too."""

DEFAULT_MAX_QUEUED: Final = 1000
"""Requests that wait for a thread; beyond it the answer is 503."""


class RouteError(RegistrationError):
    """A route that cannot be registered; the text names function, file and line."""


class Dispatcher:
    """Routes, binders, filters and handlers of errors and events, and the way through them.

    It is what a server serves: see `exchange.Application`.  Take `handle`
    when all filters are registered, for the first one changes it.
    """

    def __init__(
        self,
        max_threads: int = DEFAULT_MAX_THREADS,
        max_queued: int = DEFAULT_MAX_QUEUED,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
        *,
        debug: bool = False,
        source: Any = None,
    ) -> None:
        self.router: Router[Route] = Router()
        self.errors = ErrorHandlers()
        self.events = Emitter(APP_EVENTS, self._in_thread)
        self.handle: Callable[[Exchange], None] = self.route
        self._static, self._descend = self.router.static, self.router.descend
        self._named: dict[str, Route] = {}
        self._filters: tuple[Filter, ...] = ()
        self._lanes = Lanes(max_threads, max_queued)
        self.binders: dict[Any, Binder | Provider] = {**standard_binders(self._lanes)}
        self._answerer = Answerer(self._lanes, self.errors, self.events, debug=debug)
        self._caller = Caller(self._lanes, self._answerer)
        self._max_body_bytes = None if max_body_bytes == DEFAULT_MAX_BODY_BYTES else max_body_bytes
        self._max_form_bytes = max_body_bytes
        self._source = source
        self._is_narrowed = self._is_started = self._tells = self._filters_differ = False
        self._watchdog: Watchdog | None = None

    @property
    def lanes(self) -> Lanes:
        """Where handlers run."""
        return self._lanes

    @property
    def answerer(self) -> Answerer:
        """What becomes of results and errors."""
        return self._answerer

    def set_on_ticket(self, begin: Callable[[Exchange], None]) -> None:
        """Have `begin` called when a handler of a route with `ticket=True` begins."""
        self._caller.on_ticket = begin

    # ---- putting it together -----------------------------------------------------------

    def add(self, registration: Registration) -> Route:
        """Make a route and register it.

        Raises:
            RouteError: a path, signature or combination that cannot be, or a
                second route for the same place, naming both.
        """
        place = registration.path if registration.regexp is None else registration.regexp
        function, options = registration.function, registration.options
        try:
            route = make_route(registration, self._caller, self.binders, self._limit_of(options))
            self._check_name(options.name, route)
            self.router.add(
                route.pattern, route.methods, route, route.conditions, replace=options.replace
            )
        except DuplicateRoute as error:
            raise RouteError(
                f"{error}: {describe_function(error.existing.function)} is there before "
                f"{describe_function(function)}"
            ) from error
        except (TypeError, ValueError) as error:
            raise RouteError(f"{error} [route {place}, {describe_function(function)}]") from error
        if options.replace:
            self._forget_names()
        if options.name is not None:
            self._named[options.name] = route
        self._is_narrowed |= route.conditions is not None
        if route.conditions is not None and route.conditions.needs_parameters:
            self._max_form_bytes = max(self._max_form_bytes, options.max_body_bytes or 0)
        if self._is_started:
            self._surround(route)
        return route

    def _limit_of(self, options: RouteOptions) -> int | None:
        """The limit of a body; `None` if it is the default and nothing was read before."""
        if options.max_body_bytes is not None:
            return options.max_body_bytes
        if options.params and self._max_body_bytes is None:
            return DEFAULT_MAX_BODY_BYTES
        return self._max_body_bytes

    def _check_name(self, name: str | None, route: Route) -> None:
        there = self._named.get(name) if name is not None else None
        if there is not None and not route.options.replace:
            raise ValueError(
                f"the name {name!r} is that of {there.path}, {describe_function(there.function)}"
            )

    def remove(self, which: str | Callable[..., Any]) -> list[Route]:
        """Take away the routes of a name, of a path that begins with "/", or of a function.

        Requests under way are answered still.

        Raises:
            LookupError: there is no such route.
        """
        found = [each for each in self.router if which in _keys(each[2])]
        if not found or which is None:
            raise LookupError(f"there is no route {which!r}")
        for pattern, methods, route in found:  # others may have replaced some of its methods
            self.router.remove(pattern, methods, route.conditions)
        self._forget_names()
        return [route for _, _, route in found]

    def _forget_names(self) -> None:
        there = {route for _, _, route in self.router}
        self._named = {name: route for name, route in self._named.items() if route in there}

    def url_for(self, name: str, values: dict[str, object]) -> str:
        """The percent-encoded path of a named route.

        Raises:
            LookupError: there is no route of this name.
            BuildError: a value is missing, superfluous or impossible.
        """
        route = self._named.get(name)
        if route is None:
            raise LookupError(f"there is no route named {name!r}")
        return route.pattern.build(values)

    def add_filter(self, step: Filter) -> None:
        """Have a filter around everything that its paths match.

        Raises:
            RuntimeError: the application is being served; it would miss requests.
        """
        self._check_not_started()
        self._filters_differ |= step.matches is not None
        self._set_filters((*self._filters, step))

    def _set_filters(self, filters: tuple[Filter, ...]) -> None:
        """Have these filters around everything, by the shortest way."""
        self._filters = filters
        self.handle = self._handle_filtered
        if all(each.is_inline and each.matches is None for each in filters):
            steps = tuple(each.step() for each in filters)
            self.handle = InlinePassage(steps, self.route, self._answerer, self._lanes).handle
        if self._max_body_bytes is not None:
            self.handle = _limited(self.handle, self._max_body_bytes)

    def _check_not_started(self) -> None:
        if self._is_started:
            raise RuntimeError("filters and their events come before the application starts")

    TOLD_BY_FILTER: Final = ("request", "response", "gone")
    """Events that cost nothing before somebody listens to one."""

    def tell_requests(self) -> None:
        """Have a filter, the outermost, tell of requests and responses.

        Raises:
            RuntimeError: as `add_filter`, if nobody was told until now.
        """
        if not self._tells:
            self._check_not_started()
            self._tells = True
            self._set_filters((Filter(self._tell), *self._filters))

    async def _tell(self, request: Request, next: Next) -> Any:
        emit, source = self.events.emit, self._source
        if self.events.has("gone"):
            gone = functools.partial(emit, "gone", source, request=request)
            request.exchange.on_gone(lambda: self._lanes.start(gone()))
        await emit("request", source, request=request)
        response = await next(request)
        await emit("response", source, request=request, response=response)
        return response

    def _surround(self, route: Route) -> None:
        """Have the filters of a route run around its handler."""
        filters = route.filters()
        handler = route.handler
        limit = self._limit_of(route.options)

        def run(exchange: Exchange, values: tuple[str, ...]) -> None:
            if limit is not None and exchange.body is not None:
                exchange.body.max_bytes = limit  # its filters read as much as the route takes
            self._pass(exchange, filters, lambda exchange: handler(exchange, values))

        route.run = run if filters else handler

    def _pass(self, exchange: Exchange, filters: tuple[Filter, ...], inside: Inside) -> None:
        request = request_of(exchange, self._lanes)
        passage = Passage(request, filters, inside, self._answerer, self._lanes)
        # A context of its own: what filters set in it is not for the next request of a connection.
        copy_context().run(passage.go)

    # ---- the life of an application ------------------------------------------------------

    async def startup(self) -> None:
        """Serve on the running loop from now on.

        Raises:
            Exception: what a function for the event `start` raised.
        """
        self._lanes.open()
        try:
            await lifecycle.start(self.events, self._source)
        except BaseException:
            self._lanes.close()
            raise
        self._is_started = True
        for _, _, route in self.router:
            self._surround(route)
        self._watchdog = Watchdog()

    def drain(self) -> None:
        """Have what lasts end soon: the server begins to stop."""
        self._lanes.drain()

    async def shutdown(self) -> None:
        """End threads and watchdog, and tell who wants to know."""
        await lifecycle.stop(self.events, self._source)
        self._is_started = False
        await self._lanes.finish()
        self._lanes.close()
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self._lanes.in_thread(function, *arguments)

    # ---- a request ---------------------------------------------------------------------

    def route(self, exchange: Exchange) -> None:
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
            # `Router.find` written out, but for what was asked above.
            found = self._descend(head.method, head.path)
            if found is None:
                accepts = functools.partial(self._accepts, exchange) if self._is_narrowed else None
                found = self.router.search(head.method, head.path, accepts)
            route, values = found
        except NotFound as error:
            self._miss(exchange, error)
        except MethodNotAllowed as error:
            self._wrong_method(exchange, error.allowed)
        except InvalidTarget as error:
            self._answerer.failed(exchange, HttpError(400, f"the path does not decode: {error}"))
        except FormNeeded:
            self._lanes.spawn(exchange, self._answerer.run(exchange, self._read_form(exchange)))
        except HANDLER_ERRORS as error:
            self._answerer.failed(exchange, error)
        else:
            route.run(exchange, values)

    def _handle_filtered(self, exchange: Exchange) -> None:
        """As `route`, by way of the filters."""
        filters = self._filters
        if self._filters_differ:
            try:
                segments = decode_path(exchange.head.path)
            except InvalidTarget:
                segments = []  # answered with 400, which the filters for all paths see
            filters = tuple(
                each
                for each in filters
                if each.matches is None or (segments and each.matches(segments))
            )
        if filters:
            self._pass(exchange, filters, self.route)
        else:
            self.route(exchange)

    def _accepts(self, exchange: Exchange, conditions: Conditions) -> bool:
        return conditions.matches(RequestFacts(exchange))

    async def _read_form(self, exchange: Exchange) -> None:
        """Read the form that decides between routes, then decide.

        It may be as large as one of them takes; the others refuse it then.
        """
        if exchange.body is not None:
            exchange.body.max_bytes = self._max_form_bytes
        await request_of(exchange, self._lanes).form()
        self.route(exchange)

    def _miss(self, exchange: Exchange, error: NotFound) -> None:
        if exchange.head.path == b"*":
            self._tell_methods(exchange, self.router.methods())
            return
        detail = "there is nothing at this address"
        if isinstance(error, NarrowedOut):
            detail = "what is at this address takes other parameters or headers"
        self._answerer.failed(exchange, HttpError(404, detail))

    def _wrong_method(self, exchange: Exchange, allowed: tuple[str, ...]) -> None:
        if exchange.head.method == b"OPTIONS":
            self._tell_methods(exchange, allowed)
            return
        detail = f"this address takes {', '.join(allowed)}"
        headers = [(b"allow", ", ".join(allowed).encode())]
        self._answerer.failed(exchange, HttpError(405, detail, headers=headers))

    def _tell_methods(self, exchange: Exchange, allowed: tuple[str, ...]) -> None:
        head = ResponseHead(204, [(b"allow", ", ".join(allowed).encode())])
        self._answerer.send(exchange, (head, b""))


def _limited(handle: Callable[[Exchange], None], max_body_bytes: int) -> Callable[[Exchange], None]:
    """As `handle`; what filters read is no more than the application takes."""

    def handle_limited(exchange: Exchange) -> None:
        if exchange.body is not None:
            exchange.body.max_bytes = max_body_bytes
        handle(exchange)

    return handle_limited


def _keys(route: Route) -> tuple[Any, ...]:
    """What `Dispatcher.remove` knows a route by; a name never begins with "/"."""
    return (route.options.name, route.path, route.function)
