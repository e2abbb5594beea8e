"""Records from texts: five kinds with one behaviour, and every bad field named."""

import dataclasses
import enum
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Generic, NotRequired, Required, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.convert import NoConversion
from tarry.app.faults import Faults
from tarry.app.models import record_reader

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"


Short = Annotated[str, msgspec.Meta(max_length=4)]


class Struct(msgspec.Struct, kw_only=True):
    number: int
    text: Short = "none"
    tags: list[int] = []
    color: Color | None = None
    price: Decimal = Decimal(1)
    day: date | None = None
    more: dict[str, int] = {}


@dataclasses.dataclass
class Dataclass:
    number: int
    text: Short = "none"
    tags: list[int] = dataclasses.field(default_factory=list)
    color: Color | None = None
    price: Decimal = Decimal(1)
    day: date | None = None
    more: dict[str, int] = dataclasses.field(default_factory=dict)


@attrs.define
class Attrs:
    number: int
    text: Short = "none"
    tags: list[int] = attrs.field(factory=list)
    color: Color | None = None
    price: Decimal = Decimal(1)
    day: date | None = None
    more: dict[str, int] = attrs.field(factory=dict)


class Typed(TypedDict, total=False):
    number: Required[int]
    text: Short
    tags: list[int]
    color: Color | None
    price: Decimal
    day: date | None
    more: dict[str, int]


class Model(pydantic.BaseModel):
    number: int
    text: str = pydantic.Field("none", max_length=4)
    tags: list[int] = []
    color: Color | None = None
    price: Decimal = Decimal(1)
    day: date | None = None
    more: dict[str, int] = {}


@pydantic.dataclasses.dataclass
class Checked:
    number: int
    text: Annotated[str, pydantic.Field(max_length=4)] = "none"
    tags: list[int] = pydantic.Field(default_factory=list)
    color: Color | None = None
    price: Decimal = Decimal(1)
    day: date | None = None
    more: dict[str, int] = pydantic.Field(default_factory=dict)


KINDS = [Struct, Dataclass, Attrs, Typed, Model, Checked]
FULL = {
    "number": ["7"],
    "text": ["abcd"],
    "tags": ["1", "2"],
    "color": ["red"],
    "price": ["1.50"],
    "day": ["2026-01-31"],
    "more": ['{"a": 1}'],
}


def read(annotation, **values):
    return record_reader(annotation).read(values)


