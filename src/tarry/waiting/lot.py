"""What a wait, its holds and its record need of the place where they are parked."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from tarry.app.deferred import Settler
from tarry.app.lanes import Lanes
from tarry.exchange import Exchange
from tarry.timing import Clock, Timed, TimerTable
from tarry.waiting.addresses import Addresses
from tarry.waiting.futures import done
from tarry.waiting.ledger import Settled
from tarry.waiting.options import WaitOptions
from tarry.waiting.places import PlaceOf
from tarry.waiting.records import Record
from tarry.waiting.verdicts import Verdict
from tarry.waiting.watching import Watching


class Held(Protocol):
    """A request that is attached to a wait, as others see it."""

    def finish(self) -> None:
        """The wait is settled."""

    def fail(self, error: BaseException) -> None:
        """Pass on an error."""


class Parked(Protocol):
    """What counts as one request that waits, whatever it waits for."""

    @property
    def exchange(self) -> Exchange | None:
        """The request, if it is one and no coroutine of none."""

    def drain(self) -> None:
        """The server stops: answer with what there is to say now."""


class RecordKeeper(Protocol):
    """Gives waits their records, and has the store decide on them."""

    def share(self, wait: Any) -> "Future[Record]": ...
    def change(
        self, wait: Any, action: str, here: Callable[[], bool] | None = None, **fields: Any
    ) -> Verdict: ...
    def expire(self, wait: Any) -> None: ...
    def expire_record(self, id: str) -> None: ...
    def put_off(self, wait: Any) -> None: ...
    def leave(self, wait: Any) -> None: ...
    def watch(self, wait: Any) -> None: ...
    def unwatch(self, wait: Any) -> None: ...
    def verdict(self, attempt: "Future[Settled]") -> Verdict: ...
    def told(self, attempt: "Future[Settled]") -> "Future[Settled]": ...


class TicketGiver(Protocol):
    """Lets handlers go on whose clients get a ticket."""

    def begin(self, exchange: Exchange) -> None: ...
    def adopt(self, record: Record) -> "Future[Settled]": ...
    def detach(
        self, exchange: Exchange, options: WaitOptions, of: Record | None = None
    ) -> None: ...


class NoTickets:
    """Gives none: who could have one waits on."""

    def begin(self, exchange: Exchange) -> None:
        """Let the handler begin."""

    def adopt(self, record: Record) -> "Future[Settled]":
        """Leave it as it is."""
        return done(Settled(False, record))

    def detach(self, exchange: Exchange, options: WaitOptions, of: Record | None = None) -> None:
        """Let the client wait on."""


class Lot(Protocol):
    """Where waits are parked; see `parking.Parking`."""

    lanes: Lanes
    clock: Clock
    addresses: Addresses
    lock: threading.Lock
    timers: TimerTable
    is_draining: bool
    place_of: PlaceOf

    @property
    def sharing(self) -> RecordKeeper: ...
    @property
    def tickets(self) -> "TicketGiver": ...
    @property
    def watching(self) -> Watching: ...

    def exchange_here(self) -> Exchange | None: ...
    def attach(self, wait: Any, exchange: Exchange | None, settler: Settler) -> Parked: ...
    def on_moved(self, callback: Callable[[], None]) -> Callable[[], None]: ...
    def check_room(self) -> None: ...
    def admit(self, hold: Parked) -> None: ...
    def release(self, hold: Any) -> None: ...
    def let_go(self, hold: Any) -> bool: ...
    def abandoned(self, wait: Any) -> None: ...
    def ripen(self, wait: Any) -> None: ...
    def restart_clock(self, wait: Any) -> None: ...
    def start_patience(self, patience: Timed, patience_s: float) -> None: ...
    def on_loop(self, function: Callable[..., object], *arguments: Any) -> bool: ...
