"""What a ticket says: the state of a wait as a document, and the answers that carry it."""

from typing import Any, Final, Literal

from tarry.app.errors import HttpError
from tarry.app.responses import Response
from tarry.exchange import Exchange
from tarry.message.dates import format_date
from tarry.message.mediatypes import best_match
from tarry.message.preferences import parse_preferences
from tarry.waiting import pages
from tarry.waiting.addresses import Addresses
from tarry.waiting.errors import WaitCancelled, WaitExpired
from tarry.waiting.places import NOWHERE, Place
from tarry.waiting.records import CANCELLED, EXPIRED, Record, standing
from tarry.waiting.tokens import ticket

RETRY_AFTER_S: Final = 2

Form = Literal["application/json", "text/event-stream", "text/html"]

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
HTML: Final = "text/html"

PRIVATE: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
"""On all answers at addresses that are secrets: they stay where they are, and lead nowhere."""

NEGOTIATED: Final = {**PRIVATE, "vary": "Accept, Prefer"}


def preferred_form(exchange: Exchange) -> str:
    """The form that a client likes best; JSON if it does not care, or likes none of them."""
    accept = b",".join(exchange.head.headers.getall(b"accept")).decode("latin-1")
    return best_match(accept, (JSON, EVENTS, HTML)) or JSON


def preferences_of(exchange: Exchange) -> dict[str, str]:
    """The preferences of a client; see `message.preferences`."""
    values = exchange.head.headers.getall(b"prefer")
    return parse_preferences(value.decode("latin-1") for value in values)


def etag(record: Record) -> str:
    """The entity tag of a wait's document."""
    return f'"{record.rev}"'


def document(record: Record, addresses: Addresses, place: Place = NOWHERE) -> dict[str, Any]:
    """The state of a wait, for who has its ticket."""
    path = addresses.ticket_path(record)
    failure = record.failure
    told = {
        "ticket": ticket(record.id, record.secret),
        **standing(record),
        "rev": record.rev,
        "position": place.position,
        "estimate_s": None if place.estimate_s is None else round(place.estimate_s, 1),
        "expires": format_date(int(record.due_s)),
        "links": {
            "self": path,
            "events": path,
            "result": addresses.result_path(record),
            "cancel": path,
        },
    }
    if failure is not None:
        told["failure"] = {"status": failure.status, "detail": failure.detail}
    return told


def handed_over(
    record: Record, addresses: Addresses, exchange: Exchange, place: Place = NOWHERE
) -> Response:
    """202: the value will come, and this is where to ask for it (RFC 9110 section 15.3.3)."""
    headers = {
        **NEGOTIATED,
        "location": addresses.ticket_path(record),
        "retry-after": str(RETRY_AFTER_S),
    }
    if preferred_form(exchange) == HTML:
        return pages.answer(
            pages.ticket_page(record, addresses, record.created_s, place), 202, headers
        )
    return Response(document(record, addresses, place), 202, headers)


def without_value(record: Record, addresses: Addresses) -> HttpError:
    """The error in the place of a value that is not there yet, or will never be."""
    headers = dict(PRIVATE)
    failure = record.failure
    if not record.is_settled:
        status, detail = 409, "the value is not there yet"
        headers["retry-after"] = str(RETRY_AFTER_S)
    elif record.state == CANCELLED:
        status, detail = 410, WaitCancelled().detail
    elif record.state == EXPIRED or failure is None:
        status, detail = 504, WaitExpired().detail
    else:
        status, detail = failure.status, failure.detail
    return HttpError(status, detail, headers=headers, extra=document(record, addresses))
