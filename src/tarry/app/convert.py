"""Text from a request → the value that an annotation asks for.

Every conversion is strict and bounded: it takes one spelling that people mean,
in ASCII, of limited length, and has no surprises of Python's own constructors
such as `int(" 1_000")`, `float("nan")` or `Decimal("1e999999")`.  The reason
of a refusal is a phrase that follows a parameter's name ("is not an integer").

A new type is a row in `_PLAIN`, a new family of types a row in `_FAMILIES`.
"""

import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec

from tarry.app.addresses import ADDRESSES
from tarry.app.annotations import named_type, plain_type
from tarry.app.annotations import union_members as union_members  # for those who read signatures
from tarry.app.faults import MAX_REASON_CHARACTERS, faults_of, shortened
from tarry.app.faults import ConversionError as ConversionError  # what converters raise
from tarry.app.json_texts import json_reader
from tarry.app.kinds import is_uuid

Converter = Callable[[str], Any]
"""From one text to a value; raises `ConversionError`."""
ValuesConverter = Callable[[list[str]], Any]
"""From all values of a name, at least one; raises `ConversionError`."""

MAX_INTEGER_DIGITS: Final = 40
"""Enough for 128 bits; reading takes quadratic time (CVE-2020-10735)."""
MAX_NUMBER_CHARACTERS: Final = 64
"""Length limit of floats and decimals; Python itself writes at most 24 for a float."""


class NoConversion(TypeError):
    """A type that no text can become; raised when a route is added."""


def converter_for(annotation: Any) -> Converter:
    """The converter of one text to a type.

    For `T | None` an empty text is `None`, unless `T` takes it.  A union of
    more types is tried from left to right.

    Raises:
        NoConversion: a type that is made from something else than text.
    """
    # Not each annotation can be looked up: `Annotated` may hold a list.
    if isinstance(annotation, type) and annotation in _PLAIN:
        return _PLAIN[annotation]
    for belongs, make in _FAMILIES:
        if belongs(annotation):
            return make(annotation)
    reason = f"has the type {_type_name(annotation)}, which is not made from text"
    raise NoConversion(f"{reason}{_hint(annotation)}")


def values_converter_for(annotation: Any) -> ValuesConverter:
    """The converter of all values of a name: each for a `list`, the first one otherwise.

    Raises:
        NoConversion: a type that is made from something else than text.
    """
    if typing.get_origin(annotation) is Annotated:
        return _checked(annotation, values_converter_for(typing.get_args(annotation)[0]))
    if (named := named_type(annotation)) is not None:
        return values_converter_for(named)
    member = _only_member(annotation)
    if is_collection(member):
        if member is not annotation:
            return values_converter_for(member)
        return _collection(typing.get_origin(member) or member, typing.get_args(member))
    convert = converter_for(annotation)
    return lambda values: convert(values[0])


def path_converter_for(annotation: Any) -> Converter:
    """The converter of a path parameter: of each segment for a `list`, of the text otherwise.

    A text can bring its segments as `segments`, decoded, so that a "/" within
    one does not divide it; another text is divided at each "/".

    Raises:
        NoConversion: a type that is made from something else than text.
    """
    if not is_collection(_only_member(plain_type(annotation))):
        return converter_for(annotation)
    convert = values_converter_for(annotation)
    return lambda text: convert(list(getattr(text, "segments", None) or text.split("/")))


def is_collection(annotation: Any) -> bool:
    """Whether a type takes all values of a name."""
    plain = plain_type(annotation)
    return (typing.get_origin(plain) or plain) in _COLLECTIONS


def _only_member(annotation: Any) -> Any:
    """`T` of `T` and `T | None`, `None` for a union of more."""
    members = [each for each in union_members(annotation) if each not in _NO_VALUES]
    return members[0] if len(members) == 1 else None


# ── single values ─────────────────────────────────────────────────────────────────────────


