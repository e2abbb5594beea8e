"""What happens, told to who wants to know: an emitter of named events.

Which events there are, and what their handlers can take, stands in tables, so
that a mistake shows when a handler is registered and not when the event comes.
"""

import asyncio
import difflib
import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar, overload

from tarry.app.lanes import Lane, lane_of
from tarry.app.params import SignatureError, describe_function
from tarry.exchange import InThread

logger: Final = logging.getLogger("tarry")

EventTable = Mapping[str, tuple[str, ...]]
"""The names of events, each with what a handler can take besides `event`."""

APP_EVENTS: Final[EventTable] = {
    "start": ("app",),
    "stop": ("app",),
    "request": ("request",),
    "response": ("request", "response"),
    "error": ("request", "error"),
    "gone": ("request",),
}
"""The events of an application."""

REQUEST_EVENTS: Final[EventTable] = {
    "data": ("request", "response", "chunk"),
    "end": ("request", "response"),
    "gone": ("request",),
}
"""The events of one request."""

_HANDLER_ERRORS: Final = (Exception, SystemExit)  # `sys.exit()` must not end a server

Function = TypeVar("Function", bound=Callable[..., Any])


class Event:
    """One event on its way through its handlers, which can leave things in it for later ones.

    `source` is what it happened to: the application or the request.
    """

    __slots__ = ("_kept", "name", "source", "stopped")

    def __init__(self, name: str, source: Any) -> None:
        self.name = name
        self.source = source
        self.stopped = False
        self._kept: dict[str, Any] | None = None

    def stop(self) -> None:
        """Keep it from the handlers that have not had it yet."""
        self.stopped = True

    def set(self, key: str, value: Any) -> None:
        """Leave a value for later handlers, and for who emitted the event."""
        if self._kept is None:
            self._kept = {}
        self._kept[key] = value

    def get(self, key: str, default: Any = None) -> Any:
        """What an earlier handler has left, or `default`."""
        return default if self._kept is None else self._kept.get(key, default)


Report = Callable[[Event, Callable[..., Any], BaseException], None]
"""Told of what a handler raised."""


def log_failure(event: Event, function: Callable[..., Any], error: BaseException) -> None:
    """Log what a handler raised, with its traceback."""
    logger.error(
        "%s in the handler %s of the event %r",
        type(error).__name__,
        describe_function(function),
        event.name,
        exc_info=error,
    )


class _Handler:
    """A function with its lane and the names of what it takes, found out once."""

    __slots__ = ("function", "lane", "takes")

    def __init__(
        self, function: Callable[..., Any], inline: bool, offered: tuple[str, ...]
    ) -> None:
        self.function = function
        self.lane = lane_of(function, inline)
        self.takes = _taken(function, offered)

    def call(self, event: Event, values: dict[str, Any]) -> Any:
        """Call it here and now."""
        arguments = {name: event if name == "event" else values[name] for name in self.takes}
        return self.function(**arguments)


class Emitter:
    """Handlers by event, called in the order in which they were registered.

    One is called after the other: an `async def` on the loop, a `def` by
    `in_thread`, or on the loop itself with `inline=True`.  What a handler
    raises goes to `report`, and the next one is called all the same.  Handlers
    added or removed while an event is under way count from the next one on.
    """

    __slots__ = ("_events", "_handlers", "_in_thread", "_report")

    def __init__(
        self,
        events: EventTable,
        in_thread: InThread = asyncio.to_thread,
        report: Report = log_failure,
    ) -> None:
        self._events = events
        self._handlers: dict[str, tuple[_Handler, ...]] = {}
        self._in_thread = in_thread
        self._report = report

    # ---- handlers ----------------------------------------------------------------------

    @overload
    def on(
        self, name: str, function: None = None, *, inline: bool = False
    ) -> Callable[[Function], Function]: ...
    @overload
    def on(self, name: str, function: Function, *, inline: bool = False) -> Function: ...
    def on(self, name: str, function: Any = None, *, inline: bool = False) -> Any:
        """Have a function called at each event of a name; without one it is a decorator.

        It may take `event` and the values of the event, by their names.
        `inline=True` runs a `def` on the loop itself, for small functions that
        never block.

        Raises:
            ValueError: no such event.
            TypeError: nothing that can be called, or `inline` with an `async def`.
            SignatureError: it needs what the event does not have.
        """
        offered = ("event", *self._values_of(name))
        if function is None:
            return functools.partial(self.on, name, inline=inline)
        if not callable(function):
            raise TypeError(f"a handler is a function, not {type(function).__name__}")
        handler = _Handler(function, inline, offered)
        self._handlers[name] = (*self._handlers.get(name, ()), handler)
        return function

    def off(self, name: str, function: Callable[..., Any] | None = None) -> None:
        """Forget a function, or all of an event; without effect on one that is not there.

        Raises:
            ValueError: no such event.
        """
        self._values_of(name)
        handlers = self._handlers.pop(name, ())
        kept = tuple(each for each in handlers if function not in (None, each.function))
        if kept:
            self._handlers[name] = kept

    def has(self, name: str) -> bool:
        """Whether anybody listens; ask before you make an event."""
        return name in self._handlers

    def _values_of(self, name: str) -> tuple[str, ...]:
        try:
            return self._events[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._events, 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            known = ", ".join(self._events)
            raise ValueError(f'there is no event "{name}", but {known}{hint}') from None

    # ---- events ------------------------------------------------------------------------

    async def emit(self, name: str, source: Any, /, **values: Any) -> Event:
        """Tell all handlers, one after the other; what they raise is reported."""
        return await self._run(Event(name, source), self._handlers.get(name, ()), values)

    async def emit_backwards(self, name: str, source: Any, /, **values: Any) -> Event:
        """As `emit`, but who registered last is told first."""
        handlers = reversed(self._handlers.get(name, ()))
        return await self._run(Event(name, source), handlers, values)

    async def emit_strictly(self, name: str, source: Any, /, **values: Any) -> Event:
        """As `emit`, but what a handler raises is raised, and no further one is called."""
        event = Event(name, source)
        for handler in self._handlers.get(name, ()):
            if event.stopped:
                break
            await self._call(handler, event, values)
        return event

    async def _run(
        self, event: Event, handlers: Iterable[_Handler], values: dict[str, Any]
    ) -> Event:
        for handler in handlers:
            if event.stopped:
                break
            try:
                await self._call(handler, event, values)
            except _HANDLER_ERRORS as error:
                self._report(event, handler.function, error)
        return event

    async def _call(self, handler: _Handler, event: Event, values: dict[str, Any]) -> None:
        if handler.lane is Lane.THREADS:
            await self._in_thread(handler.call, event, values)
        elif handler.lane is Lane.ASYNC:
            await handler.call(event, values)
        else:
            handler.call(event, values)


_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _taken(function: Callable[..., Any], offered: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the arguments with which a function is to be called."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise SignatureError(f"function {describe_function(function)}: {error}") from error
    taken = []
    for parameter in parameters:
        by_name = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if by_name and parameter.name in offered:
            taken.append(parameter.name)
        elif parameter.kind is parameter.VAR_KEYWORD:
            return offered
        elif parameter.default is parameter.empty and parameter.kind not in _VARIADIC:
            raise SignatureError(
                f"a handler of this event takes {', '.join(offered)} by these names, not "
                f'"{parameter.name}" [{describe_function(function)}]'
            )
    return tuple(taken)
