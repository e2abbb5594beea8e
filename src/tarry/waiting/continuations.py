"""Functions that make the answer from the value of a wait, wherever the value arrives.

They are kept by name, `module:function`, and found again by it, so another
process can go on where the one that began is no more.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

from tarry.app.deferred import Deferred, Settler
from tarry.app.lanes import Lane, lane_of
from tarry.app.params import MISSING, describe_function, read_arguments
from tarry.exchange import Exchange
from tarry.waiting.records import RequestInfo
from tarry.waiting.values import ValueType, value_type

Then = Callable[..., Any]
"""Takes the value and, if it has a second argument, the `RequestInfo`; gives any result."""


def name_of(function: Then) -> str:
    """The name under which a function is found again.

    Raises:
        ValueError: it would not be.
    """
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    name = getattr(function, "__qualname__", "")
    if not inspect.isfunction(function) or getattr(module, name, None) is not function:
        raise ValueError(
            "then= takes a function of a module, which another process can find by its name, not "
            + describe_function(function)
        )
    return f"{function.__module__}:{name}"


@functools.cache
def function_of(name: str) -> Then:
    """The function of a name.

    Raises:
        ImportError: there is none any more.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]  # because modules have no types
    except AttributeError as error:
        raise ImportError(f"there is no function {name} any more, which was to answer") from error


def value_for(function: Then, value: bytes, type: ValueType | None) -> Any:
    """A value from JSON as a function is to get it.

    Where the type of the wait is not known, it is that of the function's first
    argument, and plain JSON if that has none.

    Raises:
        BadValue: the value does not fit.
    """
    if type is None:
        arguments = read_arguments(function).arguments
        annotation = arguments[0].annotation if arguments else Any
        type = value_type(Any if annotation is MISSING else annotation)
    return type.read(value)


class Continuation(Deferred):
    """The result of a function that is called with a value, in its lane."""

    __slots__ = ("_arguments", "_function")

    def __init__(self, function: Then, value: Any, info: RequestInfo | None) -> None:
        self._function = function
        several = len(inspect.signature(function).parameters) > 1
        self._arguments = (value, info) if several else (value,)

    def attach(self, exchange: Exchange, settler: Settler) -> None:
        """Call it."""
        if lane_of(self._function, inline=False) is Lane.ASYNC:
            settler.lanes.spawn(exchange, self._await(exchange, settler))
            return

        def call() -> Any:
            return self._function(*self._arguments)

        done = functools.partial(settler.settle, exchange)
        if not settler.lanes.submit(exchange, call, {}, done):
            settler.lanes.spawn(exchange, self._in_thread(exchange, settler, call))

    async def _await(self, exchange: Exchange, settler: Settler) -> None:
        try:
            result = await self._function(*self._arguments)
        except BaseException as error:
            settler.settle(exchange, None, error)
            if not isinstance(error, Exception | SystemExit):
                raise
        else:
            settler.settle(exchange, result, None)

    async def _in_thread(
        self, exchange: Exchange, settler: Settler, call: Callable[[], Any]
    ) -> None:
        """The pool is full, but who has waited so long is not refused now."""
        try:
            result = await settler.lanes.in_thread(call)
        except Exception as error:  # noqa: BLE001 — it is the answer to this request
            settler.settle(exchange, None, error)
        else:
            settler.settle(exchange, result, None)
