"""What is answered with a file: head, status and which parts of it.

Nothing here touches the file; `file_sending` opens and sends it.
"""

import os
import re
import secrets
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote

from tarry.app.errors import HttpError
from tarry.app.responses import SendFile
from tarry.message.conditional import evaluate, range_applies
from tarry.message.dates import format_date, parse_date
from tarry.message.filetypes import content_type_of
from tarry.message.heads import Field, RequestHead, ResponseHead
from tarry.message.ranges import Range, UnsatisfiableRange, parse_range

Part = tuple[int, int]
"""Offset and count of bytes of a file."""


class FileAnswer(NamedTuple):
    """A head without length, and a body of bytes and parts of a file, in this order."""

    head: ResponseHead
    parts: list[bytes | Part]

    @property
    def size_bytes(self) -> int:
        """The length of the body."""
        return sum(part[1] if isinstance(part, tuple) else len(part) for part in self.parts)


_CONDITIONAL: Final = (b"GET", b"HEAD")

_NOT_IN_304: Final = frozenset(
    {b"accept-ranges", b"content-disposition", b"content-encoding", b"content-language"}
    | {b"content-length", b"content-type", b"x-content-type-options"}
)
"""What describes a body, which a 304 has not (RFC 9110 section 15.4.5)."""


def answer_with(file: SendFile, info: os.stat_result, request: RequestHead) -> FileAnswer:
    """The answer with an open file.

    Conditions and ranges of the request count for GET and HEAD when the file
    has status 200; HEAD has no ranges (RFC 9110 section 14.2).

    Raises:
        HttpError: 412 for a condition that does not hold, 416 for a range
            behind the end.
        InvalidField: a header of the author that would break the message.
    """
    head = _head(file, info)
    whole = FileAnswer(head, [(0, info.st_size)])
    if file.status != 200 or request.method not in _CONDITIONAL:
        return whole
    etag = _text(head, b"etag")
    last_modified_s = parse_date(_text(head, b"last-modified") or "")
    outcome = evaluate(request.method, request.headers, etag, last_modified_s)
    if outcome == 412:
        raise HttpError(412, "the file is not, or no longer, the one that you know")
    if outcome == 304:
        kept = [field for field in head.fields if field[0] not in _NOT_IN_304]
        return FileAnswer(ResponseHead(304, kept), [])
    if request.method == b"HEAD" or not range_applies(request.headers, etag, last_modified_s):
        return whole
    ranges = _asked_ranges(request, info.st_size)
    return whole if ranges is None else _partial(head, ranges, info.st_size)


def _asked_ranges(request: RequestHead, size_bytes: int) -> list[Range] | None:
    values = request.headers.getall(b"range")
    if len(values) != 1:
        return None
    try:
        return parse_range(values[0].decode("latin-1"), size_bytes)
    except UnsatisfiableRange as error:
        unsatisfied = (b"content-range", b"bytes */%d" % size_bytes)
        raise HttpError(
            416, f"the file has {size_bytes} bytes", headers=[unsatisfied, _ACCEPT_RANGES]
        ) from error


def _partial(head: ResponseHead, ranges: list[Range], size_bytes: int) -> FileAnswer:
    """206 with one range, or with several as parts of a multipart body (RFC 9110 section 14.6)."""
    if len(ranges) == 1:
        first, last = ranges[0]
        content_range = _content_range(first, last, size_bytes)
        partial = ResponseHead(206, [*head.fields, content_range])
        return FileAnswer(partial, [(first, last + 1 - first)])
    content_type = head.get(b"content-type") or b""
    boundary = secrets.token_hex(16).encode()
    parts: list[bytes | Part] = []
    for first, last in ranges:
        name, value = _content_range(first, last, size_bytes)
        lines = b"content-type: %b\r\n%b: %b" % (content_type, name, value)
        parts.append(b"%b--%b\r\n%b\r\n\r\n" % (b"\r\n" if parts else b"", boundary, lines))
        parts.append((first, last + 1 - first))
    parts.append(b"\r\n--%b--\r\n" % boundary)
    multipart = (b"content-type", b"multipart/byteranges; boundary=" + boundary)
    return FileAnswer(ResponseHead(206, _replaced(head.fields, [multipart])), parts)


def _content_range(first: int, last: int, size_bytes: int) -> Field:
    return b"content-range", b"bytes %d-%d/%d" % (first, last, size_bytes)


# ---- fields --------------------------------------------------------------------------

_ACCEPT_RANGES: Final = (b"accept-ranges", b"bytes")
_NO_SNIFFING: Final = (b"x-content-type-options", b"nosniff")


HEADS_KEPT: Final = 512
"""Heads of files that were sent lately; making one takes longer than opening the file."""


def _head(file: SendFile, info: os.stat_result) -> ResponseHead:
    options = (file.content_type, file.download, file.status, file.max_age_s, file.etag)
    given = tuple(file.headers.to_fields())
    return _make_head(file.path, options, given, info.st_mtime_ns, info.st_size)


@lru_cache(maxsize=HEADS_KEPT)
def _make_head(
    path: str,
    options: tuple[str | None, bool | str, int, int | None, bool],
    given: tuple[Field, ...],
    mtime_ns: int,
    size_bytes: int,
) -> ResponseHead:
    content_type, download, status, max_age_s, has_etag = options
    content_type = content_type or content_type_of(path)
    fields = [(b"content-type", content_type.encode("latin-1")), _NO_SNIFFING]
    if has_etag:
        fields.append((b"etag", etag_of(mtime_ns, size_bytes)))
    if (modified := _date_of(mtime_ns)) is not None:
        fields.append((b"last-modified", modified))
    if status == 200:
        fields.append(_ACCEPT_RANGES)
    if max_age_s is not None:
        fields.append((b"cache-control", b"max-age=%d" % max_age_s))
    if download is not False:
        fields.append((b"content-disposition", attachment(path if download is True else download)))
    return ResponseHead(status, _replaced(fields, given))


def etag_of(mtime_ns: int, size_bytes: int) -> bytes:
    """A strong entity tag, of modification time and size.

    Two writes within one tick of the file system's clock that leave the size
    alone are not told apart; no server that does not read the file does.
    """
    return b'"%x-%x"' % (mtime_ns % (1 << 64), size_bytes)


def _date_of(mtime_ns: int) -> bytes | None:
    try:
        return format_date(mtime_ns // 1_000_000_000).encode()
    except ValueError:  # a file system may have any number there
        return None


_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Controls, and bytes of a file name that are no UTF-8."""

_UNSAFE: Final = re.compile(r'[^ -~]|["\\%]')


def attachment(name: str) -> bytes:
    """A Content-Disposition that saves the answer under a name (RFC 6266, RFC 8187).

    Folders are dropped.  `filename` has "_" for what clients disagree about
    (RFC 6266 appendix D); `filename*` then follows with the name as it is,
    but for what cannot be printed.
    """
    name = _UNPRINTABLE.sub("_", re.split(r"[/\\]", name)[-1]) or "download"
    plain = _UNSAFE.sub("_", name)
    value = f'attachment; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe='')}"
    return value.encode("ascii")


def _replaced(fields: Iterable[Field], given: Iterable[Field]) -> list[Field]:
    """Fields with those of the same names replaced."""
    lowered = [(name.lower(), value) for name, value in given]
    names = {name for name, _ in lowered}
    return [field for field in fields if field[0] not in names] + lowered


def _text(head: ResponseHead, name: bytes) -> str | None:
    value = head.get(name)
    return None if value is None else value.decode("latin-1")
