"""The way of one request through its filters, and of its answer back.

A passage goes forward through the parts before, in order, until it comes to
what is inside: the route's handler, or the answer for a request that has none.
That answers as always; but as the request has a `passage`, the answer comes
here, and goes backward through the parts after before it is sent.

Inline filters are called as the passage goes by and need no task.  Any other
has a task of its own, and waits there for the response of what is inside it.

Most applications have inline filters only, for all paths.  Their requests need
nothing that remembers where they are, and share one `InlinePassage`.
"""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from tarry.app.answered import Answered, answered
from tarry.app.answering import HANDLER_ERRORS, Answerer
from tarry.app.file_sending import OpenedFile
from tarry.app.filters import WAITS, Filter, run_after, run_before
from tarry.app.lanes import Lanes
from tarry.app.request import Request
from tarry.app.responses import Stream
from tarry.app.results import Answer
from tarry.app.websocket_endpoints import Upgrade
from tarry.exchange import Exchange

Sendable = Answer | Stream | OpenedFile | Upgrade
"""What filters see as a response."""

Inside = Callable[[Exchange], None]
"""Answers an exchange."""


class _Around:
    """A filter that waits in its task for what is inside it."""

    __slots__ = ("response", "task")

    def __init__(self) -> None:
        self.response: asyncio.Future[Answered] | None = None
        self.task = asyncio.current_task()

    def send(self, response: Answered) -> None:
        """Hand the response to the filter, if it waits for one still."""
        if self.response is not None and not self.response.done():
            self.response.set_result(response)

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

    __slots__ = ("_answerer", "_inside", "_lanes", "_outside", "_request", "_started",
                 "_steps")  # fmt: skip

    def __init__(
        self,
        request: Request,
        filters: tuple[Filter, ...],
        inside: Inside,
        answerer: Answerer,
        lanes: Lanes,
    ) -> None:
        self._request = request
        self._steps = map(Filter.step, filters)
        self._inside = inside
        self._answerer = answerer
        self._lanes = lanes
        # Generators that wait for the response, and filters that do so in a task.
        self._started: list[Any] = []
        # A route with filters of its own has a passage within that of the application.
        self._outside = request.passage
        request.passage = self

    @property
    def waits(self) -> bool:
        """Whether a filter waits in a task for what is inside it."""
        if any(type(each) is _Around for each in self._started):
            return True
        return self._outside is not None and self._outside.waits

    # ---- forward -----------------------------------------------------------------------

    def go(self) -> None:
        """Run the parts before, on from where it stopped, then what is inside."""
        request = self._request
        exchange = self._lanes.running.exchange = request.exchange
        try:
            early = run_before(self._steps, request, self._started)
            if early is None:
                request.apply_headers()
        except HANDLER_ERRORS as error:
            self._answerer.failed(exchange, error)
            return
        if early is None:
            self._inside(exchange)
        elif type(early) is Filter:
            around = self._answerer.run(exchange, self._go_around(early))
            self._lanes.spawn(exchange, around)
        else:
            self._answerer.deliver(exchange, early)

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
            self.come_back(self._request, result)
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
            _close(each, self._answerer, self._request)

    def break_off(self, request: Request) -> None:
        """End all filters: there will be no answer."""
        request.passage = self._outside
        self._drop(0)
        if self._outside is not None:
            self._outside.break_off(request)

    # ---- backward ------------------------------------------------------------------------

    def come_back(self, request: Request, answer: Sendable | Answered) -> None:
        """Take the answer of what is inside, and run the parts after.

        Up to a filter that waits in a task, to one that answers anew, or to the client.
        """
        exchange = self._lanes.running.exchange = request.exchange
        response = answered(answer)
        try:
            replaced = run_after(self._started, response)
        except HANDLER_ERRORS as error:
            request.told = None  # this is another error than what a handler was asked about
            self._answerer.failed(exchange, error)
            return
        if replaced is None:
            self._leave(exchange, response)
        elif replaced is not WAITS:
            self._answerer.deliver(exchange, replaced)

    def _leave(self, exchange: Exchange, response: Answered) -> None:
        outside = self._request.passage = self._outside
        send = self._answerer.transmit if outside is None else self._answerer.send
        try:
            send(exchange, response.answer())
        except HANDLER_ERRORS as error:
            self._answerer.failed(exchange, error)


class InlinePassage:
    """The way of all requests through the filters of an application that are all inline.

    `steps` are those of `Filter.step`.  What differs between requests is in
    `Request.started`, so that none needs a `Passage`, which would cost 0.5 µs.
    """

    __slots__ = ("_answerer", "_inside", "_lanes", "_steps")

    waits = False

    def __init__(
        self,
        steps: tuple[Callable[[Any], Any], ...],
        inside: Inside,
        answerer: Answerer,
        lanes: Lanes,
    ) -> None:
        self._steps = steps
        self._inside = inside
        self._answerer = answerer
        self._lanes = lanes

    def handle(self, exchange: Exchange) -> None:
        """Answer an exchange by way of the filters."""
        # A context of its own: what filters set in it is not for the next request of a connection.
        copy_context().run(self._go, exchange)

    def _go(self, exchange: Exchange) -> None:
        lanes = self._lanes
        lanes.running.exchange = exchange
        request = exchange.context = Request(exchange, lanes)
        request.passage = self
        started = request.started = []
        try:
            early = run_before(self._steps, request, started)
            if early is None:
                request.apply_headers()
        except HANDLER_ERRORS as error:
            self._answerer.failed(exchange, error)
            return
        if early is None:
            inside = self._inside
            inside(exchange)
        else:
            self._answerer.deliver(exchange, early)

    def come_back(self, request: Request, answer: Sendable) -> None:
        """Take the answer of what is inside, run the parts after, and send it."""
        exchange = self._lanes.running.exchange = request.exchange
        answerer = self._answerer
        response = Answered(*answer) if type(answer) is tuple else answered(answer)
        try:
            replaced = run_after(request.started, response)
        except HANDLER_ERRORS as error:
            request.told = None  # as in `Passage`
            answerer.failed(exchange, error)
            return
        if replaced is not None:
            answerer.deliver(exchange, replaced)
            return
        try:
            answerer.transmit(exchange, response.answer())
        except HANDLER_ERRORS as error:
            answerer.failed(exchange, error)

    def break_off(self, request: Request) -> None:
        """End all filters: there will be no answer."""
        request.passage = None
        while request.started:
            _close(request.started.pop(), self._answerer, request)


def _close(generator: Any, answerer: Answerer, request: Request) -> None:
    try:
        generator.close()
    except HANDLER_ERRORS as error:
        answerer.too_late(request.exchange, error)
