"""Holds: requests that are attached to a wait, each until it is answered or its client leaves."""

from typing import Any

from tarry.app.answering import Answerer
from tarry.app.deferred import Settler
from tarry.app.request import request_of
from tarry.exchange import ClientGone, Exchange
from tarry.message.preferences import preference_applied
from tarry.timing import Timed
from tarry.waiting.continuations import Continuation
from tarry.waiting.documents import handed_over, preferences_of
from tarry.waiting.errors import Draining
from tarry.waiting.lot import Lot
from tarry.waiting.options import NO_DEFAULT
from tarry.waiting.patience import patience_s
from tarry.waiting.records import Record
from tarry.waiting.waits import Wait


class Hold:
    """One request, or a coroutine of none, that waits for a value.

    It is counted and taken away by what the server tells, and nowhere in the
    code of a handler.
    """

    __slots__ = ("exchange", "parking", "settler", "wait")

    def __init__(
        self,
        parking: Lot,
        wait: Wait[Any],
        exchange: Exchange | None,
        settler: Settler,
    ) -> None:
        self.parking = parking
        self.wait = wait
        self.exchange = exchange
        self.settler = settler

    def begin(self) -> None:
        """Wait from now on."""
        if self.exchange is not None:
            self.exchange.park()
            self.exchange.on_gone(self.leave)

    def end(self) -> None:
        """The wait has let go of this."""
        if self.exchange is not None:
            self.exchange.resume()
            self.exchange.off_gone(self.leave)

    def leave(self) -> None:
        """The client left: what waits is interrupted here, and nothing that is done elsewhere."""
        if self.parking.let_go(self):
            self.fail(ClientGone("the client left while it waited"))
            self.parking.abandoned(self.wait)

    def finish(self) -> None:
        """The wait is settled, and has let go of this: pass on what came of it."""
        result, error = self.wait.result()
        if error is not None:
            self.fail(error)
        else:
            self._give(result)

    def _give(self, value: Any) -> None:
        """Pass on a value, or what the wait's function makes of it."""
        function = self.wait.options.then
        if function is not None and isinstance(self.settler, Answerer):
            record = self.wait.record
            value = Continuation(function, value, None if record is None else record.request)
        self.settle(value, None)

    def fail(self, error: BaseException) -> None:
        """Pass on an error; the wait has let go of this."""
        self.settle(None, error)

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Pass on a result, or an error; the wait has let go of this."""
        self._pass_on(self.exchange, result, error)

    def _pass_on(self, exchange: Exchange | None, result: Any, error: BaseException | None) -> None:
        self.settler.settle(exchange, result, error)  # type: ignore[arg-type]  # because who awaits outside of a request has none

    def drain(self) -> None:
        """The server stops: answer with what there is to say now."""
        options = self.wait.options
        if options.on_drain == "finish" or not self.parking.let_go(self):
            return
        if options.default is NO_DEFAULT:
            self.fail(Draining())
        else:
            self._give(options.default)
        self.parking.abandoned(self.wait)


class TicketHold(Hold):
    """A request whose client can have a ticket, when it has waited long enough."""

    __slots__ = ("_patience",)

    def __init__(
        self, parking: Lot, wait: Wait[Any], exchange: Exchange | None, settler: Settler
    ) -> None:
        super().__init__(parking, wait, exchange, settler)
        self._patience = _Patience(self)

    def begin(self) -> None:
        """Wait from now on, as long as the client will, and `hold` allows."""
        super().begin()
        if self.exchange is None:
            return
        seconds = patience_s(self.exchange, self.wait.options.hold_s)
        if seconds <= 0:
            self.hand_over()
        else:
            self.parking.start_patience(self._patience, seconds)

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Pass on a result, or an error; the wait has let go of this."""
        self.parking.timers.remove(self._patience)
        if self.exchange is not None and error is None:
            applied = preference_applied(
                preferences_of(self.exchange), patience_s(self.exchange, self.wait.options.hold_s)
            )
            if applied:
                request = request_of(self.exchange, self.parking.lanes)
                request.response.headers["preference-applied"] = applied
        super().settle(result, error)

    def hand_over(self) -> None:
        """Answer with the ticket, which is stored by then: the wait goes on without this."""
        stored = self.parking.sharing.share(self.wait)
        if not stored.done():
            stored.add_done_callback(lambda _: self.parking.on_loop(self.hand_over))
        elif stored.exception() is None and self.exchange is not None:
            self._give_ticket(self.exchange, self.wait.record or stored.result())

    def _give_ticket(self, exchange: Exchange, record: Record) -> None:
        if self.parking.let_go(self):
            place = self.parking.place_of(record)
            self.settle(handed_over(record, self.parking.addresses, exchange, place), None)

    def drain(self) -> None:
        """The server stops: the client gets its ticket and can ask the next server."""
        if self.wait.options.on_drain == "ticket":
            self.hand_over()
        else:
            super().drain()


class _Patience(Timed):
    """How long a client waits on its connection."""

    __slots__ = ("_hold",)

    def __init__(self, hold: TicketHold) -> None:
        super().__init__()
        self._hold = hold

    def expire(self) -> None:
        """Called by the timers."""
        self._hold.hand_over()


class LastingHold(TicketHold):
    """A handler that goes on when its client has left or got a ticket, since it can be asked."""

    __slots__ = ("_handled",)

    def __init__(
        self, parking: Lot, wait: Wait[Any], exchange: Exchange | None, settler: Settler
    ) -> None:
        super().__init__(parking, wait, exchange, settler)
        self._handled = exchange

    def leave(self) -> None:
        """The client left: wait on without it."""
        self.exchange = None

    def _pass_on(self, exchange: Exchange | None, result: Any, error: BaseException | None) -> None:
        """To the handler of the request, whether its client is there or not."""
        super()._pass_on(self._handled, result, error)

    def _give_ticket(self, exchange: Exchange, record: Record) -> None:
        """Of another record: the ticket is for what the handler makes of the value."""
        self.end()
        self.exchange = None
        self.parking.tickets.detach(exchange, self.wait.options, record)


def hold_for(parking: Lot, wait: Wait[Any], exchange: Exchange | None, settler: Settler) -> Hold:
    """The hold for who waits: of a durable wait answers become tickets, and coroutines last."""
    kind: type[Hold] = Hold
    if wait.options.durable:
        kind = TicketHold if isinstance(settler, Answerer) else LastingHold
    return kind(parking, wait, exchange, settler)
