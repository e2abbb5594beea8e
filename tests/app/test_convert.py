"""Conversions: every type with its limits, and refusals that say why in a few words."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path, PurePath
from typing import Annotated, Any, List, Literal, NewType, Optional, TypedDict, Union  # noqa: UP035 — because authors write these too
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypeAliasType

from tarry.app.convert import (
    NoConversion,
    converter_for,
    path_converter_for,
    values_converter_for,
)
from tarry.app.faults import MAX_REASON_CHARACTERS, ConversionError


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Twice(enum.Enum):
    TEXT = "1"
    NUMBER = 1


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


UserId = NewType("UserId", int)
Age = TypeAliasType("Age", UserId)
Ids = NewType("Ids", list[int])
OneOrTwo = Annotated[list[int], msgspec.Meta(max_length=2)]
Positive = Annotated[int, msgspec.Meta(gt=0)]
UUID_TEXT = "00000000-0000-0000-0000-00000000000a"


def refused(annotation, text) -> str:
    with pytest.raises(ConversionError) as caught:
        converter_for(annotation)(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "", ""),
        (str, "é\n", "é\n"),
        (Any, "x", "x"),
        (object, "x", "x"),
        (int, "0", 0),
        (int, "-12", -12),
        (int, "007", 7),
        (int, "9" * 40, int("9" * 40)),
        (int, "-" + "9" * 40, -int("9" * 40)),
        (float, "1", 1.0),
        (float, "-1.5e-3", -0.0015),
        (float, "+.5", 0.5),
        (float, "1" * 64, float("1" * 64)),
        (bool, "1", True),
        (bool, "TRUE", True),
        (bool, "Yes", True),
        (bool, "on", True),
        (bool, "0", False),
        (bool, "False", False),
        (bool, "no", False),
        (bool, "OFF", False),
        (Decimal, "-1.50", Decimal("-1.50")),
        (Decimal, "1" * 64, Decimal("1" * 64)),
        (UUID, UUID_TEXT.upper(), UUID(int=10)),
        (date, "2026-02-28", date(2026, 2, 28)),
        (datetime, "2026-02-28T12:00:00Z", datetime(2026, 2, 28, 12, tzinfo=UTC)),
        (time, "12:30:00", time(12, 30)),
        (timedelta, "P1DT1H", timedelta(days=1, hours=1)),
        (Color, "blue", Color.BLUE),
        (Level, "2", Level.HIGH),
        (Literal["a", 1, True], "a", "a"),
        (Literal["a", 1, True], "1", 1),
        (Literal["a", 1, True], "true", True),
        (Literal[Color.RED], "red", Color.RED),
        (Literal["a", None], "", None),
        (UserId, "5", 5),
        (int | None, "5", 5),
        (int | None, "", None),
        (Optional[int], "", None),  # noqa: UP045 — because authors write this too
        (str | None, "", ""),
        (int | str, "5", 5),
        (Union[int, bool], "on", True),  # noqa: UP007 — because authors write this too
        (int | date | None, "2026-01-01", date(2026, 1, 1)),
        (Positive, "1", 1),
        (Annotated[int, "a note", []], "1", 1),
        (dict, '{"a": [1]}', {"a": [1]}),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (IPv4Address, "192.0.2.1", IPv4Address("192.0.2.1")),
        (IPv6Network, "2001:db8::/32", IPv6Network("2001:db8::/32")),
        (Age, "5", 5),
        (Literal["1", 1], "1", "1"),
        (Literal[1, "1"], "1", 1),
        (Twice, "1", Twice.TEXT),
    ],
)
def test_converted(annotation, text, value):
    converted = converter_for(annotation)(text)

    assert converted == value
    assert type(converted) is type(value)


NO_INTEGER = "is not an integer"
NO_NUMBER = "is not a number"


@pytest.mark.parametrize(
    ("annotation", "text", "reason"),
    [
        *((int, text, NO_INTEGER) for text in
          ("", "-", "+1", " 1", "1 ", "1_0", "0x1", "1.0", "1e3", "--1", "٣", "²", "1\0")),
        (int, "9" * 41, "has more than 40 digits"),
        (int, "9" * 10**6, "has more than 40 digits"),
        *((float, text, NO_NUMBER) for text in
          ("", ".", "nan", "-inf", "Infinity", "1_0", " 1", "1\n", "0x1", "1e", "٣", "1" * 65)),
        (float, "1e999", "is too large"),
        *((bool, text, "is not one of: 1, true, yes, on, 0, false, no, off") for text in
          ("", "2", "y", " true", "01", "None")),
        *((Decimal, text, "is not a decimal number") for text in
          ("", "1e3", "NaN", "sNaN", "Infinity", "1_0", "+1", "1.", ".1", "1\n", "٣", "1" * 65)),
        *((UUID, text, "is not a UUID") for text in ("", "a", "0" * 32, f"{{{UUID_TEXT}}}")),
        *((date, text, "is not a date like 2026-01-31") for text in
          ("", "2026-02-30", "20260101", "2026-W01-1", "1", "2026-01-01T00:00:00")),
        *((datetime, text, "is not a date and time like 2026-01-31T12:00:00Z") for text in
          ("", "1700000000", "2026-02-28", "now")),
        (time, "25:00:00", "is not a time like 12:00:00"),
        (timedelta, "1h", "is not a duration like P1DT12H"),
        (Color, "RED", "is not one of: red, blue"),
        (Color, "", "is not one of: red, blue"),
        (Level, "3", "is not one of: 1, 2"),
        (Literal["a", 1, False], "b", "is not one of: a, 1, false"),
        (Literal["a", None], "None", "is not one of: a"),
        (int | None, "x", NO_INTEGER),
        (int | date, "x", "is not an integer and is not a date like 2026-01-31"),
        (Positive, "0", "is refused: expected `int` >= 1"),
        (Positive, "x", NO_INTEGER),
        (dict, "[1]", "is refused: expected `object`, got `array`"),
        (dict, "", "is malformed JSON"),
        (dict, "{", "is malformed JSON"),
        (dict, '{"a": NaN}', "is malformed JSON at byte 6"),
        (dict, '{"a": "\ud800"}', "is malformed JSON at byte 7: not UTF-8"),
        (dict, "[" * 100_000, "is nested too deeply"),
        (dict, '{"a":' * 100_000, "is nested too deeply"),
        (dict[str, int], '{"a": "b"}', "is refused: expected `int`, got `str` - at `$[...]`"),
    ],
)  # fmt: skip
def test_refused(annotation, text, reason):
    assert refused(annotation, text) == reason


@pytest.mark.parametrize(
    ("annotation", "values", "value"),
    [
        (int, ["1", "x"], 1),
        (int | None, [""], None),
        (list, ["a", "b"], ["a", "b"]),
        (list[int], ["1", "2"], [1, 2]),
        (List[int], ["1"], [1]),  # noqa: UP006 — because authors write this too
        (list[int] | None, ["1"], [1]),
        (set[int], ["1", "1"], {1}),
        (frozenset[str], ["a"], frozenset("a")),
        (tuple[int, ...], ["1", "2"], (1, 2)),
        (tuple, ["a"], ("a",)),
        (tuple[int, str], ["1", "2"], (1, "2")),
        (list[Color], ["red"], [Color.RED]),
        (Annotated[list[int], msgspec.Meta(max_length=1)], ["1"], [1]),
        (list[Positive], ["1"], [1]),
        (Ids, ["1", "2"], [1, 2]),
        (TypeAliasType("More", Ids | None), ["1"], [1]),
        (OneOrTwo | None, ["1", "2"], [1, 2]),
        (list[IPv4Address], ["192.0.2.1"], [IPv4Address("192.0.2.1")]),
    ],
)
def test_several_values(annotation, values, value):
    converted = values_converter_for(annotation)(values)

    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("annotation", "values", "reason"),
    [
        (list[int], ["1", "x", "y"], "has a value (number 2) that is not an integer"),
        (tuple[int, str], ["1"], "needs 2 values, not 1"),
        (tuple[int, str], ["1", "2", "3"], "needs 2 values, not 3"),
        (tuple[str, int], ["1", "x"], "has a value (number 2) that is not an integer"),
        (Annotated[list[int], msgspec.Meta(max_length=1)], ["1", "2"],
         "is refused: expected `array` of length <= 1"),
        (OneOrTwo | None, ["1", "2", "3"], "is refused: expected `array` of length <= 2"),
    ],
)  # fmt: skip
def test_several_values_refused(annotation, values, reason):
    with pytest.raises(ConversionError) as caught:
        values_converter_for(annotation)(values)

    assert str(caught.value) == reason


class Point(msgspec.Struct):
    x: int


class Record(TypedDict):
    x: int


class Plain:
    """Nothing that anybody knows."""


@pytest.mark.parametrize(
    "annotation",
    [Point, Record, Plain, bytes, complex, list[Point], set[bytes], tuple[int, Plain],
     list[list[int]], int | Plain, list[int] | int, type(None), "str", 5],
)  # fmt: skip
def test_types_that_are_not_made_from_text(annotation):
    with pytest.raises(NoConversion, match="which is not made from text"):
        values_converter_for(annotation)


@pytest.mark.parametrize(
    ("annotation", "hint"),
    [(Path, "a str, and use it only to choose"), (PurePath, "take a str"), (bytes, "take a str")],
)
def test_types_that_only_look_as_if_they_were_made_from_text(annotation, hint):
    with pytest.raises(NoConversion, match=f"which is not made from text; .*{hint}"):
        converter_for(annotation)


# ── paths ─────────────────────────────────────────────────────────────────────────────────


class Rest(str):
    """A text that knows the segments it was made of, as the router's does."""

    __slots__ = ("segments",)

    def __new__(cls, *segments: str):
        self = super().__new__(cls, "/".join(segments))
        self.segments = segments
        return self


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, Rest("a", "b"), "a/b"),
        (int, "5", 5),
        (int | None, "5", 5),
        (list[str], Rest("a/b", "c"), ["a/b", "c"]),
        (list[str], Rest("a", ""), ["a", ""]),
        (list[str], "a/b", ["a", "b"]),
        (list, "a", ["a"]),
        (list[int], Rest("1", "2"), [1, 2]),
        (tuple[int, ...], "1/2", (1, 2)),
        (tuple[str, int], Rest("a", "2"), ("a", 2)),
        (set[int] | None, "1/2/1", {1, 2}),
        (OneOrTwo, "1/2", [1, 2]),
        (Ids, "1/2", [1, 2]),
    ],
)
def test_a_path_is_a_text_or_its_segments(annotation, text, value):
    converted = path_converter_for(annotation)(text)

    assert converted == value
    assert isinstance(converted, type(value))


