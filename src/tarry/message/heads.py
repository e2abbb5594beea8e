"""Request and response heads: what engines, server and app hand to one another.

A request head stays in the form in which the engine parsed it: its fields are
a lazy block until somebody reads them.  A response head is made once, often
at start-up, and carries its wire form with it, so that an answer costs one
formatting and one write.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from tarry.message.status import WITHOUT_BODY

Field = tuple[bytes, bytes]
"""One header field line: name and value."""


class FieldBlock(Protocol):
    """Header fields in received order; names match in any case."""

    def get(self, name: bytes, /) -> bytes | None: ...
    def getall(self, name: bytes, /) -> list[bytes]: ...
    def __iter__(self) -> Iterator[Field]: ...
    def __len__(self) -> int: ...


class RequestHead(Protocol):
    """A request line and its fields, checked by an engine.

    `path` begins with "/" (or is `b"*"` for `OPTIONS *`) and is not
    percent-decoded; `query` is what follows the first "?".  `http_version` is
    `b"1.0"`, `b"1.1"` or `b"2"`; `end_stream` says that no body follows.
    """

    @property
    def method(self) -> bytes: ...
    @property
    def target(self) -> bytes: ...
    @property
    def path(self) -> bytes: ...
    @property
    def query(self) -> bytes: ...
    @property
    def http_version(self) -> bytes: ...
    @property
    def headers(self) -> FieldBlock: ...
    @property
    def stream_id(self) -> int: ...
    @property
    def end_stream(self) -> bool: ...
    @property
    def expect_continue(self) -> bool: ...


class Fields:
    """A field block over a plain list, for heads that no HTTP/1.1 engine parsed."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[Field] = ()) -> None:
        self._fields = list(fields)

    def get(self, name: bytes, /) -> bytes | None:
        """The first value of a field, or `None`."""
        wanted = name.lower()
        return next((value for key, value in self._fields if key.lower() == wanted), None)

    def getall(self, name: bytes, /) -> list[bytes]:
        """Every value of a field, in received order."""
        wanted = name.lower()
        return [value for key, value in self._fields if key.lower() == wanted]

    def __iter__(self) -> Iterator[Field]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class LowerCaseFields(list[Field]):
    """A field block whose names came in lower case, as HTTP/2 has them.

    Ask it in lower case, too.
    """

    def get(self, name: bytes, /) -> bytes | None:
        """The first value of a field, or `None`."""
        for key, value in self:
            if key == name:
                return value
        return None

    def getall(self, name: bytes, /) -> list[bytes]:
        """Every value of a field, in received order."""
        return [value for key, value in self if key == name]


class PlainRequestHead:
    """A request head from its parts: rewritten targets, HTTP/2 and tests use it."""

    __slots__ = (
        "end_stream", "expect_continue", "headers", "http_version",
        "method", "path", "query", "stream_id", "target",
    )  # fmt: skip

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: FieldBlock,
        *,
        http_version: bytes = b"1.1",
        stream_id: int = 0,
        end_stream: bool = True,
        expect_continue: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition(b"?")
        self.headers = headers
        self.http_version = http_version
        self.stream_id = stream_id
        self.end_stream = end_stream
        self.expect_continue = expect_continue


def with_fields(head: RequestHead, fields: FieldBlock) -> PlainRequestHead:
    """The same request with other header fields."""
    return PlainRequestHead(
        head.method,
        head.target,
        fields,
        http_version=head.http_version,
        stream_id=head.stream_id,
        end_stream=head.end_stream,
        expect_continue=head.expect_continue,
    )


class LengthError(Exception):
    """A body is longer or shorter than the content-length its head announced."""


class InvalidField(ValueError):
    """A response field that would break the message; nothing of it was sent."""


_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(
    rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
)

_LENGTH: Final = re.compile(rb"[0-9]{1,18}")

CONNECTION_FIELDS: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding"}
    | {b"upgrade"}
)
"""Fields about one connection (RFC 9110 section 7.6.1): the server's, never an author's."""


class ResponseHead:
    """A status and checked header fields, reusable for any number of answers.

    `length` is the author's own content-length, which the engine holds the
    body to; without one the engine counts.  `plain` says that nothing is
    special: no such length, and a status that has a body.  `stamped_lines` is
    its encoded form with the fields of `stamp`, kept by the HTTP/1.1 engine.

    Raises:
        InvalidField: a name that is no token, a value with CR, LF, NUL or
            other controls, or a field that belongs to the connection.
        ValueError: a status outside 200..599.
    """

    __slots__ = ("fields", "length", "plain", "stamp", "stamped_lines", "status", "without_body")

    def __init__(self, status: int, fields: Iterable[Field] = ()) -> None:
        if not 200 <= status <= 599:
            raise ValueError(f"status {status} is not between 200 and 599")
        self.status = status
        checked = [(name.lower(), value) for name, value in fields]
        for name, value in checked:
            check_response_field(name, value)
        self.fields = tuple(field for field in checked if field[0] != b"content-length")
        self.length = _announced_length(checked)
        self.without_body = status in WITHOUT_BODY
        self.plain = self.length is None and not self.without_body
        self.stamp: object = None
        self.stamped_lines = b""

    def get(self, name: bytes) -> bytes | None:
        """The first value of a field (lower-case name), or `None`."""
        return next((value for key, value in self.fields if key == name), None)


def check_field(name: bytes, value: bytes) -> None:
    """Refuse what would let a value break out of its line (RFC 9110 section 5.5).

    Raises:
        InvalidField: with the name and the reason, never with the value.
    """
    if not _TOKEN.fullmatch(name):
        raise InvalidField(f"header name {name[:40]!r} is not a token")
    if not _VALUE.fullmatch(value):
        raise InvalidField(
            f"the value of header {name.decode()} has a control character or a space at its edge"
        )


def check_response_field(name: bytes, value: bytes) -> None:
    """Refuse also what an author may not set.

    Raises:
        InvalidField: with the name and the reason, never with the value.
    """
    check_field(name, value)
    if name in CONNECTION_FIELDS:
        raise InvalidField(f"{name.decode()} is set by the server, not by a handler")


def _announced_length(fields: Iterable[Field]) -> int | None:
    lengths = {value for name, value in fields if name == b"content-length"}
    if not lengths:
        return None
    if len(lengths) > 1 or not _LENGTH.fullmatch(next(iter(lengths))):
        raise InvalidField("content-length is not one number")
    return int(lengths.pop())
