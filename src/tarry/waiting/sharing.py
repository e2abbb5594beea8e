"""How a wait gets a record in the store, and how the store then decides on it."""

import functools
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from tarry.state.store import StoreError
from tarry.waiting.continuations import name_of
from tarry.waiting.errors import StoreUnavailable
from tarry.waiting.futures import chain, rescue, then
from tarry.waiting.ledger import Ledger, Settled
from tarry.waiting.lot import Lot
from tarry.waiting.nodes import this_process
from tarry.waiting.records import CANCELLED, EXPIRED, Record
from tarry.waiting.schemas import schema_of
from tarry.waiting.tokens import new_id, new_secret
from tarry.waiting.values import KnownTypes
from tarry.waiting.verdicts import Verdict
from tarry.waiting.waits import Wait

logger: Final = logging.getLogger("tarry")


class Sharing:
    """The shared waits of one application."""

    def __init__(self, parking: Lot, ledger: Ledger) -> None:
        self._parking = parking
        self.ledger = ledger
        self.types = KnownTypes()

    def share(self, wait: Wait[Any]) -> "Future[Record]":
        """The future of the record of a wait, which is made now if it has none."""
        with self._parking.lock:
            stored, is_new = wait.stored, wait.stored is None
            if stored is None:
                stored = wait.stored = Future()
                # Whoever waits for it can go away, and it comes anyway.
                stored.set_running_or_notify_cancel()
        if is_new:
            adding = self.ledger.add(self._record_of(wait), schema_of(wait.type.annotation))
            adding.add_done_callback(functools.partial(self._added, wait, stored))
        return stored

    def _record_of(self, wait: Wait[Any]) -> Record:
        options, clock = wait.options, self._parking.clock
        exchange, now_s = self._parking.exchange_here(), clock.wall_s()
        schema = schema_of(wait.type.annotation)
        record = Record(
            id=new_id(),
            secret=new_secret(),
            created_s=now_s,
            deadline_s=now_s + wait.deadline_s - clock.monotonic_s(),
            keep_s=options.keep_s,
            durable=options.durable,
            node=this_process(),
            key=options.key,
            owner=options.owner,
            schema=None if schema is None else schema.name,
            then=None if options.then is None else name_of(options.then),
            request=None if exchange is None else self._parking.addresses.info(exchange),
        )
        return wait.on_record(record, now_s)

    def _added(self, wait: Wait[Any], stored: "Future[Record]", adding: "Future[Record]") -> None:
        error = adding.exception()
        if error is None:
            wait.record = adding.result()
            self.types.keep(wait.record.id, wait.type)
            stored.set_result(wait.record)
            if wait.holds:  # it was shared when somebody waited already
                self.watch(wait)
            return
        if not wait.options.durable:
            # It goes on as what it is without a store: an object of this process.
            with self._parking.lock:
                wait.stored = None
        if isinstance(error, StoreError):
            logger.error("a wait cannot be stored: %s", error)
            error = StoreUnavailable()
        stored.set_exception(error)

    # ---- deciding ------------------------------------------------------------------------

    def change(
        self, wait: Wait[Any], action: str, here: Callable[[], bool] | None = None, **fields: Any
    ) -> Verdict:
        """Have the store decide on an action.

        If it cannot, `here` does for a wait that is not durable: that one goes
        on without a store, as an object of this process.
        """
        attempt = chain(
            self.share(wait), lambda record: self.ledger.change(record.id, action, **fields)
        )
        attempt.add_done_callback(functools.partial(self._known, wait))
        return self.verdict(attempt, None if wait.options.durable else here)

    def _known(self, wait: Wait[Any], attempt: "Future[Settled]") -> None:
        """Who asked knows the state from now on, also if it waits for no news."""
        record = attempt.result().record if attempt.exception() is None else None
        if record is not None:
            self._parking.on_loop(wait.take, record)

    def verdict(
        self, attempt: "Future[Settled]", here: Callable[[], bool] | None = None
    ) -> Verdict:
        """What comes of an attempt; those who wait here hear of it at once."""

        def without_store(error: StoreError) -> bool:
            if not isinstance(error, StoreUnavailable):  # of which the log knows
                logger.error("a wait cannot be settled: %s", error)
            if here is None:
                raise StoreUnavailable from error
            return here()

        accepted = then(self.told(attempt), lambda settled: settled.accepted)
        return Verdict(rescue(accepted, StoreError, without_store))

    def told(self, attempt: "Future[Settled]") -> "Future[Settled]":
        """The attempt itself, of which those who wait here will hear."""
        attempt.add_done_callback(self._attempted)
        return attempt

    def _attempted(self, attempt: "Future[Settled]") -> None:
        if attempt.exception() is None:
            self._parking.watching.saw(attempt.result().record)

    def put_off(self, wait: Wait[Any]) -> None:
        """Have the record expire when the wait does."""
        if wait.stored is not None:
            until_s = self._parking.clock.wall_s() + wait.options.timeout_s
            chain(wait.stored, lambda record: self.ledger.put_off(record, until_s))

    def expire(self, wait: Wait[Any]) -> None:
        """Its time is over, here at least: the store decides between this and a wake."""
        expired = chain(self.share(wait), lambda record: self.ledger.leave(record.id, "expire"))
        expired.add_done_callback(self._attempted)
        on_loop = self._parking.on_loop
        expired.add_done_callback(lambda future: on_loop(self._expired, wait, future))

    def expire_record(self, id: str) -> None:
        """Have a record expire whose deadline is over; who watches it hears of it."""
        self.told(self.ledger.expire(id))

    def _expired(self, wait: Wait[Any], expired: "Future[Settled]") -> None:
        record = expired.result().record if expired.exception() is None else None
        if record is not None:
            wait.take(record)
        # Others may wait longer under the same key, or the store cannot be asked.
        wait.give_up(EXPIRED)

    def leave(self, wait: Wait[Any]) -> None:
        """Nobody waits for it here any more."""
        left = chain(self.share(wait), lambda record: self.ledger.leave(record.id, "cancel"))
        left.add_done_callback(self._attempted)
        on_loop = self._parking.on_loop
        left.add_done_callback(lambda future: on_loop(self._left, wait, future))

    def _left(self, wait: Wait[Any], left: "Future[Settled]") -> None:
        record = left.result().record if left.exception() is None else None
        if record is not None:
            wait.take(record)
        wait.give_up(CANCELLED)

    # ---- hearing of it -------------------------------------------------------------------

    def watch(self, wait: Wait[Any]) -> None:
        """Have a wait with holds hear of its record, if it has one."""
        if wait.stored is not None:
            on_loop = self._parking.on_loop
            wait.stored.add_done_callback(lambda future: on_loop(self._stored, wait, future))

    def _stored(self, wait: Wait[Any], stored: "Future[Record]") -> None:
        error = stored.exception()
        if error is None:
            if wait.holds:
                self._parking.watching.watch(stored.result().id, wait.take)
        elif wait.options.durable:
            for hold in wait.holds:
                self._parking.let_go(hold)
                hold.fail(error)

    def unwatch(self, wait: Wait[Any]) -> None:
        """Its holds are gone."""
        if wait.record is not None:
            self._parking.watching.unwatch(wait.record.id, wait.take)
