"""Results that come later: a handler returns or yields one, and nothing runs until it is there.

What makes such values is not known here.  A class that derives from `Deferred`
can be returned like any result; it is told which exchange waits for it, and
settles it once, with a result of its own or with an error.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Any, Protocol

from tarry.app.lanes import Lanes
from tarry.exchange import Exchange


class Settler(Protocol):
    """Who goes on when a deferred result is there."""

    @property
    def lanes(self) -> Lanes:
        """Loop and threads of the application that answers."""

    def settle(self, exchange: Exchange, result: Any, error: BaseException | None) -> None:
        """Take the result, or the error in its place; called once, on the loop."""


class Deferred(ABC):
    """A result that is not there yet."""

    __slots__ = ()

    @abstractmethod
    def attach(self, exchange: Exchange, settler: Settler) -> None:
        """Have `settler` settle `exchange` when the result is there, perhaps at once.

        Called on the loop.  That the client leaves meanwhile is its own affair:
        it settles with `ClientGone`, or goes on.
        """


class Instead(Exception):
    """Ends a handler: the request is answered with `result`, as if that had been returned."""

    def __init__(self, result: Any) -> None:
        super().__init__(result)
        self.result = result


class Awaited:
    """A settler for a coroutine that waits."""

    __slots__ = ("_future", "lanes")

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self._future: asyncio.Future[Any] = lanes.loop.create_future()

    def settle(self, exchange: Exchange, result: Any, error: BaseException | None) -> None:
        """Let the coroutine go on, if it waits still."""
        if self._future.done():
            return
        if error is None:
            self._future.set_result(result)
        else:
            self._future.set_exception(error)

    async def result(self) -> Any:
        """The result; raises the error that came in its place."""
        return await self._future
