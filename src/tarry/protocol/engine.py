"""The interface of an engine: bytes in, events out; answers in, bytes out.

An engine has no socket, no clock and never waits.  The caller feeds it with
`receive_data`, takes events until there are none, gives answers and sends
what `data_to_send` returns.
"""

from enum import Enum
from typing import Protocol

from tarry.message.heads import Field, ResponseHead
from tarry.protocol.events import Event


class Reading(Enum):
    """What an engine waits for; the server has a timeout for each."""

    IDLE = "the next request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    NOTHING = "an answer from our side"


class Stamp:
    """The fields that the server puts on every answer, renewed once a second."""

    __slots__ = ("fields", "http1")

    def __init__(self, date: bytes, server: bytes = b"tarry") -> None:
        self.fields = [(b"date", date)]
        if server:
            self.fields.append((b"server", server))
        self.http1 = _lines(self.fields)

    def fields_beside(self, head: ResponseHead) -> list[Field]:
        """The fields, but for those that the author of an answer has set."""
        if not head.own_stamp:
            return self.fields
        return [field for field in self.fields if head.get(field[0]) is None]

    def lines_beside(self, head: ResponseHead) -> bytes:
        """As `fields_beside`, as lines of HTTP/1.1."""
        return _lines(self.fields_beside(head)) if head.own_stamp else self.http1


def _lines(fields: list[Field]) -> bytes:
    return b"".join(b"%b: %b\r\n" % field for field in fields)


class Engine(Protocol):
    """One connection's protocol."""

    closing: bool
    """No further request will be taken; close when everything has been sent."""

    @property
    def reading(self) -> Reading:
        """What the engine waits for."""

    @property
    def more(self) -> bool:
        """Whether `next_event` may have something without further bytes."""

    @property
    def held_bytes(self) -> int:
        """Bytes received but not yet looked at, because an answer is due first."""

    @property
    def out_bytes(self) -> int:
        """Bytes that `data_to_send` would return, as far as that is known."""

    @property
    def stalled_bytes(self) -> int:
        """Bytes of all answers that wait for the peer's flow control."""

    def receive_data(self, data: bytes) -> Event | None:
        """Take bytes from the peer; the first event they bring, or `None`.

        Raises:
            PeerError: the bytes break the protocol; answer `error.status` and close.
        """

    def hold(self, data: bytes) -> None:
        """Take bytes from the peer, but do not look at them before `next_event` is called."""

    def next_event(self) -> Event | None:
        """The next event, or `None` when more bytes or an answer are needed.

        Raises:
            PeerError: as for `receive_data`.
        """

    def receive_eof(self) -> None:
        """The peer will send nothing more."""

    def continue_(self, stream_id: int) -> None:
        """Ask a client that expects it for the body (100 Continue)."""

    def respond(self, stream_id: int, head: ResponseHead, body: bytes, stamp: Stamp) -> None:
        """Give a whole answer.

        Raises:
            LengthError: the head announced another length.
        """

    def start(self, stream_id: int, head: ResponseHead, stamp: Stamp) -> None:
        """Begin an answer whose body follows."""

    def send(self, stream_id: int, data: bytes) -> None:
        """Add a piece of the body.

        Raises:
            LengthError: more than the head announced.
        """

    def count_sent(self, stream_id: int, size: int) -> bool:
        """Count bytes of the body that go to the socket past the engine; false if none may.

        Only a body of announced length that is sent without framing can.  What
        was counted but not written is taken back by a negative size.

        Raises:
            LengthError: more than the head announced.
        """

    def end(self, stream_id: int) -> None:
        """End the body.

        Raises:
            LengthError: less than the head announced.
        """

    def abort(self, stream_id: int) -> None:
        """Break off an answer; on HTTP/1.1 this ends the connection."""

    def refuse(self, stream_id: int, head: ResponseHead, body: bytes, stamp: Stamp) -> None:
        """Answer a `PeerError`, unless an answer has begun, and end the stream.

        On HTTP/1.1 that ends the connection.
        """

    def shut(self) -> None:
        """Take no further request; answers under way are finished."""

    def pending_bytes(self, stream_id: int) -> int:
        """Bytes of an answer that wait for the peer's flow control."""

    def data_to_send(self) -> bytes:
        """The bytes to write now; they are forgotten here."""
