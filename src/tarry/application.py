"""`App`: what authors hold.  It puts the parts together and names them."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload
from urllib.parse import urlencode

from tarry.app.binders import BinderContext
from tarry.app.dependencies import Provider
from tarry.app.describe import RouteRow, route_table, site_map
from tarry.app.dispatch import DEFAULT_MAX_QUEUED, DEFAULT_MAX_THREADS, Dispatcher
from tarry.app.failures import ErrorKey
from tarry.app.filters import Filter
from tarry.app.matching import path_matcher, regexp_matcher
from tarry.app.params import describe_function
from tarry.app.registration import Registrar
from tarry.app.route_options import (
    Methods,
    Registration,
    RegistrationError,
    RouteOptions,
)
from tarry.app.routes import Route
from tarry.app.websocket_classes import class_endpoint
from tarry.app.websocket_endpoints import websocket_endpoint
from tarry.exchange import DEFAULT_MAX_BODY_BYTES, Exchange
from tarry.jobs.job import Job
from tarry.jobs.jobs import Jobs
from tarry.jobs.options import JobKeywords
from tarry.jobs.quick_worker import DEFAULT_MAX_CHUNK_CHARACTERS, QuickWorker
from tarry.jobs.runners.importing import check_may_serve
from tarry.jobs.specs import DEFAULT_MAX_QUEUED as DEFAULT_MAX_QUEUED_JOBS
from tarry.server.console_log import log_to_terminal
from tarry.server.settings import ServerSettings
from tarry.server.worker import ServerHandle, run, serve
from tarry.state.cache import DEFAULT_DISK_BYTES, DEFAULT_FOLDER, DEFAULT_MEMORY_BYTES, Cache
from tarry.state.store import Store
from tarry.timing import Clock, Duration, seconds
from tarry.waiting import scripts
from tarry.waiting.addresses import DEFAULT_PREFIX
from tarry.waiting.cached import Caching
from tarry.waiting.options import ParkKeywords
from tarry.waiting.parking import DEFAULT_MAX_PARKED
from tarry.waiting.routes import check_path, is_below
from tarry.waiting.topics import DEFAULT_KEEP, DEFAULT_KEEP_FOR, Topic
from tarry.waiting.verdicts import Verdict
from tarry.waiting.waiting import DEFAULT_STORE, Waiting
from tarry.waiting.waits import Wait

if TYPE_CHECKING:
    from tarry.testing.client import Client

Function = TypeVar("Function", bound=Callable[..., Any])
Value = TypeVar("Value")
ErrorFunction = TypeVar("ErrorFunction", bound=Callable[..., Any])


class App(Registrar):
    """An application: routes and what belongs to them; it can serve itself.

    `max_threads` handlers written as `def` run at once, and `max_queued` more
    requests may wait for a thread; beyond that the answer is 503.  Bodies of
    requests may have `max_body_bytes`, unless a route says otherwise; beyond
    that it is 413.  What requests wait for is kept in `store`: "sqlite", which
    is the file `.tarry/state.db` in the current folder and made when there is
    something to keep, "sqlite:PATH", "memory", or a `Store` of your own, which
    you close.  `max_parked` requests may wait, and `max_parked_per_client` of
    one address; beyond that it is 503.  URLs that are handed out begin with
    `base_url`, else with what the client called this server; the addresses of
    Tarry itself are below `internal`.  The `cache` has `cache_memory_bytes` and
    files of `cache_disk_bytes` in `cache_folder`, which is made when there is
    something to keep.  With `debug` an unexpected error shows
    its traceback, to clients on this machine only.
    """

    def __init__(
        self,
        *,
        max_threads: int = DEFAULT_MAX_THREADS,
        max_queued: int = DEFAULT_MAX_QUEUED,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
        debug: bool = False,
        store: str | Store = DEFAULT_STORE,
        max_parked: int = DEFAULT_MAX_PARKED,
        max_parked_per_client: int | None = None,
        base_url: str = "",
        internal: str = DEFAULT_PREFIX,
        max_queued_jobs: int = DEFAULT_MAX_QUEUED_JOBS,
        cache_memory_bytes: int = DEFAULT_MEMORY_BYTES,
        cache_disk_bytes: int = DEFAULT_DISK_BYTES,
        cache_folder: str = DEFAULT_FOLDER,
    ) -> None:
        self._dispatcher = Dispatcher(
            max_threads, max_queued, max_body_bytes, debug=debug, source=self
        )
        self.handle: Callable[[Exchange], None] = self._dispatcher.handle
        self._internal = internal
        self.drain = self._dispatcher.drain
        self._waiting = Waiting(
            self._dispatcher,
            store,
            max_parked=max_parked,
            max_parked_per_client=max_parked_per_client,
            base_url=base_url,
            prefix=internal,
        )
        self._dispatcher.binders[Job] = _no_job_yet
        self._caching = Caching(
            Cache(cache_folder, memory_bytes=cache_memory_bytes, disk_bytes=cache_disk_bytes),
            self._waiting.parking,
            self._dispatcher.binders,
        )
        self.jobs = Jobs(self._waiting, self.cache, max_queued_jobs)

    @property
    def clock(self) -> Clock:
        """Where the time-outs of waits come from; set another one, for tests, before it starts."""
        return self._waiting.clock

    @clock.setter
    def clock(self, clock: Clock) -> None:
        self._waiting.clock = clock
        self._caching.cache.clock = clock

    def tick(self, *, exactly: bool = False) -> None:
        """Have happen what is due in waiting; for clocks that jump, see `TimerTable.advance`."""
        self._waiting.parking.tick(exactly=exactly)

    async def startup(self) -> None:
        """Begin to serve on the running loop; called before the first connection.

        Raises:
            Exception: what a function for the event `start` raised.
        """
        self.jobs.check()
        self._waiting.open()
        await self._dispatcher.startup()
        self.jobs.open()

    def hurry(self) -> None:
        """End jobs at once, if the server has begun to stop."""
        self.jobs.engine.hurry()

    async def shutdown(self) -> None:
        """End what was started; called after the last connection has closed."""
        await self.jobs.close()
        await self._dispatcher.shutdown()
        await self._waiting.close()

    # ---- routes ------------------------------------------------------------------------

    def _add(
        self,
        path: str | None,
        regexp: str | None,
        function: Callable[..., Any],
        options: RouteOptions,
        origin: str,
    ) -> None:
        check_path(path, self._internal)
        self._dispatcher.add(Registration(path, regexp, function, options, origin))

    def websocket(
        self, *paths: str, regexp: str | None = None, name: str | None = None, **options: Any
    ) -> Callable[[Function], Function]:
        """Register the decorated `async def`, or class, for WebSockets.

        A function takes a `WebSocket`, besides what any handler takes; what a
        class has is described in `tarry.app.websocket_classes`.  `options` are
        `origins`, `handshake`, `singleton` for a class, and those of
        `WebSocketOptions`.

        Raises:
            RegistrationError, TypeError, ValueError: saying what is wrong.
        """
        if paths and callable(paths[0]):
            raise RegistrationError(
                "websocket: a path comes first, such as websocket('/chat'),"
                f" not function {describe_function(paths[0])}"
            )

        def register(function: Function) -> Function:
            endpoint: Callable[..., Any]
            if isinstance(function, type):
                endpoint = class_endpoint(function, **options)
            else:
                endpoint = websocket_endpoint(function, **options)
            self.get(*paths, regexp=regexp, name=name)(endpoint)
            return function

        return register

    def remove_route(self, which: str | Callable[..., Any]) -> None:
        """Take routes away: by name, by their path as it was written, or by function.

        Requests under way are answered still.  Call it on the loop once the
        application is being served.

        Raises:
            LookupError: there is no such route.
        """
        self._dispatcher.remove(which)

    def url_for(
        self, name: str, /, query: Mapping[str, Any] | None = None, **values: object
    ) -> str:
        """The path of a named route, percent-encoded, with a query if there is one.

        Raises:
            LookupError: there is no route of this name.
            BuildError: a value is missing, superfluous, or could not arrive as it is.
        """
        path = self._dispatcher.url_for(name, values)
        return f"{path}?{urlencode(query, doseq=True)}" if query else path

    def binder(self, kind: Any, *, inline: bool = False) -> Callable[[Function], Function]:
        """Register the decorated function as what makes arguments of a type.

        It takes arguments as a handler does, others that are made so included,
        and runs in a lane as a handler does.  A generator is continued when
        the handler has returned, to clean up.  Its value is made once for each
        request.  Register it before the routes that use the type.

        Raises:
            ValueError: the type has a binder already.
        """

        def register(function: Function) -> Function:
            if kind in self._dispatcher.binders:
                raise ValueError(f"there is a binder for {kind!r} already")
            self._dispatcher.binders[kind] = Provider(function, inline=inline)
            return function

        return register

    # ---- results that are kept -----------------------------------------------------------

    @property
    def cache(self) -> Cache:
        """Where the results of `cached` handlers are kept, and bytes of your own if you like."""
        return self._caching.cache

    def cached(
        self,
        keep: Duration = "1h",
        *,
        key: Callable[..., Any] | None = None,
        section: str | None = None,
        disk: bool = True,
    ) -> Callable[[Function], Function]:
        """Keep what the decorated handler answers; stands below the decorator of its route.

        Who asks the same within `keep` gets the same answer, without a call; of
        requests that ask it at the same time one makes the call and the others
        wait for it.  The same are requests with equal arguments, or with an
        equal result of `key`, a function of the arguments that it names.  Its
        result may hold a `Path`, which stands for what is in the file, and
        with `None` nothing is kept.  `section` is the name for `cache.clear`,
        by default `module:function`; with `disk=False` answers are kept in
        memory alone.

        Streams, waits, errors and answers with cookies are not kept, and what
        is set on an injected `Response` is no part of the answer.

        Raises:
            ValueError: `keep` is no duration, or 0.
            RegistrationError: an argument that JSON cannot hold, without `key`;
                a `key` that does not fit; a name and section that are taken.
        """
        if callable(keep):
            raise RegistrationError("cached: write @app.cached(), with parentheses")
        keep_s = seconds(keep)
        if not keep_s:
            raise ValueError("cached: a result that is kept for 0 seconds is not kept")

        def register(function: Function) -> Function:
            return self._caching.decorate(function, keep_s, key, section, disk=disk)

        return register

    # ---- waiting -------------------------------------------------------------------------

    def park(self, kind: type[Value] = object, **options: Unpack[ParkKeywords]) -> Wait[Value]:  # type: ignore[assignment]  # because whoever says nothing takes anything
        """A wait for one value of a type, to return, to yield, to await or to hand on.

        `timeout` is how long the value may take: a minute, or a day if the
        wait is `durable`; see `tarry.waiting.options` for all options.

        Raises:
            ValueError: an option that cannot be.
            TypeError: a type whose values do not come from JSON.
        """
        return self._waiting.park(kind, **options)

    def wake(self, name: str, value: Any = None) -> Verdict:
        """Settle a wait with a value, given its wake token or its key; from any thread.

        Gives whether this was the first: `await` it, or use it as a bool in a
        thread.  A wake that comes before anybody has parked under a key is
        kept for who comes.

        Raises:
            BadValue: the value does not fit the wait; it goes on.
        """
        return self._waiting.wake(name, value)

    def fail(self, name: str, detail: str = "", status: int = 500) -> Verdict:
        """Settle a wait with an error; else as `wake`."""
        return self._waiting.fail(name, detail, status)

    def cancel(self, name: str) -> Verdict:
        """Settle a wait without a value, given its ticket, wake token or key; else as `wake`."""
        return self._waiting.cancel(name)

    def topic(
        self,
        name: str,
        kind: Any = Any,
        *,
        keep: int = DEFAULT_KEEP,
        keep_for: Duration = DEFAULT_KEEP_FOR,
    ) -> Topic:
        """A named log of messages with cursors, for many values; see `tarry.waiting.topics`.

        What is published is JSON, checked against the type `kind` if there is
        one.  The newest `keep` messages are kept, and all of them until none
        has come for `keep_for`; who publishes says so.

        Raises:
            ValueError: `keep` below 1, or no duration.
            TypeError: a type whose values do not come from JSON.
        """
        return self._waiting.topic(name, kind, keep=keep, keep_for=keep_for)

    # ---- jobs ----------------------------------------------------------------------------

    def job(
        self,
        *paths: str,
        methods: Methods = "POST",
        name: str | None = None,
        max_body_bytes: int | None = None,
        quick_worker: bool = False,
        max_chunk_characters: int = DEFAULT_MAX_CHUNK_CHARACTERS,
        **options: Unpack[JobKeywords],
    ) -> Callable[[Function], Function]:
        """Register the decorated function as a job, and a route that begins it.

        It runs in a thread; with `cpu` in a process of its own, and as an
        `async def` on the loop.  Its arguments are bound as those of any
        handler, one annotated with `Job` tells progress, and what it returns
        is the answer: at once, later on the same connection, or by a ticket.
        Without a path it is begun by `app.jobs.submit` alone.  The options are
        those of `tarry.jobs.options.JobOptions`.

        With `quick_worker` the clients of quick_server can use the route, too;
        results longer than `max_chunk_characters` are sent to them in pieces.

        Raises:
            RegistrationError: it cannot be a job, or an option cannot be.
        """
        if paths and callable(paths[0]):
            raise RegistrationError("job: write @app.job(), with a path or without one")
        if quick_worker and not paths:
            raise RegistrationError("job: quick_worker=True needs a path that its clients call")

        def register(function: Function) -> Function:
            endpoint = self.jobs.endpoint(function, **options)
            filters = []
            if quick_worker:
                spec, known = self.jobs.spec_of(function), self._dispatcher.binders
                quick = QuickWorker(
                    self._waiting, spec, endpoint, known, paths, methods, max_chunk_characters
                )
                filters.append(quick.answer)
            if paths:
                self.route(
                    *paths,
                    methods=methods,
                    name=name,
                    max_body_bytes=max_body_bytes,
                    filters=filters,
                )(endpoint)
            return function

        return register

    def link_worker_js(self, path: str, *, classic: bool = False) -> None:
        """Serve the browser's script, with `Worker` and `waitFor`, at a path of your own as well.

        It is the ES module that is at `/-/tarry.js`, for `import`.  With
        `classic` it is the script for `<script src=…>`, which defines `tarry`,
        so that a page has `new tarry.Worker()`.

        Raises:
            RegistrationError: a path that does not end in `.js` or `.mjs`, has
                parameters, is below the internal prefix, or is taken.
        """
        scripts.check_path(path)
        name = scripts.CLASSIC if classic else scripts.MODULE
        options = RouteOptions(methods=("GET",), inline=True)
        self._add(path, None, scripts.handler(name), options, name)

    # ---- filters, errors, events ---------------------------------------------------------

    @overload
    def filter(self, path: Function, /) -> Function: ...
    @overload
    def filter(
        self, path: str | None = None, /, *, regexp: str | None = None, inline: bool = False
    ) -> Callable[[Function], Function]: ...
    def filter(
        self, path: Any = None, /, *, regexp: str | None = None, inline: bool = False
    ) -> Any:
        """Register the decorated function as a filter; see `tarry.app.filters` for its forms.

        It runs around everything, or around what the `path` pattern or the
        beginning that `regexp` describes matches: routes, errors such as 404,
        and handshakes.  Filters run in order of registration, those of groups
        and routes after those of the application.

        Raises:
            RegistrationError: a path and a regexp, or one that is malformed.
            TypeError: a function that is no filter.
            RuntimeError: the application is being served already.
        """
        if callable(path):
            return self.filter()(path)
        if not isinstance(path, str | None):
            raise TypeError(f"a filter is a function, or belongs to a path, not {path!r}")
        if path is not None and regexp is not None:
            raise RegistrationError("a filter has a path or a regexp, not both")
        matches = None
        if path is not None:
            matches = path_matcher(path)
        elif regexp is not None:
            matches = regexp_matcher(regexp)

        def register(function: Function) -> Function:
            self._add_filter(Filter(function, inline=inline, matches=matches))
            return function

        return register

    def _add_filter(self, step: Filter) -> None:
        self._dispatcher.add_filter(step)
        self.handle = self._dispatcher.handle

    def on(self, name: str, function: Any = None, *, inline: bool = False) -> Any:
        """Call a function at an event; also a decorator.

        `"start"` and `"stop"` of serving (those of stop in reverse order),
        `"request"`, `"response"`, `"error"` (what a handler raised) and
        `"gone"` (the client left).  Functions take what they need by name:
        `event`, `app`, `request`, `response`, `error`.

        Raises:
            ValueError: there is no such event.
            TypeError: no function, or one that needs what the event does not have.
            RuntimeError: the application is being served already, and nobody
                listened to requests, responses or clients that leave.
        """
        if name in self._dispatcher.TOLD_BY_FILTER:
            self._dispatcher.tell_requests()
            self.handle = self._dispatcher.handle
        return self._dispatcher.events.on(name, function, inline=inline)

    def off(self, name: str, function: Callable[..., Any] | None = None) -> None:
        """No longer call a function at an event, or none at all."""
        self._dispatcher.events.off(name, function)

    @overload
    def error(self, key: ErrorKey) -> Callable[[ErrorFunction], ErrorFunction]: ...
    @overload
    def error(self, key: ErrorFunction) -> ErrorFunction: ...
    def error(self, key: Any) -> Any:
        """Register a function that answers for errors.

        `@app.error(404)`, `@app.error("4xx")`, `@app.error(MyError)`, or bare
        for all.  It may take `error`, `status`, `detail` and `request` by these
        names; the status stays unless it returns another.

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

    def site_map(self, *, internal: bool = False) -> str:
        """The tree of all routes, for people; with `internal` also of Tarry's own."""
        return site_map(self._routes(internal))

    def routes(self, *, internal: bool = False) -> list[RouteRow]:
        """One row for each route, in the order of registration; `internal` as in `site_map`."""
        return route_table(self._routes(internal))

    def _routes(self, internal: bool) -> Iterator[Route]:
        for _, _, route in self._dispatcher.router:
            if internal or not is_below(route.path, self._internal):
                yield route

    def testing(self, **options: Any) -> "Client":
        """A client that drives this application without sockets; see `tarry.testing.Client`."""
        check_may_serve()
        from tarry.testing.client import Client  # here, since a server never needs it

        return Client(self, **options)

    # ---- serving -----------------------------------------------------------------------

    def run(self, **settings: Any) -> None:
        """Serve until SIGINT or SIGTERM; messages and the access log go to the terminal.

        `settings` are those of `ServerSettings`: `host`, `port` and so on.  If
        the address cannot be listened on, it says why and exits with status 1.
        """
        check_may_serve()
        chosen = ServerSettings(**settings)
        log_to_terminal()
        run(self, chosen)

    async def serve(self, **settings: Any) -> None:
        """Serve in the running loop until SIGINT or SIGTERM, or until cancelled.

        Raises:
            ListenError: the address cannot be listened on.
        """
        check_may_serve()
        await serve(self, ServerSettings(**settings))

    def start(self, **settings: Any) -> ServerHandle:
        """Serve in a thread and return at once; the handle has `url` and `stop()`.

        The port is a free one unless it is given.

        Raises:
            ListenError: the address cannot be listened on.
        """
        check_may_serve()
        return ServerHandle(self, ServerSettings(**{"port": 0, **settings}))


def _no_job_yet(_: Exchange, __: BinderContext) -> None:
    """In the place of the `Job` of a function, which gets it where it runs."""