def _integer(text: str) -> int:
    digits = text.removeprefix("-")
    # `isdigit` alone takes the digits of all scripts.
    if not (digits.isdigit() and digits.isascii()):
        raise ConversionError("is not an integer")
    if len(digits) > MAX_INTEGER_DIGITS:
        raise ConversionError(f"has more than {MAX_INTEGER_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    try:
        # Digits, sign, point and exponent: no "nan", "inf", "_" or space.
        if len(text) > MAX_NUMBER_CHARACTERS or text.strip("0123456789+-.eE"):
            raise ConversionError("is not a number")
        value = float(text)
    except ValueError:
        raise ConversionError("is not a number") from None
    if not math.isfinite(value):
        raise ConversionError("is too large")
    return value


_DECIMAL: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def _decimal(text: str) -> Decimal:
    # An exponent would let a few bytes become a number of any length.
    if len(text) > MAX_NUMBER_CHARACTERS or not _DECIMAL.fullmatch(text):
        raise ConversionError("is not a decimal number")
    return Decimal(text)


_BOOLEANS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def _boolean(text: str) -> bool:
    value = _BOOLEANS.get(text)
    if value is None:
        value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ConversionError(f"is not one of: {', '.join(_BOOLEANS)}")
    return value


def _uuid(text: str) -> UUID:
    if not is_uuid(text):
        raise ConversionError("is not a UUID")
    return UUID(text)


def _by_msgspec(kind: type, reason: str) -> Converter:
    """Types that msgspec reads strictly by RFC 3339 and ISO 8601."""

    def convert(text: str) -> Any:
        try:
            return msgspec.convert(text, kind)
        except msgspec.ValidationError:
            raise ConversionError(reason) from None

    return convert


_PLAIN: Final[Mapping[Any, Converter]] = {
    str: str,
    Any: str,
    object: str,
    int: _integer,
    float: _float,
    bool: _boolean,
    Decimal: _decimal,
    UUID: _uuid,
    date: _by_msgspec(date, "is not a date like 2026-01-31"),
    datetime: _by_msgspec(datetime, "is not a date and time like 2026-01-31T12:00:00Z"),
    time: _by_msgspec(time, "is not a time like 12:00:00"),
    timedelta: _by_msgspec(timedelta, "is not a duration like P1DT12H"),
    **ADDRESSES,
}

_HINTS: Final[Mapping[type, str]] = {
    PurePath: "; take a str, and use it only to choose among names that you know",
    bytes: "; take a str, or the bytes of the body",
}
"""What to do about types that look as if they were made from text."""


def _hint(annotation: Any) -> str:
    kinds = annotation.__mro__ if isinstance(annotation, type) else ()
    return next((_HINTS[kind] for kind in kinds if kind in _HINTS), "")


# ── families of types ─────────────────────────────────────────────────────────────────────


def _choice(choices: Mapping[str, Any]) -> Converter:
    names = shortened(f"is not one of: {', '.join(choices)}", MAX_REASON_CHARACTERS)

    def convert(text: str) -> Any:
        try:
            return choices[text]
        except KeyError:
            raise ConversionError(names) from None

    return convert


def _enum(annotation: type[Enum]) -> Converter:
    return _choice(_by_text(annotation.__members__.values()))


def _literal(annotation: Any) -> Converter:
    values = typing.get_args(annotation)
    convert = _choice(_by_text(value for value in values if value is not None))
    return _optional(convert) if None in values else convert


def _by_text(values: Iterable[Any]) -> dict[str, Any]:
    """Values by how they are written; of two that look the same the first one is meant."""
    choices: dict[str, Any] = {}
    for value in values:
        choices.setdefault(_text(value), value)
    return choices


def _text(value: object) -> str:
    """How a client writes a choice."""
    if isinstance(value, Enum):
        return _text(value.value)
    return str(value).lower() if isinstance(value, bool) else str(value)


_NO_VALUES: Final = (types.NoneType, msgspec.UnsetType)
"""What stands in unions for a value that is not there."""


def _union(annotation: Any) -> Converter:
    members = union_members(annotation)
    converters = [converter_for(each) for each in members if each not in _NO_VALUES]
    convert = converters[0] if len(converters) == 1 else _first_of(converters)
    return _optional(convert) if types.NoneType in members else convert


def _first_of(converters: list[Converter]) -> Converter:
    def convert(text: str) -> Any:
        reasons = []
        for each in converters:
            try:
                return each(text)
            except ConversionError as error:
                reasons.append(str(error))
        raise ConversionError(shortened(" and ".join(reasons), MAX_REASON_CHARACTERS))

    return convert


def _optional(convert: Converter) -> Converter:
    try:
        convert("")
    except ConversionError:
        return lambda text: convert(text) if text else None
    return convert


def _checked(annotation: Any, convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Check the constraints of `Annotated[T, msgspec.Meta(...)]` after converting."""
    if not any(isinstance(each, msgspec.Meta) for each in typing.get_args(annotation)[1:]):
        return convert

    def convert_and_check(given: Any) -> Any:
        value = convert(given)
        try:
            return msgspec.convert(value, annotation)
        except msgspec.ValidationError as error:
            raise faults_of(error) from None

    return convert_and_check


def _annotated(annotation: Any) -> Converter:
    return _checked(annotation, converter_for(typing.get_args(annotation)[0]))


def _json_object(annotation: Any) -> Converter:
    read = json_reader(annotation)
    # What is no text at all is then told as any other bytes that are no UTF-8.
    return lambda text: read(text.encode("utf-8", "surrogatepass"))


def _type_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


_FAMILIES: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any], Converter]], ...]] = (
    (lambda a: isinstance(a, type) and issubclass(a, Enum), _enum),
    (lambda a: typing.get_origin(a) is Literal, _literal),
    (lambda a: typing.get_origin(a) is Annotated, _annotated),
    (lambda a: len(union_members(a)) > 1, _union),
    (lambda a: named_type(a) is not None, lambda a: converter_for(named_type(a))),
    (lambda a: (typing.get_origin(a) or a) is dict, _json_object),
)


# ── several values ────────────────────────────────────────────────────────────────────────

_COLLECTIONS: Final = (list, set, frozenset, tuple)


def _collection(
    make: Callable[[Iterable[Any]], Any], arguments: tuple[Any, ...]
) -> ValuesConverter:
    if make is tuple and arguments and arguments[-1] is not Ellipsis:
        return _fixed(tuple(converter_for(each) for each in arguments))
    convert = converter_for(arguments[0] if arguments else str)

    def convert_all(values: list[str]) -> Any:
        return make([_numbered(convert, number, value) for number, value in enumerate(values, 1)])

    return convert_all


def _fixed(converters: tuple[Converter, ...]) -> ValuesConverter:
    def convert_all(values: list[str]) -> tuple[Any, ...]:
        if len(values) != len(converters):
            raise ConversionError(f"needs {len(converters)} values, not {len(values)}")
        pairs = zip(converters, values, strict=True)
        return tuple(_numbered(convert, n, value) for n, (convert, value) in enumerate(pairs, 1))

    return convert_all


def _numbered(convert: Converter, number: int, value: str) -> Any:
    try:
        return convert(value)
    except ConversionError as error:
        raise ConversionError(f"has a value (number {number}) that {error}") from None
