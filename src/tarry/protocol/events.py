"""What engines report.

A request head is an event by itself (`message.heads.RequestHead`); one whose
`end_stream` is true has no body, and no other event follows for it.
"""

from typing import Final

from tarry.message.heads import Field, RequestHead


class Data:
    """A piece of a request's body."""

    __slots__ = ("data", "stream_id")

    def __init__(self, stream_id: int, data: bytes) -> None:
        self.stream_id = stream_id
        self.data = data


class EndOfBody:
    """The end of a request's body, with its last piece and its trailers."""

    __slots__ = ("data", "stream_id", "trailers")

    def __init__(self, stream_id: int, data: bytes, trailers: list[Field]) -> None:
        self.stream_id = stream_id
        self.data = data
        self.trailers = trailers


class StreamReset:
    """The peer gave a request up; nobody reads its answer."""

    __slots__ = ("stream_id",)

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id


class StreamWritable:
    """An HTTP/2 peer has made room: what waited for it may go on."""

    __slots__ = ()


class SwitchToHTTP2:
    """The first bytes were the HTTP/2 preface: go on with the other engine.

    `data` is everything received so far, preface included.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


WRITABLE: Final = StreamWritable()

Event = RequestHead | Data | EndOfBody | StreamReset | StreamWritable | SwitchToHTTP2
