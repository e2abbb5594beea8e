"""What becomes of a handler's result, and of its error: each in one place."""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from tarry.app.errors import HttpError
from tarry.app.failures import ErrorHandlers, as_http_error
from tarry.app.file_sending import send_file
from tarry.app.lanes import Lane, Lanes, lane_of
from tarry.app.problems import problem_answer
from tarry.app.request import Request
from tarry.app.responses import SendFile, Stream
from tarry.app.results import Answer, amended, answer_for
from tarry.app.streaming import send_stream
from tarry.exchange import ClientGone, Exchange

logger: Final = logging.getLogger("tarry")

HANDLER_ERRORS: Final = (Exception, SystemExit)
"""What a handler may raise and only spoils its own answer; `sys.exit()` must not end a server."""


class Answerer:
    """Sends results and tells errors, with an author's error handlers."""

    def __init__(self, lanes: Lanes, errors: ErrorHandlers) -> None:
        self._lanes = lanes
        self._errors = errors

    def deliver(self, exchange: Exchange, result: Any) -> None:
        """Answer with a handler's result."""
        try:
            self.send(exchange, answer_for(result))
        except Exception as error:  # noqa: BLE001 — one place decides what it means
            self.failed(exchange, error)

    def send(
        self, exchange: Exchange, answer: Answer | Stream | SendFile, told: HttpError | None = None
    ) -> None:
        """Send a whole answer, or begin to send a stream or file.

        `told` is the error that the answer tells, if it tells one.

        Raises:
            LengthError: the author announced another length.
        """
        if isinstance(answer, Stream):
            sending = send_stream(exchange, answer, self._lanes.in_thread)
        elif isinstance(answer, SendFile):
            sending = send_file(exchange, answer, self._lanes.in_thread)
        else:
            exchange.respond(*answer)
            return
        self._lanes.spawn(exchange, self.run(exchange, sending, told))

    async def run(
        self,
        exchange: Exchange,
        coroutine: Coroutine[Any, Any, None],
        told: HttpError | None = None,
    ) -> None:
        """Run what answers an exchange; however it ends, the exchange hears of it."""
        try:
            await coroutine
        except HANDLER_ERRORS as error:
            self.failed(exchange, error, told)
        except BaseException as error:
            if not self.is_handlers_own(error):
                exchange.abort()
                raise
            self.failed(exchange, error, told)

    def is_handlers_own(self, error: BaseException) -> bool:
        """Whether a cancellation came out of something awaited, and not from who stops the task."""
        task = asyncio.current_task()
        own = isinstance(error, asyncio.CancelledError)
        return own and task is not None and not task.cancelling()

    def failed(
        self, exchange: Exchange, error: BaseException, telling: HttpError | None = None
    ) -> None:
        """Answer for an error: by the author's handler for it, or by a problem document.

        `telling` is an error that was being told: no handler is asked about it again.
        """
        if exchange.gone and isinstance(error, ClientGone):
            exchange.abort()
            return
        if telling is not None:
            _log(exchange, error)
            self._tell_plainly(exchange, telling)
            return
        told = as_http_error(error)
        unexpected = told.status == 500 and told is not error
        if unexpected and not self._errors.expects(error):
            _log(exchange, error)
        if exchange.started:
            # Too late for a status: the client must see that the answer is incomplete.
            exchange.abort()
            return
        function = self._errors.find(error, told.status)
        if function is None:
            exchange.respond(*problem_answer(exchange, told))
        else:
            self._ask(function, exchange, error, told)

    def _ask(
        self,
        function: Callable[..., Any],
        exchange: Exchange,
        error: BaseException,
        told: HttpError,
    ) -> None:
        """Call an author's error handler, in its lane, with what it asks for by name."""
        available = {"error": error, "status": told.status, "request": Request(exchange)}
        names = inspect.signature(function).parameters
        arguments = {name: value for name, value in available.items() if name in names}
        done = functools.partial(self._asked, exchange, told)
        if lane_of(function, inline=False) is Lane.ASYNC:
            self._lanes.spawn(exchange, _await_then(function, arguments, done))
        elif not self._lanes.submit(function, arguments, done):
            exchange.respond(*problem_answer(exchange, told))

    def _asked(
        self, exchange: Exchange, told: HttpError, result: Any, error: BaseException | None
    ) -> None:
        """Send what an error handler returned; status and headers stay unless it says others."""
        try:
            if error is not None:
                raise error
            self.send(exchange, amended(result, told.status, told.headers), told)
        except HANDLER_ERRORS as raised:
            self.failed(exchange, raised, told)

    def _tell_plainly(self, exchange: Exchange, told: HttpError) -> None:
        if exchange.started:
            exchange.abort()
        else:
            exchange.respond(*problem_answer(exchange, told))


async def _await_then(
    function: Callable[..., Coroutine[Any, Any, Any]],
    arguments: dict[str, Any],
    done: Callable[[Any, BaseException | None], None],
) -> None:
    try:
        result, error = await function(**arguments), None
    except HANDLER_ERRORS as raised:
        result, error = None, raised
    done(result, error)


def _log(exchange: Exchange, error: BaseException) -> None:
    head = exchange.head
    logger.error(
        "%s in the handler of %s %s",
        type(error).__name__,
        head.method.decode("ascii"),
        ascii(head.path.decode("ascii"))[1:-1],
        exc_info=error,
    )
