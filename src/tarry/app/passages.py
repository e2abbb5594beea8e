"""The way of one request through its filters, and of its answer back.

A passage goes forward through the parts before, in order, until it comes to
what is inside: the route's handler, or the answer for a request that has none.
That answers as always; but as the request has a `divert`, the answer comes
here, and goes backward through the parts after before it is sent.

Inline filters are called as the passage goes by and need no task.  Any other
has a task of its own, and waits there for the response of what is inside it.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from tarry.app.answered import Answered, answered
from tarry.app.answering import HANDLER_ERRORS, Answerer
from tarry.app.file_sending import OpenedFile
from tarry.app.filters import Filter, finish
from tarry.app.lanes import Lanes
from tarry.app.request import Request
from tarry.app.responses import Stream
from tarry.app.results import Answer
from tarry.app.websocket_endpoints import Upgrade
from tarry.exchange import Exchange

Inside = Callable[[Exchange], None]
"""Answers an exchange."""


class _Around:
    """A filter that waits in its task for what is inside it."""

    __slots__ = ("response", "task")

    def __init__(self) -> None:
        self.response: asyncio.Future[Answered] | None = None
        self.task = asyncio.current_task()


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
        self._outside = request.divert
        request.divert = self._come_back

    # ---- forward -----------------------------------------------------------------------

    def go(self) -> None:
        """Run the parts before, then what is inside."""
        exchange = self._request.exchange
        while self._position < len(self._filters):
            step = self._filters[self._position]
            self._position += 1
            if not step.is_inline:
                self._lanes.spawn(exchange, self._answerer.run(exchange, self._go_around(step)))
                return
            try:
                generator, early = step.begin(self._request)
            except HANDLER_ERRORS as error:
                self._answerer.failed(exchange, error)
                return
            if early is not None:
                self._answerer.deliver(exchange, early)
                return
            if generator is not None:
                self._started.append(generator)
        self._request.apply_headers()
        self._inside(exchange)

    async def _go_around(self, step: Filter) -> None:
        around = _Around()
        self._started.append(around)
        try:
            result = await step.around(self._lanes.in_thread)(self._request, self._next_of(around))
        finally:
            self._drop_from(around)
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
                self._abandon()
                raise

        return next_response

    def _abandon(self) -> None:
        """A filter waits no longer, after a timeout say: end what is inside it."""
        tasks = {self._request.exchange.task} - {asyncio.current_task()}
        self._request.abandon(task for task in tasks if isinstance(task, asyncio.Task))

    def _drop_from(self, around: _Around) -> None:
        """Forget a filter that is through, and what it has left behind inside."""
        while self._started:
            dropped = self._started.pop()
            if dropped is around:
                return
            if not isinstance(dropped, _Around):
                dropped.close()
            elif dropped.task is not None:
                self._request.abandon([dropped.task])

    # ---- backward ------------------------------------------------------------------------

    def _come_back(self, answer: Answer | Stream | OpenedFile | Upgrade) -> None:
        self._go_back(answered(answer))

    def _go_back(self, response: Answered) -> None:
        """Run the parts after, up to a filter that waits in a task, or to the client."""
        exchange = self._request.exchange
        while self._started:
            last = self._started[-1]
            if isinstance(last, _Around):
                if last.response is not None and not last.response.done():
                    last.response.set_result(response)
                return
            self._started.pop()
            try:
                replaced = finish(last, response)
            except HANDLER_ERRORS as error:
                self._answerer.failed(exchange, error)
                return
            if replaced is not None and replaced is not response:
                self._answerer.deliver(exchange, replaced)
                return
        self._leave(response)

    def _leave(self, response: Answered) -> None:
        exchange = self._request.exchange
        self._request.divert = self._outside
        try:
            self._answerer.send(exchange, response.answer())
        except HANDLER_ERRORS as error:
            self._answerer.failed(exchange, error)
