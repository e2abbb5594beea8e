"""Ends what is awaited for a client that is no longer there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tarry.exchange import ClientGone, Exchange


class Presence:
    """The client of an exchange; it is asked of only while something is awaited for it."""

    __slots__ = ("_is_interrupted", "_task")

    def __init__(self, exchange: Exchange) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._is_interrupted = False
        exchange.on_gone(self._interrupt)

    async def wait_for(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Await what a function gives; that is cancelled when the client leaves.

        Raises:
            ClientGone: it left meanwhile.
        """
        task = self._task = asyncio.current_task()
        try:
            return await function(*arguments)
        except asyncio.CancelledError:
            if self._is_interrupted and task is not None and not task.uncancel():
                raise ClientGone("the client left") from None
            raise
        finally:
            self._task = None

    def _interrupt(self) -> None:
        if self._task is not None:
            self._is_interrupted = self._task.cancel()
