"""What an order comes to: a job that waits for its turn, one that is joined, or none.

All functions here are pure, as those of `queues` are.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tarry.jobs import queues
from tarry.jobs.orders import Order
from tarry.jobs.queues import Queue, Queued
from tarry.timing import NEVER
from tarry.waiting import records
from tarry.waiting.records import Record

Replace = Literal["cancel-old", "join", "queue"]


class Ordered(NamedTuple):
    """A job as it is ordered: its record, what is to be done, and its place in the queue.

    Not more than `room` may wait.  `replace` says what becomes of those that
    have the same slot: they are to end, or one of them is joined, or they come first.
    Since `asked_s` whoever orders it has known of no result under its key.
    """

    record: Record
    order: Order
    entry: Queued
    replace: Replace
    room: int
    asked_s: float = NEVER


class Submitted(NamedTuple):
    """What an order came to.

    `record` is that of the new job or of the one that was joined, `None` if
    the queue is full.  `replaced` are the jobs in whose place it comes, as they are now.
    `has_begun` says that this process has to begin it.
    """

    record: Record | None
    queue: Queue
    replaced: tuple[Record, ...] = ()
    has_begun: bool = False


def is_news(there: Record, ordered: Ordered) -> bool:
    """Whether a job of the same key was done after the one who orders this has looked for it."""
    return there.state == records.DONE and there.settled_s >= ordered.asked_s


def others(queue: Queue, ordered: Ordered) -> tuple[str, ...]:
    """The jobs of the same slot, unless the new one is only to come behind them."""
    slot = ordered.entry.slot
    return () if slot is None or ordered.replace == "queue" else queues.with_slot(queue, slot)


def entering(
    queue: Queue, ordered: Ordered, slot: Mapping[str, Record | None], now_s: float
) -> tuple[Submitted, Mapping[str, Record]]:
    """What comes of an order, and what becomes of the others of its slot."""
    there = [each for each in slot.values() if each is not None and not each.is_settled]
    if ordered.replace == "join":
        return _joining(queue, ordered, there)
    after = queues.entered(queues.without(queue, slot), ordered.entry, ordered.room)
    if after is None:
        return Submitted(None, queue), {}
    running = {each.id for each in queue.running}
    replaced = {each.id: _replaced(each, each.id in running, now_s) for each in there}
    return Submitted(ordered.record, after, tuple(replaced.values())), replaced


def _joining(
    queue: Queue, ordered: Ordered, there: list[Record]
) -> tuple[Submitted, Mapping[str, Record]]:
    for other in reversed(there):
        if not other.is_cancelling:
            joined = records.joined(other, ordered.record)
            return Submitted(joined, queue), {other.id: joined}
    after = queues.entered(queue, ordered.entry, ordered.room)
    return Submitted(None if after is None else ordered.record, after or queue), {}


def _replaced(record: Record, runs: bool, now_s: float) -> Record:
    """A job in whose place another one comes, however many wait for it."""
    if runs:
        return records.cancelling(record)
    return records.ended(record, "cancel", now_s) or record
