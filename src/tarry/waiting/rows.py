"""Waits as rows of a table, for people who look after a server."""

from typing import NamedTuple

from tarry.waiting.records import Progress, Record
from tarry.waiting.tokens import ticket


class WaitRow(NamedTuple):
    """A wait as it is now.

    `path` is that of the request that began it.  `left_s` are the seconds
    until it expires or, if it is settled, until it is forgotten; below zero if
    nobody has looked at it since.
    """

    ticket: str
    state: str
    key: str | None
    path: str | None
    durable: bool
    age_s: float
    left_s: float
    progress: Progress | None


def row_of(record: Record, now_s: float) -> WaitRow:
    """The row of a record at a time in seconds since 1970."""
    return WaitRow(
        ticket=ticket(record.id, record.secret),
        state=record.state,
        key=record.key,
        path=None if record.request is None else record.request.path,
        durable=record.durable,
        age_s=now_s - record.created_s,
        left_s=record.due_s - now_s,
        progress=record.progress,
    )
