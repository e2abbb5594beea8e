"""Requests whose answer a test does not wait for yet: `begin` of the test clients."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tarry.testing.clock import Settling
from tarry.testing.replies import IncompleteAnswer, Reply
from tarry.testing.requests import OutgoingRequest

Call = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine in the loop of a client, for another thread, and returns its result."""


class AsyncPendingReply:
    """A request under way, as `AsyncClient.begin` returns it."""

    def __init__(
        self,
        request: OutgoingRequest,
        asking: Coroutine[Any, Any, Reply],
        is_parked: Callable[[OutgoingRequest], bool],
        timeout_s: float,
    ) -> None:
        self._request = request
        self._is_parked = is_parked
        self._timeout_s = timeout_s
        self._moved = asyncio.Event()
        self.task = asyncio.create_task(asking)
        self.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Reply]) -> None:
        if not task.cancelled():
            task.exception()  # or it would be reported as never looked at
        self._moved.set()

    def look(self) -> None:
        """A request has been parked: see whether it is this one."""
        self._moved.set()

    @property
    def done(self) -> bool:
        """Whether the answer is there, or will never be."""
        return self.task.done()

    async def reply(self, timeout_s: float | None = None) -> Reply:
        """The reply, when it is there; who gives up waiting can ask again.

        Raises:
            IncompleteAnswer: the server broke the answer off, or the client left.
            TimeoutError: no whole answer in `timeout_s`, by default that of the client.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        await asyncio.wait((self.task,), timeout=timeout_s)
        if not self.task.done():
            raise TimeoutError(f"no whole answer to {self._request.name} within {timeout_s:g} s")
        return self._result()

    def _result(self) -> Reply:
        if self.task.cancelled():
            raise IncompleteAnswer(self._request.name, None)
        return self.task.result()

    async def parked(self, timeout_s: float | None = None) -> None:
        """Return when the request is parked in the server: nothing runs for it.

        Raises:
            RuntimeError: it was answered instead.
            IncompleteAnswer: the server broke the answer off, or the client left.
            TimeoutError: neither in `timeout_s`, by default that of the client.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                while not self._is_parked(self._request):
                    self._check_unanswered()
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError as error:
            late = f"{self._request.name} was not parked within {timeout_s:g} s"
            raise TimeoutError(late) from error

    def _check_unanswered(self) -> None:
        if self.task.done():
            status = self._result().status
            raise RuntimeError(f"{self._request.name} was not parked but answered with {status}")

    def disconnect(self) -> Settling:
        """Leave, as a client does that gives up; await it to let the server notice."""
        self.task.cancel()
        return Settling()


class PendingReply:
    """A request under way, as `Client.begin` returns it; see `AsyncPendingReply`."""

    def __init__(self, pending: AsyncPendingReply, call: Call) -> None:
        self._pending = pending
        self._call = call

    @property
    def done(self) -> bool:
        """Whether the answer is there, or will never be."""
        return self._pending.done

    def reply(self, timeout_s: float | None = None) -> Reply:
        """Wait for the reply; who gives up waiting can ask again.

        Raises:
            IncompleteAnswer: the server broke the answer off, or the client left.
            TimeoutError: no whole answer in `timeout_s`, by default that of the client.
        """
        reply: Reply = self._call(self._pending.reply(timeout_s))
        return reply

    def parked(self, timeout_s: float | None = None) -> None:
        """Wait until the request is parked in the server: nothing runs for it.

        Raises:
            RuntimeError: it was answered instead.
            IncompleteAnswer: the server broke the answer off, or the client left.
            TimeoutError: neither in `timeout_s`, by default that of the client.
        """
        self._call(self._pending.parked(timeout_s))

    def disconnect(self) -> None:
        """Leave, as a client does that gives up, and let the server notice."""
        self._call(self._disconnect())

    async def _disconnect(self) -> None:
        await self._pending.disconnect()
