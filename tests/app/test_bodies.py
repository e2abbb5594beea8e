"""The body as an argument: which types it is made into, and what it has to say about itself."""

import dataclasses
from typing import Annotated, Any, Generic, NewType, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest

from tarry.app.bodies import JsonBody, RawBody, is_body_type
from tarry.app.errors import HttpError
from tarry.app.faults import ConversionError
from tests.exchanges import Recorded

T = TypeVar("T")


class Struct(msgspec.Struct):
    x: int


class Page(msgspec.Struct, Generic[T]):
    items: list[T]


@dataclasses.dataclass
class Dataclass:
    x: int


@attrs.define
class Attrs:
    x: int


class Typed(TypedDict):
    x: int


class Model(pydantic.BaseModel):
    x: int


class ModelPage(pydantic.BaseModel, Generic[T]):
    items: list[T]


@pydantic.dataclasses.dataclass
class Checked:
    x: int


RECORDS = [Struct, Dataclass, Attrs, Typed, Model, Checked]


@pytest.mark.parametrize("record", [*RECORDS, Page[int], ModelPage[int]])
def test_records_are_bodies_by_themselves(record):
    for annotation in (
        record,
        record | None,
        record | int,
        Annotated[record, "note"],
        Annotated[record | None, "note"],
        Annotated[record, "note"] | None,
        NewType("Named", record),
    ):
        assert is_body_type(annotation)


@pytest.mark.parametrize(
    "annotation", [int, str, dict, list[Struct], Any, bytes, int | None, Annotated[int, Struct]]
)
def test_other_types_are_not(annotation):
    assert not is_body_type(annotation)


def filled(annotation, body, *, content_type="application/json", required=True):
    arguments = {}
    headers = [("content-type", content_type)] if content_type is not None else []
    JsonBody("it", annotation, required).fill(arguments, Recorded("POST", "/", headers), body)
    return arguments


@pytest.mark.parametrize("record", RECORDS)
def test_a_body_becomes_its_type(record):
    made = record(x=1)

    assert filled(record, b'{"x":1}') == {"it": made}
    assert filled(list[record], b'[{"x":1}]') == {"it": [made]}
    assert filled(dict[str, record], b'{"a":{"x":1}}') == {"it": {"a": made}}
    assert filled(record | None, b"null") == {"it": None}
    assert filled(Annotated[record, "note"], b'{"x":1}') == {"it": made}


@pytest.mark.parametrize(
    ("annotation", "body", "value"),
    [
        (dict, b'{"a":1}', {"a": 1}),
        (Any, b"[1]", [1]),
        (list[int], b"[1]", [1]),
        (Page[Struct], b'{"items":[{"x":1}]}', Page([Struct(1)])),
        (ModelPage[Model], b'{"items":[{"x":1}]}', ModelPage[Model](items=[Model(x=1)])),
        (Model | Struct, None, None),
        (Struct | list[int], b"[1]", [1]),
    ],
)
def test_other_bodies(annotation, body, value):
    if body is None:
        with pytest.raises(TypeError):
            JsonBody("it", annotation, required=True)
    else:
        assert filled(annotation, body) == {"it": value}


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("body", [b'{"x":"a"}', b"{}", b"[]", b"null", b"1", b'{"x":', b"\xff"])
def test_a_body_that_does_not_fit(record, body):
    with pytest.raises(ConversionError):
        filled(record, body)


@pytest.mark.parametrize("body", [None, b""])
def test_a_missing_body(body):
    assert filled(Struct, body, required=False) == {}
    with pytest.raises(ConversionError, match="is missing"):
        filled(Struct, body)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/hal+json"]
)
def test_names_of_json(content_type):
    assert filled(Struct, b'{"x":1}', content_type=content_type) == {"it": Struct(1)}


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/jsonx", "a/b" * 99])
def test_a_body_of_another_type_is_not_read(content_type):
    with pytest.raises(HttpError) as caught:
        filled(Struct, b"{", content_type=content_type)

    assert caught.value.status == 415
    assert caught.value.headers == ((b"accept", b"application/json"),)


def test_raw_bytes():
    arguments = {}
    RawBody("it").fill(arguments, Recorded(), b"\xff")
    assert arguments == {"it": b"\xff"}

    RawBody("it").fill(arguments, Recorded(), None)
    assert arguments == {"it": b"\xff"}

    RawBody("other").fill(arguments, Recorded(), None)
    assert arguments["other"] == b""


class Lost(msgspec.Struct):
    model: Model


@pytest.mark.parametrize("annotation", [Lost, list[Lost]])
def test_a_struct_with_a_pydantic_model_in_it_is_told_when_the_route_is_added(annotation):
    with pytest.raises(TypeError, match="Lost"):
        JsonBody("it", annotation, required=True)
