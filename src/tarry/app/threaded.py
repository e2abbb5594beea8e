"""One way to read iterables of both kinds: plain ones in threads, since they may block."""

import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, Final, Generic, TypeVar

from tarry.exchange import InThread

_END: Final = object()

Item = TypeVar("Item")


def iterate(
    items: Iterable[Item] | AsyncIterable[Item], in_thread: InThread
) -> AsyncIterator[Item]:
    """The items of an iterable of either kind; its `aclose`, if there is one, closes them."""
    if isinstance(items, AsyncIterable):
        return aiter(items)
    return ThreadedIterator(items, in_thread)


class ThreadedIterator(Generic[Item]):
    """The items of a plain iterable, each taken in a thread."""

    def __init__(self, items: Iterable[Item], in_thread: InThread) -> None:
        self._items = iter(items)
        self._in_thread = in_thread
        self._is_read = self._is_unwanted = False
        self._lock = threading.Lock()

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        self._is_read = True
        try:
            item: Any = await self._in_thread(self._take)
        except Exception:
            self._is_read = False
            raise
        if item is _END:
            raise StopAsyncIteration
        return item  # type: ignore[no-any-return]  # because a sentinel has no type of its own

    async def aclose(self) -> None:
        """Close the iterable; if a thread is still inside, it does so when it comes out."""
        if not hasattr(self._items, "close"):
            return
        with self._lock:
            self._is_unwanted = True
            if self._is_read:
                return
        has_begun = False

        def close() -> None:
            nonlocal has_begun
            has_begun = True
            self._close()

        try:
            await self._in_thread(close)
        except RuntimeError:
            if has_begun:
                raise
            close()  # there are no threads any more, and it must not stay open

    def _take(self) -> Any:
        try:
            return next(self._items, _END)
        finally:
            with self._lock:
                self._is_read = False
                is_unwanted = self._is_unwanted
            if is_unwanted:
                self._close()

    def _close(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
