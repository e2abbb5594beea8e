"""Multipart forms (RFC 7578): bytes in, parts out, without a file or a socket.

The library cuts the stream into parts.  What it takes, refuses or passes over
depending on how the bytes happen to arrive is decided here, once: what comes
before the first boundary and after the last one, and what a part may say of
itself (docs/decisions/0012).
"""

import re
from typing import Final, NamedTuple

import multipart  # type: ignore[import-untyped]  # because it has no py.typed

from tarry.message.disposition import parse_form_data
from tarry.message.forms import FormTooLarge, InvalidForm
from tarry.message.headers import Headers
from tarry.message.mediatypes import parse_media_type

MAX_HEADERS_PER_PART: Final = 8
"""Header lines of one part.  RFC 7578 section 4 knows three."""

_NAME_OR_FOLD: Final = re.compile(rb"[\t ]|[!#$%&'*+\-.^_`|~0-9A-Za-z]++:")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LINE_BREAKS: Final = b"\r\n"
# Deprecated by RFC 7578 section 4.7; these change nothing, all others would have to be decoded.
_IDENTITY_ENCODINGS: Final = frozenset({"7bit", "8bit", "binary"})
# Apache's HttpClient announces the last one; RFC 7578 section 4.5 leaves it to the part.
_CHARSETS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "iso-8859-1": "latin-1",
}


class PartHead(NamedTuple):
    """The beginning of a part; one with a `filename`, even `""`, is a file.

    `filename` is as the client sent it and can be a path of any kind.
    `content_type` is as sent, or `None`.
    """

    name: str
    filename: str | None
    content_type: str | None
    headers: Headers


class EndOfPart:
    """The end of the part that began last."""

    __slots__ = ()


END_OF_PART: Final = EndOfPart()

Event = PartHead | bytes | EndOfPart
"""The content of a part comes as one or more `bytes`, or none if it is empty."""


class _Parser(multipart.PushMultipartParser):  # type: ignore[misc]  # because it has no py.typed
    """The library's parser, but a name is what stands before the colon, white space included."""

    def _on_segment_headerline(self, line: bytes) -> None:
        if not _NAME_OR_FOLD.match(line):
            raise multipart.ParserError("Malformed segment header")
        super()._on_segment_headerline(line)


class MultipartReader:
    """Reads one form; after an error it is of no further use."""

    __slots__ = ("_closing", "_ended", "_max_part_head_bytes", "_parser", "_start", "_tail")

    def __init__(self, boundary: bytes, *, max_parts: int, max_part_head_bytes: int) -> None:
        self._parser = _Parser(
            boundary,
            max_header_size=max_part_head_bytes,
            max_header_count=MAX_HEADERS_PER_PART,
            max_segment_count=max_parts,
            strict=True,
        )
        self._max_part_head_bytes = max_part_head_bytes
        self._closing = b"\r\n--" + boundary + b"--"
        # The line break before a boundary belongs to it; the first one may go without.
        self._tail: bytes = _LINE_BREAKS
        self._start = b""
        self._ended = False

    def receive_data(self, data: bytes) -> list[Event]:
        """What the next bytes bring.

        Raises:
            InvalidForm: malformed, with a text before the first boundary or
                after the last one, or with a part that is none of a form.
            FormTooLarge: more than `max_parts`, more than
                `MAX_HEADERS_PER_PART`, or a part whose header lines are
                together longer than `max_part_head_bytes`.
        """
        if not data:
            return []
        if self._ended:
            return self._skip(data)
        self._check_start(data)
        end = self._find_end(data)
        if end < 0:
            return self._parse(data)
        events = self._parse(data[:end])
        self._close()
        self._ended = True
        return events + self._skip(data[end:])

    def finish(self) -> None:
        """The body has ended.

        Raises:
            InvalidForm: but the form has not.
        """
        if not self._ended:
            raise InvalidForm("the multipart body ends before its last boundary")

    def _parse(self, data: bytes) -> list[Event]:
        try:
            return [self._event(each) for each in self._parser.parse(data)]
        except multipart.ParserLimitReached as error:
            raise FormTooLarge(_reason(error)) from None
        except multipart.MultipartError as error:
            raise InvalidForm(_reason(error)) from None

    def _event(self, event: multipart.MultipartSegment | bytes | None) -> Event:
        if event is None:
            return END_OF_PART
        if isinstance(event, bytes):
            return event
        return self._part_head(event.headerlist)

    def _part_head(self, lines: list[tuple[str, str]]) -> PartHead:
        size = sum(len(f"{name}: {value}\r\n".encode()) for name, value in lines)
        if size > self._max_part_head_bytes:
            raise FormTooLarge(f"the head of a part is over {self._max_part_head_bytes} bytes")
        headers = Headers((name, value.rstrip("\t ")) for name, value in lines)
        _check_headers(headers)
        disposition = parse_form_data(headers["content-disposition"])
        return PartHead(*disposition, headers.get("content-type"), headers)

    def _check_start(self, data: bytes) -> None:
        opening = self._closing[:-2]
        if len(self._start) == len(opening):
            return
        self._start = (self._start + data)[: len(opening)]
        bare = opening[len(_LINE_BREAKS) :]
        if not opening.startswith(self._start) and not bare.startswith(self._start[: len(bare)]):
            raise InvalidForm("the multipart body does not begin with its boundary")

    def _find_end(self, data: bytes) -> int:
        """Where the last boundary ends in these bytes, -1 if it does not."""
        size = len(self._closing)
        seam = self._tail + data[: size - 1]
        if (place := seam.find(self._closing)) >= 0:
            return place + size - len(self._tail)
        self._tail = (data if len(data) >= size else seam)[1 - size :]
        place = data.find(self._closing)
        return place + size if place >= 0 else -1

    def _close(self) -> None:
        try:
            self._parser.close()
        except multipart.MultipartError as error:
            raise InvalidForm(_reason(error)) from None

    def _skip(self, rest: bytes) -> list[Event]:
        if rest.strip(_LINE_BREAKS):
            raise InvalidForm("the multipart body goes on after its last boundary")
        return []


def _check_headers(headers: Headers) -> None:
    if any(_CONTROL.search(value) for value in headers.values()):
        raise InvalidForm("a part has a control character in its head")
    if any(len(headers.getall(name)) > 1 for name in ("content-disposition", "content-type")):
        raise InvalidForm("a part has a header twice")
    if headers.get("content-type", "").lower().startswith("multipart/"):
        raise InvalidForm("a part is a multipart body of its own; send each file as a part")
    if headers.get("content-transfer-encoding", "binary").lower() not in _IDENTITY_ENCODINGS:
        raise InvalidForm("a part has a Content-Transfer-Encoding; send it as it is")


def _reason(error: multipart.MultipartError) -> str:
    # The first argument alone: what follows can repeat the client's bytes.
    return f"the multipart body is refused: {error.args[0]}"


def decode_text(head: PartHead, content: bytes | bytearray) -> str:
    """The text of a part that is no file: UTF-8, or ISO-8859-1 if it says so.

    Raises:
        InvalidForm: another character set, bytes that are none of it, or NUL,
            which is refused in the urlencoded kind too.
    """
    media = parse_media_type(head.content_type or "")
    charset = _CHARSETS.get(media.params.get("charset", "utf-8").lower() if media else "utf-8")
    if charset is None:
        raise InvalidForm("a text field is in a character set other than UTF-8")
    try:
        text = content.decode(charset)
    except UnicodeDecodeError:
        raise InvalidForm("a text field is not UTF-8") from None
    if "\0" in text:
        raise InvalidForm("NUL is not allowed in a text field")
    return text
