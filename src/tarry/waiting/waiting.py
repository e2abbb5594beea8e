"""Waiting as an application has it: one store, the waits in it, and the ways in."""

import asyncio
import typing
from pathlib import Path
from typing import Any, Final, Unpack

from tarry.app.binders import BinderContext
from tarry.app.dispatch import Dispatcher
from tarry.app.results import to_json
from tarry.exchange import Exchange
from tarry.state.opening import DEFAULT_PATH, open_store
from tarry.state.store import Store
from tarry.timing import Clock, Duration, SystemClock
from tarry.waiting import scripts
from tarry.waiting.addresses import DEFAULT_PREFIX, Addresses
from tarry.waiting.feeds import Feeds
from tarry.waiting.ledger import Ledger
from tarry.waiting.lookup import Lookup, OwnerOf
from tarry.waiting.options import EPHEMERAL, ParkKeywords, wait_options
from tarry.waiting.parking import DEFAULT_MAX_PARKED, Parking
from tarry.waiting.records import Failure
from tarry.waiting.repeats import Repeats
from tarry.waiting.routes import checked_prefix, register
from tarry.waiting.ticket_routes import TicketRoutes
from tarry.waiting.tickets import Tickets
from tarry.waiting.topics import Topic
from tarry.waiting.values import BadValue, value_type
from tarry.waiting.verdicts import Verdict
from tarry.waiting.waits import Wait
from tarry.waiting.wake_routes import WakeRoutes

DEFAULT_STORE: Final = "sqlite"


class Waiting:
    """What one application waits for."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        store: str | Store = DEFAULT_STORE,
        *,
        clock: Clock | None = None,
        max_parked: int = DEFAULT_MAX_PARKED,
        max_parked_per_client: int | None = None,
        base_url: str = "",
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        clock = clock or SystemClock()
        self._address = store if isinstance(store, str) else None
        self._is_closed = False
        self.ledger = Ledger(open_store(store) if isinstance(store, str) else store, clock)
        self.addresses = Addresses(checked_prefix(prefix), base_url)
        self.parking = Parking(
            dispatcher.lanes,
            self.ledger,
            clock,
            self.addresses,
            max_parked=max_parked,
            max_parked_per_client=max_parked_per_client,
        )
        dispatcher.lanes.on_drain(self.parking.drain)
        self.parking.tickets = Tickets(self.parking, self.ledger, dispatcher.answerer)
        dispatcher.set_on_ticket(self.parking.tickets.begin)
        self._feeds = Feeds(self.parking, self.ledger)
        dispatcher.binders[Wait] = self._injected
        self.lookup = Lookup(self.parking)
        self.repeats = Repeats(self.parking, self.lookup)
        tickets = TicketRoutes(self.parking, self.addresses, self.lookup)
        wakes = WakeRoutes(self, self.parking, self.addresses, self.lookup)
        register(dispatcher, prefix, tickets, wakes)
        scripts.register(dispatcher, self.addresses.prefix)

    @property
    def owner_of(self) -> OwnerOf:
        """Tells whose a request is, for waits that have an owner; nobody's unless it is set."""
        return self.lookup.owner_of

    @owner_of.setter
    def owner_of(self, owner_of: OwnerOf) -> None:
        self.lookup.owner_of = owner_of

    @property
    def clock(self) -> Clock:
        """Where time comes from; another one is set before the application starts."""
        return self.parking.clock

    @clock.setter
    def clock(self, clock: Clock) -> None:
        self.ledger.clock = clock
        self.parking.use_clock(clock)

    def _injected(self, exchange: Exchange, context: BinderContext) -> Wait[Any]:
        """The argument `wait: Wait[T]` of a handler."""
        annotation = context.argument.annotation
        kinds = typing.get_args(annotation)
        return self.parking.make(kinds[0] if kinds else Any, EPHEMERAL)

    def park(self, kind: Any, **options: Unpack[ParkKeywords]) -> Wait[Any]:
        """A new wait; see `App.park`."""
        chosen, kind = wait_options(**options), Any if kind is object else kind
        return (
            self.repeats.park(kind, chosen) if chosen.durable else self.parking.make(kind, chosen)
        )

    def wake(self, name: str, value: Any) -> Verdict:
        """Settle a wait with a value; see `App.wake`."""
        try:
            data = to_json(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise BadValue(f"the value has no form in JSON: {error}") from None
        return self.parking.sharing.verdict(self.ledger.wake(name, data))

    def fail(self, name: str, detail: str, status: int) -> Verdict:
        """Settle a wait with an error; see `App.fail`."""
        return self.parking.sharing.verdict(self.ledger.fail(name, Failure(status, detail)))

    def cancel(self, name: str) -> Verdict:
        """Settle a wait without a value; see `App.cancel`."""
        return self.parking.sharing.verdict(self.ledger.cancel(name))

    def topic(self, name: str, kind: Any, *, keep: int, keep_for: Duration) -> Topic:
        """A topic; see `App.topic`."""
        return Topic(self._feeds, name, value_type(kind), keep=keep, keep_for=keep_for)

    def folder(self, name: str) -> Path | None:
        """A folder beside the store for what is no entry of it; `None` if that is not in files."""
        kind, _, path = (self._address or "").partition(":")
        return Path(path or DEFAULT_PATH).with_name(name) if kind == "sqlite" else None

    def open(self) -> None:
        """The application starts, perhaps once more."""
        if self._address is not None and self._is_closed:
            self.ledger.use(open_store(self._address))
            self._is_closed = False

    async def close(self) -> None:
        """The application has stopped; a store that was given as an object stays open."""
        self.parking.close()
        if self._address is not None:
            self._is_closed = True
            await asyncio.to_thread(self.ledger.store.close)
