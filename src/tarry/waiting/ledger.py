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
from tarry.waiting import nodes, records
from tarry.waiting.futures import chain, done, then
from tarry.waiting.records import Early, Failure, Pointer, Progress, Record
from tarry.waiting.schemas import Schema, type_of_schema
from tarry.waiting.tokens import WAKE, Token, read_token
from tarry.waiting.values import ValueType

RECORD: Final = "w/"
KEY: Final = "k/"
SCHEMA: Final = "s/"
REPEAT: Final = "i/"
ORDER: Final = "j/"
NUMBER: Final = "n/"

EARLY_KEEP_S: Final = 3600.0
"""How long a wake that came too early is kept for who asks for it."""

Result = TypeVar("Result")


class Settled(NamedTuple):
    """What an attempt to change a wait came to: whether it did, and the record after it.

    There is no record where nobody knows the wait, or a wake was kept for later.
    """

    accepted: bool
    record: Record | None


class Ledger:
    """The records of waits in one store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.clock = clock
        self.use(store)

    def use(self, store: Store) -> None:
        """Have the records in another store from now on."""
        self.store = store
        self._schemas: set[str] = set()
        self._types: dict[str, ValueType] = {}

    # ---- making ------------------------------------------------------------------------

    def add(self, record: Record, schema: Schema | None = None) -> "Future[Record]":
        """Keep a new wait; with a key, join the one of that name instead, if it is open.

        A wake that came early for the key settles it at once.  The record may
        be another wait's: look at its `id`.  `schema` is the one it names.
        """
        if schema is not None and schema.name not in self._schemas:
            return chain(self._keep_schema(schema), lambda _: self.add(record))
        if record.key is None:
            return self._change(record.id, lambda _: record, _record_after)
        return self._add_with_key(record, record.key)

    def _add_with_key(self, record: Record, key: str) -> "Future[Record]":
        """Look whom the key names; then change both at once, if it names the same one still."""

        def join(pointer: Pointer | None) -> "Future[Record]":
            id = None if pointer is None else pointer.id
            keys = [KEY + key, RECORD + record.id, RECORD + (id or record.id)]
            change = functools.partial(join_or_add, record, id, self.clock.wall_s())
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

        return chain(self.pointer(key), join)

    def pointer(self, key: str) -> "Future[Pointer | None]":
        """What stands under a key."""
        return then(self.store.get(KEY + key), lambda found: _pointer(found[0]))

    def _keep_schema(self, schema: Schema) -> "Future[None]":
        """Have a schema in the store before a record names it; it stays there."""

        def kept(_: object) -> None:
            self._schemas.add(schema.name)

        change = functools.partial(_put_if_missing, schema.text)
        return then(self.store.update([SCHEMA + schema.name], change), kept)

    # ---- changing ------------------------------------------------------------------------

    def wake(self, name: str, value: bytes) -> "Future[Settled]":
        """Settle a wait with a value, given its wake token or its key.

        `BadValue` comes out of the future if the value does not fit the wait,
        which goes on.
        """
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
            checked = self._check(token, early.value)
            return chain(checked, lambda _: self.change(token, action, **fields))
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

    def leave(self, id: str, action: str) -> "Future[Settled]":
        """One less waits: if it was the last of those who joined, it is expired or cancelled."""
        now_s = self.clock.wall_s()
        return self._try(id, lambda record: records.left(record, action, now_s))

    def expire(self, id: str) -> "Future[Settled]":
        """Give a wait up whose deadline has passed, however many wait for it."""
        now_s = self.clock.wall_s()

        def expired(record: Record) -> Record | None:
            return records.changed(record, "expire", now_s) if record.due_s <= now_s else None

        return self._try(id, expired)

    def inherit(self, record: Record) -> "Future[Settled]":
        """Settle an answer, whose handler is no more, with what the handler waited for.

        Without that it has failed; as long as that is open, the answer is.
        """
        now_s = self.clock.wall_s()

        def decide(waited_for: Record | None) -> "Future[Settled]":
            return self._try(record.id, lambda now: records.inherited(now, waited_for, now_s))

        if record.of is None:
            return decide(None)
        return chain(self.read(record.of), lambda found: decide(found[0]))

    def put_off(self, record: Record, deadline_s: float) -> "Future[None]":
        """Change the deadline of a wait; of one that others have joined, only to a later one."""
        # The key has to last as long as the wait that it names.
        keys = [RECORD + record.id, *([] if record.key is None else [KEY + record.key])]
        return then(
            self.store.update(keys, functools.partial(_put_off, deadline_s)), lambda _: None
        )

    def change(self, which: Token | str, action: str, **fields: Any) -> "Future[Settled]":
        """Apply an action to a wait, given by a token, or by its id from who may do all.

        A wait that has ended with its process can neither be woken nor fail:
        it is cancelled then.
        """
        now_s = self.clock.wall_s()
        is_orphan = False

        def apply(record: Record) -> Record | None:
            nonlocal is_orphan
            if isinstance(which, Token) and not which.is_genuine(record.secret):
                return None
            is_orphan = action in ("wake", "fail") and _is_orphan(record)
            if is_orphan:
                return records.changed(record, "cancel", now_s)
            return records.changed(record, action, now_s, **fields)

        def told(settled: Settled) -> Settled:
            if is_orphan:
                settled = settled._replace(accepted=False)
            return _hidden(settled, which) if isinstance(which, Token) else settled

        return then(self._try(which.id if isinstance(which, Token) else which, apply), told)

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
        now_s = self.clock.wall_s()
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
            id = pointer.id
            checked = self._check(id, None if early is None else early.value)
            return chain(checked, lambda _: self.change(id, action, **fields))

        return chain(self.store.update([KEY + key], keep), kept)

    def _check(self, which: Token | str, value: bytes | None) -> "Future[None]":
        """Refuse a value that does not fit the schema of an open wait."""
        if value is None:
            return done(None)
        id = which.id if isinstance(which, Token) else which

        def look(found: list[Record | None]) -> "Future[None]":
            record = _genuine(found[0], which) if isinstance(which, Token) else found[0]
            if record is None or record.is_settled or record.schema is None:
                return done(None)
            return then(self._type(record.schema), lambda kind: check(kind))

        def check(kind: ValueType | None) -> None:
            if kind is not None:
                kind.read(value)

        return chain(self.read(id), look)

    def _type(self, schema: str) -> "Future[ValueType | None]":
        kind = self._types.get(schema)
        if kind is not None:
            return done(kind)

        def made(found: list[Entry | None]) -> ValueType | None:
            if found[0] is None:
                return None
            kind = self._types[schema] = type_of_schema(found[0].value)
            return kind

        return then(self.store.get(SCHEMA + schema), made)

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

    def look_up(self, name: str) -> "Future[Record | None]":
        """The wait of a ticket, a wake token or a key; `None` if there is none."""
        if read_token(name) is not None:
            return self.find(name)

        def named(found: list[Entry | None]) -> "Future[Record | None]":
            pointer = _pointer(found[0])
            if pointer is None or pointer.id is None:
                return done(None)
            return then(self.read(pointer.id), lambda found: found[0])

        return chain(self.store.get(KEY + name), named)

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
        now_s = self.clock.wall_s()

        def look(pairs: list[tuple[str, Entry]]) -> "Future[int]":
            if not pairs:
                return done(0)
            keys = [key for key, _ in pairs]
            change = functools.partial(_swept, keys, now_s)
            # Whether an order may go, its record says.
            jobs = (key.removeprefix(ORDER) for key in keys if key.startswith(ORDER))
            there = [RECORD + id for id in jobs]
            return then(self.store.update(keys + there, change), lambda _: len(keys))

        def go_on(prefix: str, count: int) -> "Future[int]":
            swept = chain(self.store.due(prefix, now_s, limit), look)
            return then(swept, lambda more: count + more)

        swept = go_on(RECORD, 0)
        for prefix in (KEY, REPEAT, ORDER, NUMBER):
            swept = chain(swept, functools.partial(go_on, prefix))
        return swept


def _put_if_missing(text: bytes, entries: Sequence[Entry | None]) -> list[Put | Delete | None]:
    return [Put(text) if entries[0] is None else None]


def put(record: Record) -> Put:
    """A record as it goes into a store."""
    return Put(records.encode(record), record.due_s)


def join_or_add(
    record: Record, id: str | None, now_s: float, entries: Sequence[Entry | None]
) -> list[Put | Delete | None]:
    """Add a record under its key, or join `id`, which the key named a moment ago.

    The entries and what becomes of them are those of the key, the record, and
    `id`.  Nothing becomes of any if the key names another one by now.
    """
    pointer, there = _pointer(entries[0]), _read(entries[2])
    if pointer is not None and pointer.id != id:
        return [None, None, None]
    if pointer is not None and pointer.early is not None:
        early = pointer.early
        action = "wake" if early.failure is None else "fail"
        fields = {"value": early.value, "failure": early.failure}
        record = records.changed(record, action, now_s, **fields) or record
    elif pointer is not None and there is not None and there.id == id and _may_join(there):
        joined = records.joined(there, record)
        return [_pointing_to(joined), None, put(joined)]
    return [_pointing_to(record), put(record), None]


def _may_join(record: Record) -> bool:
    """Whether there will be a value: a job that shall end will have none for others either."""
    return not (record.is_settled or record.is_cancelling)


def _put_off(deadline_s: float, entries: Sequence[Entry | None]) -> list[Put | Delete | None]:
    record, *pointers = _read(entries[0]), *map(_pointer, entries[1:])
    after = None if record is None else records.with_deadline(record, deadline_s)
    if after is None:
        return [None] * len(entries)
    names_it = [pointer is not None and pointer.id == after.id for pointer in pointers]
    return [put(after), *(_pointing_to(after) if named else None for named in names_it)]


def _pointing_to(record: Record) -> Put:
    # As long as the record: one second more, so that it never points to nothing.
    due_s = max(record.due_s, record.deadline_s) + record.stays_s + 1.0
    return Put(records.encode(Pointer(record.id)), due_s)


def _swept(
    keys: list[str], now_s: float, entries: Sequence[Entry | None]
) -> list[Put | Delete | None]:
    there = entries[len(keys) :]
    if there:
        orders = zip(entries, there, strict=False)
        swept = [_swept_order(now_s, entry, record) for entry, record in orders]
        return [*swept, *[None] * len(there)]
    return [_swept_one(key, now_s, entry) for key, entry in zip(keys, entries, strict=True)]


def _swept_order(now_s: float, entry: Entry | None, there: Entry | None) -> Put | Delete | None:
    if entry is None or entry.due_s > now_s:
        return None
    try:
        record = _read(there)
    except records.DamagedRecord:
        return DELETE
    if record is None or record.is_settled:
        return DELETE
    return Put(entry.value, record.deadline_s + record.stays_s)  # somebody waits longer for it


def _swept_one(key: str, now_s: float, entry: Entry | None) -> Put | Delete | None:
    if entry is None or entry.due_s > now_s:
        return None
    if not key.startswith(RECORD):
        return DELETE
    try:
        record = records.decode_record(entry.value)
    except records.DamagedRecord:
        return DELETE  # its time is over, whatever it was
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


def _is_orphan(record: Record) -> bool:
    """Whether nobody can wait for it any more, as the process has ended that it lived in."""
    return not (record.durable or record.is_settled) and nodes.have_ended(record.node)


def _genuine(record: Record | None, token: Token) -> Record | None:
    return record if record is not None and token.is_genuine(record.secret) else None


def _hidden(settled: Settled, token: Token) -> Settled:
    """Without the record for who has no right to see that there is one."""
    return settled._replace(record=_genuine(settled.record, token))
