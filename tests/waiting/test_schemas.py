from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from tarry.state.memory import MemoryStore
from tarry.state.store import DELETE
from tarry.testing import JumpingClock
from tarry.waiting.ledger import SCHEMA, Ledger
from tarry.waiting.records import Failure, Record
from tarry.waiting.schemas import schema_of, type_of_schema
from tarry.waiting.tokens import new_id, new_secret, wake_token
from tarry.waiting.values import BadValue, value_type


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Receipt(msgspec.Struct):
    amount: Annotated[int, msgspec.Meta(ge=1, lt=1000)]
    note: Annotated[str, msgspec.Meta(max_length=5, pattern="^a")] = ""
    lines: list[tuple[int, str]] = []


class Strict(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    first_name: str


class Row(msgspec.Struct, array_like=True):
    id: int
    name: str = ""


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    tricks: list[str]


class Tree(msgspec.Struct):
    name: str
    children: list[Tree] = []


class Point(NamedTuple):
    x: float
    y: float


class Options(TypedDict, total=False):
    colour: Colour
    size: Literal["s", "m", 1, None]


@dataclass
class Order:
    item: str
    count: int = 1


class Model(BaseModel):
    name: str = Field(min_length=2, alias="the name")
    age: int | None = None
    kind: Literal["a"] = "a"


NOON = datetime(2025, 1, 2, 12, tzinfo=UTC)

CASES = [
    (int, [b"1"], [b'"1"', b"1.5", b"null", b"{", b""]),
    (float, [b"1", b"1.5"], [b'"1"', b"true"]),
    (bool, [b"true"], [b"1", b"null"]),
    (str, [b'"a"'], [b"1", b"null"]),
    (type(None), [b"null"], [b"0"]),
    (int | None, [b"null", b"2"], [b'""']),
    (list[int], [b"[]", b"[1]"], [b"[null]", b"1", b"{}"]),
    (dict[str, int], [b"{}", b'{"a":1}'], [b'{"a":"b"}', b"[]"]),
    (dict, [b'{"a":"b"}'], [b"[]"]),
    (tuple[int, str], [b'[1,"a"]'], [b"[1]", b'["a",1]', b'[1,"a",2]']),
    (set[int], [b"[1,2]"], [b'["a"]']),
    (Colour, [b'"red"'], [b'"green"', b"1"]),
    (Literal["a", 1, None], [b'"a"', b"1", b"null"], [b'"b"', b"2"]),
    (uuid.UUID, [f'"{uuid.UUID(int=7)}"'.encode()], [b'"a"']),
    (date, [b'"2025-01-02"'], [b'"2. 1. 2025"']),
    (timedelta, [b'"PT3S"'], [b'"three"']),
    (Decimal, [b'"1.5"', b"1.5"], [b'"a"', b"[]"]),
    (bytes, [b'"YQ=="'], [b'"?"', b"1"]),
    (Receipt, [b'{"amount":1}', b'{"amount":1,"note":"ab","lines":[[1,"a"]],"new":1}'],
     [b"{}", b'{"amount":0}', b'{"amount":1000}', b'{"amount":1,"note":"b"}',
      b'{"amount":1,"note":"aaaaaa"}', b'{"amount":1,"lines":[["a",1]]}', b"[]"]),
    (Strict, [b'{"first-name":"a"}'], [b'{"first_name":"a"}', b'{"first-name":"a","b":1}']),
    (Row, [b"[1]", b'[1,"a"]'], [b"[]", b"{}"]),
    (Point, [b"[1,2]"], [b"[1]", b"[1,2,3]", b'["a",2]']),
    (Options, [b"{}", b'{"colour":"red","size":null}'], [b'{"colour":"green"}', b'{"size":2}']),
    (Order, [b'{"item":"a"}'], [b'{"count":1}', b'{"item":"a","count":"1"}']),
    (Cat | None, [b"null", b'{"type":"Cat","lives":9}'], [b"{}", b'{"type":"Cat"}', b"1"]),
    (Tree, [b'{"name":"a","children":[{"name":"b"}]}'], [b"{}", b'{"name":"a","children":1}']),
    (Model, [b'{"the name":"ab"}', b'{"the name":"ab","age":null,"kind":"a"}'],
     [b"{}", b'{"the name":"a"}', b'{"the name":"ab","age":[]}', b'{"the name":"ab","kind":"b"}']),
    (list[Model], [b"[]", b'[{"the name":"ab"}]'], [b"[1]", b"{}"]),
]  # fmt: skip


def checking(annotation):
    return type_of_schema(schema_of(annotation).text)


def each(position):
    return [
        pytest.param(case[0], text, id=f"{getattr(case[0], '__name__', case[0])} {text.decode()}")
        for case in CASES
        for text in case[position]
    ]


@pytest.mark.parametrize(("annotation", "text"), each(1))
def test_a_schema_takes_what_its_type_takes(annotation, text):
    value_type(annotation).read(text)

    checking(annotation).read(text)


@pytest.mark.parametrize(("annotation", "text"), each(2))
def test_a_schema_refuses_what_its_type_refuses(annotation, text):
    with pytest.raises(BadValue):
        value_type(annotation).read(text)

    with pytest.raises(BadValue):
        checking(annotation).read(text)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Cat | Dog, b'{"type":"Dog","tricks":[]}'),
        (Tree, b'{"name":"a","children":[{"name":"b","children":[{"name":"c"}]}]}'),
        (list[IPv4Address], b'["192.0.2.1"]'),
        (dict[int, str], b'{"1":"a"}'),
        (NOON.__class__, b'"2025-01-02T12:00:00"'),
        (Annotated[int, msgspec.Meta(ge=0)] | str, b'"a"'),
    ],
)
def test_what_a_schema_cannot_say_is_left_to_who_waits(annotation, text):
    value_type(annotation).read(text)

    checking(annotation).read(text)


