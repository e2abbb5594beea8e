"""Jobs in a store: ordered, begun, told of, ended, each as one change of record and queue.

As with waits, every method gives a future and needs no event loop.
"""

import functools
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from tarry.jobs import queues
from tarry.jobs.attempts import Ended
from tarry.jobs.entering import Ordered, Submitted, entering, is_news, others
from tarry.jobs.orders import Order, decode_order, encode_order
from tarry.jobs.queues import Queue, Queued
from tarry.state.store import DELETE, Delete, Entry, Put, Store
from tarry.waiting import records
from tarry.waiting.futures import chain, done, then
from tarry.waiting.ledger import KEY, ORDER, RECORD, Ledger, Settled, join_or_add, put
from tarry.waiting.nodes import have_ended, this_process
from tarry.waiting.records import (
    ACTIONS,
    CANCELLED,
    DONE,
    INTERRUPTED,
    DamagedRecord,
    Failure,
    Progress,
    Record,
)

QUEUE: Final = "q/"

_KNOWN: Final = 16
"""Queues that are kept as they were written: to read one of 1000 jobs takes 0.1 ms."""

Decisions = list[Put | Delete | None]

INTERRUPTED_END: Final = Ended(records.FAILED, failure=INTERRUPTED, may_retry=True)

_ORDER_LOST: Final = Failure(500, "what was to be done cannot be read any more")


class Room(NamedTuple):
    """Where jobs may begin: those `known` in this process, as long as fewer than `limit` run."""

    limit: int
    known: Container[str]


class Following(NamedTuple):
    """Who is to begin as soon as another one has ended, and where."""

    entry: Queued
    room: Room


class Claimed(NamedTuple):
    """A job that this process has to begin now; without a record there is none this time."""

    record: Record | None
    order: Order | None
    queue: Queue


class Finished(NamedTuple):
    """What the end of an attempt came to; not accepted if another attempt counts by now.

    `record` and `order` are those of a job that this process has to begin now.
    """

    settled: Settled
    queue: Queue
    record: Record | None = None
    order: Order | None = None


