"""Values of waits: of their type, or refused."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.waiting.values import BadValue, value_type


class Decision(msgspec.Struct):
    yes: bool
    why: str = ""


@dataclasses.dataclass
class Point:
    x: int
    y: int


GOOD = [
    (str, "text", "text"),
    (int, 3, 3),
    (float, 3, 3.0),
    (bool, True, True),
    (list[int], (1, 2), [1, 2]),
    (Decision, {"yes": True}, Decision(True)),
    (Decision, Decision(False, "no"), Decision(False, "no")),
    (Point, Point(1, 2), Point(1, 2)),
    (date, date(2025, 1, 2), date(2025, 1, 2)),
    (Decimal, "1.50", Decimal("1.50")),
    (str | None, None, None),
    (Any, {"a": [1, None]}, {"a": [1, None]}),
]


@pytest.mark.parametrize(("annotation", "value", "seen"), GOOD)
def test_who_waits_sees_the_type_that_was_asked_for(annotation, value, seen):
    checked = value_type(annotation).check(value)

    assert checked == seen
    assert type(checked) is type(seen)
    kept = value_type(annotation).write(checked)
    assert value_type(annotation).read(kept) == seen


BAD = [
    (int, "3"),
    (int, True),
    (str, 3),
    (str, None),
    (bool, 1),
    (list[int], ["a"]),
    (Decision, {"yes": "x"}),
    (Decision, {}),
    (Any, object()),
    (str, "half a pair: \ud800"),
]


@pytest.mark.parametrize(("annotation", "value"), BAD)
def test_what_does_not_fit_is_refused(annotation, value):
    with pytest.raises(BadValue):
        value_type(annotation).check(value)


def test_a_value_that_holds_itself_is_refused():
    ring: list[Any] = []
    ring.append(ring)

    with pytest.raises(BadValue):
        value_type(Any).check(ring)


def test_the_error_names_the_type():
    with pytest.raises(BadValue, match=r"list\[int\] is waited for"):
        value_type(list[int]).check("no")


def test_a_later_change_by_the_waker_is_not_seen():
    given_away = [1]
    checked = value_type(list[int]).check(given_away)
    given_away.append(2)

    assert checked == [1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
@settings(max_examples=100)
def test_whatever_json_can_say_arrives_as_it_was(value):
    assert value_type(Any).check(value) == value


def test_what_is_no_type_is_refused_at_once():
    with pytest.raises(TypeError):
        value_type("no type")
