"""What a ticket says: the state of a wait as a JSON document, and the answers that carry it."""

from typing import Any, Final

from tarry.app.responses import Response
from tarry.exchange import Exchange
from tarry.message.dates import format_date
from tarry.waiting.addresses import Addresses
from tarry.waiting.records import Record
from tarry.waiting.tokens import ticket

RETRY_AFTER_S: Final = 2


def document(record: Record, addresses: Addresses) -> dict[str, Any]:
    """The state of a wait, for who has its ticket."""
    path = addresses.ticket_path(record)
    progress = record.progress
    return {
        "ticket": ticket(record.id, record.secret),
        "state": record.state,
        "progress": None
        if progress is None
        else {"at": progress.at, "of": progress.of, "text": progress.text},
        "rev": record.rev,
        "position": None,
        "expires": format_date(int(record.due_s)),
        "links": {"self": path, "events": path, "result": path + "/result", "cancel": path},
    }


def handed_over(record: Record, addresses: Addresses, exchange: Exchange) -> Response:
    """202: the value will come, and this is where to ask for it (RFC 9110 section 15.3.3)."""
    return Response(
        document(record, addresses),
        202,
        headers={
            "location": addresses.ticket_path(record),
            "retry-after": str(RETRY_AFTER_S),
            "cache-control": "no-store",
        },
    )