class JobLedger:
    """The jobs of one application, in the store of its waits."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[bytes, Queue] = {}

    @property
    def _store(self) -> Store:
        return self._ledger.store

    @property
    def _now_s(self) -> float:
        return self._ledger.clock.wall_s()

    def _queue(self, entry: Entry | None) -> Queue:
        """The queue of an entry, which this process has most often just written."""
        if entry is None:
            return Queue()
        known = self._known.get(entry.value)
        return queues.decode_queue(entry.value) if known is None else known

    def _put(self, queue: Queue) -> Put:
        data = queues.encode_queue(queue)
        self._known = {**dict(list(self._known.items())[-_KNOWN:]), data: queue}
        return Put(data)

    # ---- ordering ------------------------------------------------------------------------

    def submit(self, group: str, ordered: Ordered, room: Room | None = None) -> "Future[Submitted]":
        """Keep a job and have it wait for its turn, or begin at once if there is `room`.

        With a key it joins the open job of that key instead; with a slot, see `Ordered`.
        """
        record, slot = ordered.record, ordered.entry.slot
        same: Future[str | None] = done(None)
        if record.key is not None:
            pointer = self._ledger.pointer(record.key)
            same = then(pointer, lambda pointer: None if pointer is None else pointer.id)
        if slot is None:
            return chain(same, lambda same: self._enter(group, ordered, same, (), room))
        there = then(self.queue(group), lambda queue: others(queue, ordered))
        return chain(
            same,
            lambda same: chain(there, lambda ids: self._enter(group, ordered, same, ids, room)),
        )

    def _enter(
        self,
        group: str,
        ordered: Ordered,
        same: str | None,
        ids: Sequence[str],
        room: Room | None,
    ) -> "Future[Submitted]":
        """Add it, if its key still names `same`, and `ids` still have its slot."""
        record, now_s = ordered.record, self._now_s
        keys = [QUEUE + group, *(prefix + id for id in ids for prefix in (RECORD, ORDER))]
        own = len(keys)
        keys += [RECORD + record.id, ORDER + record.id]
        if record.key is not None:
            keys += [KEY + record.key, RECORD + (same or record.id)]
        submitted: Submitted | None = None

        def change(entries: Sequence[Entry | None]) -> Decisions:
            nonlocal submitted
            submitted = None
            unchanged: Decisions = [None] * len(keys)
            queue, added, pointing = self._queue(entries[0]), record, unchanged[own + 2 :]
            if tuple(ids) != others(queue, ordered):
                return unchanged
            if record.key is not None:
                there = _readable(entries[own + 3])
                if there is not None and there.id == same and is_news(there, ordered):
                    submitted = Submitted(there, queue)
                    return unchanged
                by_key = (entries[own + 2], None, entries[own + 3])
                key, new, joined = join_or_add(record, same, now_s, by_key)
                if isinstance(joined, Put):
                    submitted = Submitted(records.decode_record(joined.value), queue)
                    return [*unchanged[: own + 2], key, joined]
                if not isinstance(new, Put):
                    return unchanged
                added, pointing = records.decode_record(new.value), [key, None]
            slot = {id: _readable(entries[1 + 2 * at]) for at, id in enumerate(ids)}
            submitted, changed = entering(queue, ordered._replace(record=added), slot, now_s)
            theirs = [each for id in ids for each in _put_other(changed.get(id))]
            if submitted.record is None or submitted.record.id != record.id:
                return [None, *theirs, *unchanged[own:]]
            order = Put(encode_order(ordered.order), record.deadline_s + record.stays_s)
            if room is not None and record.key is None:
                submitted = _begun_at_once(submitted, ordered, room, now_s)
                added = submitted.record or record
            return [self._put(submitted.queue), *theirs, put(added), order, *pointing]

        def entered(_: object) -> "Future[Submitted]":
            if submitted is None:
                return self.submit(group, ordered, room)
            if submitted.record is None:
                return chain(self.purge(group), functools.partial(purged, submitted))
            return done(submitted)

        def purged(full: Submitted, queue: Queue) -> "Future[Submitted]":
            is_full = len(queue.waiting) >= ordered.room
            return done(full) if is_full else self.submit(group, ordered, room)

        return chain(self._store.update(keys, change), entered)

    def drop(self, group: str, ids: Sequence[str]) -> "Future[Queue]":
        """Take jobs that have been settled out of the queue."""

        def change(entries: Sequence[Entry | None]) -> Decisions:
            queue = self._queue(entries[0])
            after = queues.without(queue, ids)
            is_same = len(after.waiting) == len(queue.waiting)
            return [None if is_same else self._put(after), *(DELETE for _ in ids)]

        keys = [QUEUE + group, *(ORDER + id for id in ids)]
        return then(self._store.update(keys, change), lambda after: self._queue(after[0]))

    def purge(self, group: str) -> "Future[Queue]":
        """Take all that have been settled while they waited out of the queue."""

        def look(queue: Queue) -> "Future[Queue]":
            ids = [each.id for each in queue.waiting]
            found = self._store.get(*(RECORD + id for id in ids))
            return chain(found, functools.partial(drop, queue, ids))

        def drop(queue: Queue, ids: list[str], found: list[Entry | None]) -> "Future[Queue]":
            there = zip(ids, map(_readable, found), strict=True)
            over = [id for id, record in there if record is None or record.is_settled]
            return self.drop(group, over) if over else done(queue)

        return chain(self.queue(group), look)

    # ---- beginning -----------------------------------------------------------------------

    def claim(
        self, group: str, queue: Queue, limit: int, known: Container[str]
    ) -> "Future[Claimed]":
        """Begin the next job of a group in this process, if there is one and room for it.

        `queue` is what is known of it.  There is none if another process was faster, or
        nobody wants it any longer: then there may be another one in the queue that is returned.
        """
        now_s = self._now_s
        entry = queues.next_of(queue, limit, known, now_s)
        if entry is None:
            return done(Claimed(None, None, queue))
        begun: Record | None = None
        order: Order | None = None

        def change(entries: Sequence[Entry | None]) -> Decisions:
            nonlocal begun, order
            begun, order = None, None
            queue = self._queue(entries[0])
            if queues.next_of(queue, limit, known, now_s) != entry:
                return [None, None, None]
            queue, begun, order, *rest = _begun(queue, entry, entries[1:], now_s)
            return [self._put(queue), *rest]

        def claimed(after: Sequence[Entry | None]) -> Claimed:
            return Claimed(begun, order, self._queue(after[0]))

        keys = [QUEUE + group, RECORD + entry.id, ORDER + entry.id]
        return then(self._store.update(keys, change), claimed)

    # ---- what attempts tell --------------------------------------------------------------

    def tell(
        self, id: str, attempt: int, progress: Progress | None, text: str | None
    ) -> "Future[Settled]":
        """Keep what an attempt tells, if it is the one that counts."""
        accepted = False

        def change(entries: Sequence[Entry | None]) -> Decisions:
            nonlocal accepted
            record = _record(entries[0])
            after = None if record is None else records.worked(record, attempt, progress, text)
            accepted = after is not None
            return [None if after is None else put(after)]

        updated = self._store.update([RECORD + id], change)
        return then(updated, lambda after: Settled(accepted, _record(after[0])))

    def finish(
        self,
        group: str,
        id: str,
        attempt: int,
        ended: Ended,
        progress: Progress | None = None,
        text: str | None = None,
        following: Following | None = None,
        *,
        has_begun: bool = True,
    ) -> "Future[Finished]":
        """Keep how an attempt has ended, and what it told last; it may be tried again.

        One that was claimed and has not begun after all does not count: its job is the next one.
        In the same step the `following` one begins, if it is next still.
        """
        now_s = self._now_s
        accepted = False
        begun: Record | None = None
        order: Order | None = None

        def change(entries: Sequence[Entry | None]) -> Decisions:
            nonlocal begun, order
            begun, order = None, None
            queue, *ending = end(entries)
            if following is None:
                return [self._put(queue), *ending]
            rest: Decisions = [None, None]
            if queues.next_of(queue, *following.room, now_s) == following.entry:
                queue, begun, order, *rest = _begun(queue, following.entry, entries[3:], now_s)
            return [self._put(queue), *ending, *rest]

        def end(entries: Sequence[Entry | None]) -> tuple[Queue, Put | None, Delete | None]:
            nonlocal accepted
            accepted = False
            queue, record = self._queue(entries[0]), _readable(entries[1])
            entry = _entry_of(queue, id, attempt)
            counts = ended.state == DONE
            queue = queues.over(queue, id, attempt, now_s, counts=counts)
            if record is None or record.attempt != attempt or record.is_settled:
                is_open = record is not None and not record.is_settled
                return queue, None, None if is_open else DELETE
            accepted = True
            record = records.worked(record, attempt, progress, text) or record
            if entry is None or record.is_cancelling:
                return queue, put(_settled(record, ended, now_s)), DELETE
            if not has_begun:
                after = records.changed(record, "retry", now_s) or record
                return queues.put_back(queue, entry), put(after), None
            if ended.may_retry and attempt <= entry.retries:
                return queues.again(queue, entry, now_s), put(_retried(record, now_s)), None
            return queue, put(_settled(record, ended, now_s)), DELETE

        def finished(after: Sequence[Entry | None]) -> Finished:
            settled = Settled(accepted, _readable(after[1]))
            return Finished(settled, self._queue(after[0]), begun, order)

        keys = [QUEUE + group, RECORD + id, ORDER + id]
        if following is not None:
            keys += [RECORD + following.entry.id, ORDER + following.entry.id]
        return then(self._store.update(keys, change), finished)

    # ---- what others have left -----------------------------------------------------------

    def queue(self, group: str) -> "Future[Queue]":
        """The queue of a group as it is now."""
        return then(self._store.get(QUEUE + group), lambda found: self._queue(found[0]))

    def take_over(self, group: str, told: Callable[[Record | None], object]) -> "Future[Queue]":
        """See to the attempts whose process has ended, and to all that was settled meanwhile.

        The records of what was under way are `told`, from any thread.
        """

        def look(queue: Queue) -> "Future[Queue]":
            lost = queues.lost(queue, have_ended)
            if not lost:
                return self.purge(group) if queue.waiting else done(queue)
            each = lost[0]
            end = self.finish(group, each.id, each.attempt, INTERRUPTED_END)
            return chain(end, go_on)

        def go_on(finished: Finished) -> "Future[Queue]":
            told(finished.settled.record)
            return look(finished.queue)

        return chain(self.queue(group), look)


def _settled(record: Record, ended: Ended, now_s: float) -> Record:
    state = CANCELLED if record.is_cancelling and ended.state != DONE else ended.state
    fields: dict[str, Any] = {"value": ended.value, "failure": ended.failure, "kind": ended.kind}
    if state != ended.state:
        fields = {}
    return records.ended(record, ACTIONS[state], now_s, **fields) or record


def _retried(record: Record, now_s: float) -> Record:
    number = record.attempt + 1
    return records.changed(record, "retry", now_s, attempt=number, progress=None) or record


def _never_begun(record: Record, now_s: float) -> Record | None:
    """A job that leaves the queue without having had its turn; `None` if it is settled."""
    if record.deadline_s <= now_s:
        return records.changed(record, "expire", now_s)
    return records.changed(record, "fail", now_s, failure=_ORDER_LOST)


def _entry_of(queue: Queue, id: str, attempt: int) -> queues.Running | None:
    there = (each for each in queue.running if each.id == id and each.attempt == attempt)
    return next(there, None)


def _put_other(after: Record | None) -> Decisions:
    """What becomes of the record and of the order of another job."""
    if after is None:
        return [None, None]
    return [put(after), DELETE if after.is_settled else None]


def _begun_at_once(entered: Submitted, ordered: Ordered, room: Room, now_s: float) -> Submitted:
    """What an order comes to if its job need not wait."""
    if queues.next_of(entered.queue, *room, now_s) != ordered.entry:
        return entered
    begun = records.changed(ordered.record, "start", now_s, node=this_process())
    if begun is None:
        return entered
    queue = queues.begun(entered.queue, ordered.entry, begun.attempt, begun.node, now_s)
    return entered._replace(record=begun, queue=queue, has_begun=True)


def _begun(
    queue: Queue, entry: Queued, entries: Sequence[Entry | None], now_s: float
) -> tuple[Queue, Record | None, Order | None, Put | None, Delete | None]:
    """The queue, the record and the order when a job begins here, and what becomes of these two.

    It does not, and only leaves the queue, if it was settled while it waited, or is damaged.
    """
    record, order = _readable(entries[0]), _order(entries[1])
    if record is not None and order is not None and record.deadline_s > now_s:
        begun = records.changed(record, "start", now_s, node=this_process())
        if begun is not None:
            after = queues.begun(queue, entry, begun.attempt, begun.node, now_s)
            return after, begun, order, put(begun), None
    over = None if record is None else _never_begun(record, now_s)
    left = queues.without(queue, (entry.id,))
    return left, None, None, None if over is None else put(over), DELETE


def _record(entry: Entry | None) -> Record | None:
    return None if entry is None else records.decode_record(entry.value)


def _readable(entry: Entry | None) -> Record | None:
    """A record, unless it is damaged: one that cannot be read keeps no others waiting."""
    try:
        return _record(entry)
    except DamagedRecord:
        return None


def _order(entry: Entry | None) -> Order | None:
    try:
        return None if entry is None else decode_order(entry.value)
    except DamagedRecord:
        return None
