"""What happens to waits, as server-sent events: what a client has missed, then each change.

The id of an event tells how far the client is with each of its tickets: their
revisions in the order in which it named them, with dots between, such as `7`
or `3.12.-`; `-` stands for a ticket that is not there.  It comes back in
`Last-Event-ID`.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final, NamedTuple

from tarry.app.json_texts import json_reader
from tarry.app.responses import ServerEvent
from tarry.waiting.addresses import Addresses
from tarry.waiting.documents import document
from tarry.waiting.following import Following
from tarry.waiting.lot import Lot
from tarry.waiting.places import Place
from tarry.waiting.records import DONE, FAILED, WAIT, Record

MAX_VALUE_BYTES: Final = 16 * 1024
"""A value up to this size goes out with the event `done`; a larger one is fetched."""

UNSEEN: Final = 0
UNKNOWN: Final = -1
GONE: Final = -2

_REV: Final = re.compile("[0-9]{1,9}")
_read_json: Final = json_reader(Any)


def read_cursors(text: str | None, count: int) -> list[int]:
    """How far a client is with each of so many tickets; unknown if its id says nothing of that."""
    if text is None:
        return [UNSEEN] * count
    parts = text.split(".")
    if len(parts) != count or not all(part == "-" or _REV.fullmatch(part) for part in parts):
        return [UNKNOWN] * count
    return [GONE if part == "-" else int(part) for part in parts]


def _written(cursors: list[int]) -> str:
    return ".".join("-" if cursor == GONE else str(max(cursor, 0)) for cursor in cursors)


class News(NamedTuple):
    """One event: the revision it leads to, its name, and what its document has differently."""

    rev: int
    name: str
    changes: dict[str, Any]


def news(record: Record, cursor: int) -> Iterator[News]:
    """What a client has to hear that has seen a wait up to a revision.

    `gap` comes in the place of events that are not kept any more, or for a
    revision that this wait has never had; its document is that of now.
    """
    is_known = UNSEEN <= cursor <= record.rev
    after = max(cursor, 1) if is_known else record.rev  # the first revision is no event
    kept = [each for each in record.events if each.rev > after]
    first = kept[0].rev if kept else record.rev
    if not is_known:
        yield News(record.rev, "gap", {})
    elif first > after + 1:
        yield News(first - 1, "gap", {})
    for each in kept:
        yield News(each.rev, each.name, {"rev": each.rev, **_read_json(each.data)})
    if record.is_settled:
        if cursor != record.rev:
            yield News(record.rev, record.state, {})
    elif record.rev > (kept[-1].rev if kept else after) or (cursor == UNSEEN and not kept):
        yield News(record.rev, "progress", {})


def is_over(record: Record | None, cursor: int) -> bool:
    """Whether a client has heard all that there will ever be to hear of a ticket."""
    if record is None:
        return cursor == GONE
    return record.is_settled and cursor == record.rev


async def ticket_events(
    parking: Lot,
    addresses: Addresses,
    tickets: Sequence[tuple[str, Record | None]],
    cursors: list[int],
) -> AsyncIterator[ServerEvent]:
    """The events of tickets, until all are settled or the server stops."""
    records = [record for _, record in tickets if record is not None]
    moves = Moves(parking)
    with Following(parking, records) as following:
        following.hear_moves()
        while True:
            for place, (ticket, first) in enumerate(tickets):
                if first is None:
                    if cursors[place] != GONE:
                        cursors[place] = GONE
                        yield ServerEvent({"ticket": ticket}, "gone", _written(cursors))
                    continue
                record = following.records[first.id]
                for each in news(record, cursors[place]):
                    cursors[place] = each.rev
                    told = _document(parking, record, addresses, each)
                    moves.tell(record)
                    yield ServerEvent(told, each.name, _written(cursors))
                if moves.is_news(record):
                    told = document(record, addresses, moves.tell(record))
                    yield ServerEvent(told, "position")
            now = (first and following.records[first.id] for _, first in tickets)
            if parking.is_draining or all(map(is_over, now, cursors)):
                return
            await following.news()


class Moves:
    """What a client has been told of places in queues, of which no revision tells."""

    __slots__ = ("_parking", "_positions")

    def __init__(self, parking: Lot) -> None:
        self._parking = parking
        self._positions: dict[str, int | None] = {}

    def is_news(self, record: Record) -> bool:
        """Whether a job has another place than the client knows."""
        if record.job is None or record.is_settled:
            return False
        return self._parking.place_of(record).position != self._positions.get(record.id)

    def tell(self, record: Record) -> Place:
        """The place, which the client knows from now on."""
        place = self._parking.place_of(record)
        self._positions[record.id] = place.position
        return place


def _document(parking: Lot, record: Record, addresses: Addresses, event: News) -> dict[str, Any]:
    """The document as it was at an event; with the value, unless a function makes another of it."""
    told = document(record, addresses, parking.place_of(record)) | event.changes
    if told["state"] != FAILED:
        told.pop("failure", None)
    value = record.value
    # Only that of a plain wait is JSON that a client can use as it is.
    is_plain = event.name == DONE and record.kind == WAIT and record.then is None
    if is_plain and value is not None and len(value) <= MAX_VALUE_BYTES:
        told["value"] = _read_json(value)
    return told
