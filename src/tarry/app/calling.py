"""What runs a handler: binding, lane and answer, put together once for each route."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any

from tarry.app.answering import HANDLER_ERRORS, Answerer
from tarry.app.binding import Binding
from tarry.app.current import of_task
from tarry.app.dependencies import Prepared, call_with, call_with_async, stays_in
from tarry.app.errors import HttpError, no_thread
from tarry.app.form_reader import not_a_form
from tarry.app.lanes import Lane, Lanes
from tarry.app.request import request_of
from tarry.app.results import CONVERTERS, TEXT, as_html, converter_for
from tarry.app.stepping import is_generator_function
from tarry.exchange import BodyTooLarge, Exchange
from tarry.message.forms import FormError, form_type

Run = Callable[[Exchange, tuple[str, ...]], None]
"""Runs a handler for an exchange, given the values of the path parameters."""

Begin = Callable[[Exchange, tuple[str, ...], bytes | None], None]
"""As `Run`, given also the whole body if it was read."""

Start = Callable[[Exchange, Callable[..., Any], dict[str, Any]], None]
"""Starts a handler in its lane, given its arguments."""


class Caller:
    """Runs handlers in their lanes and hands on what becomes of them."""

    def __init__(self, lanes: Lanes, answerer: Answerer) -> None:
        self._lanes = lanes
        self._answerer = answerer
        self.on_ticket: Callable[[Exchange], None] | None = None
        self._start: dict[Lane, Start] = {
            Lane.ASYNC: self._start_task,
            Lane.THREADS: self._start_thread,
            Lane.INLINE: self._call_inline,
        }

    # ---- compiling -------------------------------------------------------------------

    def compile(
        self,
        function: Callable[..., Any],
        binding: Binding,
        lane: Lane,
        *,
        html: bool,
        max_body_bytes: int | None = None,
        ticket: bool = False,
    ) -> Run:
        """What runs `function` in its lane; everything that can be decided is decided here."""
        if lane is Lane.THREADS and is_generator_function(function) and not binding.dependencies:
            lane = Lane.INLINE  # making a generator runs no code of the author
        if html:
            function = _returning_html(function, lane)
        plain = not binding.needs_body and not binding.dependencies
        if plain and lane is Lane.INLINE:
            run = self._inline(function, binding)
        elif plain and lane is Lane.ASYNC:
            run = self._async(function, binding)
        else:
            run = self._general(function, binding, lane)
        if binding.takes_form:
            run = self._with_form(run, binding)
        if max_body_bytes is not None:
            run = self._with_limit(run, max_body_bytes)
        return self._with_ticket(run) if ticket else run

    def _inline(self, function: Callable[..., Any], binding: Binding) -> Run:
        """The short way, as few calls as can be."""
        bind = binding.arguments
        without_arguments = binding.empty
        answerer, lanes = self._answerer, self._lanes

        def run(exchange: Exchange, values: tuple[str, ...]) -> None:
            lanes.running.exchange = exchange
            try:
                if without_arguments:
                    result = function()
                else:
                    result = function(**bind(exchange, values, None))
                if exchange.context is not None:
                    answerer.deliver(exchange, result)
                    return
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
                    answerer.send(exchange, answer)
            except HANDLER_ERRORS as error:
                answerer.failed(exchange, error)

        return run

    def _async(self, function: Callable[..., Any], binding: Binding) -> Run:
        """The short way to a task."""
        bind = binding.arguments
        without_arguments = binding.empty

        def run(exchange: Exchange, values: tuple[str, ...]) -> None:
            try:
                if without_arguments:
                    coroutine = function()
                else:
                    coroutine = function(**bind(exchange, values, None))
            except HANDLER_ERRORS as error:
                self._answerer.failed(exchange, error)
                return
            self._lanes.spawn(exchange, self._await(exchange, coroutine))

        return run

    def _general(self, function: Callable[..., Any], binding: Binding, lane: Lane) -> Run:
        start, failed, lanes = self._start[lane], self._answerer.failed, self._lanes

        def begin(exchange: Exchange, values: tuple[str, ...], body: bytes | None) -> None:
            # Types of the author may ask for the request while a body is checked.
            lanes.running.exchange = exchange
            try:
                arguments = binding.arguments(exchange, values, body)
            except HANDLER_ERRORS as error:
                failed(exchange, error)
            else:
                start(exchange, function, arguments)

        return self._from(self._with_dependencies(function, binding, lane) or begin, binding)

    def _from(self, begin: Begin, binding: Binding) -> Run:
        """What begins at once, or when the body is there."""

        def run(exchange: Exchange, values: tuple[str, ...]) -> None:
            begin(exchange, values, None)

        return self._with_body(begin) if binding.needs_body else run

    def _with_ticket(self, run: Run) -> Run:
        """Tell that a handler begins whose client may leave with a ticket."""

        def run_with_ticket(exchange: Exchange, values: tuple[str, ...]) -> None:
            if self.on_ticket is not None:
                self.on_ticket(exchange)
            run(exchange, values)

        return run_with_ticket

    # ---- bodies ------------------------------------------------------------------------

    def _with_limit(self, run: Run, max_body_bytes: int) -> Run:
        def run_with_limit(exchange: Exchange, values: tuple[str, ...]) -> None:
            try:
                if exchange.body is not None:
                    exchange.body.limit(max_body_bytes)
            except BodyTooLarge as error:
                self._answerer.failed(exchange, error)
            else:
                run(exchange, values)

        return run_with_limit

    def _with_body(self, begin: Begin) -> Run:
        """Read the whole body first: without a task if it comes as it is, as most do."""

        async def read_then_begin(exchange: Exchange, values: tuple[str, ...]) -> None:
            begin(exchange, values, await request_of(exchange, self._lanes).body())

        def refused(exchange: Exchange, values: tuple[str, ...], error: Exception) -> None:
            self._answerer.failed(exchange, error)

        def run(exchange: Exchange, values: tuple[str, ...]) -> None:
            body, request = exchange.body, exchange.context
            if body is None:
                begin(exchange, values, b"")
            elif exchange.head.headers.get(b"content-encoding") is not None:
                self._spawn(exchange, read_then_begin(exchange, values))
            elif request is None:
                body.on_complete(begin, refused, exchange, values)
            elif request.has_read or (request.passage is not None and request.passage.waits):
                # A filter that waits in a task can give up, which ends a task, but no callback.
                self._spawn(exchange, read_then_begin(exchange, values))
            else:
                # The handler and the parts after in the context of the parts before.
                in_context: Callable[..., None] = copy_context().run
                body.on_complete(
                    functools.partial(in_context, begin),
                    functools.partial(in_context, refused),
                    exchange,
                    values,
                )

        return run

    def _with_form(self, run: Run, binding: Binding) -> Run:
        """Read a form first, if there is one."""

        async def read_then_run(exchange: Exchange, values: tuple[str, ...]) -> None:
            request = request_of(exchange, self._lanes)
            if binding.needs_body:
                await request.body()
            await request.form()
            run(exchange, values)

        def run_with_form(exchange: Exchange, values: tuple[str, ...]) -> None:
            if exchange.body is None:
                run(exchange, values)
                return
            content_type = exchange.head.headers.get(b"content-type") or b""
            try:
                if form_type(content_type.decode("latin-1")) is not None:
                    self._spawn(exchange, read_then_run(exchange, values))
                    return
                if binding.needs_form:
                    raise not_a_form()
            except (FormError, HttpError) as error:
                self._answerer.failed(exchange, error)
            else:
                run(exchange, values)

        return run_with_form

    # ---- the lanes -------------------------------------------------------------------

    def _spawn(self, exchange: Exchange, coroutine: Coroutine[Any, Any, None]) -> None:
        self._lanes.spawn(exchange, self._answerer.run(exchange, coroutine))

    def _call_inline(
        self, exchange: Exchange, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        self._lanes.running.exchange = exchange
        answerer = self._answerer
        try:
            result = function(**arguments)
            if exchange.context is not None:
                answerer.deliver(exchange, result)
                return
            answer = (CONVERTERS.get(type(result)) or converter_for(type(result)))(result)
            if type(answer) is tuple:
                head, body = answer
                exchange.respond(head, body)
            else:
                answerer.send(exchange, answer)
        except HANDLER_ERRORS as error:
            answerer.failed(exchange, error)

    def _start_task(
        self, exchange: Exchange, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        self._lanes.spawn(exchange, self._await(exchange, function(**arguments)))

    async def _await(self, exchange: Exchange, coroutine: Any) -> None:
        # `Answerer.run` and `Answerer.deliver` written out: three calls less for each request.
        of_task.set(exchange)
        answerer = self._answerer
        try:
            result = await coroutine
            if exchange.context is not None:
                answerer.finished(exchange, result, None)
                return
            kind = type(result)
            answer = (CONVERTERS.get(kind) or converter_for(kind))(result)
            if type(answer) is tuple:
                head, body = answer
                exchange.respond(head, body)
                exchange.task = None  # its context leads back to the exchange
            else:
                answerer.send(exchange, answer)
        except HANDLER_ERRORS as error:
            answerer.finished(exchange, None, error)
        except BaseException as error:
            answerer.cancelled(exchange, error)
            if not answerer.is_handlers_own(error):
                raise

    def _start_thread(
        self, exchange: Exchange, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        done = functools.partial(self._thread_done, exchange)
        if not self._lanes.submit(exchange, function, arguments, done):
            self._answerer.failed(exchange, no_thread())

    def _thread_done(self, exchange: Exchange, result: Any, error: BaseException | None) -> None:
        request = exchange.context
        if request is not None and request.may_be_late:
            self._answerer.too_late(exchange, error)
        else:
            self._answerer.finished(exchange, result, error)

    # ---- dependencies ------------------------------------------------------------------

    def _with_dependencies(
        self, function: Callable[..., Any], binding: Binding, lane: Lane
    ) -> Begin | None:
        """What starts a handler with what it depends on, if there is any.

        In one call if its lane can do both, else in a task.
        """
        start, in_thread = self._start[lane], self._lanes.in_thread

        def start_in_lane(
            exchange: Exchange, arguments: dict[str, Any], prepared: list[Prepared]
        ) -> None:
            keep = request_of(exchange, self._lanes).keep
            call = functools.partial(call_with, prepared, binding, function, keep)
            start(exchange, call, arguments)

        def start_apart(
            exchange: Exchange, arguments: dict[str, Any], prepared: list[Prepared]
        ) -> None:
            keep = request_of(exchange, self._lanes).keep
            call = functools.partial(_call_in, lane, function, in_thread)
            coroutine = call_with_async(prepared, binding, call, keep, in_thread, arguments)
            self._lanes.spawn(exchange, self._await(exchange, coroutine))

        start_with = start_in_lane if stays_in(lane, binding.dependencies) else start_apart

        def begin(exchange: Exchange, values: tuple[str, ...], body: bytes | None) -> None:
            try:
                arguments = binding.arguments(exchange, values, body)
                prepared = binding.prepared(exchange, values, body)
            except HANDLER_ERRORS as error:
                self._answerer.failed(exchange, error)
            else:
                start_with(exchange, arguments, prepared)

        return begin if binding.dependencies else None


async def _call_in(
    lane: Lane,
    function: Callable[..., Any],
    in_thread: Callable[..., Any],
    arguments: dict[str, Any],
) -> Any:
    if lane is Lane.ASYNC:
        return await function(**arguments)
    if lane is Lane.INLINE:
        return function(**arguments)
    return await in_thread(functools.partial(function, **arguments))


def _returning_html(function: Callable[..., Any], lane: Lane) -> Callable[..., Any]:
    """The function of a handler with `-> Html`, whose text is HTML."""
    if lane is Lane.ASYNC:

        async def html_async(**arguments: Any) -> Any:
            return as_html(await function(**arguments))

        return html_async

    if inspect.isgeneratorfunction(function):

        def html_generator(**arguments: Any) -> Generator[Any, Any, Any]:
            return as_html((yield from function(**arguments)))

        return html_generator

    def html(**arguments: Any) -> Any:
        return as_html(function(**arguments))

    return html
