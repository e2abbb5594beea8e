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

_KNOWN_NAMES: Final = set(
    b"""accept-ranges age allow cache-control content-disposition content-encoding content-language
    content-length content-range content-security-policy content-type etag expires last-modified
    link location retry-after server-timing set-cookie strict-transport-security vary
    www-authenticate x-content-type-options x-frame-options x-request-id""".split()
)
"""Names that need no closer look: these, and the first further ones that had it."""

MAX_KNOWN_NAMES: Final = 500

MAX_KEPT_HEADS: Final = 8
"""Heads with further fields that one head keeps."""

STAMPED_FIELDS: Final = frozenset({b"date", b"server"})
"""Fields that the server puts on every answer whose author has not set them."""


class ResponseHead:
    """A status and checked header fields, reusable for any number of answers.

    `length` is the author's own content-length, which the engine holds the
    body to; without one the engine counts.  `plain` says that nothing is
    special: no such length, and a status that has a body.  `own_stamp` says
    that the author has set what the server otherwise puts on every answer.
    `stamped_lines` is its encoded form with the fields of `stamp`, kept by the
    HTTP/1.1 engine.  One made by `extended` has that of `base` with `added`
    fields; `kept` are a few of those, by what was added.

    Raises:
        InvalidField: a name that is no token, a value with CR, LF, NUL or
            other controls, or a field that belongs to the connection.
        ValueError: a status outside 200..599.
    """

    __slots__ = ("added", "base", "fields", "kept", "length", "own_stamp", "plain", "stamp",
                 "stamped_lines", "status", "without_body")  # fmt: skip

    def __init__(self, status: int, fields: Iterable[Field] = ()) -> None:
        if not 200 <= status <= 599:
            raise ValueError(f"status {status} is not between 200 and 599")
        self.status = status
        self.own_stamp = False
        checked = []
        length: bytes | None = None
        for name, value in fields:
            key = name.lower()
            if key not in _KNOWN_NAMES or not _VALUE.fullmatch(value):
                check_response_field(key, value)
                self.own_stamp |= _is_stamped(key)
            if key != b"content-length":
                checked.append((key, value))
            elif length in (None, value):
                length = value
            else:
                raise InvalidField("content-length is not one number")
        self.fields = tuple(checked)
        self.length = None if length is None else _number(length)
        self.without_body = status in WITHOUT_BODY
        self.plain = self.length is None and not self.without_body
        self.base: ResponseHead | None = None
        self.kept: dict[object, ResponseHead] = {}
        self.added: tuple[Field, ...] = ()
        self.stamp: object = None
        self.stamped_lines = b""

    def get(self, name: bytes, /) -> bytes | None:
        """The first value of a field (lower-case name), or `None`."""
        for key, value in self.fields:
            if key == name:
                return value
        if name == b"content-length" and self.length is not None:
            return b"%d" % self.length
        return None

    def __iter__(self) -> Iterator[Field]:
        yield from self.fields
        if self.length is not None:
            yield b"content-length", b"%d" % self.length

    def extended(self, fields: list[Field]) -> "ResponseHead":
        """This head with further fields, which are all that has to be checked.

        Raises:
            InvalidField: as for a new head.
        """
        head = ResponseHead.__new__(ResponseHead)
        added = []
        own_stamp = self.own_stamp
        for name, value in fields:
            key = name.lower()
            if key not in _KNOWN_NAMES or not _VALUE.fullmatch(value):
                check_response_field(key, value)
                own_stamp |= _is_stamped(key)
            elif key == b"content-length":
                return ResponseHead(self.status, [*self, *fields])
            added.append((key, value))
        head.base, head.added = self, tuple(added)
        head.fields = self.fields + head.added
        head.status, head.length, head.own_stamp = self.status, self.length, own_stamp
        head.plain, head.without_body = self.plain, self.without_body
        head.stamp, head.stamped_lines, head.kept = None, b"", {}
        return head


def _is_stamped(name: bytes) -> bool:
    """Whether the server has its own field of this name; if not, the name is known from now on."""
    if name in STAMPED_FIELDS:
        return True
    if len(_KNOWN_NAMES) < MAX_KNOWN_NAMES and len(name) <= 40:
        _KNOWN_NAMES.add(name)
    return False


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
    if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        check_field(name, value)
    if name in CONNECTION_FIELDS:
        raise InvalidField(f"{name.decode()} is set by the server, not by a handler")


def _number(length: bytes) -> int:
    if not _LENGTH.fullmatch(length):
        raise InvalidField("content-length is not one number")
    return int(length)
