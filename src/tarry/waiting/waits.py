"""`Wait`: one value that will exist later."""

import asyncio
import functools
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from tarry.app.current import of_task
from tarry.app.deferred import Awaited, Deferred, Settler
from tarry.exchange import Exchange
from tarry.timing import Duration, Timed, seconds
from tarry.waiting import tokens
from tarry.waiting.errors import WaitCancelled, WaitExpired, WaitFailed
from tarry.waiting.futures import done
from tarry.waiting.lot import Held, Lot
from tarry.waiting.options import NO_DEFAULT, WaitOptions
from tarry.waiting.records import (
    ACTIONS,
    CANCELLED,
    DONE,
    EXPIRED,
    FAILED,
    WAITING,
    Failure,
    Progress,
    Record,
    changed,
)
from tarry.waiting.values import BadValue, ValueType
from tarry.waiting.verdicts import Verdict

T = TypeVar("T")

Outcome = tuple[str, Any]
"""A final state and what belongs to it: the value, or the `Failure`."""

_UNSETTLED: Final[Outcome] = (CANCELLED, None)


class Wait(Timed, Deferred, Generic[T]):
    """One value that will exist later; settled once, and the first wake wins.

    Return it, yield it, await it, or hand it to a thread that calls `wake`.
    As long as nobody asks for its `token`, `ticket` or `url`, and it has no key
    and is not durable, it is an object of this process and nothing else.
    Otherwise it is shared: the store has a record of it and decides who was first.
    """

    # `stored` is the future of the record of a shared wait, `record` its last known state.
    __slots__ = ("_parking", "holds", "options", "outcome", "record", "stored", "type")

    def __init__(self, parking: Lot, type: ValueType, options: WaitOptions) -> None:
        super().__init__()
        self._parking = parking
        self.type = type
        self.options = options
        self.holds: tuple[Held, ...] = ()
        self.stored: Future[Record] | None = None
        self.record: Record | None = None
        self.outcome: Outcome | None = None
        self.deadline_s = parking.clock.monotonic_s() + options.timeout_s

    @property
    def state(self) -> str:
        """`waiting`, `working`, `input`, `done`, `failed`, `cancelled` or `expired`."""
        if self.outcome is not None:
            return self.outcome[0]
        return WAITING if self.record is None else self.record.state

    # ---- what others are told --------------------------------------------------------------

    @property
    def token(self) -> str:
        """The secret that allows to wake it, from anywhere; see `share`."""
        record = self.share()
        return tokens.wake_token(record.id, record.secret)

    @property
    def ticket(self) -> str:
        """The secret that allows to read and to cancel it; see `share`."""
        record = self.share()
        return tokens.ticket(record.id, record.secret)

    @property
    def url(self) -> str:
        """Where a POST of the value wakes it, and a page asks a person to; see `share`."""
        record, addresses = self.share(), self._parking.addresses
        return addresses.url(record, addresses.wake_path(record))

    @property
    def ticket_url(self) -> str:
        """Where its state and its value can be read; see `share`."""
        record, addresses = self.share(), self._parking.addresses
        return addresses.url(record, addresses.ticket_path(record))

    def share(self) -> Record:
        """The record, which is stored before anybody is told of it.

        It waits for the store, with SQLite some tenths of a millisecond; where
        the loop must not wait, `await wait.shared()` comes first.

        Raises:
            StoreError: it cannot be stored.
        """
        return self._parking.sharing.share(self).result()

    async def shared(self) -> "Wait[T]":
        """This wait, once its record is stored; raises what `share` does."""
        # Who is cancelled here does not take the record from others.
        await asyncio.shield(asyncio.wrap_future(self._parking.sharing.share(self)))
        return self

    # ---- settling ------------------------------------------------------------------------

    def wake(self, value: T = None) -> Verdict:  # type: ignore[assignment]  # because a wait for nothing is woken with None
        """Settle it with its value; from any thread, and without waiting.

        Gives whether this was the first to settle it: `await` that, or use it
        as a bool, or do not look.

        Raises:
            BadValue: the value does not fit the type; the wait goes on.
        """
        checked = self.type.check(value)
        return self._settle((DONE, checked), "wake")

    def fail(self, detail: str = "", status: int = 500) -> Verdict:
        """Settle it with an error, with which who waits is answered; else as `wake`."""
        return self._settle((FAILED, Failure(status, detail)), "fail")

    def cancel(self) -> Verdict:
        """Settle it without a value; else as `wake`."""
        return self._settle((CANCELLED, None), "cancel")

    def progress(self, at: float | None = None, of: float | None = None, text: str = "") -> Verdict:
        """Tell who has the ticket how far it is; false if it is settled already."""
        return self._parking.sharing.change(self, "progress", progress=Progress(at, of, text))

    def _settle(self, outcome: Outcome, action: str) -> Verdict:
        parking = self._parking
        with parking.lock:
            is_shared = self.stored is not None
            is_first = not is_shared and self.outcome is None
            if is_first:
                self.outcome = outcome
        if is_first:
            parking.ripen(self)
        if not is_shared:
            return Verdict(done(is_first))
        here = functools.partial(self._settle_here, outcome)
        return parking.sharing.change(self, action, here, **self.fields_of(outcome))

    def _settle_here(self, outcome: Outcome) -> bool:
        """Settle it as an object of this process; whether this was the first."""
        with self._parking.lock:
            is_first = self.outcome is None
            if is_first:
                self.outcome = outcome
        if is_first:
            self._parking.ripen(self)
        return is_first

    def fields_of(self, outcome: Outcome) -> dict[str, Any]:
        """What a record has of an outcome."""
        state, payload = outcome
        if state == DONE:
            return {"value": self.type.write(payload)}
        return {"failure": payload} if state == FAILED else {}

    def on_record(self, record: Record, now_s: float) -> Record:
        """A new record of this wait; it is settled if the wait is."""
        if self.outcome is None:
            return record
        action = ACTIONS[self.outcome[0]]
        return changed(record, action, now_s, **self.fields_of(self.outcome)) or record

    def take(self, record: Record) -> None:
        """Look at a newer record; called on the loop."""
        if self.record is None or record.rev > self.record.rev:
            self.record = record
        if record.is_settled and self.outcome is None:
            self.outcome = self._outcome_of(record)
            self._parking.ripen(self)

    def _outcome_of(self, record: Record) -> Outcome:
        if record.state == FAILED:
            return FAILED, record.failure
        if record.state != DONE:
            return record.state, None
        try:
            return DONE, self.value_of(record)
        except BadValue as error:
            return FAILED, Failure(500, str(error))

    def value_of(self, record: Record) -> Any:
        """The value that a record has; raises `BadValue` if it does not fit."""
        return self.type.read(record.value or b"null")

    def give_up(self, state: str) -> None:
        """Let it end here, expired or cancelled, although it may go on for others."""
        if self.outcome is None:
            self.outcome = state, None
            self._parking.ripen(self)

    def expire(self) -> None:
        """Called by the timers at the deadline."""
        if self.stored is None:
            self._settle((EXPIRED, None), "expire")
        else:
            self._parking.sharing.expire(self)

    def leave(self) -> None:
        """Nobody waits for it here any more: that is its end, unless others have joined it."""
        if self.stored is None:
            self._settle((CANCELLED, None), "cancel")
        elif self.outcome is None:
            self._parking.sharing.leave(self)

    # ---- waiting -------------------------------------------------------------------------

    def __call__(self, timeout: Duration | None = None, *, default: Any = NO_DEFAULT) -> "Wait[T]":
        """This wait with another time-out, from now on, and a default: `await wait("2m")`.

        Raises:
            ValueError: no duration.
        """
        if timeout is not None:
            self.options = replace(self.options, timeout_s=seconds(timeout))
            self._parking.restart_clock(self)
        if default is not NO_DEFAULT:
            self.options = replace(self.options, default=default)
        return self

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for the value: no thread, one task.

        Raises:
            ClientGone: the client left while it waited.
            WaitExpired, WaitCancelled, WaitFailed: it was settled without a value.
            TooManyParked: as many requests wait as may.
        """
        awaited = Awaited(self._parking.lanes)
        hold = self._parking.attach(self, of_task.get(), awaited)
        try:
            return (yield from awaited.result().__await__())  # type: ignore[no-any-return]  # because the value has been checked
        finally:
            self._parking.let_go(hold)  # who was cancelled waits no longer, and may do so again

    def attach(self, exchange: Exchange, settler: Settler) -> None:
        """Have a request wait; called by who was given this as a result."""
        self._parking.attach(self, exchange, settler)

    def result(self) -> tuple[Any, Exception | None]:
        """The value, or the error in its place, of a wait that is settled."""
        state, payload = self.outcome or _UNSETTLED
        if state == DONE:
            return payload, None
        if state == FAILED:
            return None, WaitFailed(payload.status, payload.detail)
        if state == CANCELLED:
            return None, WaitCancelled()
        if self.options.default is NO_DEFAULT:
            return None, WaitExpired()
        return self.options.default, None
