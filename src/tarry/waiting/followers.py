"""Requests that wait for another one that makes what they ask for, too."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

from tarry.app.answering import HANDLER_ERRORS
from tarry.app.current import of_task
from tarry.app.deferred import Deferred, Settler
from tarry.exchange import ClientGone, Exchange
from tarry.timing import Timed
from tarry.waiting.flights import Fate, Flight, Landed
from tarry.waiting.lot import Lot


class Follower(Timed):
    """A request that waits for another one which makes the same: parked, and counted so.

    `settle` is called on the loop, once, with how that has ended or with
    `ClientGone`; a server that stops lets it wait as long as the first may run.
    """

    __slots__ = ("_flight", "_parking", "_settle", "_waits", "exchange")

    def __init__(
        self,
        parking: Lot,
        flight: Flight,
        exchange: Exchange | None,
        settle: Callable[[Landed | ClientGone], None],
    ) -> None:
        super().__init__()
        self.exchange = exchange
        self._parking = parking
        self._flight = flight
        self._settle = settle
        self._waits = False

    def begin(self) -> None:
        """Wait from now on; on the loop.

        Raises:
            TooManyParked: as many requests wait as may.
        """
        self._parking.admit(self)
        self._waits = True
        if self.exchange is not None:
            self.exchange.park()
            self.exchange.on_gone(self._leave)
        self._flight.add_done_callback(lambda _: self._parking.on_loop(self._land))

    def end(self) -> bool:
        """No longer wait; false if that is over already."""
        if not self._waits:
            return False
        self._waits = False
        self._parking.release(self)
        if self.exchange is not None:
            self.exchange.resume()
            self.exchange.off_gone(self._leave)
        return True

    def _land(self) -> None:
        if self.end():
            self._settle(self._flight.result())

    def _leave(self) -> None:
        if self.end():
            self._settle(ClientGone("the client left while it waited"))

    def drain(self) -> None:
        """Wait on: the server waits as well, for the handler that makes the answer."""


async def follow(parking: Lot, flight: Flight) -> Landed:
    """How a flight has ended, for a coroutine that waits.

    Raises:
        ClientGone: the client left meanwhile.
        TooManyParked: as many requests wait as may.
    """
    exchange = parking.exchange_here()
    future: asyncio.Future[Landed] = asyncio.get_running_loop().create_future()

    def settle(outcome: Landed | ClientGone) -> None:
        if future.done():
            return
        if isinstance(outcome, ClientGone):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    follower = Follower(parking, flight, exchange, settle)
    follower.begin()
    try:
        return await future
    finally:
        follower.end()


class Joined(Deferred):
    """The result of a handler in a thread that waits, without the thread, for another request.

    If there is nothing to share, `again` is called in a thread, told how it ended.
    """

    __slots__ = ("_again", "_flight", "_parking")

    def __init__(self, parking: Lot, flight: Flight, again: Callable[[Landed], Any]) -> None:
        self._parking = parking
        self._flight = flight
        self._again = again

    def attach(self, exchange: Exchange, settler: Settler) -> None:
        """Wait from now on."""
        # What ends the flight runs in another request's context, which is not for this one.
        context = contextvars.copy_context()
        context.run(of_task.set, exchange)

        def settle(outcome: Landed | ClientGone) -> None:
            if isinstance(outcome, ClientGone):
                settler.settle(exchange, None, outcome)
            elif outcome.fate is Fate.TOGETHER:
                _settle_with(outcome, exchange, settler)
            else:
                coroutine = self._go_on(outcome, exchange, settler)
                settler.lanes.spawn(exchange, coroutine, context)

        Follower(self._parking, self._flight, exchange, settle).begin()

    async def _go_on(self, landed: Landed, exchange: Exchange, settler: Settler) -> None:
        """In the handler's lane, ahead of new requests, as this one has waited already."""
        try:
            result = await settler.lanes.in_thread_ahead(self._again, landed)
        except Exception as error:  # noqa: BLE001 — it is the answer to this request
            settler.settle(exchange, None, error)
        else:
            settler.settle(exchange, result, None)


def _settle_with(landed: Landed, exchange: Exchange, settler: Settler) -> None:
    try:
        result = landed.result()
    except HANDLER_ERRORS as error:
        settler.settle(exchange, None, error)
    else:
        settler.settle(exchange, result, None)
