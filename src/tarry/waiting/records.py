"""What is kept of a wait that others can reach: its record, and how it may change.

All functions here are pure: a store applies them as one change, so the first
of two that settle a wait wins, wherever they come from.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tarry.waiting.nodes import together

WAITING: Final = "waiting"
WORKING: Final = "working"
INPUT: Final = "input"
DONE: Final = "done"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
EXPIRED: Final = "expired"

OPEN: Final = frozenset({WAITING, WORKING, INPUT})
FINAL: Final = frozenset({DONE, FAILED, CANCELLED, EXPIRED})

TRANSITIONS: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "progress": (OPEN, WORKING),
    "ask": (OPEN, INPUT),
    "wake": (OPEN, DONE),
    "fail": (OPEN, FAILED),
    "cancel": (OPEN, CANCELLED),
    "expire": (OPEN, EXPIRED),
}
"""For each action: the states it is possible in, and the one it leads to."""

ACTIONS: Final = {leads_to: action for action, (_, leads_to) in TRANSITIONS.items()}
"""The action that leads to a state."""

MAX_EVENTS: Final = 64
"""Events of one wait that are kept for clients that come back; older ones become a gap."""


class RequestInfo(msgspec.Struct, frozen=True, array_like=True):
    """What is known of the request that began a wait, for a function that answers it later."""

    method: str
    path: str
    query: str = ""
    base_url: str = ""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """Why a wait failed: a status and a sentence for the client."""

    status: int
    detail: str


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """How far the work is: `at` of `of` steps, `None` if that is not known, and a word on it."""

    at: float | None = None
    of: float | None = None
    text: str = ""


class Happened(msgspec.Struct, frozen=True, array_like=True):
    """One event of a wait: the revision that it led to, its name and its data, which is JSON."""

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
    JSON but such an answer, see `decode_answer`.  `schema` is the name under which the store has
    the JSON Schema of the value.
    """

    id: str
    secret: bytes
    created_s: float
    deadline_s: float
    keep_s: float
    state: str = WAITING
    rev: int = 1
    kind: str = "wait"
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

    @property
    def is_settled(self) -> bool:
        """Whether nothing can change it any more."""
        return self.state in FINAL

    @property
    def due_s(self) -> float:
        """When it has to be looked at again: to expire it, or to forget it."""
        return self.settled_s + self.keep_s if self.is_settled else self.deadline_s


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


class Early(msgspec.Struct, frozen=True, array_like=True):
    """A wake that came before anybody waited, kept for who comes first."""

    value: bytes | None
    failure: Failure | None = None


class Pointer(msgspec.Struct, frozen=True, array_like=True):
    """What stands under a key: the wait of that name, or a wake that came early."""

    id: str | None = None
    early: Early | None = None


_encode: Final = msgspec.msgpack.Encoder().encode
_record: Final = msgspec.msgpack.Decoder(Record).decode
_pointer: Final = msgspec.msgpack.Decoder(Pointer).decode
_answer: Final[Callable[[bytes], KeptAnswer | KeptFile]] = msgspec.msgpack.Decoder(
    KeptAnswer | KeptFile
).decode
encode: Final = _encode


class DamagedRecord(Exception):
    """A store gave back what no version of Tarry has written there."""


def decode_record(data: bytes) -> Record:
    """A record from a store.

    Raises:
        DamagedRecord: it is none.
    """
    try:
        return _record(data)
    except msgspec.DecodeError as error:
        raise DamagedRecord(f"the store has a wait that cannot be read: {error}") from error


def decode_pointer(data: bytes) -> Pointer:
    """What stands under a key; raises what `decode_record` does."""
    try:
        return _pointer(data)
    except msgspec.DecodeError as error:
        raise DamagedRecord(f"the store has a key that cannot be read: {error}") from error


def decode_answer(data: bytes) -> KeptAnswer | KeptFile:
    """An answer that was kept; raises what `decode_record` does."""
    try:
        return _answer(data)
    except msgspec.DecodeError as error:
        raise DamagedRecord(f"the store has an answer that cannot be read: {error}") from error


def changed(record: Record, action: str, now_s: float, **fields: Any) -> Record | None:
    """The record after an action, `None` if it is not possible any more.

    Progress keeps the state that asks for input.
    """
    possible_in, leads_to = TRANSITIONS[action]
    if record.state not in possible_in:
        return None
    rev = record.rev + 1
    if leads_to in FINAL:
        fields["settled_s"] = now_s
    changes: dict[str, Any] = {"state": leads_to, "rev": rev, **fields}
    return msgspec.structs.replace(record, **changes)


def with_event(record: Record, name: str, data: bytes) -> Record:
    """The record with an event of its newest revision; only the last `MAX_EVENTS` are kept."""
    events = (*record.events, Happened(record.rev, name, data))[-MAX_EVENTS:]
    return msgspec.structs.replace(record, events=events)


def with_deadline(record: Record, deadline_s: float) -> Record | None:
    """The record with another deadline, `None` if it is settled."""
    if record.is_settled:
        return None
    return msgspec.structs.replace(record, deadline_s=deadline_s)


def joined(record: Record, other: Record) -> Record:
    """The record when another wait joins it: lasting as long as the longer one, and for both."""
    changes = {
        "deadline_s": max(record.deadline_s, other.deadline_s),
        "durable": record.durable or other.durable,
        "node": together(record.node, other.node),
    }
    if all(getattr(record, name) == value for name, value in changes.items()):
        return record
    return msgspec.structs.replace(record, **changes)
