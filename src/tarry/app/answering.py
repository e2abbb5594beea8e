"""What becomes of a handler's result, and of its error: each in one place."""

import asyncio
import contextvars
import functools
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from tarry.app.current import of_task
from tarry.app.deferred import Deferred, Instead
from tarry.app.dependencies import close
from tarry.app.errors import HttpError
from tarry.app.events import Emitter
from tarry.app.failures import ErrorHandlers, as_http_error
from tarry.app.file_sending import OpenedFile, open_file, send_file
from tarry.app.held_tasks import go_on_with, let_go
from tarry.app.lanes import Lane, Lanes, lane_of
from tarry.app.problems import debug_answer, problem_answer
from tarry.app.request import Late, Request, request_of
from tarry.app.responses import SendFile, Stream
from tarry.app.results import (
    CONVERTERS,
    Answer,
    Lasting,
    amend,
    amended,
    answer_for,
    converter_for,
)
from tarry.app.streaming import send_stream
from tarry.app.websocket_endpoints import Upgrade
from tarry.exchange import ClientGone, Exchange
from tarry.message.redaction import hide_tokens

logger: Final = logging.getLogger("tarry")

HANDLER_ERRORS: Final = (Exception, SystemExit)
"""What a handler may raise and only spoils its own answer; `sys.exit()` must not end a server."""


