"""Ranges of bytes (RFC 9110 section 14): which parts of a file a client asks for."""

import re
from operator import itemgetter
from typing import Final

Range = tuple[int, int]
"""The positions of the first and of the last byte."""

MAX_RANGES: Final = 5
"""Parts of one answer; who asks for more, after merging, gets the whole (CVE-2025-62727)."""

# 18 digits are beyond any file, and spare us the conversion of thousands of them.
_SPEC: Final = re.compile(
    r"[\t ]*+(?:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{0,18})|-(?P<suffix>[0-9]{1,18}))?[\t ]*+"
)


class UnsatisfiableRange(ValueError):
    """No byte of what is asked for exists: 416."""


def parse_range(value: str, size_bytes: int) -> list[Range] | None:
    """The ranges that a Range field asks for, in its order, `None` to send the whole.

    They lie within `size_bytes`; those that overlap or touch have become one.
    Ignored, as RFC 9110 section 14.2 allows, is what is malformed, has another
    unit than bytes, comes to more than `MAX_RANGES`, or is about an empty file.

    Raises:
        UnsatisfiableRange: all ranges lie behind the end.
    """
    unit, _, specs = value.partition("=")
    if unit.lower() != "bytes" or not size_bytes:
        return None
    asked = _parse_specs(specs, size_bytes)
    if not asked:
        return None
    there = [(first, min(last, size_bytes - 1)) for first, last in asked if first < size_bytes]
    if not there:
        raise UnsatisfiableRange(f"the {size_bytes} bytes have no such range")
    merged = _merged(there)
    return merged if len(merged) <= MAX_RANGES else None


def _parse_specs(specs: str, size_bytes: int) -> list[Range] | None:
    """Positions as asked, perhaps behind the end; `None` if one range is malformed."""
    asked = []
    for spec in specs.split(","):
        match = _SPEC.fullmatch(spec)
        if match is None:
            return None
        if not spec.strip("\t "):  # an empty element of a list (RFC 9110 section 5.6.1.2)
            continue
        first, last = _positions(match, size_bytes)
        if last < first:
            return None
        asked.append((first, last))
    return asked


def _positions(match: re.Match[str], size_bytes: int) -> Range:
    if match["suffix"]:
        return max(0, size_bytes - int(match["suffix"])), size_bytes
    first = int(match["first"])
    return first, int(match["last"]) if match["last"] else max(first, size_bytes)


def _merged(ranges: list[Range]) -> list[Range]:
    """Ranges that overlap or touch as one, in the place of the first of them."""
    merged: list[tuple[int, int, int]] = []
    for first, last, place in sorted((*each, place) for place, each in enumerate(ranges)):
        if merged and first <= merged[-1][1] + 1:
            before = merged.pop()
            merged.append((before[0], max(before[1], last), min(before[2], place)))
        else:
            merged.append((first, last, place))
    return [(first, last) for first, last, _ in sorted(merged, key=itemgetter(2))]
