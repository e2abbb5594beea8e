"""Pydantic models as bodies: every fault is named, and who does not use it does not need it."""

import dataclasses
import subprocess
import sys
from typing import Annotated, Any

import pydantic
import pydantic.dataclasses
import pytest
from typing_extensions import TypedDict

from tarry.app.faults import MAX_REASON_CHARACTERS, ConversionError, Faults
from tarry.app.json_texts import json_reader
from tarry.app.pydantic_models import MAX_FAULTS, is_model


class Item(pydantic.BaseModel):
    name: Annotated[str, pydantic.StringConstraints(max_length=4)]
    price: float = pydantic.Field(gt=0, alias="unitPrice")


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    items: list[Item] = []
    by_name: dict[str, Item] = {}

    @pydantic.model_validator(mode="after")
    def check(self):
        if len(self.items) > 2:
            raise ValueError("Too many items")
        return self


@pydantic.dataclasses.dataclass
class Point:
    x: Annotated[int, pydantic.Field(gt=0)]


@dataclasses.dataclass
class Plain:
    point: Point


class Typed(TypedDict):
    order: Order


def faults(kind, text):
    with pytest.raises(Faults) as caught:
        json_reader(kind)(text)
    return caught.value.faults


def test_every_fault_is_named():
    text = b'{"items":[{"name":"lamp","unitPrice":1},{"name":"lamps","unitPrice":0},{}],"size":1}'

    assert faults(Order, text) == [
        ("items.1.name", "is refused: string should have at most 4 characters"),
        ("items.1.unitPrice", "is refused: input should be greater than 0"),
        ("items.2.name", "is missing"),
        ("items.2.unitPrice", "is missing"),
        ("size", "is refused: extra inputs are not permitted"),
    ]


def test_checks_of_the_whole_have_no_name():
    text = b'{"items":[%s]}' % b",".join([b'{"name":"a","unitPrice":1}'] * 3)

    assert faults(Order, text) == [("", "is refused: value error, Too many items")]


@pytest.mark.parametrize(
    ("kind", "text", "name"),
    [
        (Point, b'{"x":0}', "x"),
        (list[Point], b'[{"x":1},{"x":0}]', "1.x"),
        (Plain, b'{"point":{"x":0}}', "point.x"),
        (Typed, b'{"order":{"items":1}}', "order.items"),
        (Point | None, b'{"x":0}', "x"),
        (Order, b"[]", ""),
    ],
)
def test_wherever_a_model_is_it_checks(kind, text, name):
    assert [fault[0] for fault in faults(kind, text)] == [name]


def test_names_and_reasons_repeat_little_of_the_input():
    text = b'{"by_name":{"%s":{}},"%s":1}' % (b"!" * 9999, b"?" * 9999)

    for name, reason in faults(Order, text):
        assert len(name) < 100
        assert len(reason) <= MAX_REASON_CHARACTERS + 20


def test_of_very_many_faults_only_the_number_is_told():
    assert (
        len(faults(list[int] | Point, b"[" + b'"x",' * (MAX_FAULTS // 2 - 1) + b"0]")) < MAX_FAULTS
    )
    assert len(faults(list[Point], b"[" + b"{}," * (MAX_FAULTS - 1) + b"{}]")) == MAX_FAULTS
    with pytest.raises(ConversionError) as caught:
        json_reader(list[Point])(b"[" + b"{}," * MAX_FAULTS + b"{}]")

    assert not isinstance(caught.value, Faults)
    assert str(caught.value) == f"is refused: has {MAX_FAULTS + 1} faults, too many to list"


def test_what_is_no_number_does_not_get_in():
    class Loose(pydantic.BaseModel):
        x: float
        rest: Any = None

    for number in (b"NaN", b"Infinity", b"1e999"):
        with pytest.raises(ConversionError):
            json_reader(Loose)(b'{"x":%s}' % number)


def test_a_class_that_inherits_from_a_model_is_one_as_pydantic_sees_it():
    @dataclasses.dataclass
    class Below(Point):
        y: int = 0

    class Under(Order):
        pass

    assert is_model(Order)
    assert is_model(Under)
    assert is_model(Point)
    assert not is_model(Below)
    assert not is_model(Order())
    assert not is_model(list[Order])


def test_tarry_never_imports_pydantic_by_itself():
    code = (
        "import sys, msgspec, tarry;"
        "from tarry.app.models import record_reader;"
        "from tarry.app.bodies import JsonBody;"
        "S = msgspec.defstruct('S', ['x']);"
        "record_reader(S), JsonBody('it', S, True);"
        "sys.exit('pydantic' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
