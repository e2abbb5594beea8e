"""The way of one request through its filters, and of its answer back.

A passage goes forward through the parts before, in order, until it comes to
what is inside: the route's handler, or the answer for a request that has none.
That answers as always; but as the request has a `passage`, the answer comes
here, and goes backward through the parts after before it is sent.

Inline filters are called as the passage goes by and need no task.  Any other
has a task of its own, and waits there for the response of what is inside it.
"""

import asyncio
from collections.abc import Callable
from types import GeneratorType
from typing import Any, Final

from tarry.app.answered import Answered, answered
from tarry.app.answering import HANDLER_ERRORS, Answerer
from tarry.app.file_sending import OpenedFile
from tarry.app.filters import TWO_YIELDS, Filter
from tarry.app.lanes import Lanes
from tarry.app.request import Request
from tarry.app.responses import Stream
from tarry.app.results import Answer
from tarry.app.websocket_endpoints import Upgrade
from tarry.exchange import Exchange

_LATER: Final = object()
"""Stands for what a task will answer."""

Inside = Callable[[Exchange], None]
"""Answers an exchange."""


class _Around:
    """A filter that waits in its task for what is inside it."""

    __slots__ = ("response", "task")

    def __init__(self) -> None:
        self.response: asyncio.Future[Answered] | None = None
        self.task = asyncio.current_task()

    def given(self) -> Answered:
        """The response that the filter got, for one that returns none itself.

        Raises:
            RuntimeError: it got none.
        """
        response = self.response
        if response is None or not response.done() or response.cancelled():
            raise RuntimeError("a filter returned no response and has none from next")
        return response.result()


class Passage:
    """One request on its way through `filters`, each of which sees it once."""

    __slots__ = ("_answerer", "_filters", "_inside", "_lanes", "_outside", "_position",
                 "_request", "_started")  # fmt: skip

    def __init__(
        self,
        request: Request,
        filters: tuple[Filter, ...],
        inside: Inside,
        answerer: Answerer,
        lanes: Lanes,
    ) -> None:
        self._request = request
        self._filters = filters
        self._inside = inside
        self._answerer = answerer
        self._lanes = lanes
        self._position = 0
        # Generators that wait for the response, and filters that do so in a task.
        self._started: list[Any] = []
        # A route with filters of its own has a passage within that of the application.
        self._outside = request.passage
        request.passage = self

    # ---- forward -----------------------------------------------------------------------

    def go(self) -> None:
        """Run the parts before, then what is inside."""
        request = self._request
        exchange = self._lanes.running.exchange = request.exchange
        try:
            early = self._begin(request)
        except HANDLER_ERRORS as error:
            self._answerer.failed(exchange, error)
            return
        if early is None:
            request.apply_headers()
            self._inside(exchange)
        elif early is not _LATER:
            self._answerer.deliver(exchange, early)

    def _begin(self, request: Request) -> Any:
        """Call inline filters, up to one that answers; `_LATER` if another one has to be awaited.

        `Filter.begin` written out: most filters come this way.
        """
        while self._position < len(self._filters):
            step = self._filters[self._position]
            self._position += 1
            if not step.is_inline:
                around = self._go_around(step)
                self._lanes.spawn(request.exchange, self._answerer.run(request.exchange, around))
                return _LATER
            early = step.function(request)
            if type(early) is GeneratorType:
                generator = early
                try:
                    early = next(generator)
                except StopIteration as stop:
                    early = stop.value
                else:
                    if early is None:
                        self._started.append(generator)
                        continue
                    generator.close()
            if early is not None:
                return early
        return None

    async def _go_around(self, step: Filter) -> None:
        around = _Around()
        self._started.append(around)
        try:
            result = await step.around(self._lanes.in_thread)(self._request, self._next_of(around))
        except HANDLER_ERRORS:
            self._request.told = None  # this is another error than what a handler was asked about
            raise
        finally:
            self._drop_from(around)
        if self._request.is_abandoned:
            return
        if result is None:
            result = around.given()
        if isinstance(result, Answered):
            self._go_back(result)
        else:
            self._answerer.deliver(self._request.exchange, result)

    def _next_of(self, around: _Around) -> Callable[[Request], Any]:
        async def next_response(_: Request) -> Answered:
            if around.response is not None:
                raise RuntimeError("a filter calls next once")
            around.response = asyncio.get_running_loop().create_future()
            self.go()
            try:
                return await around.response
            except asyncio.CancelledError:
                if around in self._started:
                    self._abandon(around)
                raise

        return next_response

    def _abandon(self, around: _Around) -> None:
        """A filter waits no longer, after a timeout say: end what is inside it."""
        # It may wait in a task of its own, as within `asyncio.wait_for`.
        tasks = {self._request.exchange.task} - {asyncio.current_task(), around.task}
        self._request.abandon(task for task in tasks if isinstance(task, asyncio.Task))

    def _drop_from(self, around: _Around) -> None:
        """Forget a filter that is through, and what it has left behind inside."""
        if around not in self._started:
            return  # one further out was through before
        inner = self._request.passage
        while isinstance(inner, Passage) and inner is not self:
            inner._drop(0)
            inner = inner._outside
        self._request.passage = self
        at = self._started.index(around)
        self._drop(at + 1)
        del self._started[at]
        if around.response is not None and not around.response.done():
            around.response.cancel()
            self._abandon(around)

    def _drop(self, at: int) -> None:
        """End the filters that were started, from this one on."""
        dropped, self._started[at:] = self._started[at:], []
        for each in reversed(dropped):
            if isinstance(each, _Around):
                self._request.abandon([] if each.task is None else [each.task])
                continue
            try:
                each.close()
            except HANDLER_ERRORS as error:
                self._answerer.too_late(self._request.exchange, error)

    def break_off(self) -> None:
        """End all filters: there will be no answer."""
        self._request.passage = self._outside
        self._drop(0)
        if self._outside is not None:
            self._outside.break_off()

    # ---- backward ------------------------------------------------------------------------

    def come_back(self, answer: Answer | Stream | OpenedFile | Upgrade) -> None:
        """Take the answer of what is inside."""
        self._go_back(Answered(*answer) if type(answer) is tuple else answered(answer))

    def _go_back(self, response: Answered) -> None:
        """Run the parts after, up to a filter that waits in a task, or to the client."""
        exchange = self._lanes.running.exchange = self._request.exchange
        started = self._started
        while started:
            last = started[-1]
            if type(last) is not GeneratorType:
                if last.response is not None and not last.response.done():
                    last.response.set_result(response)
                return
            started.pop()
            try:
                # `finish` written out, as in `_begin`.
                last.send(response)
            except StopIteration as stop:
                replaced = stop.value
            except HANDLER_ERRORS as error:
                self._fail(error)
                return
            else:
                last.close()
                self._fail(RuntimeError(TWO_YIELDS))
                return
            if replaced is not None and replaced is not response:
                self._answerer.deliver(exchange, replaced)
                return
        self._leave(response)

    def _fail(self, error: BaseException) -> None:
        self._request.told = None  # this is another error than what a handler was asked about
        self._answerer.failed(self._request.exchange, error)

    def _leave(self, response: Answered) -> None:
        exchange = self._request.exchange
        self._request.passage = self._outside
        send = self._answerer.transmit if self._outside is None else self._answerer.send
        try:
            send(exchange, response.answer())
        except HANDLER_ERRORS as error:
            self._answerer.failed(exchange, error)
