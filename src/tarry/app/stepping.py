"""Generator handlers: up to their first text they can wait without holding anything.

Each step runs in a thread for a plain generator, in a task for an async one.  A
deferred result that is yielded comes back from the `yield`; while it is waited
for there is neither thread nor task, only the generator.  The first text begins
a stream, in which further ones come back the same way; a generator that ends
before that answers with what it returns.
"""

import asyncio
import contextvars
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from typing import Any, Final, TypeAlias

from tarry.app.current import of_task
from tarry.app.deferred import Awaited, Deferred, Settler
from tarry.app.errors import no_thread
from tarry.app.held_tasks import Rest, hold_task, run_rest
from tarry.app.lanes import Lanes
from tarry.app.presence import Presence
from tarry.app.responses import Stream
from tarry.app.threaded import ThreadedIterator
from tarry.exchange import ClientGone, Exchange, InThread

Plain: TypeAlias = Generator[Any, Any, Any]

Outcome: TypeAlias = tuple[Any, BaseException | None]
"""What comes back from a `yield`: a value, or an error that is thrown in."""

_ATTACHING: Final = object()
"""Stands for an outcome while somebody is being told who waits for it."""


def is_generator_function(function: Callable[..., Any]) -> bool:
    """Whether a call makes a generator, of either kind, and does nothing else."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


class AsyncSteps:
    """The steps of an async generator; what it awaits is cancelled when the client leaves."""

    __slots__ = ("_exchange", "_generator", "_presence")

    def __init__(
        self, generator: AsyncGenerator[Any, Any], exchange: Exchange, presence: Presence
    ) -> None:
        self._generator = generator
        self._exchange = exchange
        self._presence = presence

    def step(
        self,
        value: object = None,
        error: BaseException | None = None,
        in_thread: InThread | None = None,
    ) -> Awaitable[Any]:
        """The next item, as of a `ThreadedIterator`, but from the running task."""
        if error is None and self._exchange.gone:
            error = ClientGone("the client left")
        if error is not None:
            return self._presence.wait_for(self._generator.athrow, error)
        return self._presence.wait_for(self._generator.asend, value)

    async def aclose(self) -> None:
        """Close the generator."""
        await self._generator.aclose()


Steps: TypeAlias = ThreadedIterator[Any] | AsyncSteps


class Stepping(Deferred):
    """A generator that is under way and has given no text yet."""

    # There may be very many that wait: nothing is kept here that a step can have for itself.
    __slots__ = ("_context", "_has_waited", "_outcome", "_presence", "_settler", "generator")

    _context: contextvars.Context
    _presence: Presence
    _settler: Settler

    def __init__(self, generator: Plain | AsyncGenerator[Any, Any]) -> None:
        self.generator = generator
        self._has_waited = False
        self._outcome: Any = None

    def attach(self, exchange: Exchange, settler: Settler) -> None:
        """Take the first step, or refuse to if no thread can be had for it."""
        if isinstance(self.generator, AsyncGenerator):
            self._presence = Presence(exchange)
        elif settler.lanes.are_threads_full:
            settler.settle(exchange, None, no_thread())
            return
        self._settler = settler
        # All steps have one context: what they set is there in the next, and nothing in it comes
        # from the request that settles what is waited for.
        self._context = contextvars.copy_context()
        self._context.run(of_task.set, exchange)
        self._go_on(exchange, None, None)

    @property
    def lanes(self) -> Lanes:
        """Loop and threads of the application that answers."""
        return self._settler.lanes

    def settle(self, exchange: Exchange, result: Any, error: BaseException | None) -> None:
        """Go on at the `yield`."""
        if self._outcome is _ATTACHING:
            self._outcome = result, error  # `_wait_for` is still there to take it
        else:
            self._go_on(exchange, result, error)

    def _go_on(self, exchange: Exchange, value: Any, error: BaseException | None) -> None:
        self.lanes.spawn(exchange, self._run(exchange, value, error), self._context)

    async def _run(self, exchange: Exchange, value: Any, error: BaseException | None) -> None:
        rest = await self._advance(exchange, (value, error))
        if rest is not None:
            await run_rest(rest)

    async def _advance(
        self, exchange: Exchange, outcome: Outcome | None
    ) -> "asyncio.Future[Rest | None] | None":
        """Go on as far as can be; gives what the running task is to wait for, if anything."""
        steps = self._steps(exchange)
        settle = self._settler.settle
        try:
            while outcome is not None:
                item = await steps.step(*outcome, in_thread=self._in_thread())
                if not isinstance(item, Deferred):
                    return self._begin_stream(exchange, Begun(exchange, self.lanes, steps, item))
                outcome = self._wait_for(exchange, item)
        except StopAsyncIteration as end:
            result = end.args[0] if end.args else None
            is_stream = result is None and not self._has_waited
            settle(exchange, Stream(()) if is_stream else result, None)
        except BaseException as raised:
            try:
                await steps.aclose()
            finally:
                settle(exchange, None, raised)
            if not isinstance(raised, Exception | SystemExit):
                raise
        return None

    def _steps(self, exchange: Exchange) -> Steps:
        if isinstance(self.generator, AsyncGenerator):
            return AsyncSteps(self.generator, exchange, self._presence)
        return ThreadedIterator(self.generator, self.lanes.in_thread)

    def _in_thread(self) -> InThread:
        return self.lanes.in_thread_ahead if self._has_waited else self.lanes.in_thread

    def _wait_for(self, exchange: Exchange, item: Deferred) -> Outcome | None:
        """What a deferred result has become; `None` if it is not there, and comes to `settle`."""
        self._has_waited = True
        self._outcome = _ATTACHING
        try:
            item.attach(exchange, self)
        except Exception as error:  # noqa: BLE001 — it is the generator that has to hear of it
            self._outcome = None, error
        outcome, self._outcome = self._outcome, None
        if outcome is _ATTACHING:
            exchange.task = None  # nothing runs while it waits
            return None
        return outcome  # type: ignore[no-any-return]  # because a sentinel has no type of its own

    def _begin_stream(
        self, exchange: Exchange, pieces: "Begun"
    ) -> "asyncio.Future[Rest | None] | None":
        # To a plain generator, each of whose steps is in a thread, tasks make no difference.
        rest = hold_task(exchange) if isinstance(self.generator, AsyncGenerator) else None
        self._settler.settle(exchange, Stream(pieces), None)
        return rest


class Begun(AsyncIterator[Any]):
    """The pieces of a generator, from the first one on; what it waits for comes back to it."""

    __slots__ = ("_exchange", "_first", "_lanes", "_steps")

    def __init__(self, exchange: Exchange, lanes: Lanes, steps: Steps, first: object) -> None:
        self._exchange = exchange
        self._lanes = lanes
        self._steps = steps
        self._first = [first]

    async def __anext__(self) -> Any:
        if self._first:
            return self._first.pop()
        item = await self._steps.step()
        while isinstance(item, Deferred):
            value, error = await self._outcome_of(item)
            item = await self._steps.step(value, error, self._lanes.in_thread_ahead)
        return item

    async def _outcome_of(self, item: Deferred) -> Outcome:
        awaited = Awaited(self._lanes)
        try:
            item.attach(self._exchange, awaited)
            return await awaited.result(), None
        except Exception as error:  # noqa: BLE001 — it is the generator that has to hear of it
            return None, error

    async def aclose(self) -> None:
        """Close the generator."""
        await self._steps.aclose()
