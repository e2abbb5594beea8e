"""A task that is kept for the rest of an answer.

What an async generator holds open over a `yield`, such as `asyncio.timeout` or
a task group, belongs to the task in which it was begun, and so the generator
stays in it.  Between its first piece and the sending of its stream filters may
look at the answer, in tasks of their own.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from tarry.app.lanes import Lanes
from tarry.exchange import Exchange

Rest = Coroutine[Any, Any, None]
"""What sends an answer."""


class _Held:
    """Stands for a task that waits, as what keeps it alive: it ends when this is dropped."""

    __slots__ = ("_rest", "_task")

    def __init__(
        self, task: "asyncio.Task[Any] | None", rest: "asyncio.Future[Rest | None]"
    ) -> None:
        self._task = task
        self._rest = rest

    def take(self, exchange: Exchange, rest: Rest) -> bool:
        if self._rest.done():
            return False
        exchange.task = self._task
        self._rest.set_result(rest)
        return True

    def __del__(self) -> None:
        if not self._rest.done() and not self._rest.get_loop().is_closed():
            self._rest.set_result(None)


def hold_task(exchange: Exchange) -> "asyncio.Future[Rest | None]":
    """Keep the running task for the rest of an answer: what the future gives, or nothing."""
    rest: asyncio.Future[Rest | None] = asyncio.get_running_loop().create_future()
    exchange.task = _Held(asyncio.current_task(), rest)
    return rest


async def run_rest(rest: "asyncio.Future[Rest | None]") -> None:
    """Wait for the rest of an answer, and send it."""
    try:
        sending = await rest
    except asyncio.CancelledError:
        if not rest.cancelled() and (sending := rest.result()) is not None:
            sending.close()
        raise
    if sending is not None:
        await sending


def let_go(exchange: Exchange) -> None:
    """No longer keep a task for the rest of an answer, for there will be none."""
    if isinstance(getattr(exchange, "task", None), _Held):
        exchange.task = None


def go_on_with(lanes: Lanes, exchange: Exchange, rest: Rest) -> None:
    """Send the rest of an answer in the task that is kept for it, or in a new one."""
    held = getattr(exchange, "task", None)
    if not (isinstance(held, _Held) and held.take(exchange, rest)):
        lanes.spawn(exchange, rest)
