"""What a store has been asked for: known at once, or when it has done it."""

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class StoreResult(Generic[Value]):
    """What comes of a change of the store: `await` it, or take its `result()` in a thread.

    Nobody has to look at it; what was begun is done anyway.
    """

    __slots__ = ("_future",)

    def __init__(self, future: "Future[Value]") -> None:
        self._future = future

    def __await__(self) -> Generator[Any, None, Value]:
        if self._future.done():
            return self._future.result()
        # Who is cancelled here does not take back what the store was asked for.
        return (yield from asyncio.shield(asyncio.wrap_future(self._future)).__await__())

    def result(self) -> Value:
        """Wait for the store, which is for threads.

        Raises:
            RuntimeError: on the loop it has to be awaited.
            StoreError: it could not be done.
        """
        if not self._future.done() and _is_on_loop():
            raise RuntimeError("on the loop this has to be awaited: `await ...`")
        return self._future.result()

    def __repr__(self) -> str:
        said = self._future.result() if self._future.done() else "not yet"
        return f"<{type(self).__name__} {said}>"


class Verdict(StoreResult[bool]):
    """Whether a wake, failure or cancel was the first: `await` it, or use it as a bool.

    As a bool it waits for the store, which is for threads: on the loop it is awaited.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        return self.result()


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
