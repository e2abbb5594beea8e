"""Jobs as rows of a table, for people who look after a server."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import NamedTuple

from tarry.jobs import queues
from tarry.jobs.ledger import QUEUE
from tarry.jobs.queues import Queue
from tarry.state.store import Store
from tarry.waiting.futures import then
from tarry.waiting.places import NOWHERE, Place
from tarry.waiting.records import Progress, Record
from tarry.waiting.tokens import ticket


class JobRow(NamedTuple):
    """A job as it is now.

    `job` is the function, as `module:function`, and `group` the queue that it
    is in.  `position` is 1 for the next one, `None` for one that runs or is
    over.  `left_s` are the seconds until it is given up or, if it is settled,
    until it is forgotten.
    """

    ticket: str
    job: str
    state: str
    is_cancelling: bool
    group: str | None
    attempt: int
    position: int | None
    age_s: float
    left_s: float
    progress: Progress | None


def read_queues(store: Store) -> "Future[dict[str, Queue]]":
    """The queues of all groups by their names."""
    return then(
        store.scan(QUEUE),
        lambda found: {
            key.removeprefix(QUEUE): queues.decode_queue(entry.value) for key, entry in found
        },
    )


def job_rows(
    records: Iterable[Record], in_queues: dict[str, Queue], now_s: float
) -> Iterator[JobRow]:
    """The rows of those records that are jobs, at a time in seconds since 1970."""
    places: dict[str, tuple[str, Place]] = {}
    for group, queue in in_queues.items():
        # How many may run at once is known to the application alone, and to no position.
        there = queues.places_of(queue, len(queue.running) or 1, now_s)
        places.update((id, (group, place)) for id, place in there.items())
    for record in records:
        if record.job is not None:
            group_name, place = places.get(record.id, (None, NOWHERE))
            yield JobRow(
                ticket=ticket(record.id, record.secret),
                job=record.job,
                state=record.state,
                is_cancelling=record.is_cancelling and not record.is_settled,
                group=group_name,
                attempt=record.attempt,
                position=place.position,
                age_s=now_s - record.created_s,
                left_s=record.due_s - now_s,
                progress=record.progress,
            )
