"""How a wait gets a record in the store, and how the store then decides on it."""

import functools
import logging
from concurrent.futures import Future
from typing import Any, Final

from tarry.waiting.continuations import name_of
from tarry.waiting.errors import StoreUnavailable
from tarry.waiting.ledger import Ledger, Settled, chain, then
from tarry.waiting.lot import Lot
from tarry.waiting.records import Record
from tarry.waiting.tokens import new_id, new_secret
from tarry.waiting.verdicts import Verdict
from tarry.waiting.waits import Wait

logger: Final = logging.getLogger("tarry")


class Sharing:
    """The shared waits of one application."""

    def __init__(self, parking: Lot, ledger: Ledger) -> None:
        self._parking = parking
        self.ledger = ledger

    def share(self, wait: Wait[Any]) -> "Future[Record]":
        """The future of the record of a wait, which is made now if it has none."""
        with self._parking.lock:
            stored, is_new = wait.stored, wait.stored is None
            if stored is None:
                stored = wait.stored = Future()
        if is_new:
            adding = self.ledger.add(self._record_of(wait))
            adding.add_done_callback(functools.partial(self._added, wait, stored))
        return stored

    def _record_of(self, wait: Wait[Any]) -> Record:
        options, clock = wait.options, self._parking.clock
        exchange, now_s = self._parking.exchange_here(), clock.wall_s()
        record = Record(
            id=new_id(),
            secret=new_secret(),
            created_s=now_s,
            deadline_s=now_s + wait.deadline_s - clock.monotonic_s(),
            keep_s=options.keep_s,
            durable=options.durable,
            node=self._parking.node,
            key=options.key,
            owner=options.owner,
            then=None if options.then is None else name_of(options.then),
            request=None if exchange is None else self._parking.addresses.info(exchange),
        )
        return wait.on_record(record, now_s)

    def _added(self, wait: Wait[Any], stored: "Future[Record]", adding: "Future[Record]") -> None:
        error = adding.exception()
        if error is None:
            wait.record = adding.result()
            stored.set_result(wait.record)
            if wait.holds:  # it was shared when somebody waited already
                self.watch(wait)
            return
        if not wait.options.durable:
            # It goes on as what it is without a store: an object of this process.
            with self._parking.lock:
                wait.stored = None
        stored.set_exception(error)

    # ---- deciding ------------------------------------------------------------------------

    def change(self, wait: Wait[Any], action: str, **fields: Any) -> Verdict:
        """Have the store decide on an action."""
        return self.verdict(
            chain(self.share(wait), lambda record: self.ledger.change(record.id, action, **fields))
        )

    def verdict(self, attempt: "Future[Settled]") -> Verdict:
        """What comes of an attempt; those who wait here hear of it at once."""
        attempt.add_done_callback(self._attempted)
        return Verdict(then(attempt, lambda settled: settled.accepted))

    def _attempted(self, attempt: "Future[Settled]") -> None:
        if attempt.exception() is None:
            self._parking.watching.saw(attempt.result().record)

    def put_off(self, wait: Wait[Any]) -> None:
        """Have the record expire when the wait does."""
        if wait.stored is not None:
            until_s = self._parking.clock.wall_s() + wait.options.timeout_s
            chain(wait.stored, lambda record: self.ledger.put_off(record.id, until_s))

    def expire(self, wait: Wait[Any]) -> None:
        """Its time is over, here at least: the store decides between this and a wake."""
        now_s = self._parking.clock.wall_s()
        expired = chain(self.share(wait), lambda record: self.ledger.expire(record.id, now_s))
        on_loop = self._parking.on_loop
        expired.add_done_callback(lambda future: on_loop(self._expired, wait, future))

    def _expired(self, wait: Wait[Any], expired: "Future[Settled]") -> None:
        record = expired.result().record if expired.exception() is None else None
        if record is not None:
            wait.take(record)
        # Others may wait longer under the same key, or the store cannot be asked.
        wait.give_up()

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
            logger.error("a durable wait cannot be stored: %s", error)
            for hold in wait.holds:
                self._parking.let_go(hold)
                hold.fail(StoreUnavailable())

    def unwatch(self, wait: Wait[Any]) -> None:
        """Its holds are gone."""
        if wait.record is not None:
            self._parking.watching.unwatch(wait.record.id, wait.take)
