"""What is kept of a wait that others can reach: its record, and how it may change.

All functions here are pure: a store applies them as one change, so the first
of two that settle a wait wins, wherever they come from.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from tarry.waiting.nodes import together

Decoded = TypeVar("Decoded")

WAITING: Final = "waiting"
WORKING: Final = "working"
INPUT: Final = "input"
DONE: Final = "done"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
EXPIRED: Final = "expired"

WAIT: Final = "wait"
ANSWER: Final = "answer"

OPEN: Final = frozenset({WAITING, WORKING, INPUT})
FINAL: Final = frozenset({DONE, FAILED, CANCELLED, EXPIRED})

TRANSITIONS: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "start": (frozenset({WAITING}), WORKING),
    "retry": (frozenset({WORKING}), WAITING),
    "progress": (OPEN, WORKING),
    "ask": (OPEN, INPUT),
    "wake": (OPEN, DONE),
    "fail": (OPEN, FAILED),
    "cancel": (OPEN, CANCELLED),
    "expire": (OPEN, EXPIRED),
}
"""For each action: the states it is possible in, and the one it leads to."""

ACTIONS: Final = {to: action for action, (_, to) in TRANSITIONS.items() if to in FINAL}
"""The action that leads to a final state."""

_TOLD: Final = frozenset({"start", "retry", "progress"})
"""Actions after which clients are told how it stands."""

MIN_KEEP_S: Final = 60.0
"""Six sweeps: who waits finds what it has come to, although a nudge was lost."""

MAX_EVENTS: Final = 64
"""Events of one wait that are kept for clients that come back; older ones become a gap."""


class RequestInfo(msgspec.Struct, frozen=True, array_like=True):
    """What is known of the request that began a wait, for a function that answers it later."""

    method: str
    path: str
    query: str = ""
    base_url: str = ""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """Why a wait failed: a status and a sentence for the client.

    Raises:
        ValueError: a status that is no error.
    """

    status: int
    detail: str

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise ValueError(f"a failure has a status between 400 and 599, not {self.status}")


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """How far the work is: `at` of `of` steps, `None` if that is not known, and a word on it."""

    at: float | None = None
    of: float | None = None
    text: str = ""


class Happened(msgspec.Struct, frozen=True, array_like=True):
    """One event of a wait: the revision that it led to, its name and its data.

    The data is a JSON object: what the document of the wait had differently, or in addition.
    """

    rev: int
    name: str
    data: bytes


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A wait as a store keeps it.

    `rev` counts its changes.  Times are seconds since 1970; `deadline_s` is
    that of the value, `keep_s` how long it is kept when it is settled.  `node`
    has the processes it was made and joined in, see `nodes`; unless it is
    `durable`, it ends with them.
    `value` is JSON.  `then` names the function that makes the answer from it.
    `of` is the wait whose value answers, should the process die that was to
    turn it into the answer.  Of a record of the kind "answer" the `value` is not
    JSON but such an answer, see `decode_answer`.  `waits` counts those of one key
    that have joined it and not left.  `schema` is the name under which the store has
    the JSON Schema of the value.
    """

    id: str
    secret: bytes
    created_s: float
    deadline_s: float
    keep_s: float
    state: str = WAITING
    rev: int = 1
    kind: str = WAIT
    durable: bool = False
    node: str = ""
    key: str | None = None
    owner: str | None = None
    schema: str | None = None
    then: str | None = None
    request: RequestInfo | None = None
    value: bytes | None = None
    failure: Failure | None = None
    progress: Progress | None = None
    events: tuple[Happened, ...] = ()
    of: str | None = None
    attempt: int = 1
    settled_s: float = 0.0
    waits: int = 1
    job: str | None = None
    is_cancelling: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether nothing can change it any more."""
        return self.state in FINAL

    @property
    def due_s(self) -> float:
        """When it has to be looked at again: to expire it, or to forget it."""
        return self.settled_s + self.stays_s if self.is_settled else self.deadline_s

    @property
    def stays_s(self) -> float:
        """How long it stays in the store when it is settled."""
        return max(self.keep_s, MIN_KEEP_S)


class KeptAnswer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """The answer of a handler whose client got a ticket."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes


class KeptFile(msgspec.Struct, frozen=True, array_like=True, tag="file"):
    """A file that is the answer of such a handler."""

    path: str
    status: int
    content_type: str | None
    download: bool | str
    fields: tuple[tuple[bytes, bytes], ...]
    max_age_s: int | None = None
    etag: bool = True


class Early(msgspec.Struct, frozen=True, array_like=True):
    """A wake that came before anybody waited, kept for who comes first."""

    value: bytes | None
    failure: Failure | None = None


class Pointer(msgspec.Struct, frozen=True, array_like=True):
    """What stands under a key: the wait of that name, or a wake that came early."""

    id: str | None = None
    early: Early | None = None


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """What stands under the key of a request that may come again: its wait, and what it said."""

    id: str
    fingerprint: bytes


encode: Final = msgspec.msgpack.Encoder().encode
_claim: Final = msgspec.msgpack.Decoder(Claim).decode
_to_json: Final = msgspec.json.Encoder().encode
_record: Final = msgspec.msgpack.Decoder(Record).decode
_pointer: Final = msgspec.msgpack.Decoder(Pointer).decode
_answer: Final[Callable[[bytes], KeptAnswer | KeptFile]] = msgspec.msgpack.Decoder(
    KeptAnswer | KeptFile
).decode


class DamagedRecord(Exception):
    """A store gave back what no version of Tarry has written there."""


