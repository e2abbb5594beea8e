"""One way to read iterables of both kinds: plain ones in threads, since they may block."""

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
        self._is_read = False

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        self._is_read = True
        try:
            item: Any = await self._in_thread(next, self._items, _END)
        except Exception:
            self._is_read = False
            raise
        self._is_read = False
        if item is _END:
            raise StopAsyncIteration
        return item  # type: ignore[no-any-return]  # because a sentinel has no type of its own

    async def aclose(self) -> None:
        """Close the iterable, unless a thread is still inside; then it goes with that call."""
        close = getattr(self._items, "close", None)
        if close is not None and not self._is_read:
            await self._in_thread(close)
