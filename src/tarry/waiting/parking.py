"""Where requests are parked: the waits of one application, and the requests attached to them."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tarry.app.current import current_exchange
from tarry.app.deferred import Settler
from tarry.app.lanes import Lanes
from tarry.exchange import Exchange
from tarry.timing import Clock, Ticker, Timed, TimerTable
from tarry.waiting.addresses import Addresses
from tarry.waiting.continuations import name_of
from tarry.waiting.errors import TooManyParked
from tarry.waiting.holds import hold_for
from tarry.waiting.ledger import Ledger
from tarry.waiting.limits import ParkingLimits
from tarry.waiting.lot import NoTickets, Parked, TicketGiver
from tarry.waiting.options import WaitOptions
from tarry.waiting.places import PlaceOf, nowhere
from tarry.waiting.sharing import Sharing
from tarry.waiting.values import value_type
from tarry.waiting.waits import Wait
from tarry.waiting.watching import BATCH, Watching

logger: Final = logging.getLogger("tarry")

TICK_S: Final = 0.25

DEFAULT_MAX_PARKED: Final = 100_000
"""Requests that wait at once; each has a connection, so the limit of open files comes first."""


def _nothing_more() -> None:
    """There is nobody else to look at the clock."""


class _Grace(Timed):
    """How long a wait goes on that nobody waits for any more."""

    __slots__ = ("_wait",)

    def __init__(self, wait: Wait[Any]) -> None:
        super().__init__()
        self._wait = wait

    def expire(self) -> None:
        """Called by the timers."""
        self._wait.leave()


class Parking:
    """The waits of one application in this process.

    `max_parked` requests may wait at once, and `max_parked_per_client` of one
    address; beyond that the answer is 503.
    """

    def __init__(
        self,
        lanes: Lanes,
        ledger: Ledger,
        clock: Clock,
        addresses: Addresses,
        max_parked: int = DEFAULT_MAX_PARKED,
        max_parked_per_client: int | None = None,
    ) -> None:
        self.lanes = lanes
        self.clock = clock
        self.addresses = addresses
        self.limits = ParkingLimits(max_parked, max_parked_per_client)
        self.lock = threading.Lock()
        self.holds: dict[Parked, None] = {}
        self.timers = TimerTable(clock, TICK_S)
        self.is_draining = False
        self.sharing = Sharing(self, ledger)
        self.tickets: TicketGiver = NoTickets()
        self.watching = Watching(ledger, clock, self.on_loop)
        self.place_of: PlaceOf = nowhere
        self._on_moved: dict[object, Callable[[], None]] = {}
        self._has_moved = False
        self.on_tick: Callable[[], None] = _nothing_more
        self._ticker: Ticker | None = None
        self._graces: dict[Wait[Any], _Grace] = {}
        self._ripe: deque[Wait[Any]] = deque()
        # The loop that has been asked for a flush: one that has ended will never do it.
        self._flushing: asyncio.AbstractEventLoop | None = None

    def use_clock(self, clock: Clock) -> None:
        """Go by another clock; called before anything waits."""
        self.clock = self.watching.clock = clock
        self.timers = TimerTable(clock, TICK_S)

    def make(self, annotation: Any, options: WaitOptions) -> Wait[Any]:
        """A new wait; stored at once if it is durable or has a key."""
        if options.then is not None:
            name_of(options.then)  # what cannot be found again is refused where it is written
        wait: Wait[Any] = Wait(self, value_type(annotation), options)
        if options.durable or options.key is not None:
            self.sharing.share(wait)
        return wait

    def on_loop(self, function: Callable[..., object], *arguments: Any) -> bool:
        """Have a function called on the loop, soon; false where there is none, or none any more."""
        try:
            self.lanes.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            logger.debug("nobody is there to hear of a wait")
            return False
        return True

    # ---- requests ------------------------------------------------------------------------

    def exchange_here(self) -> Exchange | None:
        """The request that the running code belongs to, if there is one."""
        try:
            return current_exchange()
        except LookupError:
            return None

    def attach(self, wait: Wait[Any], exchange: Exchange | None, settler: Settler) -> Parked:
        """Have a request, or a coroutine of none, wait.  On the loop.

        Raises:
            TooManyParked: as many wait as may.
        """
        hold = hold_for(self, wait, exchange, settler)
        if wait.record is not None:
            wait.take(wait.record)  # it may have been settled when it was made
        if wait.outcome is not None:
            hold.finish()
            return hold
        try:
            self.admit(hold)
        except TooManyParked:
            self.abandoned(wait)
            raise
        self._end_grace(wait)
        wait.holds = (*wait.holds, hold)
        if len(wait.holds) == 1:
            self.start_timer(wait)
            self.sharing.watch(wait)
        hold.begin()
        if self.is_draining:
            hold.drain()
        return hold

    def check_room(self) -> None:
        """Refuse one more request that waits, if as many do as may.

        Raises:
            TooManyParked: so it is.
        """
        self.limits.check()

    def admit(self, hold: Parked) -> None:
        """Count a request that waits from now on.

        Raises:
            TooManyParked: as many wait as may.
        """
        self.limits.take(hold, "" if hold.exchange is None else hold.exchange.client)
        self.holds[hold] = None

    def release(self, hold: Any) -> None:
        """No longer count a request that is no hold of a wait, which `let_go` is for."""
        del self.holds[hold]
        self.limits.give_back(hold)
        self.timers.remove(hold)

    def let_go(self, hold: Any) -> bool:
        """Take a hold away from its wait; false if that has been done."""
        if hold not in self.holds:
            return False
        del self.holds[hold]
        hold.end()
        self.limits.give_back(hold)
        wait: Wait[Any] = hold.wait
        wait.holds = tuple(each for each in wait.holds if each is not hold)
        if not wait.holds:
            self.timers.remove(wait)
            self.sharing.unwatch(wait)
        return True

    def abandoned(self, wait: Wait[Any]) -> None:
        """A client has left a wait; if it was the last one, the wait may end with it."""
        abandon = wait.options.abandon
        if wait.holds or wait.outcome is not None or abandon == "keep":
            return
        if abandon == "cancel":
            wait.leave()
        else:
            grace = self._graces[wait] = _Grace(wait)
            self.timers.set(grace, self.clock.monotonic_s() + abandon)

    def _end_grace(self, wait: Wait[Any]) -> None:
        """Somebody waits again, or the server has stopped."""
        grace = self._graces.pop(wait, None)
        if grace is not None:
            self.timers.remove(grace)

    # ---- answering -----------------------------------------------------------------------

    def ripen(self, wait: Wait[Any]) -> None:
        """A wait is settled: answer who holds it, soon and on the loop.  From any thread."""
        self._ripe.append(wait)
        self._flush_soon()

    def _flush_soon(self) -> None:
        loop = self.lanes.maybe_loop
        if self._flushing is not loop:
            self._flushing = loop if self.on_loop(self._flush) else None

    def _flush(self) -> None:
        """Answer those whose waits are settled: all of a batch ahead of what comes in next."""
        self._flushing = None
        for _ in range(min(len(self._ripe), BATCH)):
            self._answer(self._ripe.popleft())
        if self._ripe:
            self._flush_soon()

    def _answer(self, wait: Wait[Any]) -> None:
        for hold in wait.holds:
            self.let_go(hold)
            try:
                hold.finish()
            except Exception:  # one request must not keep the others waiting
                logger.exception("a request that waited could not be answered")

    # ---- time ----------------------------------------------------------------------------

    def restart_clock(self, wait: Wait[Any]) -> None:
        """Count the time-out of a wait from now on."""
        wait.deadline_s = self.clock.monotonic_s() + wait.options.timeout_s
        if wait.holds:
            self.start_timer(wait)
        if wait.outcome is None:
            self.sharing.put_off(wait)

    def start_timer(self, timed: Timed) -> None:
        """Have a wait, or what else waits here, expire at its deadline."""
        self.timers.set(timed, timed.deadline_s)
        self.start_ticker()

    def start_ticker(self) -> None:
        """Look at the clock from now on."""
        if self._ticker is None:
            self._ticker = Ticker(self.lanes.loop.call_later, TICK_S, self.tick)

    def start_patience(self, patience: Timed, patience_s: float) -> None:
        """Have the patience of a client expire."""
        self.timers.set(patience, self.clock.monotonic_s() + patience_s)
        self.start_ticker()

    def tick(self, *, exactly: bool = False) -> None:
        """Look at the clock; see `TimerTable.advance`."""
        self.timers.advance(exactly=exactly)
        self.watching.tick()
        self.on_tick()
        if self._has_moved:
            self._has_moved = False
            for callback in tuple(self._on_moved.values()):
                callback()

    # ---- queues --------------------------------------------------------------------------

    def moved(self) -> None:
        """Those in a queue have moved; who follows them hears of it at the next tick."""
        self._has_moved = True

    def on_moved(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called when those in a queue have moved; returns what ends that."""
        key = object()
        self._on_moved[key] = callback

        def end() -> None:
            self._on_moved.pop(key, None)

        return end

    # ---- the end -------------------------------------------------------------------------

    def drain(self) -> None:
        """The server stops: answer all that wait with what can be said now."""
        self.is_draining = True
        for hold in tuple(self.holds):
            hold.drain()

    def close(self) -> None:
        """The application has stopped."""
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None
        for wait in tuple(self._graces):
            self._end_grace(wait)
            wait.leave()
        self.watching.close()
        self._flushing = None  # what was to run on the loop will not any more
        self.is_draining = False