def decoded(decode: Callable[[bytes], Decoded], data: bytes, what: str) -> Decoded:
    """What a store has; `what` is a name for it in messages, as in "a wait".

    Raises:
        DamagedRecord: it is none.
    """
    try:
        return decode(data)
    except msgspec.DecodeError as error:
        raise DamagedRecord(f"the store has {what} that cannot be read: {error}") from error


def decode_record(data: bytes) -> Record:
    """A record from a store.

    Raises:
        DamagedRecord: it is none.
    """
    return decoded(_record, data, "a wait")


def decode_pointer(data: bytes) -> Pointer:
    """What stands under a key; raises what `decode_record` does."""
    return decoded(_pointer, data, "a key")


def decode_answer(data: bytes) -> KeptAnswer | KeptFile:
    """An answer that was kept; raises what `decode_record` does."""
    return decoded(_answer, data, "an answer")


def decode_claim(data: bytes) -> Claim:
    """Who a key of requests belongs to; raises what `decode_record` does."""
    return decoded(_claim, data, "a claim")


def changed(record: Record, action: str, now_s: float, **fields: Any) -> Record | None:
    """The record after an action, `None` if it is not possible any more.

    A job that runs is not cancelled at once: it is told to end.  Progress is told of
    it and is no state, as that says whether it has had its turn.
    """
    if action == "progress" and record.job is not None and not record.is_settled:
        after = msgspec.structs.replace(record, rev=record.rev + 1, **fields)
        return with_standing(after)
    if action == "cancel" and record.job is not None and not record.is_settled:
        if record.waits > 1:
            return left(record, action, now_s)
        if record.state != WAITING:
            return cancelling(record)
    return _after(record, action, now_s, **fields)


def _after(record: Record, action: str, now_s: float, **fields: Any) -> Record | None:
    possible_in, leads_to = TRANSITIONS[action]
    if record.state not in possible_in:
        return None
    if leads_to in FINAL:
        fields["settled_s"] = now_s
    changes: dict[str, Any] = {"state": leads_to, "rev": record.rev + 1, **fields}
    after = msgspec.structs.replace(record, **changes)
    return with_standing(after) if action in _TOLD else after


def with_standing(record: Record) -> Record:
    """The record with an event that tells how it stands."""
    return with_event(record, "progress", _to_json(standing(record)))


def cancelling(record: Record) -> Record:
    """The record of a job that runs and shall end; who runs it will settle it."""
    if record.is_cancelling:
        return record
    after = msgspec.structs.replace(record, rev=record.rev + 1, is_cancelling=True)
    return with_standing(after)


def worked(
    record: Record, attempt: int, progress: Progress | None, text: str | None
) -> Record | None:
    """The record when an attempt has told how far it is, or a text for those who follow it.

    `None` if that attempt is no longer the one that counts.
    """
    if record.state not in (WORKING, INPUT) or record.attempt != attempt:
        return None
    if text is not None:
        record = msgspec.structs.replace(record, rev=record.rev + 1)
        record = with_event(record, "log", _to_json({"text": text}))
    if progress is not None:
        rev = record.rev + 1
        record = with_standing(msgspec.structs.replace(record, rev=rev, progress=progress))
    return record


def ended(record: Record, action: str, now_s: float, **fields: Any) -> Record | None:
    """The record when the work on it has ended, `None` if something else has settled it."""
    return _after(record, action, now_s, **fields)


def standing(record: Record) -> dict[str, Any]:
    """How it stands with a wait, for people and programs: its state and how far it is."""
    progress = record.progress
    told = None if progress is None else msgspec.structs.asdict(progress)
    stands: dict[str, Any] = {"state": record.state, "progress": told}
    if record.job is not None:
        stands |= {"attempt": record.attempt, "cancelling": record.is_cancelling}
    return stands


def with_event(record: Record, name: str, data: bytes) -> Record:
    """The record with an event of its newest revision; only the last `MAX_EVENTS` are kept."""
    events = (*record.events, Happened(record.rev, name, data))[-MAX_EVENTS:]
    return msgspec.structs.replace(record, events=events)


INTERRUPTED: Final = Failure(500, "what worked on this was interrupted")


def inherited(record: Record, waited_for: Record | None, now_s: float) -> Record | None:
    """The record of an answer when its handler is no more, `None` if there is nothing to change."""
    if waited_for is None:
        return changed(record, "fail", now_s, failure=INTERRUPTED)
    if not waited_for.is_settled:
        return None
    return changed(
        record,
        ACTIONS[waited_for.state],
        now_s,
        kind=waited_for.kind,
        value=waited_for.value,
        failure=waited_for.failure,
        then=waited_for.then,
        request=waited_for.request,
    )


def with_deadline(record: Record, deadline_s: float) -> Record | None:
    """The record with another deadline, `None` if it stays, for it is settled, or for others."""
    if record.is_settled or (record.waits > 1 and deadline_s < record.deadline_s):
        return None
    return msgspec.structs.replace(record, deadline_s=deadline_s)


def joined(record: Record, other: Record) -> Record:
    """The record when another wait joins it: lasting as long as the longer one, and for both."""
    return msgspec.structs.replace(
        record,
        deadline_s=max(record.deadline_s, other.deadline_s),
        durable=record.durable or other.durable,
        node=together(record.node, other.node),
        waits=record.waits + 1,
    )


def left(record: Record, action: str, now_s: float) -> Record | None:
    """The record when one less waits for it, which ends it by an action if it was the last."""
    if record.is_settled or record.waits <= 1:
        return changed(record, action, now_s)
    return msgspec.structs.replace(record, waits=record.waits - 1)
