"""Keys: the same for equal values, others for all others, in each process."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.waiting.cache_keys import holds_path, key_digest


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Order:
    items: dict[str, int]
    tags: set[str]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3) | st.sampled_from([0.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


def typed(value):
    """Equal only to what looks the same in JSON, unlike `1 == True`."""
    if isinstance(value, dict):
        return "dict", frozenset((key, typed(part)) for key, part in value.items())
    if isinstance(value, list):
        return "list", tuple(typed(part) for part in value)
    return type(value), value


@settings(max_examples=200)
@given(JSON, JSON)
def test_keys_are_the_same_if_the_values_are(one, other):
    assert (key_digest(one) == key_digest(other)) == (typed(one) == typed(other))


def test_the_order_of_names_and_sets_does_not_count():
    one = Order({"a": 1, "b": 2}, {"x", "y", "z"})
    other = Order({"b": 2, "a": 1}, {"z", "y", "x"})

    assert key_digest(one) == key_digest(other)
    assert key_digest({2: "b", 1: "a"}) == key_digest({1: "a", 2: "b"})
    assert key_digest({2: "b", 1: "a"}) != key_digest({1: "a", 2: "c"})


def test_the_order_of_lists_counts():
    assert key_digest([1, 2]) != key_digest([2, 1])


def test_it_is_the_same_in_another_process():
    program = (
        "from tarry.waiting.cache_keys import key_digest;"
        "print(key_digest({'b': {'x', 'y', 'z'}, 'a': 1.5}))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout

    assert output.strip() == key_digest({"a": 1.5, "b": {"z", "y", "x"}})
    assert len(output.strip()) == 32


def test_all_that_handlers_get_has_a_key():
    values = [Colour.RED, UUID(int=1), datetime(2026, 1, 31, tzinfo=UTC), b"\xff", (1,)]

    assert len({key_digest(each) for each in values}) == len(values)


def test_in_place_of_a_path_counts_what_is_in_the_file(tmp_path):
    one, other, missing = (tmp_path / name for name in ("one", "other", "missing"))
    one.write_text("text")
    other.write_text("text")
    assert key_digest(one) == key_digest(other)
    before = key_digest({"table": [one, 1]})
    one.write_text("changed")
    assert key_digest({"table": [one, 1]}) != before == key_digest({"table": [other, 1]})
    assert key_digest(missing) not in (key_digest(one), key_digest(other), key_digest(None))


def test_the_place_of_a_path_counts(tmp_path):
    path = tmp_path / "one"
    path.write_text("text")
    values = [path, [path], [path, None], [None, path], {"a": path, "b": None}, [None, None], None]
    values += [{"a": None, "b": path}, [[path]], [path, path], str(path)]

    assert len({key_digest(each) for each in values}) == len(values)


def test_whether_there_is_a_path_is_known_before():
    assert all(holds_path(each) for each in (Path("x"), [Path("x")], {"a": (1, [Path("x")])}))
    assert not any(holds_path(each) for each in ("x", ["x"], {"a": 1}, None))


@pytest.mark.parametrize("value", [object(), [object()], {Path("x"): 1}, {"a": {1j}}], ids=repr)
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(TypeError):
        key_digest(value)
