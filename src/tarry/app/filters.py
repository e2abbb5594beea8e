"""Filters: functions around handlers, and around everything else that answers.

Three forms, told apart once, when a filter is registered:

    def timed(request):                     # before, then after
        started = clock()
        response = yield
        response.headers["x-run"] = str(clock() - started)

    async def guarded(request, next):       # around
        async with limit:
            return await next(request)

    def locked(request):                    # before
        if is_closed(request.path):
            return 503, "closed for today"

To answer early, the first returns or yields the answer, the others return it;
`None` is no answer.  What the part after returns takes the place of the
response.  Filters run in lanes, as handlers do: only `inline` ones of the
forms with `def` are called as they are, all others become the form around.
"""

import contextvars
import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import GeneratorType
from typing import Any, Final

from tarry.app.lanes import Lane, lane_of
from tarry.app.params import describe_function
from tarry.exchange import InThread

Matches = Callable[[Sequence[str]], bool]
"""Whether a filter is for a path, given by its decoded segments."""

Next = Callable[[Any], Awaitable[Any]]
"""Gives the response of all that comes after a filter."""

Around = Callable[[Any, Next], Awaitable[Any]]
"""A filter that calls what comes after it by itself."""

TWO_YIELDS: Final = "a filter yields once; what follows is its part after the handler"


class Filter:
    """A filter and what is known of it.

    One that `is_inline` is called on the loop, without waiting.  Any other has
    `around`, which calls `begin` and `run_after` in threads if it is a `def`.
    """

    __slots__ = ("_wrap", "function", "is_inline", "matches")

    def __init__(
        self, function: Callable[..., Any], *, inline: bool = False, matches: Matches | None = None
    ) -> None:
        """Look at the function once.

        Raises:
            TypeError: it is none of the three forms; names function, file and line.
        """
        self.function = function
        self.matches = matches
        is_async_generator = inspect.isasyncgenfunction(function)
        if is_async_generator and inline:
            raise TypeError("inline=True is for a def; an async def runs on the loop anyway")
        lane = Lane.ASYNC if is_async_generator else lane_of(function, inline)
        self.is_inline = lane is Lane.INLINE
        count = _count_of_arguments(function)
        if count not in (1, 2) or (count == 2 and lane is not Lane.ASYNC):
            raise TypeError(
                "a filter is a function of the request, or an async def of the request and next"
                f" [{describe_function(function)}]"
            )
        self._wrap: Callable[[Filter, InThread], Around] = _threaded
        if is_async_generator:
            self._wrap = _around_generator
        elif lane is Lane.ASYNC:
            self._wrap = _as_it_is if count == 2 else _around_function

    def __call__(self, *arguments: Any) -> Any:
        """Call the function, so that a filter can stand where a function can."""
        return self.function(*arguments)

    def step(self) -> Callable[[Any], Any]:
        """What `run_before` calls: the function, or what answers with a filter to be awaited."""
        return self.function if self.is_inline else self._itself

    def _itself(self, request: Any) -> "Filter":
        return self

    def around(self, in_thread: InThread) -> Around:
        """The filter in the form around; plain functions are called by `in_thread`."""
        return self._wrap(self, in_thread)

    def begin(self, request: Any) -> tuple[list[Any], Any]:
        """Run the part before: the generator that waits, if there is one, and what it answered."""
        started: list[Any] = []
        return started, run_before((self.function,), request, started)


WAITS: Final = object()
"""Stands for the answer of a filter that waits in a task of its own."""


def run_before(steps: Iterable[Callable[[Any], Any]], request: Any, started: list[Any]) -> Any:
    """Call the parts before, up to one that answers, and return its answer or `None`.

    Generators that wait for the response are put into `started`.
    """
    for step in steps:
        early = step(request)
        if type(early) is GeneratorType:
            generator = early
            try:
                early = next(generator)
            except StopIteration as stop:
                early = stop.value
            else:
                if early is None:
                    started.append(generator)
                    continue
                generator.close()
        if early is not None:
            return early
    return None


def run_after(started: list[Any], response: Any) -> Any:
    """Run the parts after, the last one first, up to one that answers anew.

    Returns what that one returned, `None` when all are through, or `WAITS` at
    what is no generator: it was sent the response, and stays in `started`.

    Raises:
        RuntimeError: one yields once more.
    """
    while started:
        last = started.pop()
        try:
            last.send(response)
        except StopIteration as stop:
            if stop.value is not None and stop.value is not response:
                return stop.value
        else:
            if type(last) is not GeneratorType:
                started.append(last)
                return WAITS
            last.close()
            raise RuntimeError(TWO_YIELDS)
    return None


def _count_of_arguments(function: Callable[..., Any]) -> int:
    """How many arguments without a default a function takes."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(each.default is each.empty and each.kind not in variadic for each in parameters)


# ---- all other forms, as the form around ---------------------------------------------------


def _as_it_is(step: Filter, in_thread: InThread) -> Around:
    return step.function


def _around_function(step: Filter, in_thread: InThread) -> Around:
    async def around(request: Any, next: Next) -> Any:
        early = await step.function(request)
        return await next(request) if early is None else early

    return around


def _around_generator(step: Filter, in_thread: InThread) -> Around:
    async def around(request: Any, next: Next) -> Any:
        generator = step.function(request)
        try:
            early = await anext(generator, None)
            if early is not None:
                return early
            response = await next(request)
            try:
                await generator.asend(response)
            except StopAsyncIteration:
                return response
            raise RuntimeError(TWO_YIELDS)
        finally:
            await generator.aclose()

    return around


def _threaded(step: Filter, in_thread: InThread) -> Around:
    async def around(request: Any, next: Next) -> Any:
        # One context for both parts, and what the first sets there is for the handler, too.
        context = contextvars.copy_context()
        started, early = await in_thread(context.run, step.begin, request)
        _take_over(context)
        if early is not None:
            return early
        response = await next(request)
        if not started:
            return response
        replaced = await in_thread(context.run, run_after, started, response)
        return response if replaced is None else replaced

    return around


def _take_over(context: contextvars.Context) -> None:
    """Have the running task see the variables as they are in a context that was copied from it."""
    missing = object()
    for variable, value in context.items():
        if variable.get(missing) is not value:
            variable.set(value)
