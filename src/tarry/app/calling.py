"""The lanes: how a handler is run, and what becomes of its result.

`async def` runs as a task, `def` in a thread, `def` with `inline=True` at once.
The lane is chosen by how the function is written, once, when its route is made.
"""

import asyncio
import functools
import inspect
import logging
import sys
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, Final

from tarry.app.binding import Binding
from tarry.app.errors import HttpError
from tarry.app.failures import ErrorHandlers, as_http_error
from tarry.app.problems import problem_answer
from tarry.app.request import Request
from tarry.app.responses import Response, Stream
from tarry.app.results import CONVERTERS, TEXT, answer_for, as_html, converter_for
from tarry.app.streaming import send_stream
from tarry.app.threads import ThreadPool
from tarry.exchange import ClientGone, Exchange

logger: Final = logging.getLogger("tarry")

Run = Callable[[Exchange, tuple[str, ...]], None]
"""Runs a handler for an exchange, given the values of the path parameters."""


class Lane(Enum):
    """Where a handler runs."""

    ASYNC = "a task on the loop"
    THREADS = "a thread of the pool"
    INLINE = "the loop, at once"


def lane_of(function: Callable[..., Any], inline: bool) -> Lane:
    """The lane for a function.

    Raises:
        TypeError: `inline` with an `async def`.
    """
    plain = function.func if isinstance(function, functools.partial) else function
    is_async = inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(
        getattr(plain, "__call__", None)  # noqa: B004 — its kind matters, not whether it is there
    )
    if is_async and inline:
        raise TypeError("inline=True is for a def; an async def runs on the loop anyway")
    if is_async:
        return Lane.ASYNC
    return Lane.INLINE if inline else Lane.THREADS


