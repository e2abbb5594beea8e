"""What comes of an attempt to settle a wait: known at once, or when a store has decided."""

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any


class Verdict:
    """Whether a wake, failure or cancel was the first: `await` it, or use it as a bool.

    As a bool it waits for the store, which is for threads: on the loop it is
    awaited.  Nobody has to look at it; what was begun is done anyway.
    """

    __slots__ = ("_future",)

    def __init__(self, future: "Future[bool]") -> None:
        self._future = future

    def __await__(self) -> Generator[Any, None, bool]:
        if self._future.done():
            return self._future.result()
        return (yield from asyncio.wrap_future(self._future).__await__())

    def __bool__(self) -> bool:
        if not self._future.done() and _is_on_loop():
            raise RuntimeError("on the loop this has to be awaited: `if await ...wake(...)`")
        return self._future.result()

    def __repr__(self) -> str:
        return f"<Verdict {self._future.result()}>" if self._future.done() else "<Verdict not yet>"


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