@pytest.mark.parametrize(
    ("annotation", "text", "reason"),
    [
        (int, "a", NO_INTEGER),
        (list[int], Rest("1", "x"), "has a value (number 2) that is not an integer"),
        (list[int], "1/", "has a value (number 2) that is not an integer"),
        (tuple[int, int], "1", "needs 2 values, not 1"),
        (OneOrTwo, "1/2/3", "is refused: expected `array` of length <= 2"),
    ],
)
def test_a_path_refused(annotation, text, reason):
    with pytest.raises(ConversionError) as caught:
        path_converter_for(annotation)(text)

    assert str(caught.value) == reason


@pytest.mark.parametrize("annotation", [Point, list[Point], Path, bytes])
def test_a_path_is_not_made_into_these(annotation):
    with pytest.raises(NoConversion):
        path_converter_for(annotation)


def test_a_long_choice_is_cut():
    many = enum.Enum("Many", {f"m{n}": f"value{n}" for n in range(1000)})

    assert len(refused(many, "x")) <= MAX_REASON_CHARACTERS + 1


TYPES = [
    str, int, float, bool, Decimal, UUID, date, datetime, time, timedelta, Color, Level, Positive,
    Literal["a", 1], int | None, int | date, dict, list[int], set[float], tuple[bool, ...],
    dict[str, Any], frozenset[Decimal], tuple[int, date], Age, Ids, IPv4Address, IPv6Address,
    IPv4Network, IPv6Network, OneOrTwo | None, Annotated[str, msgspec.Meta(max_length=3)],
]  # fmt: skip


@given(
    st.sampled_from(TYPES),
    st.lists(st.text() | st.text('0123456789+-.eE_:TZPnaif{}"[]\0', max_size=30), min_size=1),
)
def test_any_text_is_a_value_or_a_short_reason(annotation, values):
    convert = values_converter_for(annotation)
    try:
        convert(values)
    except ConversionError as error:
        reason = str(error)
    else:
        reason = ""
    assert len(reason) <= MAX_REASON_CHARACTERS + 50


@given(st.integers(-(10**39), 10**39))
def test_integers_come_back(number):
    assert converter_for(int)(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back(number):
    assert converter_for(float)(repr(number)) == number


@given(st.datetimes())
def test_datetimes_come_back(moment):
    assert converter_for(datetime)(moment.isoformat()) == moment
