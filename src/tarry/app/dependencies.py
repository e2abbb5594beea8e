"""What handlers depend on: values made once for each request, and cleaned up at its end.

A provider is a function that an author registers for a type.  It takes
arguments as a handler does, other dependencies among them.  If it is a
generator, the value is what it yields, and what follows runs when the handler
has returned: before the answer goes out, or after the last piece of a stream.
An error of the handler is raised at the `yield`, as in a `with` statement.
"""

import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

from tarry.app.lanes import Lane, lane_of
from tarry.app.results import lasts
from tarry.exchange import InThread

logger: Final = logging.getLogger("tarry")

Stack = contextlib.ExitStack | contextlib.AsyncExitStack
"""What is to be cleaned up after a stream."""


class Provider:
    """A function that makes the values of a type, and the lane it runs in."""

    __slots__ = ("enter", "function", "is_generator", "lane")

    def __init__(self, function: Callable[..., Any], *, inline: bool = False) -> None:
        self.function = function
        is_async_generator = inspect.isasyncgenfunction(function)
        self.is_generator = is_async_generator or inspect.isgeneratorfunction(function)
        self.lane = Lane.ASYNC if is_async_generator else lane_of(function, inline)
        self.enter: Callable[..., Any] = function
        if is_async_generator:
            self.enter = contextlib.asynccontextmanager(function)
        elif self.is_generator:
            self.enter = contextlib.contextmanager(function)


class Arguments(Protocol):
    """What a dependency has in common with a binding: it fills in values made before."""

    def inject(self, arguments: dict[str, Any], values: dict[Any, Any]) -> None: ...


class Dependency(NamedTuple):
    """A provider where it is needed; equal `key`s share one value within a request."""

    key: Any
    provider: Provider
    binding: Any


Prepared = tuple[Dependency, dict[str, Any]]
"""A dependency and its arguments so far, without those that other dependencies give."""


def stays_in(lane: Lane, dependencies: Iterable[Dependency]) -> bool:
    """Whether a handler's lane can make them by itself, in the same call as the handler."""
    allowed = {Lane.THREADS: {Lane.THREADS, Lane.INLINE}, Lane.INLINE: {Lane.INLINE}}
    return all(each.provider.lane in allowed.get(lane, ()) for each in dependencies)


def call_with(
    prepared: list[Prepared],
    binding: Arguments,
    function: Callable[..., Any],
    keep: Callable[[Stack], None],
    /,
    **arguments: Any,
) -> Any:
    """Make what a function depends on, call it, clean up: all in this thread.

    `keep` gets what is to be cleaned up later, if the result is a stream.
    """
    values: dict[Any, Any] = {}
    with contextlib.ExitStack() as stack:
        for dependency, given in prepared:
            dependency.binding.inject(given, values)
            made = dependency.provider.enter(**given)
            is_generator = dependency.provider.is_generator
            values[dependency.key] = stack.enter_context(made) if is_generator else made
        binding.inject(arguments, values)
        result = function(**arguments)
        if lasts(result):
            keep(stack.pop_all())
    return result


async def call_with_async(
    prepared: list[Prepared],
    binding: Arguments,
    call: Callable[[dict[str, Any]], Awaitable[Any]],
    keep: Callable[[Stack], None],
    in_thread: InThread,
    arguments: dict[str, Any],
) -> Any:
    """As `call_with`, from a coroutine: each provider runs in its own lane."""
    values: dict[Any, Any] = {}
    async with contextlib.AsyncExitStack() as stack:
        for dependency, given in prepared:
            dependency.binding.inject(given, values)
            values[dependency.key] = await _enter(dependency.provider, given, stack, in_thread)
        binding.inject(arguments, values)
        result = await call(arguments)
        if lasts(result):
            keep(stack.pop_all())
    return result


async def _enter(
    provider: Provider,
    arguments: dict[str, Any],
    stack: contextlib.AsyncExitStack,
    in_thread: InThread,
) -> Any:
    enter = provider.enter
    if provider.lane is Lane.ASYNC:
        made = enter(**arguments)
        return await (stack.enter_async_context(made) if provider.is_generator else made)
    if provider.lane is Lane.INLINE:
        made = enter(**arguments)
        return stack.enter_context(made) if provider.is_generator else made
    if not provider.is_generator:
        return await in_thread(_call, enter, arguments)
    return await stack.enter_async_context(_InThread(enter(**arguments), in_thread))


def _call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    return function(**arguments)


class _InThread:
    """A plain context manager, entered and left in threads."""

    def __init__(
        self, manager: contextlib.AbstractContextManager[Any], in_thread: InThread
    ) -> None:
        self._manager = manager
        self._in_thread = in_thread

    async def __aenter__(self) -> Any:
        return await self._in_thread(self._manager.__enter__)

    async def __aexit__(self, *error: Any) -> Any:
        return await self._in_thread(self._manager.__exit__, *error)


async def close(stack: Stack, in_thread: InThread) -> None:
    """Clean up what `keep` got; as the answer has gone by then, an error is logged."""
    try:
        if isinstance(stack, contextlib.AsyncExitStack):
            await stack.aclose()
        else:
            await in_thread(stack.close)
    except (Exception, SystemExit) as error:
        kind = type(error).__name__
        logger.exception("%s in a provider that cleans up after a stream", kind)
