"""One definition of a handler for both lanes."""

from __future__ import annotations

import contextlib
import functools
import inspect
from dataclasses import dataclass


@dataclass(frozen=True)
class Lane:
    """`@lane` leaves a `def` as it is, or makes an `async def` of it that does the same."""

    is_async: bool

    def __call__(self, function):
        if not self.is_async:
            return function
        wrap = _async_generator if inspect.isgeneratorfunction(function) else _async
        return wrap(function)

    def either(self, plain, coroutine):
        """Of two functions, written differently for the two lanes, that of this one."""
        return coroutine if self.is_async else plain


THREADS = Lane(is_async=False)
LOOP = Lane(is_async=True)


def _async(function):
    @functools.wraps(function)
    async def coroutine_function(*arguments, **named):
        return function(*arguments, **named)

    return coroutine_function


def _async_generator(function):
    @functools.wraps(function)
    async def async_generator_function(*arguments, **named):
        generator, sent = function(*arguments, **named), None
        with contextlib.suppress(StopIteration):
            while True:
                piece = generator.send(sent)
                sent = yield piece

    return async_generator_function