def test_what_takes_everything_has_no_schema():
    assert schema_of(Any) is None


def test_the_name_of_a_schema_is_made_from_its_text():
    assert schema_of(int) == schema_of(int)
    assert schema_of(int).name != schema_of(str).name


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"1", b"{", b'{"type":"number","minimum":"a"}', b'{"type":["string","null"]}',
     b'{"enum":[]}', b'{"enum":[[1]]}', b'{"const":1.5}', b'{"$ref":"#/$defs/None"}',
     b'{"type":"string","pattern":"("}', b'{"type":"integer","minimum":1e400}',
     b'{"type":"integer","minimum":99999999999999999999}',
     b'{"type":"object","properties":{"a\\"b":{}}}',
     b'{"anyOf":[{"type":"string"},{"enum":["a"]}]}',
     b'{"type":"object","properties":{"a":true},"title":""}'],
)  # fmt: skip
def test_no_schema_is_an_error(text):
    type_of_schema(text).read(b"{}" if b"object" in text else b'"12"' if b"str" in text else b"1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b", "type"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["amount", "note", "item", "name", "the name"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(JSON, st.sampled_from([case[0] for case in CASES if case[0] is not Model]))
def test_what_the_type_takes_the_schema_takes(value, annotation):
    text = msgspec.json.encode(value)
    try:
        value_type(annotation).read(text)
    except BadValue:
        return
    checking(annotation).read(text)


# ---- in a store ------------------------------------------------------------------------------


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def waiting(store):
    """The wake token of a wait for a receipt, with the key `k`, kept by another ledger."""
    schema = schema_of(Receipt)
    record = Record(
        new_id(), new_secret(), created_s=0, deadline_s=JumpingClock().wall_s() + 60, keep_s=60,
        key="k", schema=schema.name,
    )  # fmt: skip
    Ledger(store, JumpingClock()).add(record, schema).result()
    return wake_token(record.id, record.secret)


@pytest.fixture
def ledger(store):
    return Ledger(store, JumpingClock())


@pytest.mark.parametrize("by_key", [True, False])
def test_a_bad_value_is_an_error_and_the_wait_goes_on(ledger, waiting, by_key):
    name = "k" if by_key else waiting

    with pytest.raises(BadValue, match="amount"):
        ledger.wake(name, b'{"note":"a"}').result()

    assert ledger.find(waiting).result().state == "waiting"
    assert ledger.wake(name, b'{"amount":1}').result().accepted is True
    assert ledger.find(waiting).result().value == b'{"amount":1}'


def test_what_is_settled_is_not_woken_by_a_bad_value_either(ledger, waiting):
    ledger.wake(waiting, b'{"amount":1}').result()

    assert ledger.wake(waiting, b"1").result().accepted is False


def test_who_has_no_right_to_wake_learns_nothing_of_the_type(ledger, waiting):
    forged = waiting[:-1] + ("A" if waiting[-1] != "A" else "B")

    assert ledger.wake(forged, b"1").result() == (False, None)


def test_a_failure_has_no_type(ledger, waiting):
    assert ledger.fail(waiting, Failure(500, "no")).result().accepted is True


def test_a_schema_is_kept_once(store, waiting):
    before = store.get(SCHEMA + schema_of(Receipt).name).result()
    again = Record(new_id(), new_secret(), 0, JumpingClock().wall_s() + 60, 60)
    Ledger(store, JumpingClock()).add(again, schema_of(Receipt)).result()

    assert store.get(SCHEMA + schema_of(Receipt).name).result() == before


def test_a_schema_that_is_not_there_checks_nothing(store, ledger, waiting):
    store.update([SCHEMA + schema_of(Receipt).name], lambda _: [DELETE]).result()

    assert ledger.wake(waiting, b"1").result().accepted is True
