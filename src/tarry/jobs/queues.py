"""What jobs wait for their turn: one queue for each group, as a store keeps it.

All functions here are pure: a store applies them as one change with that of
the record, so that two processes never begin the same job, nor more at a time
than may run.
"""

import heapq
from collections.abc import Callable, Collection, Container, Sequence
from typing import Final

import msgspec

from tarry.timing import NEVER
from tarry.waiting.places import Place
from tarry.waiting.records import decoded

FIRST_PAUSE_S: Final = 1.0
"""How long a job that has failed waits for its next attempt; twice as long after each."""

MAX_PAUSE_S: Final = 60.0

_NEWEST_COUNTS: Final = 0.2
"""How much the newest job counts in what one is expected to take."""


class Queued(msgspec.Struct, frozen=True, array_like=True):
    """A job that waits: not begun before `ready_s`, nor while another one has its slot.

    `retries` are with it, as a process may take over jobs that it does not have itself.
    """

    id: str
    job: str
    slot: str | None = None
    ready_s: float = 0.0
    retries: int = 0


class Running(msgspec.Struct, frozen=True, array_like=True):
    """An attempt under way, in the process `node`."""

    id: str
    job: str
    slot: str | None
    attempt: int
    node: str
    since_s: float
    retries: int = 0


class Queue(msgspec.Struct, frozen=True, array_like=True):
    """The jobs of one group, those that wait in order, and how long each kind takes in seconds."""

    waiting: tuple[Queued, ...] = ()
    running: tuple[Running, ...] = ()
    paces_s: dict[str, float] = {}


encode_queue: Final = msgspec.msgpack.Encoder().encode
_queue: Final = msgspec.msgpack.Decoder(Queue).decode


def decode_queue(data: bytes) -> Queue:
    """A queue from a store; raises what `decoded` does."""
    return decoded(_queue, data, "a queue")


# ---- going in ----------------------------------------------------------------------------


def entered(queue: Queue, entry: Queued, max_queued: int) -> Queue | None:
    """The queue with one more job at its end, `None` if there is no room."""
    if len(queue.waiting) >= max_queued:
        return None
    return msgspec.structs.replace(queue, waiting=(*queue.waiting, entry))


def with_slot(queue: Queue, slot: str) -> tuple[str, ...]:
    """The ids of the jobs of a slot, the newest last: what runs, then what waits."""
    running = (each.id for each in queue.running if each.slot == slot)
    return (*running, *(each.id for each in queue.waiting if each.slot == slot))


def without(queue: Queue, ids: Collection[str]) -> Queue:
    """The queue without some of those that wait."""
    if not ids:
        return queue
    waiting = tuple(each for each in queue.waiting if each.id not in ids)
    return msgspec.structs.replace(queue, waiting=waiting)


def _without_one(queue: Queue, entry: Queued) -> tuple[Queued, ...]:
    """Those that wait, but for one; most often it is the first of many."""
    index = queue.waiting.index(entry)
    return (*queue.waiting[:index], *queue.waiting[index + 1 :])


# ---- running -----------------------------------------------------------------------------


def next_of(
    queue: Queue, limit: int, known: Container[str], now_s: float, taken: Container[str] = ()
) -> Queued | None:
    """Who is next, `None` if nobody may begin now; only jobs that are `known` here count.

    Those that are `taken` are passed over, as if they had begun elsewhere.
    """
    if len(queue.running) >= limit:
        return None
    slots = {each.slot for each in queue.running if each.slot is not None}
    for entry in queue.waiting:
        if entry.slot in slots or entry.id in taken:
            continue
        if entry.ready_s <= now_s and entry.job in known:
            return entry
        if entry.slot is not None:
            slots.add(entry.slot)  # those of one slot keep their order
    return None


def begun(queue: Queue, entry: Queued, attempt: int, node: str, now_s: float) -> Queue:
    """The queue when one has begun."""
    running = Running(entry.id, entry.job, entry.slot, attempt, node, now_s, entry.retries)
    waiting = _without_one(queue, entry)
    return msgspec.structs.replace(queue, waiting=waiting, running=(*queue.running, running))


def over(queue: Queue, id: str, attempt: int, now_s: float, *, counts: bool) -> Queue:
    """The queue when an attempt has ended; `counts` says whether it shows how long they take."""
    ended = [each for each in queue.running if each.id == id and each.attempt == attempt]
    if not ended:
        return queue
    paces_s = queue.paces_s
    if counts:
        took_s, job = max(now_s - ended[0].since_s, 0.0), ended[0].job
        before_s = paces_s.get(job, took_s)
        paces_s = {**paces_s, job: before_s + _NEWEST_COUNTS * (took_s - before_s)}
    running = tuple(each for each in queue.running if each is not ended[0])
    return msgspec.structs.replace(queue, running=running, paces_s=paces_s)


def again(queue: Queue, ended: Running, now_s: float) -> Queue:
    """The queue when a job waits for the attempt after one that has ended."""
    ready_s = now_s + pause_s(ended.attempt)
    entry = Queued(ended.id, ended.job, ended.slot, ready_s, ended.retries)
    return msgspec.structs.replace(queue, waiting=(*queue.waiting, entry))


def put_back(queue: Queue, claimed: Running) -> Queue:
    """The queue when an attempt has not begun after all: its job is the first again."""
    entry = Queued(claimed.id, claimed.job, claimed.slot, retries=claimed.retries)
    return msgspec.structs.replace(queue, waiting=(entry, *queue.waiting))


def pause_s(attempt: int) -> float:
    """How long to wait before the next attempt when this one has failed."""
    return min(FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 10), MAX_PAUSE_S)


def lost(queue: Queue, has_ended: Callable[[str], bool]) -> Sequence[Running]:
    """The attempts whose process is no more."""
    return [each for each in queue.running if has_ended(each.node)]


# ---- telling -----------------------------------------------------------------------------


def places_of(queue: Queue, limit: int, now_s: float) -> dict[str, Place]:
    """Where each job stands, and how long it takes still, if others of its kind have shown it."""
    left_s = {each.id: _left_s(queue, each, now_s) for each in queue.running}
    places = {id: Place(None, estimate_s) for id, estimate_s in left_s.items()}
    # Whoever is first goes where there is room first; how long an unknown one takes, nobody knows.
    free_at_s = sorted(NEVER if each is None else each for each in left_s.values())[-limit:]
    free_at_s = [0.0] * (limit - len(free_at_s)) + free_at_s
    for position, entry in enumerate(queue.waiting, start=1):
        done_s = free_at_s[0] + queue.paces_s.get(entry.job, NEVER)
        heapq.heapreplace(free_at_s, done_s)
        places[entry.id] = Place(position, None if done_s == NEVER else done_s)
    return places


def _left_s(queue: Queue, running: Running, now_s: float) -> float | None:
    pace_s = queue.paces_s.get(running.job)
    return None if pace_s is None else max(pace_s - (now_s - running.since_s), 0.0)
