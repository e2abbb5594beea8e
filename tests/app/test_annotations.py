"""Annotations taken apart."""

from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NewType, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from typing_extensions import TypeAliasType

from tarry.app.annotations import alternatives, is_record, plain_type, types_within, union_members

T = TypeVar("T")


class Tree(msgspec.Struct):
    children: "list[Tree]" = []
    weight: float = 0


class Page(msgspec.Struct, Generic[T]):
    items: list[T]


@dataclass
class Point:
    x: int


class Record(TypedDict):
    point: Point


@attrs.define
class Wheel:
    record: Record


Id = NewType("Id", int)
Name = TypeAliasType("Name", Annotated[str, "note"])
MaybeName = TypeAliasType("MaybeName", Name | None)


@pytest.mark.parametrize(
    ("annotation", "plain"),
    [(int, int), (Id, int), (Name, str), (Annotated[Id, []], int), (list[int], list[int])],
)
def test_names_and_notes_are_taken_off(annotation, plain):
    assert plain_type(annotation) == plain


def test_members_of_unions():
    assert union_members(int | None) == (int, type(None))
    assert union_members(int) == (int,)
    assert alternatives(Annotated[MaybeName | Id, 1]) == [str, type(None), int]


@pytest.mark.parametrize("kind", [Tree, Point, Record, Wheel])
def test_records(kind):
    assert is_record(kind)


@pytest.mark.parametrize("kind", [int, dict, list[Point], Any, "Point", None, Point(1)])
def test_no_records(kind):
    assert not is_record(kind)


@pytest.mark.parametrize(
    ("annotation", "within"),
    [
        (int, {int}),
        (dict[str, Id], {dict, str, int}),
        (Tree, {Tree, list, float}),
        (Page[Point], {Page, list, T, Point, int}),
        (Wheel | None, {Wheel, Record, Point, int, type(None)}),
        (list[Literal["a"]], {list}),
        (Annotated[Point, []], {Point, int}),
    ],
)
def test_types_within(annotation, within):
    assert within <= set(types_within(annotation))


def test_a_name_that_stands_for_a_type_with_itself_within():
    # What `type Json = dict[str, Json] | int` makes, from Python 3.12 on.
    json = type("TypeAliasType", (), {})()
    json.__value__ = dict[str, json] | int

    assert int in list(types_within(list[json]))


def test_an_unknown_name_is_told():
    @dataclass
    class Lost:
        x: "Nowhere"  # noqa: F821 — because that is the case

    with pytest.raises(NameError, match="Nowhere"):
        list(types_within(Lost))


def test_a_model_may_use_names_that_are_local():
    class Axle(pydantic.BaseModel):
        length: int

    @pydantic.dataclasses.dataclass
    class Cart:
        axles: "list[Axle]"

    assert set(types_within(list[Cart])) == {list, Cart}
