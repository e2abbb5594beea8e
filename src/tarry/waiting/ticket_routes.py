"""What a ticket is good for: to read how it stands, to fetch the value, and to cancel."""

from typing import Any, Final

from tarry.app.errors import HttpError
from tarry.app.request import Request
from tarry.app.responses import Events, Redirect, Response
from tarry.app.websocket_endpoints import websocket_endpoint
from tarry.app.websockets import WebSocket
from tarry.exchange import Exchange
from tarry.message.conditional import etag_matches
from tarry.message.eventstream import last_event_id
from tarry.message.preferences import preference_applied, wait_s
from tarry.waiting import pages
from tarry.waiting.addresses import Addresses
from tarry.waiting.answers import restored
from tarry.waiting.continuations import Continuation, function_of, value_for
from tarry.waiting.documents import (
    EVENTS,
    HTML,
    NEGOTIATED,
    PRIVATE,
    document,
    etag,
    preferences_of,
    preferred_form,
    without_value,
)
from tarry.waiting.following import wait_until
from tarry.waiting.lookup import Lookup, read_store
from tarry.waiting.options import HOLD_S
from tarry.waiting.parking import Parking
from tarry.waiting.records import ANSWER, DONE, Record, decode_answer
from tarry.waiting.ticket_events import is_over, read_cursors, ticket_events
from tarry.waiting.ticket_sockets import MAX_MESSAGE_BYTES, tell_and_hear

MAX_TICKETS: Final = 100
"""Tickets that one stream of events follows; a page shows fewer."""

RETRY_MS: Final = 2000
"""How long a browser waits before it connects again after a stream that was broken off."""


