"""Forms in request bodies: which kind a Content-Type announces, and the urlencoded kind.

The other kind is in multipart.py; what is wrong with either is one of the
three errors here.  Every function takes time linear in its input.
"""

import re
from typing import ClassVar, Final, Literal, NamedTuple

from tarry.message.mediatypes import parse_media_type
from tarry.message.target import InvalidTarget, TooManyFields, parse_query

MAX_FIELDS: Final = 1000
"""Text fields of a form, unless told otherwise.  Django and PHP: 1 000."""

MAX_BOUNDARY_BYTES: Final = 256
"""Longest boundary.  RFC 2046 section 5.1.1 allows 70, and some clients send more."""

FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")

# RFC 2046 section 5.1.1 has fewer characters; clients also take others that can be seen.
_BOUNDARY: Final = re.compile(r"[\x20-\x7e]*[\x21-\x7e]")
_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii"})
_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]++")
_FIELD: Final = re.compile(rb"[^&]++")


class FormError(ValueError):
    """A form that is not taken; `status` is the answer.

    The text is a short reason that repeats nothing of the form.
    """

    status: ClassVar[int] = 400


class InvalidForm(FormError):
    """A form that cannot be read in exactly one way; answer 400."""


class FormTooLarge(FormError):
    """A form beyond a limit; answer 413."""

    status = 413


class UnsupportedForm(FormError):
    """A form in a character set other than UTF-8; answer 415."""

    status = 415


class FormType(NamedTuple):
    """What a Content-Type announces; `boundary` is `b""` for the urlencoded kind."""

    kind: Literal["urlencoded", "multipart"]
    boundary: bytes


def form_type(content_type: str) -> FormType | None:
    """The kind of form that a Content-Type announces, `None` for what is no form.

    Raises:
        InvalidForm: a malformed Content-Type, or multipart without a boundary
            of 1 to `MAX_BOUNDARY_BYTES` visible ASCII characters.
        UnsupportedForm: a form with a `charset` other than UTF-8, which is all
            that browsers send.
    """
    if not content_type:
        return None
    media = parse_media_type(content_type)
    if media is None:
        raise InvalidForm("the Content-Type is malformed")
    if media.essence not in FORM_TYPES:
        return None
    if media.params.get("charset", "utf-8").lower() not in _UTF8:
        raise UnsupportedForm("the form has to be in UTF-8")
    if media.type == "multipart":
        return FormType("multipart", _boundary(media.params.get("boundary", "")))
    return FormType("urlencoded", b"")


def _boundary(text: str) -> bytes:
    if len(text) > MAX_BOUNDARY_BYTES or not _BOUNDARY.fullmatch(text):
        raise InvalidForm(f"the boundary is not 1 to {MAX_BOUNDARY_BYTES} ASCII characters")
    return text.encode("ascii")


def parse_urlencoded(raw: bytes, *, max_fields: int = MAX_FIELDS) -> dict[str, list[str]]:
    """The fields of an urlencoded body: each name with its values in order.

    It is read as a query is (`target.parse_query`), except that UTF-8 may also
    come as it is, as `curl -d` sends it.

    Raises:
        FormTooLarge: more than `max_fields`, repeated names counted.
        InvalidForm: a malformed "%", NUL, or what is not UTF-8.
    """
    if not raw.isascii():
        raw = _BEYOND_ASCII.sub(lambda match: b"%" + match[0].hex("%").encode(), raw)
    try:
        return parse_query(raw, max_fields)
    except TooManyFields:
        raise _too_many(max_fields) from None
    except InvalidTarget as error:
        raise InvalidForm(f"the form does not decode: {error}") from None


class UrlencodedReader:
    """Collects an urlencoded body piece by piece and refuses it at the first byte too many."""

    __slots__ = ("_body", "_fields", "_max_bytes", "_max_fields")

    def __init__(self, *, max_fields: int, max_bytes: int) -> None:
        self._max_fields = max_fields
        self._max_bytes = max_bytes
        self._body = bytearray()
        self._fields = 0

    @property
    def size_bytes(self) -> int:
        """How much has come so far."""
        return len(self._body)

    def receive_data(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            FormTooLarge: more than `max_bytes`, or more fields than `max_fields`.
        """
        if len(self._body) + len(data) > self._max_bytes:
            raise FormTooLarge(f"the form is larger than {self._max_bytes} bytes")
        self._fields += sum(1 for _ in _FIELD.finditer(data)) - self._goes_on_with(data)
        if self._fields > self._max_fields:
            raise _too_many(self._max_fields)
        self._body += data

    def _goes_on_with(self, data: bytes) -> bool:
        """Whether a field began before these bytes and has some of them."""
        within = bool(self._body) and not self._body.endswith(b"&")
        return within and data[:1] not in {b"", b"&"}

    def finish(self) -> dict[str, list[str]]:
        """The fields, as `parse_urlencoded` gives them.

        Raises:
            InvalidForm: what does not decode.
        """
        return parse_urlencoded(bytes(self._body), max_fields=self._max_fields)


def _too_many(max_fields: int) -> FormTooLarge:
    return FormTooLarge(f"the form has more than {max_fields} fields")