class Caller:
    """Runs handlers on one loop, between `open` and `close`."""

    def __init__(self, errors: ErrorHandlers, max_threads: int, max_queued: int) -> None:
        self._errors = errors
        self._max_threads = max_threads
        self._max_queued = max_queued
        self._pool: ThreadPool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Serve on the running loop from now on."""
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPool(self._max_threads, self._max_queued)

    def close(self) -> None:
        """End the threads when they have done what they have."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    # ---- compiling -------------------------------------------------------------------

    def compile(
        self, function: Callable[..., Any], binding: Binding, lane: Lane, *, html: bool
    ) -> Run:
        """What runs `function` in its lane; everything that can be decided is decided here."""
        if html:
            function = _returning_html(function, lane)
        if not binding.needs_body and not binding.awaited and lane is not Lane.THREADS:
            # The short ways, for requests without a body: as few calls as can be.
            compile_short = self._inline if lane is Lane.INLINE else self._async
            return compile_short(function, binding)
        start = {
            Lane.ASYNC: self._start_task,
            Lane.THREADS: self._start_thread,
            Lane.INLINE: self._call_inline,
        }[lane]
        return self._general(function, binding, start)

    def _inline(self, function: Callable[..., Any], binding: Binding) -> Run:
        bind = binding.arguments
        without_arguments = binding.empty

        def run(exchange: Exchange, values: tuple[str, ...]) -> None:
            try:
                if without_arguments:
                    result = function()
                else:
                    result = function(**bind(exchange, values, None))
                kind = type(result)
                if kind is str:
                    # The table would cost a call and a tuple.
                    exchange.respond(TEXT, result.encode())
                    return
                answer = (CONVERTERS.get(kind) or converter_for(kind))(result)
                if type(answer) is tuple:
                    head, body = answer
                    exchange.respond(head, body)
                    return
            except Exception as error:  # noqa: BLE001 — one place decides what it means
                self.failed(exchange, error)
                return
            self.deliver(exchange, answer)

        return run

    def _async(self, function: Callable[..., Any], binding: Binding) -> Run:
        bind = binding.arguments
        without_arguments = binding.empty

        def run(exchange: Exchange, values: tuple[str, ...]) -> None:
            try:
                if without_arguments:
                    coroutine = function()
                else:
                    coroutine = function(**bind(exchange, values, None))
            except Exception as error:  # noqa: BLE001 — one place decides what it means
                self.failed(exchange, error)
                return
            self._spawn(exchange, self._await(exchange, coroutine))

        return run

    def _general(
        self,
        function: Callable[..., Any],
        binding: Binding,
        start: Callable[[Exchange, Callable[..., Any], dict[str, Any]], None],
    ) -> Run:
        awaited = binding.awaited

        def begin(exchange: Exchange, values: tuple[str, ...], body: bytes | None) -> None:
            try:
                arguments = binding.arguments(exchange, values, body)
            except Exception as error:  # noqa: BLE001 — one place decides what it means
                self.failed(exchange, error)
                return
            if awaited:
                self._spawn(exchange, self._resolve(exchange, function, arguments, awaited, start))
            else:
                start(exchange, function, arguments)

        def run(exchange: Exchange, values: tuple[str, ...]) -> None:
            begin(exchange, values, None)

        def run_with_body(exchange: Exchange, values: tuple[str, ...]) -> None:
            if exchange.body is None:
                begin(exchange, values, b"")
            else:
                exchange.body.on_complete(functools.partial(begin, exchange, values))

        return run_with_body if binding.needs_body else run

    async def _resolve(
        self,
        exchange: Exchange,
        function: Callable[..., Any],
        arguments: dict[str, Any],
        awaited: tuple[str, ...],
        start: Callable[[Exchange, Callable[..., Any], dict[str, Any]], None],
    ) -> None:
        """Await what async binders return, then run the handler in its lane."""
        try:
            for name in awaited:
                arguments[name] = await arguments[name]
        except Exception as error:  # noqa: BLE001 — one place decides what it means
            self.failed(exchange, error)
            return
        start(exchange, function, arguments)

    # ---- the lanes ----------------------------------------------------------------------

    def _call_inline(
        self, exchange: Exchange, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        try:
            result = function(**arguments)
        except Exception as error:  # noqa: BLE001 — one place decides what it means
            self.failed(exchange, error)
        else:
            self.deliver(exchange, result)

    def _start_task(
        self, exchange: Exchange, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        self._spawn(exchange, self._await(exchange, function(**arguments)))

    def _spawn(self, exchange: Exchange, coroutine: Coroutine[Any, Any, None]) -> None:
        """Start a task; the exchange keeps it from being collected."""
        loop = self._loop or asyncio.get_running_loop()
        if sys.version_info >= (3, 12):
            # Runs to its first real wait at once: most handlers never come back to the loop.
            exchange.context = asyncio.Task(coroutine, loop=loop, eager_start=True)
        else:
            exchange.context = loop.create_task(coroutine)

    async def _await(self, exchange: Exchange, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            self.deliver(exchange, await coroutine)
        except Exception as error:  # noqa: BLE001 — one place decides what it means
            self.failed(exchange, error)
        except BaseException:
            exchange.abort()
            raise

    def _start_thread(
        self, exchange: Exchange, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        done = functools.partial(self._thread_done, exchange)
        pool = self._pool
        if pool is None or not pool.submit(function, arguments, done):
            self.failed(
                exchange,
                HttpError(
                    503, "too many requests wait for a thread", headers=[(b"retry-after", b"1")]
                ),
            )

    def _thread_done(self, exchange: Exchange, result: Any, error: BaseException | None) -> None:
        if error is None:
            self.deliver(exchange, result)
        else:
            self.failed(exchange, error)

    # ---- results and errors --------------------------------------------------------------

    def deliver(self, exchange: Exchange, result: Any) -> None:
        """Answer with a handler's result."""
        try:
            answer = answer_for(result)
            if type(answer) is tuple:
                exchange.respond(*answer)
            elif isinstance(answer, Stream):
                self._spawn(exchange, self._send_stream(exchange, answer))
        except Exception as error:  # noqa: BLE001 — one place decides what it means
            self.failed(exchange, error)

    async def _send_stream(self, exchange: Exchange, stream: Stream) -> None:
        try:
            await send_stream(exchange, stream)
        except Exception as error:  # noqa: BLE001 — one place decides what it means
            self.failed(exchange, error)
        except BaseException:
            exchange.abort()
            raise

    def failed(self, exchange: Exchange, error: BaseException) -> None:
        """Answer for an error: by the author's handler for it, or by a problem document."""
        if exchange.gone and isinstance(error, ClientGone):
            exchange.abort()
            return
        told = as_http_error(error)
        if told.status == 500 and told is not error:
            _log(exchange, error)
        if exchange.started:
            # Too late for a status: the client must see that the answer is incomplete.
            exchange.abort()
            return
        function = self._errors.find(error, told.status)
        if function is None:
            exchange.respond(*problem_answer(exchange, told))
        else:
            self._call_error_handler(exchange, function, error, told)

    def _call_error_handler(
        self,
        exchange: Exchange,
        function: Callable[..., Any],
        error: BaseException,
        told: HttpError,
    ) -> None:
        available = {"error": error, "status": told.status, "request": Request(exchange)}
        names = inspect.signature(function).parameters
        arguments = {name: value for name, value in available.items() if name in names}
        finish = functools.partial(self._error_handled, exchange, told)
        if lane_of(function, inline=False) is Lane.ASYNC:
            self._spawn(exchange, _await_then(function(**arguments), finish))
        elif self._pool is None or not self._pool.submit(function, arguments, finish):
            exchange.respond(*problem_answer(exchange, told))

    def _error_handled(
        self, exchange: Exchange, told: HttpError, result: Any, error: BaseException | None
    ) -> None:
        """Send what an error handler returned; the status stays unless it says another."""
        try:
            if error is not None:
                raise error
            plain = not isinstance(result, Response | Stream | tuple)
            answer = answer_for(Response(result, told.status) if plain else result)
            if isinstance(answer, Stream):
                self._spawn(exchange, self._send_stream(exchange, answer))
            else:
                exchange.respond(*answer)
        except Exception as raised:  # noqa: BLE001 — an error page that fails must not hide the error
            _log(exchange, raised)
            exchange.respond(*problem_answer(exchange, told))


async def _await_then(
    coroutine: Coroutine[Any, Any, Any], finish: Callable[[Any, BaseException | None], None]
) -> None:
    try:
        result, error = await coroutine, None
    except Exception as raised:  # noqa: BLE001 — handed on
        result, error = None, raised
    finish(result, error)


def _returning_html(function: Callable[..., Any], lane: Lane) -> Callable[..., Any]:
    """The function of a handler with `-> Html`, whose text is HTML."""
    if lane is Lane.ASYNC:

        async def html_async(**arguments: Any) -> Any:
            return as_html(await function(**arguments))

        return html_async

    def html(**arguments: Any) -> Any:
        return as_html(function(**arguments))

    return html


def _log(exchange: Exchange, error: BaseException) -> None:
    head = exchange.head
    logger.error(
        "%s in the handler of %s %s",
        type(error).__name__,
        head.method.decode("ascii"),
        ascii(head.path.decode("ascii"))[1:-1],
        exc_info=error,
    )
