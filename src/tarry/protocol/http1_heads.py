"""Heads of HTTP/1.1: encoding ours, and saying what is wrong with theirs."""

import re
from collections.abc import Iterable
from typing import Final

from tarry.message.heads import Field, FieldBlock, ResponseHead
from tarry.message.status import PHRASES, phrase
from tarry.protocol.engine import Stamp
from tarry.protocol.errors import PeerError
from tarry.protocol.limits import Limits

_REQUEST_LINE: Final = re.compile(
    rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^\x00-\x20\x7f]+ HTTP/[0-9]\.[0-9]"
)
_BARE_LINE_END: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
_TOKEN_CHARACTER: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]")
_CODING: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

_UPGRADE: Final = b"connection: upgrade\r\nupgrade: websocket\r\n"
"""Each 426 says to what (RFC 9110 section 15.5.22); there is one thing it can be."""

_LENGTH: Final = b"content-length: "

MAX_REQUEST_LINE_OVERHEAD_BYTES: Final = 64
"""Room for the method, two spaces and the version beside the target."""


def encode(head: ResponseHead) -> bytes:
    """The status line and the fields of an answer."""
    lines = _STATUS_LINES.get(head.status) or _status_line(head.status)
    lines += _lines(head.fields)
    return lines + _UPGRADE if head.status == 426 else lines


def _lines(fields: Iterable[Field]) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in fields])


def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase(status).encode())


_STATUS_LINES: Final = {status: _status_line(status) for status in PHRASES}


def encode_stamped(head: ResponseHead, stamp: Stamp) -> bytes:
    """All lines of a plain answer up to the number of its length; kept while the stamp lasts."""
    head.stamp = stamp
    base = head.base
    if base is not None and not head.own_stamp:
        kept = base.stamped_lines if base.stamp is stamp else encode_stamped(base, stamp)
        head.stamped_lines = kept[: -len(_LENGTH)] + _lines(head.added) + _LENGTH
    else:
        head.stamped_lines = encode(head) + stamp.lines_beside(head) + _LENGTH
    return head.stamped_lines


def check_sizes(raw: bytes, limits: Limits) -> None:
    """Refuse a head that is larger than the limits, in whole or in part.

    Raises:
        PeerError: 414 for the target, 431 for the rest.
    """
    lines = raw.split(b"\r\n")
    target = lines[0].partition(b" ")[2].rpartition(b" ")[0]
    if len(target) > limits.max_target_bytes:
        raise PeerError(414, f"the target is longer than {limits.max_target_bytes} bytes")
    if len(raw) > limits.max_head_bytes:
        raise PeerError(431, f"the header section is larger than {limits.max_head_bytes} bytes")
    fields = [line for line in lines[1:] if line]
    if len(fields) > limits.max_fields:
        raise PeerError(431, f"there are more than {limits.max_fields} header fields")
    if max(map(len, fields), default=0) > limits.max_field_line_bytes:
        raise PeerError(431, f"a field is longer than {limits.max_field_line_bytes} bytes")


def check_beginning(raw: bytes | bytearray, limits: Limits, searched: int = 0) -> None:
    """Refuse the first bytes of a head as soon as they cannot become one.

    `searched` says up to where an earlier call has looked, less the last three
    bytes; so a head that comes byte by byte costs no more than its length.

    Raises:
        PeerError: 400, 414 or 431.
    """
    if not _TOKEN_CHARACTER.match(raw):
        raise PeerError(400, "this is not HTTP")
    longest = limits.max_target_bytes + MAX_REQUEST_LINE_OVERHEAD_BYTES
    end = raw.find(b"\r\n", 0, longest + 2)
    if end < 0 and len(raw) > longest:
        raise PeerError(414, f"the target is longer than {limits.max_target_bytes} bytes")
    if end >= searched and not _REQUEST_LINE.fullmatch(raw, 0, end):
        raise PeerError(400, "the request line is malformed")
    if len(raw) > limits.max_head_bytes:
        check_sizes(bytes(raw), limits)
    if _BARE_LINE_END.search(raw, searched):
        raise PeerError(400, "a line ends without CR LF")


def diagnose(raw: bytes, limits: Limits) -> PeerError:
    """Say why the parser refused a complete head."""
    try:
        check_sizes(raw, limits)
    except PeerError as error:
        return error
    lines = raw.split(b"\r\n")
    if not _REQUEST_LINE.fullmatch(lines[0]):
        return PeerError(400, "the request line is malformed")
    if _BARE_LINE_END.search(raw):
        return PeerError(400, "a line ends without CR LF")
    names = [line.partition(b":")[0].lower() for line in lines[1:]]
    if lines[0].endswith(b"1.1") and names.count(b"host") != 1:
        return PeerError(400, "a request needs exactly one Host")
    codings = [line for line in lines if line.lower().startswith(b"transfer-encoding:")]
    if len(codings) == 1 and b"content-length" not in names:
        return _diagnose_coding(codings[0].partition(b":")[2])
    if codings or b"content-length" in names:
        return PeerError(400, "the length of the body is ambiguous")
    return PeerError(400, "a header field is malformed")


def _diagnose_coding(value: bytes) -> PeerError:
    """501 for one coding we do not know, 400 for anything that leaves the length open."""
    if value.strip(b" \t").lower() == b"chunked":
        return PeerError(400, "a header field is malformed")
    if _CODING.fullmatch(value.strip(b" \t")):
        return PeerError(501, "the only transfer coding known here is chunked")
    return PeerError(400, "the length of the body is ambiguous")


def body_length(headers: FieldBlock, http_version: bytes) -> int | None:
    """The announced length of a body, `None` for a chunked one (RFC 9112 section 6.3).

    Raises:
        PeerError: 400 for a coding on HTTP/1.0, 501 for a coding that we do
            not know.
    """
    lines = headers.getall(b"transfer-encoding")
    if not lines:
        return _announced(headers.getall(b"content-length"))
    if http_version != b"1.1":
        raise PeerError(400, "HTTP/1.0 has no transfer codings")
    codings = [part.strip(b" \t").lower() for part in lines[0].split(b",")]
    if codings == [b"chunked"] and len(lines) == 1:
        return None
    if len(lines) == 1 and all(_CODING.fullmatch(part) for part in codings):
        raise PeerError(501, "the only transfer coding known here is chunked")
    raise PeerError(400, "the length of the body is ambiguous")


def _announced(lengths: list[bytes]) -> int:
    """The one content-length; a repeated one is refused, as it may be read in two ways."""
    if len(lengths) != 1:
        raise PeerError(400, "the length of the body is ambiguous")
    return int(lengths[0])