class Answerer:
    """Sends results and tells errors, with an author's error handlers."""

    def __init__(
        self, lanes: Lanes, errors: ErrorHandlers, events: Emitter, *, debug: bool = False
    ) -> None:
        self._lanes = lanes
        self._errors = errors
        self._events = events
        self._debug = debug

    # ---- results -----------------------------------------------------------------------

    def deliver(self, exchange: Exchange, result: Any) -> None:
        """Answer with a handler's result; one that comes too late is dropped."""
        if exchange.started:
            if exchange.gone:  # the server itself has answered: nothing else ends the filters
                self._break_off(exchange)
            return
        request = exchange.context
        if request is not None and request.is_special:
            self._deliver_specially(exchange, request, result)
            return
        try:
            kind = type(result)
            answer = (CONVERTERS.get(kind) or converter_for(kind))(result)
            if request is not None and request.passage is not None and type(answer) is tuple:
                request.passage.come_back(request, answer)
            else:
                self.send(exchange, answer)
        except Exception as error:  # noqa: BLE001 — one place decides what it means
            self.failed(exchange, error)

    def _deliver_specially(self, exchange: Exchange, request: Request, result: Any) -> None:
        if request.is_abandoned:
            return
        if request.has_listeners:
            coroutine = self._deliver_after_body(exchange, request, result)
            self._lanes.spawn(exchange, self.run(exchange, coroutine))
            return
        request.forget_response(result)
        try:
            self.send(exchange, answer_for(result))
        except Exception as error:  # noqa: BLE001 — one place decides what it means
            self.failed(exchange, error)

    async def _deliver_after_body(self, exchange: Exchange, request: Request, result: Any) -> None:
        """Those who listen to the body may still change the result."""
        await request.reading.read_to_end()
        request.forget_response(result)
        self.send(exchange, answer_for(result))

    @property
    def lanes(self) -> Lanes:
        """Loop and threads of the application that answers."""
        return self._lanes

    def settle(self, exchange: Exchange, result: Any, error: BaseException | None) -> None:
        """Answer with what was waited for, as if the handler had returned or raised it just now."""
        running = self._lanes.running
        there = running.exchange
        if (of_task.get() or there) is exchange:
            self.finished(exchange, result, error)
            return
        # It is settled in another request, perhaps, whose context variables are not for this one.
        context = contextvars.Context()
        context.run(of_task.set, exchange)
        context.run(self.finished, exchange, result, error)
        running.exchange = there

    def detach(self, exchange: Exchange, result: Any, late: Late) -> None:
        """Answer now, while the handler goes on; `late` takes what it will come to."""
        request = request_of(exchange, self._lanes)
        task = getattr(exchange, "task", None)  # one without a task has none yet
        if isinstance(task, asyncio.Task):
            self._lanes.keep(task)
        request.late = late
        request.is_special = True
        self.deliver(exchange, result)

    def finished(self, exchange: Exchange, result: Any, error: BaseException | None) -> None:
        """A handler has returned or raised: answer, or give it to who takes it now."""
        request = exchange.context
        if request is not None and request.late is not None:
            late, request.late = request.late, None
            try:
                late(result, error)
            finally:
                self._over(exchange, request)
        elif request is not None and request.may_be_late and exchange.started:
            self.too_late(exchange, error)
        elif error is None:
            self.deliver(exchange, result)
        elif isinstance(error, HANDLER_ERRORS):
            self.failed(exchange, error)
        else:
            self.cancelled(exchange, error)

    def send(self, exchange: Exchange, answer: Answer | Lasting | Deferred | OpenedFile) -> None:
        """Send an answer, by way of the filters if there are any; a deferred one when it is there.

        Raises:
            LengthError: the author announced another length.
        """
        if isinstance(answer, Deferred):
            exchange.task = None  # who returned it is through; nothing runs while it waits
            answer.attach(exchange, self)
            self._lanes.running.exchange = None  # what runs on the loop meanwhile is not for it
            return
        request = exchange.context
        if request is not None and request.is_special:
            response = request.take_response()
            if response is not None and not isinstance(answer, OpenedFile):
                answer = amend(answer, response)
        if request is None or request.passage is None:
            self.transmit(exchange, answer)
        elif isinstance(answer, SendFile):
            # What becomes of a file, filters learn only when it has been opened.
            self._lanes.spawn(exchange, self.run(exchange, self._open(exchange, answer)))
        else:
            request.passage.come_back(request, answer)

    async def _open(self, exchange: Exchange, file: SendFile) -> None:
        self.send(exchange, await open_file(file, exchange.head, self._lanes.in_thread))

    def transmit(self, exchange: Exchange, answer: Answer | Lasting | OpenedFile) -> None:
        """Send an answer to the client, or begin to send what lasts longer; see `send`."""
        if isinstance(answer, tuple):
            head, body = answer
            exchange.respond(head, body)
            # Circles would be left to the garbage collector; the context of a task leads back here.
            exchange.task = None
            request = exchange.context
            if request is not None and request.is_special:
                self._over(exchange, request)
            else:
                exchange.context = None
        else:
            go_on_with(self._lanes, exchange, self.run(exchange, self._last(exchange, answer)))

    async def _last(self, exchange: Exchange, lasting: Lasting | OpenedFile) -> None:
        request, in_thread = exchange.context, self._lanes.in_thread
        try:
            if isinstance(lasting, Stream):
                await send_stream(exchange, lasting, in_thread, self._lanes.on_drain)
            elif isinstance(lasting, SendFile):
                await send_file(exchange, lasting, in_thread)
            elif isinstance(lasting, Upgrade):
                await lasting.run()
            else:
                await lasting.send(exchange, in_thread)
        finally:
            exchange.task = None
            if request is not None and exchange.started:
                self._over(exchange, request)

    def _over(self, exchange: Exchange, request: Request) -> None:
        """The answer is complete: let go of what was kept for it."""
        if request.late is not None:
            return  # the handler goes on
        if not request.is_special:
            exchange.context = None  # a circle would be left to the garbage collector
            return
        if request.over is not None:
            request.over()
        if not request.may_be_late:
            exchange.context = None
        if request.form_read is not None and request.form_read.files:
            self._lanes.start(self._lanes.in_thread(request.reading.close))
        if request.stack is not None:
            stack, request.stack = request.stack, None
            self._lanes.start(close(stack, self._lanes.in_thread))

    # ---- errors ------------------------------------------------------------------------

    async def run(self, exchange: Exchange, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run what answers an exchange; however it ends, the exchange hears of it."""
        of_task.set(exchange)
        try:
            await coroutine
        except HANDLER_ERRORS as error:
            self.failed(exchange, error)
        except BaseException as error:
            self.cancelled(exchange, error)
            if not self.is_handlers_own(error):
                raise

    def cancelled(self, exchange: Exchange, error: BaseException) -> None:
        """Answer for what ended a task from outside, unless a filter did since it gave up."""
        request = exchange.context
        if request is not None and request.late is not None:
            self.finished(exchange, None, error)
        elif self.is_handlers_own(error):
            self.failed(exchange, error)
        elif request is None or not request.is_abandoned:
            self._break_off(exchange)

    def is_handlers_own(self, error: BaseException) -> bool:
        """Whether a cancellation came out of something awaited, and not from who stops the task."""
        task = asyncio.current_task()
        own = isinstance(error, asyncio.CancelledError)
        return own and task is not None and not task.cancelling()

    def failed(self, exchange: Exchange, error: BaseException) -> None:
        """Answer for an error: by the author's handler for it, or by a problem document."""
        if isinstance(error, Instead):
            self.deliver(exchange, error.result)
            return
        request = exchange.context
        if request is not None:
            if request.is_abandoned:
                self.too_late(exchange, error)
                return
            request.take_response()
        if exchange.gone and isinstance(error, ClientGone):
            self._break_off(exchange)
            return
        if request is not None and request.told is not None:
            self._tell_plainly(exchange, error, request.told)
            return
        told = as_http_error(error)
        unexpected = _is_unexpected(error, told)
        if unexpected and not self._errors.expects(error):
            _log(exchange, error)
        if self._events.has("error"):
            self._emit(exchange, error)
        if exchange.started:
            # Too late for a status: the client must see that the answer is incomplete.
            self._break_off(exchange)
            return
        function = self._errors.find(error, told.status)
        if function is not None:
            self._ask(function, exchange, error, told)
        elif unexpected and self._debug:
            self.send(exchange, debug_answer(request_of(exchange, self._lanes), error))
        else:
            self.send(exchange, problem_answer(exchange, told))

    def too_late(self, exchange: Exchange, error: BaseException | None) -> None:
        """Drop what a handler returned or raised when a filter had given it up."""
        if error is None or isinstance(error, ClientGone | Instead):
            return
        if _is_unexpected(error, as_http_error(error)):
            _log(exchange, error)

    def _tell_plainly(self, exchange: Exchange, error: BaseException, told: HttpError) -> None:
        """What an error handler answered cannot be sent: it is not asked again."""
        _log(exchange, error)
        if exchange.started:
            self._break_off(exchange)
        else:
            self.send(exchange, problem_answer(exchange, told))

    def _break_off(self, exchange: Exchange) -> None:
        request = exchange.context
        exchange.abort()
        let_go(exchange)
        if request is not None:
            if request.passage is not None:
                request.passage.break_off(request)
            self._over(exchange, request)

    def _emit(self, exchange: Exchange, error: BaseException) -> None:
        request = request_of(exchange, self._lanes)
        self._lanes.start(self._events.emit("error", request, request=request, error=error))

    def _ask(
        self,
        function: Callable[..., Any],
        exchange: Exchange,
        error: BaseException,
        told: HttpError,
    ) -> None:
        """Call an author's error handler, in its lane, with what it asks for by name."""
        request = request_of(exchange, self._lanes)
        available = {
            "error": error,
            "status": told.status,
            "detail": told.detail,
            "request": request,
        }
        request.told = told
        names = inspect.signature(function).parameters
        arguments = {name: value for name, value in available.items() if name in names}
        done = functools.partial(self._asked, exchange, told)
        if lane_of(function, inline=False) is Lane.ASYNC:
            coroutine = _await_then(function(**arguments), done)
            self._lanes.spawn(exchange, self.run(exchange, coroutine))
        elif not self._lanes.submit(exchange, function, arguments, done):
            self.send(exchange, problem_answer(exchange, told))

    def _asked(
        self, exchange: Exchange, told: HttpError, result: Any, error: BaseException | None
    ) -> None:
        """Send what an error handler returned; status and headers stay unless it says others."""
        try:
            if error is not None:
                raise error
            self.send(exchange, amended(result, told.status, told.headers))
        except HANDLER_ERRORS as raised:
            self._tell_plainly(exchange, raised, told)


async def _await_then(
    coroutine: Coroutine[Any, Any, Any], done: Callable[[Any, BaseException | None], None]
) -> None:
    done(await coroutine, None)


def _is_unexpected(error: BaseException, told: HttpError) -> bool:
    return told.status == 500 and told is not error


def _log(exchange: Exchange, error: BaseException) -> None:
    head = exchange.head
    logger.error(
        "%s in the handler of %s %s",
        type(error).__name__,
        head.method.decode("ascii"),
        hide_tokens(ascii(head.path.decode("ascii"))[1:-1]),
        exc_info=error,
    )
