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
from collections.abc import Awaitable, Callable, Sequence
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
    `around`, which calls `begin` and `finish` in threads if it is a `def`.
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

    def around(self, in_thread: InThread) -> Around:
        """The filter in the form around; plain functions are called by `in_thread`."""
        return self._wrap(self, in_thread)

    def begin(self, request: Any) -> tuple[Any, Any]:
        """Run the part before: the generator that waits, or none, and what it answered."""
        result = self.function(request)
        if type(result) is not GeneratorType:
            return None, result
        try:
            early = next(result)
        except StopIteration as stop:
            return None, stop.value
        if early is None:
            return result, None
        result.close()
        return None, early


def finish(generator: Any, response: Any) -> Any:
    """Run the part after; what it returns, if anything, replaces the response.

    Raises:
        RuntimeError: it yields once more.
    """
    try:
        generator.send(response)
    except StopIteration as stop:
        return stop.value
    generator.close()
    raise RuntimeError(TWO_YIELDS)


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
        generator, early = await in_thread(context.run, step.begin, request)
        _take_over(context)
        if early is not None:
            return early
        response = await next(request)
        if generator is None:
            return response
        replaced = await in_thread(context.run, finish, generator, response)
        return response if replaced is None else replaced

    return around


def _take_over(context: contextvars.Context) -> None:
    """Have the running task see the variables as they are in a context that was copied from it."""
    missing = object()
    for variable, value in context.items():
        if variable.get(missing) is not value:
            variable.set(value)
