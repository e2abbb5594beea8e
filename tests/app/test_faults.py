"""Faults: their names, and reasons that repeat little of the input."""

import enum

import msgspec
import pytest

from tarry.app.faults import (
    MAX_ECHO_CHARACTERS,
    MAX_REASON_CHARACTERS,
    ConversionError,
    Faults,
    faults_of,
    reason_of,
)


class Color(enum.Enum):
    RED = "red"


class Point(msgspec.Struct):
    x: int = msgspec.field(name="ex")

    def __post_init__(self):
        if self.x < 0:
            raise ValueError("X has to be positive")


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    color: Color = Color.RED
    points: list[Point] = []
    by_name: dict[str, Point] = {}
    by_number: dict[int, int] = {}


def error_of(body):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode(body), type=Strict)
    return caught.value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"color": "green"}, "is refused: invalid enum value 'green' - at `$.color`"),
        ({"size": 1}, "is refused: object contains unknown field `size`"),
        ({"color": 5}, "is refused: expected `str`, got `int` - at `$.color`"),
    ],
)
def test_reasons_of_validation(body, reason):
    assert reason_of(error_of(body)) == reason


@pytest.mark.parametrize("body", [{"color": "!" * 999}, {"!" * 999: 1}, {"color": "\"'!" * 999}])
def test_a_reason_repeats_little_of_the_input(body):
    reason = reason_of(error_of(body))

    assert reason.count("!") <= MAX_ECHO_CHARACTERS
    assert len(reason) <= MAX_REASON_CHARACTERS + 1


@pytest.mark.parametrize(
    ("body", "name", "reason"),
    [
        ([], "", "is refused: expected `object`, got `array`"),
        ({"color": 5}, "color", "is refused: expected `str`, got `int`"),
        (
            {"points": [{"ex": 1}, {"ex": ""}]},
            "points.1.ex",
            "is refused: expected `int`, got `str`",
        ),
        ({"points": [{"ex": 1}, {}]}, "points.1.ex", "is missing"),
        ({"points": [{"ex": -1}]}, "points.0", "is refused: x has to be positive"),
        ({"by_name": {"a": {}}}, "by_name.*.ex", "is missing"),
        ({"by_number": {"a": 1}}, "by_number", "is refused: expected `int`, got `str`"),
    ],
)
def test_the_path_becomes_the_name(body, name, reason):
    error = error_of(body)

    assert faults_of(error).faults == [(name, reason)]
    assert str(faults_of(error)) == reason_of(error)


def test_faults_are_one_phrase_as_text():
    faults = Faults([("a", "is missing"), ("", "is refused: no")])

    assert isinstance(faults, ConversionError)
    assert str(faults) == "a is missing and is refused: no"
    assert len(str(Faults([("a", "is missing")] * 100))) == MAX_REASON_CHARACTERS + 1
