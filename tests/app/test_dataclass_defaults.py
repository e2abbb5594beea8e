"""A dataclass that was decoded can be encoded again with its defaults."""

from dataclasses import dataclass, field
from typing import TypedDict

import attrs
import msgspec
import pytest

from tarry.app.dataclass_defaults import fill_defaults, holds_dataclasses


@dataclass
class Inner:
    number: int = 1
    names: list[str] = field(default_factory=list)


@dataclass
class Note:
    title: str
    text: str = "empty"
    inner: Inner = field(default_factory=Inner)


@dataclass(slots=True)
class Slotted:
    title: str
    text: str = "empty"


@attrs.define
class Drawer:
    notes: list[Note]


class Desk(TypedDict):
    drawer: Drawer


@dataclass
class Partly:
    given: int
    made: int = field(init=False)
    fixed: int = field(init=False, default=4)
    parent: "Partly | None" = None

    def __post_init__(self):
        self.parent = self


class Box(msgspec.Struct):
    notes: list[Note]
    next: "Box | None" = None


FULL = {"title": "a", "text": "empty", "inner": {"number": 1, "names": []}}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Note, b'{"title":"a"}', FULL),
        (Note, b'{"title":"a","inner":{}}', FULL),
        (list[Note], b'[{"title":"a","inner":{}}]', [FULL]),
        (dict[str, Note], b'{"x":{"title":"a"}}', {"x": FULL}),
        (Box, b'{"notes":[{"title":"a","inner":{}}]}', {"notes": [FULL], "next": None}),
        (Drawer, b'{"notes":[{"title":"a","inner":{}}]}', {"notes": [FULL]}),
        (Desk, b'{"drawer":{"notes":[{"title":"a"}]}}', {"drawer": {"notes": [FULL]}}),
        (Desk | None, b'{"drawer":{"notes":[]}}', {"drawer": {"notes": []}}),
        (Slotted, b'{"title":"a"}', {"title": "a", "text": "empty"}),
        (Note, b'{"title":"a","text":"b"}', FULL | {"text": "b"}),
    ],
)
def test_what_was_absent_is_there_again(kind, text, expected):
    value = msgspec.json.decode(text, type=kind)
    fill_defaults(value)

    assert holds_dataclasses(kind)
    assert msgspec.json.decode(msgspec.json.encode(value)) == expected


def test_records_that_hold_one_another_end():
    value = msgspec.json.decode(b'{"given":1,"made":2}', type=Partly)
    fill_defaults(value)

    assert value.parent is value
    assert (value.made, value.fixed) == (2, 4)


def test_what_has_no_default_gets_none():
    value = Partly(1)
    fill_defaults(value)

    assert not hasattr(value, "made")


@pytest.mark.parametrize("kind", [int, list[int], dict[str, int], msgspec.Raw, int | None])
def test_types_without_dataclasses_cost_nothing(kind):
    assert not holds_dataclasses(kind)
