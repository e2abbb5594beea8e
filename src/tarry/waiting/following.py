"""Following: a request that hears of each change of some records, and sees the newest ones."""

import asyncio
from collections.abc import Callable, Iterable

from tarry.exchange import ClientGone, Exchange
from tarry.timing import NEVER, Timed
from tarry.waiting.lot import Lot
from tarry.waiting.records import Record


class Following(Timed):
    """The records of some waits, as new as they are known here; within a `with` statement.

    Raises:
        TooManyParked: as many requests wait as may.
    """

    __slots__ = ("_end_moves", "_parking", "_waiter", "_was_woken", "exchange", "records")

    def __init__(
        self, parking: Lot, records: Iterable[Record], exchange: Exchange | None = None
    ) -> None:
        super().__init__()
        self.exchange = exchange
        self._parking = parking
        self._waiter: asyncio.Future[None] | None = None
        self._was_woken = False
        self.records = {record.id: record for record in records}
        self._end_moves: Callable[[], None] | None = None

    def __enter__(self) -> "Following":
        self._parking.admit(self)
        for id in self.records:
            self._parking.watching.watch(id, self._take)
        return self

    def hear_moves(self) -> None:
        """Hear also when those in a queue have moved."""
        if any(record.job is not None for record in self.records.values()):
            self._end_moves = self._parking.on_moved(self.wake)

    def __exit__(self, *error: object) -> None:
        self._parking.release(self)
        if self._end_moves is not None:
            self._end_moves()
        for id in self.records:
            self._parking.watching.unwatch(id, self._take)

    def _take(self, record: Record) -> None:
        before = self.records[record.id]
        if record.rev >= before.rev:
            self.records[record.id] = record
        if record.rev > before.rev:
            self.wake()

    def drain(self) -> None:
        """The server stops: have who waits look, and end."""
        self.wake()

    def wake(self) -> None:
        """Have who waits for news look."""
        self._was_woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def expire(self) -> None:
        """Called by the timers."""
        self.wake()

    async def news(self, patience_s: float = NEVER) -> None:
        """Return when something has changed, or time has passed; look what it was."""
        if not self._was_woken:
            # Whoever else waits for them may not be there any more to end them in time.
            patience_s = min(patience_s, self._next_deadline_s())
            if patience_s != NEVER:
                self._parking.start_patience(self, patience_s)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._was_woken = False

    def _next_deadline_s(self) -> float:
        """Seconds to the first deadline of a record that is open; those behind theirs expire."""
        now_s, next_s = self._parking.clock.wall_s(), NEVER
        for record in self.records.values():
            if not record.is_settled:
                if record.deadline_s <= now_s:
                    self._parking.sharing.expire_record(record.id)
                next_s = min(next_s, max(record.deadline_s - now_s, 0.0))
        return next_s


async def wait_until(
    parking: Lot,
    exchange: Exchange,
    record: Record,
    is_enough: Callable[[Record], bool],
    patience_s: float,
) -> Record:
    """The record when it is enough, or as it is after so many seconds, or when the server stops.

    Raises:
        ClientGone: the client left meanwhile.
        TooManyParked: as many requests wait as may.
    """
    until_s = parking.clock.monotonic_s() + patience_s
    with Following(parking, [record], exchange) as following:
        exchange.on_gone(following.wake)
        while not is_enough(following.records[record.id]) and not parking.is_draining:
            left_s = until_s - parking.clock.monotonic_s()
            if left_s <= 0:
                break
            await following.news(left_s)
            if exchange.gone:
                raise ClientGone("the client left while it waited")
        return following.records[record.id]
