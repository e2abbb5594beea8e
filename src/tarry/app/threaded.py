"""One way to read iterables of both kinds: plain ones in threads, since they may block."""

import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable
from typing import Any, Generic, TypeVar

from tarry.exchange import InThread

Item = TypeVar("Item")


def iterate(
    items: Iterable[Item] | AsyncIterable[Item], in_thread: InThread
) -> AsyncIterator[Item]:
    """The items of an iterable of either kind; its `aclose`, if there is one, closes them."""
    if isinstance(items, AsyncIterable):
        return aiter(items)
    return ThreadedIterator(items, in_thread)


class _End:
    """The end of the items, since no task can get a `StopIteration`."""

    __slots__ = ("result",)

    def __init__(self, result: object) -> None:
        self.result = result


class ThreadedIterator(Generic[Item]):
    """The items of a plain iterable, each taken in a thread."""

    __slots__ = ("_in_thread", "_is_read", "_is_unwanted", "_items", "_lock")

    def __init__(self, items: Iterable[Item], in_thread: InThread) -> None:
        self._items: Any = iter(items)
        self._in_thread = in_thread
        self._is_read = self._is_unwanted = False
        self._lock = threading.Lock()

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    def __anext__(self) -> Awaitable[Item]:
        return self.step()

    async def step(
        self,
        value: object = None,
        error: BaseException | None = None,
        in_thread: InThread | None = None,
    ) -> Item:
        """The next item; a generator goes on with a value, or with an error thrown in.

        Raises:
            StopAsyncIteration: there is none; has what a generator returned.
        """
        self._is_read = True
        try:
            item: Any = await (in_thread or self._in_thread)(self._take, value, error)
        except Exception:
            self._is_read = False
            raise
        if type(item) is _End:
            raise StopAsyncIteration(item.result)
        return item  # type: ignore[no-any-return]  # because the end has a type of its own

    async def aclose(self) -> None:
        """Close the iterable; if a thread is still inside, it does so when it comes out."""
        # Without a frame it is a generator that has ended: that is worth no thread.
        if not hasattr(self._items, "close") or getattr(self._items, "gi_frame", self) is None:
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

    def _take(self, value: object, error: BaseException | None) -> Any:
        try:
            if error is not None:
                return self._items.throw(error)
            return next(self._items) if value is None else self._items.send(value)
        except StopIteration as end:
            return _End(end.value)
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
