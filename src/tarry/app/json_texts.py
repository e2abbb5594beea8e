"""JSON from a client → values of a type: strict, bounded, and with a reason for each refusal.

What is read here can be written again.  RFC 8259 leaves some texts open; here
NaN and Infinity, numbers that no float holds, a byte order mark, bytes that
are no UTF-8, and escapes of half a surrogate pair are refused.  Of several
members with one name the last one counts.
"""

import re
import sys
from collections.abc import Callable
from decimal import Decimal
from itertools import accumulate, islice
from typing import Any, Final

import msgspec

from tarry.app import pydantic_models
from tarry.app.addresses import ADDRESSES
from tarry.app.annotations import types_within
from tarry.app.dataclass_defaults import each_within, fill_defaults, holds_dataclasses
from tarry.app.faults import ConversionError, faults_of

MAX_JSON_DEPTH: Final = 128
"""How deep arrays and objects may be nested, in all.

Handlers and encoders that recurse have to live with it: Python ends at 1000
calls, and what was read near the end could not be written any more.
"""

JsonReader = Callable[[bytes], Any]
"""From a JSON text to a value; raises `ConversionError`, or `Faults` if a place is known."""


def json_reader(annotation: Any) -> JsonReader:
    """What reads JSON texts of a type; a type with Pydantic models in it is read by Pydantic.

    Raises:
        TypeError: a type that does not come from JSON.
        NameError: a field's annotation has a name that is unknown in its module.
    """
    kinds = list(types_within(annotation))
    if any(map(pydantic_models.is_model, kinds)):
        return _spread_reader(_pydantic_reader(annotation))
    decode = msgspec.json.Decoder(annotation, dec_hook=_from_json).decode
    read = _filling_reader(decode) if holds_dataclasses(annotation) else _reader(decode)
    if Decimal in kinds:
        read = _decimal_reader(read)
    may_hash_numbers = any(kind in kinds for kind in (set, frozenset)) or (
        dict in kinds and any(kind in kinds for kind in (int, Decimal))
    )
    return _spread_reader(read) if may_hash_numbers else read


_SAFE_BYTES: Final = 2 * MAX_JSON_DEPTH
"""A text of this length can close no more than it may open."""


def _reader(decode: Callable[[bytes], Any]) -> JsonReader:
    def read(text: bytes) -> Any:
        try:
            if len(text) > _SAFE_BYTES or not text.isascii():
                _check(text)
            return decode(text)
        # msgspec lets the last one through for a set of what cannot be in a set.
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
            raise _refused(error) from None

    return read


def _filling_reader(decode: Callable[[bytes], Any]) -> JsonReader:
    read = _reader(decode)

    def read_and_fill(text: bytes) -> Any:
        value = read(text)
        fill_defaults(value)
        return value

    return read_and_fill


MAX_LONG_NUMBERS: Final = 1000
"""Runs of 20 digits in a text that may become members of a set or keys."""

_LONG_NUMBER: Final = re.compile(rb"[0-9]{20,}+")


def _spread_reader(read: JsonReader) -> JsonReader:
    """Refuse so many long numbers that a set of them could take quadratic time.

    Python hashes a whole number modulo 2^61 - 1, so that all multiples of that
    collide.  All but four of them have 20 digits or more.
    """

    def read_spread(text: bytes) -> Any:
        if len(text) > 20 * MAX_LONG_NUMBERS:
            found = islice(_LONG_NUMBER.finditer(text), MAX_LONG_NUMBERS + 1)
            if sum(1 for _ in found) > MAX_LONG_NUMBERS:
                raise ConversionError(f"has more than {MAX_LONG_NUMBERS} numbers of 20 digits")
        return read(text)

    return read_spread


_STRANGE: Final = re.compile(rb"(?i)nan|inf|e[+-]?[0-9_]{3}|[0-9_]{300}|\\u|[\x80-\xff]")
"""What no text has that becomes ordinary decimals only."""


def _decimal_reader(read: JsonReader) -> JsonReader:
    """Refuse decimals that JSON has not or no float could hold: `int` of 1e999999999 never ends.

    msgspec (0.22) makes them of whatever `Decimal` takes.
    """

    def read_and_check(text: bytes) -> Any:
        value = read(text)
        if _STRANGE.search(text):
            for each in each_within(value):
                if isinstance(each, Decimal) and not (
                    each.is_finite() and abs(each.adjusted()) <= sys.float_info.max_10_exp
                ):
                    raise ConversionError("has a decimal number that is not finite or too large")
        return value

    return read_and_check


def _pydantic_reader(annotation: Any) -> JsonReader:
    validate = pydantic_models.json_validator(annotation)
    # Pydantic takes NaN, and numbers without bound; so all is looked at first.
    read_any = _reader(msgspec.json.Decoder().decode)

    def read(text: bytes) -> Any:
        read_any(text)
        return validate(text)

    return read


def _from_json(kind: type, value: Any) -> Any:
    """Read what is text in JSON and a type of its own in Python."""
    if kind in ADDRESSES and isinstance(value, str):
        return ADDRESSES[kind](value)
    raise ConversionError(f"is no {kind.__name__}, which JSON does not have")


def _check(text: bytes) -> None:
    # msgspec skips members that the type does not have, and their bytes with them.
    if not text.isascii():
        text.decode()
    if text.count(b"[") + text.count(b"{") > MAX_JSON_DEPTH and _depth(text) > MAX_JSON_DEPTH:
        raise ConversionError("is nested too deeply")


_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""What a bracket does to the depth, as a signed byte."""
_NO_STRUCTURE: Final = bytes(set(range(256)) - set(b'[{]}"'))


def _depth(text: bytes) -> int:
    """How deep a text is nested if it is JSON, in linear time and without recursion."""
    if b"\\" in text:
        text = text.replace(rb"\\", b"").replace(rb"\"", b"")
    steps = text.translate(_STEPS, _NO_STRUCTURE)
    # Most strings have no brackets, so that their quotes now stand side by side.
    outside_of_strings = b"".join(steps.replace(b'""', b"").split(b'"')[::2])
    return max(accumulate(memoryview(outside_of_strings).cast("b")), default=0)


_POSITION: Final = re.compile(r"\(byte ([0-9]{1,19})\)\Z")


def _refused(error: Exception) -> ConversionError:
    if isinstance(error, msgspec.ValidationError):
        return faults_of(error)
    if isinstance(error, UnicodeDecodeError):
        return ConversionError(f"is malformed JSON at byte {error.start}: not UTF-8")
    if isinstance(error, RecursionError):
        return ConversionError("is nested too deeply")
    if isinstance(error, TypeError):
        return ConversionError(f"is refused: {error}")
    match = _POSITION.search(str(error))
    return ConversionError(f"is malformed JSON{f' at byte {match[1]}' if match else ''}")
