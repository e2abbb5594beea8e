"""`App`: what authors hold.  It puts the parts together and names them."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tarry.app.binders import Binder
from tarry.app.describe import RouteRow, route_table, site_map
from tarry.app.dispatch import DEFAULT_MAX_QUEUED, DEFAULT_MAX_THREADS, Dispatcher
from tarry.app.failures import ErrorKey
from tarry.exchange import Exchange
from tarry.server.console_log import log_to_terminal
from tarry.server.settings import ServerSettings
from tarry.server.worker import ServerHandle, run, serve

if TYPE_CHECKING:
    from tarry.testing.client import Client

Function = TypeVar("Function", bound=Callable[..., Any])
ErrorFunction = TypeVar("ErrorFunction", bound=Callable[..., Any])


class App:
    """An application: routes and what belongs to them; it can serve itself.

    `max_threads` handlers written as `def` run at once, and `max_queued` more
    requests may wait for a thread; beyond that the answer is 503.
    """

    def __init__(
        self,
        *,
        max_threads: int = DEFAULT_MAX_THREADS,
        max_queued: int = DEFAULT_MAX_QUEUED,
    ) -> None:
        self._dispatcher = Dispatcher(max_threads, max_queued)
        self.handle: Callable[[Exchange], None] = self._dispatcher.handle
        self.startup = self._dispatcher.startup
        self.shutdown = self._dispatcher.shutdown

    # ---- routes ------------------------------------------------------------------------

    def route(
        self, path: str, *, methods: Iterable[str] = ("GET",), inline: bool = False
    ) -> Callable[[Function], Function]:
        """Register the decorated function for a path and some methods.

        An `async def` runs on the loop, a `def` in a thread; `inline=True`
        runs a `def` on the loop itself, for small functions that never block.

        Raises:
            RouteError: naming function, file and line, and what is wrong.
        """

        def register(function: Function) -> Function:
            self.add_route(path, function, methods=methods, inline=inline)
            return function

        return register

    def get(self, path: str, *, inline: bool = False) -> Callable[[Function], Function]:
        """As `route`, for GET; HEAD comes with it."""
        return self.route(path, methods=("GET",), inline=inline)

    def post(self, path: str, *, inline: bool = False) -> Callable[[Function], Function]:
        """As `route`, for POST."""
        return self.route(path, methods=("POST",), inline=inline)

    def put(self, path: str, *, inline: bool = False) -> Callable[[Function], Function]:
        """As `route`, for PUT."""
        return self.route(path, methods=("PUT",), inline=inline)

    def patch(self, path: str, *, inline: bool = False) -> Callable[[Function], Function]:
        """As `route`, for PATCH."""
        return self.route(path, methods=("PATCH",), inline=inline)

    def delete(self, path: str, *, inline: bool = False) -> Callable[[Function], Function]:
        """As `route`, for DELETE."""
        return self.route(path, methods=("DELETE",), inline=inline)

    def add_route(
        self,
        path: str,
        function: Callable[..., Any],
        *,
        methods: Iterable[str] = ("GET",),
        inline: bool = False,
    ) -> None:
        """Register a function without decorating it; see `route`."""
        self._dispatcher.add_route(path, methods, function, inline=inline)

    def binder(self, kind: Any) -> Callable[[Function], Function]:
        """Register the decorated function as what makes arguments of a type.

        It is called with the exchange and a `BinderContext`; an `async def` is
        awaited.  Register it before the routes that use the type.

        Raises:
            ValueError: the type has a binder already.
        """

        def register(function: Function) -> Function:
            if kind in self._dispatcher.binders:
                raise ValueError(f"there is a binder for {kind!r} already")
            binder: Binder = function
            self._dispatcher.binders[kind] = binder
            return function

        return register

    @overload
    def error(self, key: ErrorKey) -> Callable[[ErrorFunction], ErrorFunction]: ...
    @overload
    def error(self, key: ErrorFunction) -> ErrorFunction: ...
    def error(self, key: Any) -> Any:
        """Register a function that answers for errors.

        `@app.error(404)`, `@app.error("4xx")`, `@app.error(MyError)`, or bare
        for all.  It may take `error`, `request` and `status` by these names;
        the status stays unless it returns another.

        Raises:
            ValueError: no such error, or one that has a handler already.
        """
        if callable(key) and not isinstance(key, type):
            self._dispatcher.errors.add(None, key)
            return key

        def register(function: ErrorFunction) -> ErrorFunction:
            self._dispatcher.errors.add(key, function)
            return function

        return register

    def site_map(self) -> str:
        """The tree of all routes, for people."""
        return site_map(route for _, _, route in self._dispatcher.router)

    def routes(self) -> list[RouteRow]:
        """One row for each route, in the order of registration."""
        return route_table(route for _, _, route in self._dispatcher.router)

    def testing(self, **options: Any) -> "Client":
        """A client that drives this application without sockets; see `tarry.testing.Client`."""
        from tarry.testing.client import Client  # here, since a server never needs it

        return Client(self, **options)

    # ---- serving -----------------------------------------------------------------------

    def run(self, **settings: Any) -> None:
        """Serve until SIGINT or SIGTERM; messages and the access log go to the terminal.

        `settings` are those of `ServerSettings`: `host`, `port` and so on.  If
        the address cannot be listened on, it says why and exits with status 1.
        """
        chosen = ServerSettings(**settings)
        log_to_terminal()
        run(self, chosen)

    async def serve(self, **settings: Any) -> None:
        """Serve in the running loop until SIGINT or SIGTERM, or until cancelled.

        Raises:
            ListenError: the address cannot be listened on.
        """
        await serve(self, ServerSettings(**settings))

    def start(self, **settings: Any) -> ServerHandle:
        """Serve in a thread and return at once; the handle has `url` and `stop()`.

        The port is a free one unless it is given.

        Raises:
            ListenError: the address cannot be listened on.
        """
        return ServerHandle(self, ServerSettings(**{"port": 0, **settings}))
