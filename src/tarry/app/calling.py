"""What runs a handler: binding, lane and answer, put together once for each route."""

import functools
from collections.abc import Callable
from typing import Any

from tarry.app.answering import HANDLER_ERRORS, Answerer
from tarry.app.binding import Binding
from tarry.app.errors import HttpError
from tarry.app.failures import ErrorHandlers
from tarry.app.lanes import Lane, Lanes
from tarry.app.results import CONVERTERS, TEXT, as_html, converter_for
from tarry.exchange import Exchange

Run = Callable[[Exchange, tuple[str, ...]], None]
"""Runs a handler for an exchange, given the values of the path parameters."""

Start = Callable[[Exchange, Callable[..., Any], dict[str, Any]], None]
"""Starts a handler in its lane, given its arguments."""


class Caller:
    """Runs handlers in their lanes and sends what becomes of them."""

    def __init__(self, lanes: Lanes, errors: ErrorHandlers) -> None:
        self._lanes = lanes
        self._answerer = Answerer(lanes, errors)
        self.failed = self._answerer.failed

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
        send, failed = self._answerer.send, self.failed

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
                else:
                    send(exchange, answer)
            except HANDLER_ERRORS as error:
                failed(exchange, error)

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
            except HANDLER_ERRORS as error:
                self.failed(exchange, error)
                return
            self._lanes.spawn(exchange, self._await(exchange, coroutine))

        return run

    def _general(self, function: Callable[..., Any], binding: Binding, start: Start) -> Run:
        awaited = binding.awaited

        def begin(exchange: Exchange, values: tuple[str, ...], body: bytes | None) -> None:
            try:
                arguments = binding.arguments(exchange, values, body)
            except HANDLER_ERRORS as error:
                self.failed(exchange, error)
                return
            if awaited:
                resolving = self._resolve(exchange, function, arguments, awaited, start)
                self._lanes.spawn(exchange, self._answerer.run(exchange, resolving))
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
        start: Start,
    ) -> None:
        """Await what async binders return, then run the handler in its lane."""
        for name in awaited:
            arguments[name] = await arguments[name]
        start(exchange, function, arguments)

    # ---- the lanes -------------------------------------------------------------------

    def _call_inline(
        self, exchange: Exchange, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        try:
            result = function(**arguments)
        except HANDLER_ERRORS as error:
            self.failed(exchange, error)
        else:
            self._answerer.deliver(exchange, result)

    def _start_task(
        self, exchange: Exchange, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        self._lanes.spawn(exchange, self._await(exchange, function(**arguments)))

    async def _await(self, exchange: Exchange, coroutine: Any) -> None:
        # `Answerer.run` and `Answerer.deliver` written out: three calls less for each request.
        try:
            result = await coroutine
            kind = type(result)
            answer = (CONVERTERS.get(kind) or converter_for(kind))(result)
            if type(answer) is tuple:
                head, body = answer
                exchange.respond(head, body)
            else:
                self._answerer.send(exchange, answer)
        except HANDLER_ERRORS as error:
            self.failed(exchange, error)
        except BaseException as error:
            if not self._answerer.is_handlers_own(error):
                exchange.abort()
                raise
            self.failed(exchange, error)

    def _start_thread(
        self, exchange: Exchange, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        done = functools.partial(self._thread_done, exchange)
        if not self._lanes.submit(function, arguments, done):
            detail = "too many requests wait for a thread"
            self.failed(exchange, HttpError(503, detail, headers=[(b"retry-after", b"1")]))

    def _thread_done(self, exchange: Exchange, result: Any, error: BaseException | None) -> None:
        if error is None:
            self._answerer.deliver(exchange, result)
        else:
            self.failed(exchange, error)


def _returning_html(function: Callable[..., Any], lane: Lane) -> Callable[..., Any]:
    """The function of a handler with `-> Html`, whose text is HTML."""
    if lane is Lane.ASYNC:

        async def html_async(**arguments: Any) -> Any:
            return as_html(await function(**arguments))

        return html_async

    def html(**arguments: Any) -> Any:
        return as_html(function(**arguments))

    return html
