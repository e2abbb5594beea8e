"""Tickets for answers: a handler goes on while its client goes away with a ticket.

So it is for a handler that awaits, or yields, a durable wait, and for each one
of a route with `ticket=True`.  What the handler comes to is kept under the
ticket; if its process dies before that, the value that it waited for is.
"""

import asyncio
import functools
import logging
from concurrent.futures import Future
from typing import Any, Final

from tarry.app.answering import Answerer
from tarry.app.deferred import Deferred
from tarry.app.failures import as_http_error
from tarry.app.lanes import Lanes
from tarry.app.request import request_of
from tarry.exchange import Exchange
from tarry.message.preferences import preference_applied
from tarry.timing import Timed
from tarry.waiting import records
from tarry.waiting.answers import kept
from tarry.waiting.documents import handed_over, preferences_of
from tarry.waiting.ledger import Ledger, Settled
from tarry.waiting.lot import Lot
from tarry.waiting.nodes import this_process
from tarry.waiting.options import DURABLE, WaitOptions
from tarry.waiting.patience import patience_s
from tarry.waiting.records import Failure, Record
from tarry.waiting.tokens import new_id, new_secret

logger: Final = logging.getLogger("tarry")


class Tickets:
    """Gives tickets for the answers of handlers that go on."""

    def __init__(self, parking: Lot, ledger: Ledger, answerer: Answerer) -> None:
        self._parking = parking
        self._ledger = ledger
        self._answerer = answerer
        self._adopted: set[str] = set()

    # ---- routes with ticket=True ---------------------------------------------------------

    def begin(self, exchange: Exchange) -> None:
        """A handler begins whose answer can be kept: see how long its client waits."""
        patience = _Patience(self, exchange)
        request = request_of(exchange, self._parking.lanes)
        request.is_special = True
        request.over = functools.partial(self._parking.timers.remove, patience)
        seconds = patience_s(exchange, DURABLE.hold_s)
        if seconds > 0:
            self._parking.start_patience(patience, seconds)
        else:
            # When the handler has had its first turn, and all has been read that came at once.
            self._parking.on_loop(patience.expire)

    def end_patience(self, patience: "_Patience", exchange: Exchange) -> None:
        """The client has waited long enough; it has to send its body first, though."""
        if exchange.started or exchange.gone:
            return
        if exchange.body is None or exchange.body.ended:
            self.detach(exchange, DURABLE)
        else:
            self._parking.start_patience(patience, _LOOK_AGAIN_S)

    # ---- detaching -----------------------------------------------------------------------

    def detach(self, exchange: Exchange, options: WaitOptions, of: Record | None = None) -> None:
        """Answer with a ticket as soon as it is stored; the handler goes on."""
        now_s = self._parking.clock.wall_s()
        record = Record(
            id=new_id(),
            secret=new_secret(),
            created_s=now_s,
            deadline_s=now_s + options.timeout_s if of is None else of.deadline_s + _GRACE_S,
            keep_s=options.keep_s,
            kind=records.ANSWER,
            durable=True,
            node=this_process(),
            owner=options.owner,
            of=None if of is None else of.id,
            request=self._parking.addresses.info(exchange),
        )
        on_loop = self._parking.on_loop
        self._ledger.add(record).add_done_callback(
            lambda adding: on_loop(self._stored, exchange, record, adding)
        )

    def _stored(self, exchange: Exchange, record: Record, adding: "Future[Record]") -> None:
        error = adding.exception()
        if error is not None:
            logger.error("a ticket cannot be stored: %s", error)
            return  # the client waits on, as it would without tickets
        if exchange.started or exchange.gone:
            self._ledger.change(record.id, "cancel")
            return
        late = functools.partial(self._late, exchange, record.id)
        response = handed_over(record, self._parking.addresses, exchange)
        applied = preference_applied(preferences_of(exchange), patience_s(exchange, DURABLE.hold_s))
        if applied:
            response.headers["preference-applied"] = applied
        self._answerer.detach(exchange, response, late)

    # ---- what the handler comes to -----------------------------------------------------------

    def _late(self, exchange: Exchange, id: str, result: Any, error: BaseException | None) -> None:
        if isinstance(result, Deferred):
            result.attach(exchange, _Late(self, id))
            return
        if error is None:
            try:
                fields = {"value": records.encode(kept(result))}
            except Exception as raised:  # noqa: BLE001 — told to who has the ticket
                error = raised
        if error is None:
            self._tell(id, "wake", **fields)
        elif not isinstance(error, asyncio.CancelledError):
            self._answerer.too_late(exchange, error)
            told = as_http_error(error)
            self._tell(id, "fail", failure=Failure(told.status, told.detail))

    def _tell(self, id: str, action: str, **fields: Any) -> None:
        self._parking.sharing.verdict(self._ledger.change(id, action, **fields))

    # ---- answers without a handler ---------------------------------------------------------

    def adopt(self, record: Record) -> "Future[Settled]":
        """Settle an answer whose process is no more, now or when what it waited for is there."""
        if record.of is not None and record.id not in self._adopted:
            self._adopted.add(record.id)
            of = record.of

            def take(waited_for: Record) -> None:
                if waited_for.is_settled:
                    self._parking.watching.unwatch(of, take)
                    self._adopted.discard(record.id)
                    self._inherit(record)

            self._parking.watching.watch(of, take)
        return self._inherit(record)

    def _inherit(self, record: Record) -> "Future[Settled]":
        return self._parking.sharing.told(self._ledger.inherit(record))

    @property
    def lanes(self) -> Lanes:
        """Loop and threads of the application that answers."""
        return self._parking.lanes

    def settle(self, exchange: Exchange, id: str, result: Any, error: BaseException | None) -> None:
        """A result that came later still."""
        self._late(exchange, id, result, error)


_LOOK_AGAIN_S: Final = 1.0
"""How often somebody looks whether a body that a handler reads has ended."""

_GRACE_S: Final = 60.0
"""How long a handler may take for its answer after the wait that it waited for has ended."""


class _Late:
    """A settler for a handler that returns a further wait after its client has gone."""

    __slots__ = ("_id", "_tickets")

    def __init__(self, tickets: Tickets, id: str) -> None:
        self._tickets = tickets
        self._id = id

    @property
    def lanes(self) -> Lanes:
        """Loop and threads of the application that answers."""
        return self._tickets.lanes

    def settle(self, exchange: Exchange, result: Any, error: BaseException | None) -> None:
        """Keep it."""
        self._tickets.settle(exchange, self._id, result, error)


class _Patience(Timed):
    """How long a client waits for a handler."""

    __slots__ = ("_exchange", "_tickets")

    def __init__(self, tickets: Tickets, exchange: Exchange) -> None:
        super().__init__()
        self._tickets = tickets
        self._exchange = exchange

    def expire(self) -> None:
        """Called by the timers."""
        self._tickets.end_patience(self, self._exchange)