class TicketRoutes:
    """The handlers of the addresses of tickets."""

    def __init__(self, parking: Parking, addresses: Addresses, lookup: Lookup) -> None:
        self._parking = parking
        self._addresses = addresses
        self._lookup = lookup
        self._socket = websocket_endpoint(self._talk, max_message_bytes=MAX_MESSAGE_BYTES)

    # ---- how it stands -------------------------------------------------------------------

    async def show(self, request: Request, ticket: str) -> Any:
        """The state: as a document, at once or when it has changed; as events; as a page.

        As events also on a WebSocket, if the request asks for one.
        """
        record = await self._lookup.ticket(request, ticket)
        if request.headers.get("upgrade", "").lower() == "websocket":
            self._parking.check_room()
            socket = WebSocket(request.exchange, {"ticket": ticket})
            return await self._socket(socket=socket, record=record)
        form = preferred_form(request.exchange)
        if form == EVENTS:
            return self._events(request, [(ticket, record)])
        if form == HTML:
            return self._page(record)
        return await self._document(request.exchange, record)

    async def _document(self, exchange: Exchange, record: Record) -> Response:
        headers = dict(NEGOTIATED)
        patience_s = _patience_s(exchange)
        if patience_s and not record.is_settled and _is_known(exchange, record):
            headers["preference-applied"] = _applied(exchange, patience_s)
            record = await wait_until(
                self._parking,
                exchange,
                record,
                lambda newer: not _is_known(exchange, newer),
                patience_s,
            )
        headers["etag"] = etag(record)
        if record.state == DONE:
            return self._to_result(record, headers)
        if _is_known(exchange, record):
            return Response(None, 304, headers)
        return Response(
            document(record, self._addresses, self._parking.place_of(record)), 200, headers
        )

    def _page(self, record: Record) -> Response:
        if record.state == DONE:
            return self._to_result(record, NEGOTIATED)
        source = pages.ticket_page(
            record,
            self._addresses,
            self._parking.clock.wall_s(),
            self._parking.place_of(record),
        )
        return pages.answer(source, 200, NEGOTIATED)

    def _to_result(self, record: Record, headers: dict[str, str]) -> Response:
        location = {"location": self._addresses.result_path(record)}
        return Response(None, 303, {**headers, **location})

    # ---- events --------------------------------------------------------------------------

    async def follow(self, request: Request, t: str) -> Events | Response:
        """The events of several tickets, with commas between them, on one stream."""
        texts = list(dict.fromkeys(filter(None, t.split(","))))
        if not 0 < len(texts) <= MAX_TICKETS:
            raise HttpError(400, f"t takes 1 to {MAX_TICKETS} tickets, with commas between them")
        records = await self._lookup.tickets(request, texts)
        return self._events(request, list(zip(texts, records, strict=True)))

    def _events(
        self, request: Request, tickets: list[tuple[str, Record | None]]
    ) -> Events | Response:
        cursors = read_cursors(last_event_id(request.headers), len(tickets))
        if all(is_over(each[1], cursor) for each, cursor in zip(tickets, cursors, strict=True)):
            # An EventSource would connect again for ever (WHATWG HTML section 9.2.3).
            return Response(None, 204, PRIVATE)
        self._parking.check_room()
        events = ticket_events(self._parking, self._addresses, tickets, cursors)
        return Events(events, retry_ms=RETRY_MS, headers=NEGOTIATED)

    async def _talk(self, socket: WebSocket, record: Record) -> None:
        request, ticket = socket.request, socket.path["ticket"]
        cursors = read_cursors(last_event_id(request.headers), 1)
        events = ticket_events(self._parking, self._addresses, [(ticket, record)], cursors)
        await tell_and_hear(socket, events, lambda: self._cancelled(request, ticket))

    # ---- the value -----------------------------------------------------------------------

    async def result(self, request: Request, ticket: str) -> Any:
        """The value, or what is made of it; an error as long as there is none."""
        record = await self._lookup.ticket(request, ticket)
        exchange, headers = request.exchange, dict(PRIVATE)
        patience_s = _patience_s(exchange)
        if patience_s and not record.is_settled:
            headers["preference-applied"] = _applied(exchange, patience_s)
            record = await wait_until(
                self._parking, exchange, record, lambda newer: newer.is_settled, patience_s
            )
        if record.state != DONE:
            raise without_value(record, self._addresses)
        if record.kind == ANSWER:
            request.response.headers.update(headers)
            return restored(decode_answer(record.value or b""))
        value = record.value or b"null"
        if record.then is None:
            return Response(value, 200, {**headers, "content-type": "application/json"})
        request.response.headers.update(headers)
        function = function_of(record.then)
        type = self._parking.sharing.types.get(record.id)
        return Continuation(function, value_for(function, value, type), record.request)

    # ---- cancelling ----------------------------------------------------------------------

    async def cancel(self, request: Request, ticket: str) -> Response:
        """Cancel; what is settled already stays as it is."""
        record = await self._cancelled(request, ticket)
        status = 200 if record.is_settled else 202
        return Response(
            document(record, self._addresses, self._parking.place_of(record)), status, PRIVATE
        )

    async def cancel_by_form(self, request: Request, ticket: str) -> Response:
        """As `cancel`, for what cannot send DELETE: forms, and beacons of a page that is left."""
        if preferred_form(request.exchange) != HTML:
            return await self.cancel(request, ticket)
        record = await self._cancelled(request, ticket)
        redirect = Redirect(self._addresses.ticket_path(record), 303)
        redirect.headers.update(PRIVATE)
        return redirect

    async def _cancelled(self, request: Request, ticket: str) -> Record:
        record = await self._lookup.ticket(request, ticket)
        sharing = self._parking.sharing
        settled = await read_store(lambda: sharing.told(sharing.ledger.cancel(ticket)))
        return settled.record or record


def _is_known(exchange: Exchange, record: Record) -> bool:
    """Whether the client says that it has this revision."""
    values = exchange.head.headers.getall(b"if-none-match")
    value = b", ".join(values).decode("latin-1")
    return bool(value) and etag_matches(value, etag(record), weak=True)


def _patience_s(exchange: Exchange) -> float:
    """How long a client waits, within what a connection may be silent; 0 if it does not."""
    return min(wait_s(preferences_of(exchange)) or 0.0, HOLD_S)


def _applied(exchange: Exchange, patience_s: float) -> str:
    return preference_applied({"wait": preferences_of(exchange)["wait"]}, patience_s)
