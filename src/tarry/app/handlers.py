"""Handlers made of methods.

A handler looks like a function without `self`: its signature, name, module and
kind are those of the method, so that binding, lanes and messages treat it as
any other function.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import MethodType
from typing import Any, Final, TypeAlias

Make: TypeAlias = Callable[[], Any]
"""Makes the object that a method is called on."""

Handler: TypeAlias = Callable[..., Any]


def bound_handler(holder: object, name: str) -> Handler:
    """A method of an object that is there, or a static or class method of a class.

    Raises:
        ValueError: it has no `self`.
    """
    method: Handler = getattr(holder, name)
    _signature(method)
    return method


def fresh_handler(cls: type[Any], name: str, make: Make) -> Handler:
    """A method of an object that is made for each call, where the call runs.

    Raises:
        ValueError: it has no `self`.
    """
    method = getattr(cls, name)
    signature = _signature(MethodType(method, cls))

    def bound() -> Handler:
        method_of_new: Handler = getattr(make(), name)
        return method_of_new

    wrap = next((wrap for is_kind, wrap in _WRAPPERS if is_kind(method)), _call)
    handler: Any = functools.update_wrapper(wrap(bound), method)
    handler.__qualname__ = f"{cls.__qualname__}.{name}"
    handler.__signature__ = signature
    return handler  # type: ignore[no-any-return]  # because functions have no type for attributes


def _signature(method: Handler) -> inspect.Signature:
    try:
        return inspect.signature(method)
    except ValueError as error:
        raise ValueError("it takes no self; give it one, or make it a staticmethod") from error


# ---- one wrapper for each kind of function -------------------------------------------


def _call(bound: Make) -> Handler:
    def handler(**arguments: Any) -> Any:
        return bound()(**arguments)

    return handler


def _await(bound: Make) -> Handler:
    async def handler(**arguments: Any) -> Any:
        return await bound()(**arguments)

    return handler


def _generate(bound: Make) -> Handler:
    def handler(**arguments: Any) -> Generator[Any, Any, Any]:
        return (yield from bound()(**arguments))

    return handler


def _generate_async(bound: Make) -> Handler:
    async def handler(**arguments: Any) -> AsyncGenerator[Any, Any]:
        # What `yield from` does for plain generators; PEP 525 leaves it to us.
        pieces: AsyncGenerator[Any, Any] = bound()(**arguments)
        step = pieces.asend(None)
        while True:
            try:
                piece = await step
            except StopAsyncIteration:
                return
            try:
                step = pieces.asend((yield piece))
            except GeneratorExit:
                await pieces.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 — it goes on to where it belongs
                step = pieces.athrow(error)

    return handler


_WRAPPERS: Final = (
    (inspect.iscoroutinefunction, _await),
    (inspect.isgeneratorfunction, _generate),
    (inspect.isasyncgenfunction, _generate_async),
)