def faults(annotation, **values):
    with pytest.raises(Faults) as caught:
        read(annotation, **values)
    return caught.value.faults


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_is_read_by_its_type(kind):
    assert read(kind, **FULL, unknown=["x"]) == kind(
        number=7,
        text="abcd",
        tags=[1, 2],
        color=Color.RED,
        price=Decimal("1.50"),
        day=date(2026, 1, 31),
        more={"a": 1},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_absent_has_its_default_and_its_own_one(kind):
    reader = record_reader(kind)
    first, second = reader.read({"number": ["1"]}), reader.read({"number": ["1"]})

    assert first == second == kind(number=1)
    if kind is not Typed:
        assert first.tags is not second.tags


@pytest.mark.parametrize("kind", KINDS)
def test_every_bad_field_is_named(kind):
    named = dict(
        faults(kind, text=["abcde"], tags=["1", "x"], color=["blue"], price=["1e3"], day=[""])
    )

    assert named.keys() == {"number", "text", "tags", "color", "price"}
    assert named["number"] == "is missing"
    assert named["text"].startswith("is refused: ")
    assert named["tags"] == "has a value (number 2) that is not an integer"
    assert named["color"] == "is not one of: red"
    assert named["price"] == "is not a decimal number"


@pytest.mark.parametrize("kind", KINDS)
def test_an_optional_record_is_none_without_any_of_its_names(kind):
    reader = record_reader(Annotated[kind, "note"] | None)

    assert reader.read({"unknown": ["x"]}) is None
    assert reader.read({"number": ["1"]}) == kind(number=1)
    with pytest.raises(Faults):
        reader.read({"text": ["abcd"]})


# ── what only some kinds have ─────────────────────────────────────────────────────────────


class Renamed(msgspec.Struct, rename="camel", tag=True, forbid_unknown_fields=True):
    page_size: int
    sort_by: str = msgspec.field(default="id", name="sort")


class Page(msgspec.Struct, Generic[T]):
    items: list[T]


def test_a_struct_goes_by_the_names_on_the_wire():
    assert read(Renamed, pageSize=["5"], sort=["name"], page_size=["6"]) == Renamed(5, "name")
    assert faults(Renamed, page_size=["6"]) == [("pageSize", "is missing")]


class Patch(msgspec.Struct):
    size: int | msgspec.UnsetType = msgspec.UNSET
    tags: list[int] | msgspec.UnsetType | None = msgspec.UNSET


def test_a_member_that_can_be_unset():
    assert read(Patch) == Patch()
    assert read(Patch, size=["1"], tags=["2"]) == Patch(1, [2])
    assert faults(Patch, size=[""]) == [("size", "is not an integer")]


def test_a_generic_struct():
    assert read(Page[int], items=["1"]) == Page([1])
    assert faults(Page[date], items=["1"])[0][0] == "items"


class Range(msgspec.Struct):
    low: int
    high: int

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError("Low is above high")


@dataclasses.dataclass
class DataRange:
    low: int
    high: dataclasses.InitVar[int]
    made: int = dataclasses.field(init=False)

    def __post_init__(self, high):
        self.made = high
        if self.low > high:
            raise TypeError("Low is above high")


def _above(instance, attribute, value):
    if instance.low > value:
        raise ValueError("Low is above high")


@attrs.define
class AttrsRange:
    low: int
    high: int = attrs.field(validator=_above)


@pytest.mark.parametrize("kind", [Range, DataRange, AttrsRange])
def test_checks_of_the_class_come_last_and_have_no_name(kind):
    assert read(kind, low=["1"], high=["2"]).low == 1
    assert faults(kind, low=["2"], high=["1"]) == [("", "is refused: low is above high")]
    assert faults(kind, low=["2"], high=["x"]) == [("high", "is not an integer")]


def test_a_dataclass_is_made_by_its_constructor():
    assert read(DataRange, low=["1"], high=["2"], made=["9"]).made == 2
    assert faults(DataRange) == [("low", "is missing"), ("high", "is missing")]


@attrs.define
class Private:
    _secret: int = attrs.field()
    untyped = attrs.field(default="x")


def test_attrs_with_underscores_and_without_types():
    assert read(Private, _secret=["1"], untyped=["2"]) == Private(secret=1, untyped="2")


class Partly(TypedDict):
    a: int
    b: NotRequired[Annotated[int, msgspec.Meta(gt=0)]]


Quoted = TypedDict("Quoted", {"a-b": "int", "c": "NotRequired[int]"})


@pytest.mark.parametrize(("kind", "name", "other"), [(Partly, "a", "b"), (Quoted, "a-b", "c")])
def test_which_members_of_a_dict_are_required(kind, name, other):
    assert read(kind, **{name: ["1"]}) == {name: 1}
    assert read(kind, **{name: ["1"], other: ["2"]}) == {name: 1, other: 2}
    assert faults(kind, **{other: ["0x"]})[0] == (name, "is missing")


# ── Pydantic ──────────────────────────────────────────────────────────────────────────────


class Aliased(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    size: int = pydantic.Field(alias="pageSize")
    sort: str = pydantic.Field(
        "id", validation_alias=pydantic.AliasChoices("sort", "order", pydantic.AliasPath("x", 0))
    )


class ByName(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        alias_generator=str.upper, populate_by_name=True, extra="forbid"
    )

    size: int


def test_aliases():
    assert read(Aliased, pageSize=["5"], order=["name"]).sort == "name"
    assert read(Aliased, pageSize=["5"], sort=["a"], order=["b"]).sort == "a"
    assert faults(Aliased, size=["5"]) == [("pageSize", "is missing")]
    assert faults(Aliased, pageSize=["x"]) == [("pageSize", "is not an integer")]
    assert read(ByName, size=["5"]) == read(ByName, SIZE=["5"]) == ByName(size=5)


class Validated(pydantic.BaseModel):
    numbers: list[int] = []
    total: int = 0
    even: int = 0
    stripped: Annotated[int, pydantic.BeforeValidator(lambda text: text.strip())] = 0
    url: pydantic.HttpUrl | None = None
    urls: list[pydantic.HttpUrl] = []

    @pydantic.field_validator("numbers", mode="before")
    @classmethod
    def split(cls, texts):
        return texts[0].split(",")

    @pydantic.field_validator("even")
    @classmethod
    def check(cls, number):
        if number % 2:
            raise ValueError("Not even")
        return number

    @pydantic.model_validator(mode="after")
    def check_all(self):
        if sum(self.numbers) != self.total:
            raise ValueError("Not the sum")
        return self


def test_validators_see_what_they_expect():
    made = read(Validated, numbers=["1,2"], total=["3"], even=["4"], stripped=[" 5 "])

    assert (made.numbers, made.total, made.even, made.stripped) == ([1, 2], 3, 4, 5)


def test_types_of_pydantic_are_read_by_pydantic():
    made = read(Validated, url=["http://a/"], urls=["http://b/", "http://c/"])

    assert str(made.url) == "http://a/"
    assert [str(url) for url in made.urls] == ["http://b/", "http://c/"]
    assert [name for name, _ in faults(Validated, url=["x"], urls=["http://b/", "y"])] == [
        "url",
        "urls.1",
    ]


def test_faults_of_validators():
    assert faults(Validated, even=["3"]) == [("even", "is refused: value error, Not even")]
    assert faults(Validated, total=["1"]) == [("", "is refused: value error, Not the sum")]
    assert dict(faults(Validated, even=["3"], total=["x"])).keys() == {"even", "total"}


# ── what is refused when a route is added ─────────────────────────────────────────────────


class NestedStruct(msgspec.Struct):
    inner: Range


@dataclasses.dataclass
class NestedDataclass:
    inner: list[Range]


@attrs.define
class NestedAttrs:
    inner: Range | None


class NestedDict(TypedDict):
    inner: NotRequired[Partly]


class NestedModel(pydantic.BaseModel):
    inner: Aliased


class NestedModels(pydantic.BaseModel):
    inner: list[Aliased] | None = None


@pytest.mark.parametrize(
    "kind",
    [NestedStruct, NestedDataclass, NestedAttrs, NestedDict, NestedModel, NestedModels],
)
def test_a_record_within_is_refused(kind):
    says = "its field 'inner' has the type .* which is not made from text; send it in a JSON body"
    with pytest.raises(NoConversion, match=says):
        record_reader(kind)


def test_a_dict_of_records_is_json_text():
    class Shelf(pydantic.BaseModel):
        boxes: dict[str, ByName] = {}

    assert read(Shelf, boxes=['{"a":{"SIZE":1}}']).boxes == {"a": ByName(size=1)}
    assert faults(Shelf, boxes=['{"a":{}}'])[0][0] == "boxes"


class Names(pydantic.RootModel[list[str]]):
    pass


@dataclasses.dataclass
class Lost:
    x: "Nowhere"  # noqa: F821 — because that is the case


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (int, "is no record"),
        (dict, "is no record"),
        (list[Range], "is no record"),
        (Range | DataRange, "is no record"),
        (None, "is no record"),
        (Any, "is no record"),
        (Names, "is one value and has no fields"),
        (Lost, "Nowhere"),
    ],
)
def test_other_types_are_refused(annotation, says):
    with pytest.raises(NoConversion, match=says):
        record_reader(annotation)


TEXTS = st.text() | st.text('0123456789+-.,eE_:TZ{}"[]\0', max_size=20)


@given(
    st.sampled_from([*KINDS, Renamed, Page[int], Range, DataRange, Aliased, ByName]),
    st.dictionaries(
        st.sampled_from([*FULL, "low", "high", "items", "pageSize", "SIZE"]),
        st.lists(TEXTS, min_size=1, max_size=3),
    ),
)
def test_any_texts_are_a_record_or_faults(kind, values):
    try:
        record_reader(kind).read(values)
    except Faults as error:
        reasons = [reason for _, reason in error.faults]
        assert all(reasons)
