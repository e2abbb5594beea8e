"""The waits of a store: made, joined, settled and read by whoever has the store open.

Every method gives a future, as those of the store do, and needs no event loop:
servers and programs beside them use the same ones.
"""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple, TypeVar

from tarry.state.store import DELETE, Delete, Entry, Put, Store
from tarry.timing import Clock
from tarry.waiting import records
from tarry.waiting.records import Early, Failure, Pointer, Progress, Record
from tarry.waiting.tokens import WAKE, Token, read_token

RECORD: Final = "w/"
KEY: Final = "k/"

EARLY_KEEP_S: Final = 3600.0
"""How long a wake that came too early is kept for who asks for it."""

Result = TypeVar("Result")
Other = TypeVar("Other")


class Settled(NamedTuple):
    """What an attempt to change a wait came to: whether it did, and the record after it.

    There is no record where nobody knows the wait, or a wake was kept for later.
    """

    accepted: bool
    record: Record | None


class Ledger:
    """The records of waits in one store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self._clock = clock

    # ---- making ------------------------------------------------------------------------

    def add(self, record: Record) -> "Future[Record]":
        """Keep a new wait; with a key, join the one of that name instead, if it is open.

        A wake that came early for the key settles it at once.  The record may
        be another wait's: look at its `id`.
        """
        if record.key is None:
            return self._change(record.id, lambda _: record, _record_after)
        return self._add_with_key(record, record.key)

    def _add_with_key(self, record: Record, key: str) -> "Future[Record]":
        """Look whom the key names; then change both at once, if it names the same one still."""
        there = then(self.store.get(KEY + key), lambda found: _pointer(found[0]))

        def join(pointer: Pointer | None) -> "Future[Record]":
            id = None if pointer is None else pointer.id
            keys = [KEY + key, RECORD + record.id, RECORD + (id or record.id)]
            change = functools.partial(_join, record, id, self._clock.wall_s())
            return chain(self.store.update(keys, change), lambda after: taken(pointer, after))

        def taken(pointer: Pointer | None, after: Sequence[Entry | None]) -> "Future[Record]":
            now = _pointer(after[0])
            if now is None or now.id is None:
                return self._add_with_key(record, key)
            at = 1 if now.id == record.id else 2
            found = _read(after[at])
            if found is None or found.id != now.id:
                return self._add_with_key(record, key)  # somebody else's came between
            return done(found)

        return chain(there, join)

    # ---- changing ------------------------------------------------------------------------

    def wake(self, name: str, value: bytes) -> "Future[Settled]":
        """Settle a wait with a value, given its wake token or its key."""
        return self._settle(name, "wake", Early(value))

    def fail(self, name: str, failure: Failure) -> "Future[Settled]":
        """Settle a wait with a failure, given its wake token or its key."""
        return self._settle(name, "fail", Early(None, failure))

    def _settle(self, name: str, action: str, early: Early) -> "Future[Settled]":
        fields = {"value": early.value, "failure": early.failure}
        token = read_token(name)
        if token is not None:
            if token.prefix != WAKE:
                return done(Settled(False, None))
            return self.change(token, action, **fields)
        return self._settle_key(name, action, fields, early)

    def cancel(self, name: str) -> "Future[Settled]":
        """Cancel a wait, given its ticket, its wake token or its key."""
        token = read_token(name)
        if token is not None:
            return self.change(token, "cancel")
        return self._settle_key(name, "cancel", {}, None)

    def progress(self, id: str, progress: Progress) -> "Future[Settled]":
        """Tell how far the work for a wait is."""
        return self.change(id, "progress", progress=progress)

    def expire(self, id: str, until_s: float) -> "Future[Settled]":
        """Give a wait up whose deadline is not later than `until_s`."""
        now_s = self._clock.wall_s()

        def expired(record: Record) -> Record | None:
            if record.deadline_s > until_s:
                return None
            return records.changed(record, "expire", now_s)

        return self._try(id, expired)

    def put_off(self, id: str, deadline_s: float) -> "Future[Settled]":
        """Change the deadline of a wait."""
        return self._try(id, lambda record: records.with_deadline(record, deadline_s))

    def change(self, which: Token | str, action: str, **fields: Any) -> "Future[Settled]":
        """Apply an action to a wait, given by a token, or by its id from who may do all."""
        now_s = self._clock.wall_s()

        def apply(record: Record) -> Record | None:
            if isinstance(which, Token) and not which.is_genuine(record.secret):
                return None
            return records.changed(record, action, now_s, **fields)

        id = which.id if isinstance(which, Token) else which
        attempt = self._try(id, apply)
        if not isinstance(which, Token):
            return attempt
        return then(attempt, lambda settled: _hidden(settled, which))

    def _try(self, id: str, apply: Callable[[Record], Record | None]) -> "Future[Settled]":
        accepted = False

        def change(record: Record | None) -> Record | None:
            nonlocal accepted
            after = None if record is None else apply(record)
            accepted = after is not None
            return after

        return self._change(id, change, lambda entry: Settled(accepted, _read(entry)))

    def _settle_key(
        self, key: str, action: str, fields: dict[str, Any], early: Early | None
    ) -> "Future[Settled]":
        now_s = self._clock.wall_s()
        accepted = False

        def keep(entries: Sequence[Entry | None]) -> list[Put | Delete | None]:
            nonlocal accepted
            accepted = early is not None and entries[0] is None
            if not accepted:
                return [None]
            return [Put(records.encode(Pointer(early=early)), now_s + EARLY_KEEP_S)]

        def kept(after: Sequence[Entry | None]) -> "Future[Settled]":
            pointer = _pointer(after[0])
            if pointer is None or pointer.id is None:
                return done(Settled(accepted, None))
            return self.change(pointer.id, action, **fields)

        return chain(self.store.update([KEY + key], keep), kept)

    def _change(
        self,
        id: str,
        change: Callable[[Record | None], Record | None],
        read: Callable[[Entry | None], Result],
    ) -> "Future[Result]":
        def apply(entries: Sequence[Entry | None]) -> list[Put | Delete | None]:
            after = change(_read(entries[0]))
            return [None if after is None else put(after)]

        return then(self.store.update([RECORD + id], apply), lambda after: read(after[0]))

    # ---- reading -------------------------------------------------------------------------

    def read(self, *ids: str) -> "Future[list[Record | None]]":
        """The records of waits, `None` for those that are not there."""
        found = self.store.get(*(RECORD + id for id in ids))
        return then(found, lambda entries: [_read(entry) for entry in entries])

    def find(self, text: str) -> "Future[Record | None]":
        """The wait of a ticket or wake token; `None` if there is none, or it is not genuine."""
        token = read_token(text)
        if token is None:
            return done(None)
        return then(self.read(token.id), lambda found: _genuine(found[0], token))

    def page(self, after: str = "", limit: int = 1000) -> "Future[list[Record]]":
        """Waits in the order of their ids, those after one."""
        found = self.store.scan(RECORD, RECORD + after if after else "", limit)
        return then(found, lambda pairs: [records.decode_record(entry.value) for _, entry in pairs])

    # ---- what time does ------------------------------------------------------------------

    def sweep(self, limit: int = 1000) -> "Future[int]":
        """Expire what is overdue and forget what has been kept long enough; how many were due."""
        now_s = self._clock.wall_s()

        def look(pairs: list[tuple[str, Entry]]) -> "Future[int]":
            if not pairs:
                return done(0)
            keys = [key for key, _ in pairs]
            change = functools.partial(_swept, keys, now_s)
            return then(self.store.update(keys, change), lambda _: len(keys))

        waits = chain(self.store.due(RECORD, now_s, limit), look)
        return chain(
            waits,
            lambda count: then(
                chain(self.store.due(KEY, now_s, limit), look), lambda more: count + more
            ),
        )


def put(record: Record) -> Put:
    """A record as it goes into a store."""
    return Put(records.encode(record), record.due_s)


def _join(
    record: Record, id: str | None, now_s: float, entries: Sequence[Entry | None]
) -> list[Put | Delete | None]:
    """Add a record under its key, or join `id`, which the key named a moment ago."""
    pointer, there = _pointer(entries[0]), _read(entries[2])
    if pointer is not None and pointer.id != id:
        return [None, None, None]  # it names another one by now; look again
    if pointer is not None and pointer.early is not None:
        early = pointer.early
        action = "wake" if early.failure is None else "fail"
        fields = {"value": early.value, "failure": early.failure}
        record = records.changed(record, action, now_s, **fields) or record
    elif pointer is not None and there is not None and there.id == id and not there.is_settled:
        joined = records.extended(there, record.deadline_s)
        return [_pointing_to(joined), None, None if joined is there else put(joined)]
    return [_pointing_to(record), put(record), None]


def _pointing_to(record: Record) -> Put:
    # As long as the record: one second more, so that it never points to nothing.
    due_s = max(record.due_s, record.deadline_s) + record.keep_s + 1.0
    return Put(records.encode(Pointer(record.id)), due_s)


def _swept(
    keys: list[str], now_s: float, entries: Sequence[Entry | None]
) -> list[Put | Delete | None]:
    return [_swept_one(key, now_s, entry) for key, entry in zip(keys, entries, strict=True)]


def _swept_one(key: str, now_s: float, entry: Entry | None) -> Put | Delete | None:
    if entry is None or entry.due_s > now_s:
        return None
    if key.startswith(KEY):
        return DELETE
    record = records.decode_record(entry.value)
    if record.due_s > now_s:
        return put(record)
    expired = records.changed(record, "expire", now_s)
    return DELETE if expired is None else put(expired)


def _read(entry: Entry | None) -> Record | None:
    return None if entry is None else records.decode_record(entry.value)


def _pointer(entry: Entry | None) -> Pointer | None:
    return None if entry is None else records.decode_pointer(entry.value)


def _record_after(entry: Entry | None) -> Record:
    record = _read(entry)
    if record is None:
        raise records.DamagedRecord("the store has lost a wait that was just put there")
    return record


def _genuine(record: Record | None, token: Token) -> Record | None:
    return record if record is not None and token.is_genuine(record.secret) else None


def _hidden(settled: Settled, token: Token) -> Settled:
    """Without the record for who has no right to see that there is one."""
    return settled._replace(record=_genuine(settled.record, token))


# ---- futures that go on ---------------------------------------------------------------------


def done(value: Result) -> "Future[Result]":
    """A future that has its result."""
    future: Future[Result] = Future()
    future.set_result(value)
    return future


def then(future: "Future[Result]", function: Callable[[Result], Other]) -> "Future[Other]":
    """The future of what `function` makes of the result."""
    return chain(future, lambda result: done(function(result)))


def chain(
    future: "Future[Result]", function: Callable[[Result], "Future[Other]"]
) -> "Future[Other]":
    """The future of the future that `function` makes of the result."""
    if future.done() and future.exception() is None:
        return function(future.result())
    outer: Future[Other] = Future()

    def pass_on(inner: "Future[Other]") -> None:
        error = inner.exception()
        if error is not None:
            outer.set_exception(error)
        else:
            outer.set_result(inner.result())

    def go_on(finished: "Future[Result]") -> None:
        try:
            function(finished.result()).add_done_callback(pass_on)
        except BaseException as error:  # noqa: BLE001 — it belongs to whoever asks for the result
            outer.set_exception(error)

    future.add_done_callback(go_on)
    return outer
