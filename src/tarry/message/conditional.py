"""Conditional requests (RFC 9110 section 13): whether what a client has is still good."""

import math
import re
from typing import Final, Literal

from tarry.message.dates import parse_date
from tarry.message.heads import FieldBlock

Outcome = Literal["send", 304, 412]
"""Go on as without conditions, or answer with this status instead."""

_ETAG: Final = re.compile(r'[\t ,]*+((?:W/)?"[\x21\x23-\x7e\x80-\xff]*+")[\t ]*+(?=,|$)')
_READING: Final = (b"GET", b"HEAD")


def parse_etags(value: str) -> list[str]:
    """The entity tags of a list, as they were written, up to the first that is malformed.

    `*` stands alone; it is given as `["*"]`.
    """
    if value.strip("\t ") == "*":
        return ["*"]
    etags = []
    match = _ETAG.match(value)
    while match is not None:
        etags.append(match[1])
        match = _ETAG.match(value, match.end())
    return etags


def etag_matches(value: str, etag: str | None, *, weak: bool) -> bool:
    """Whether the tags of If-Match or If-None-Match have this one (RFC 9110 section 8.8.3.2).

    The strong comparison (`weak=False`) fails where either is marked `W/`.
    `*` matches whatever exists, also without a tag.
    """
    etags = parse_etags(value)
    if etags == ["*"]:
        return True
    if etag is None or (etag.startswith("W/") and not weak):
        return False
    if weak:
        return etag.removeprefix("W/") in {each.removeprefix("W/") for each in etags}
    return etag in etags


def evaluate(
    method: bytes, headers: FieldBlock, etag: str | None, last_modified_s: float | None
) -> Outcome:
    """What the conditions of a request come to, in the order of RFC 9110 section 13.2.2.

    `etag` and `last_modified_s` (since 1970-01-01 UTC) are those of what would
    be sent, `None` where it has none.  If-Range is not among them: see
    `range_applies`.
    """
    if (if_match := _joined(headers, b"if-match")) is not None:
        if not etag_matches(if_match, etag, weak=False):
            return 412
    elif _modified_since(headers, b"if-unmodified-since", last_modified_s) is True:
        return 412
    if (if_none_match := _joined(headers, b"if-none-match")) is not None:
        if etag_matches(if_none_match, etag, weak=True):
            return 304 if method in _READING else 412
        return "send"
    unchanged = _modified_since(headers, b"if-modified-since", last_modified_s) is False
    return 304 if unchanged and method in _READING else "send"


def range_applies(headers: FieldBlock, etag: str | None, last_modified_s: float | None) -> bool:
    """Whether a Range field counts: If-Range is absent, or names exactly what would be sent.

    A tag is compared strongly, a date has to be the same second (RFC 9110
    section 13.1.5).
    """
    value = _joined(headers, b"if-range")
    if value is None:
        return True
    if value.startswith(('"', "W/")):
        return etag is not None and not etag.startswith("W/") and value == etag
    return last_modified_s is not None and parse_date(value) == math.floor(last_modified_s)


def _modified_since(headers: FieldBlock, name: bytes, last_modified_s: float | None) -> bool | None:
    """Whether it was modified after the date of a field; `None` if nobody can tell."""
    value = _joined(headers, name)
    since_s = None if value is None else parse_date(value)
    if since_s is None or last_modified_s is None:
        return None
    # Dates of HTTP have no fractions, see `dates.format_date`.
    return math.floor(last_modified_s) > since_s


def _joined(headers: FieldBlock, name: bytes) -> str | None:
    """All values of a field as one (RFC 9110 section 5.3), `None` if it is absent."""
    values = headers.getall(name)
    return b", ".join(values).decode("latin-1") if values else None
