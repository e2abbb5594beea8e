"""Messages of a topic: as coroutines see them, and as they go out to clients."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tarry.app.results import Answer, add_converter, to_json
from tarry.message.heads import Field, ResponseHead
from tarry.waiting.values import ValueType

LAST_EVENT_ID: Final = b"last-event-id"
"""As of server-sent events (WHATWG HTML section 9.2), where it is a field of requests."""

EVENT_GAP: Final = b"event-gap"

_TRUE: Final = b"?1"
"""Yes, as in structured fields (RFC 9651 section 3.3.6)."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its cursor, and the value that was published."""

    id: int
    data: Any


class Messages(list[Message]):
    """Messages in their order; a list with two facts more.

    `last` is the cursor to ask for next, also if there are no messages.  `gap`
    says that some before these are not kept any more.  As a result it is a
    JSON list of objects with `id` and `data`; `last` is in the header
    `Last-Event-ID`, and `Event-Gap: ?1` stands for a gap.
    """

    __slots__ = ("gap", "last")

    def __init__(self, messages: Iterable[Message] = (), *, last: int, gap: bool = False) -> None:
        super().__init__(messages)
        self.last = last
        self.gap = gap

    def answer(self) -> Answer:
        """Head and body of an answer that consists of them."""
        return _head(self.last, self.gap), to_json(list(self))


class Batch:
    """Messages as a store has them, shared by all who wait for the same ones.

    An answer is made of them once, and values are made for those who look at them.
    """

    __slots__ = ("_answer", "gap", "items", "last")

    def __init__(self, items: Sequence[tuple[int, bytes]], last: int, *, gap: bool = False) -> None:
        self.items = items
        self.last = last
        self.gap = gap
        self._answer: Answer | None = None

    def messages(self, type: ValueType) -> Messages:
        """The messages with their values, new ones each time.

        Raises:
            BadValue: one is not of the type.
        """
        made = (Message(cursor, type.read(data)) for cursor, data in self.items)
        return Messages(made, last=self.last, gap=self.gap)

    def answer(self) -> Answer:
        """Head and body of an answer that consists of them; the same for everybody."""
        if self._answer is None:
            body = b",".join(b'{"id":%d,"data":%b}' % item for item in self.items)
            self._answer = _head(self.last, self.gap), b"[%b]" % body
        return self._answer


def _head(last: int, gap: bool) -> ResponseHead:
    fields: list[Field] = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (LAST_EVENT_ID, b"%d" % last),
    ]
    if gap:
        fields.append((EVENT_GAP, _TRUE))
    return ResponseHead(200, fields)


add_converter(Messages, Messages.answer)
add_converter(Batch, Batch.answer)
