"""What a handler returns, and the answer that it becomes."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Network
from itertools import permutations
from typing import TypedDict

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.responses import Html, Redirect, Response, Stream
from tarry.app.results import ResultError, amended, answer_for, as_html
from tarry.app.stepping import Stepping
from tarry.message.cookies import SetCookie
from tarry.message.headers import Headers
from tarry.message.heads import InvalidField

TEXT = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"
JSON = b"application/json"
BYTES = b"application/octet-stream"


class Item(msgspec.Struct):
    name: str


@dataclasses.dataclass
class Point:
    x: int


class Record(TypedDict):
    x: int


class Color(enum.Enum):
    RED = "red"


class Shade(enum.StrEnum):
    DARK = "dark"


class Shout(str):
    pass


class Settings(dict):
    pass


def seen(result):
    """Status, content type and body of a whole answer."""
    head, body = answer_for(result)
    return head.status, head.get(b"content-type"), body


MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
ACCOUNTS = b'[{"userName":"ada","since":"2026-01-02T03:04:05Z"}]'


@attrs.define
class Wheel:
    size: int


class Account(pydantic.BaseModel):
    user_name: str = pydantic.Field(alias="userName")
    since: datetime.datetime | None = None


class Names(pydantic.RootModel[list[str]]):
    pass


@pytest.mark.parametrize(
    ("result", "content_type", "body"),
    [
        ("text", TEXT, b"text"),
        ("", TEXT, b""),
        ("Grüße 🙂", TEXT, "Grüße 🙂".encode()),
        ("<h1>never guessed</h1>", TEXT, b"<h1>never guessed</h1>"),
        (Shout("loud"), TEXT, b"loud"),
        (Shade.DARK, TEXT, b"dark"),
        (Html("<h1>said</h1>"), HTML, b"<h1>said</h1>"),
        ({"a": 1}, JSON, b'{"a":1}'),
        ({}, JSON, b"{}"),
        ({1: "x"}, JSON, b'{"1":"x"}'),
        (Settings(a=1), JSON, b'{"a":1}'),
        ([1, None, "ü"], JSON, '[1,null,"ü"]'.encode()),
        ([], JSON, b"[]"),
        (7, JSON, b"7"),
        (200, JSON, b"200"),
        (2**70, JSON, b"1180591620717411303424"),
        (1.5, JSON, b"1.5"),
        (float("nan"), JSON, b"null"),
        (True, JSON, b"true"),
        (False, JSON, b"false"),
        (Item("a"), JSON, b'{"name":"a"}'),
        (Point(3), JSON, b'{"x":3}'),
        (Record(x=4), JSON, b'{"x":4}'),
        (Color.RED, JSON, b'"red"'),
        (Wheel(4), JSON, b'{"size":4}'),
        (Account(userName="ada"), JSON, b'{"userName":"ada","since":null}'),
        ([Account(userName="ada", since=MOMENT)], JSON, ACCOUNTS),
        ({"it": Names(["a"])}, JSON, b'{"it":["a"]}'),
        (Item(Account(userName="a")), JSON, b'{"name":{"userName":"a","since":null}}'),
        ([IPv4Address("192.0.2.1"), IPv6Network("::/8")], JSON, b'["192.0.2.1","::/8"]'),
        ([float("inf"), -float("inf")], JSON, b"[null,null]"),
        ([b"\x00\xff"], JSON, b'["AP8="]'),
        ({3}, JSON, b"[3]"),
        (frozenset({3}), JSON, b"[3]"),
        (decimal.Decimal("1.10"), JSON, b'"1.10"'),
        (uuid.UUID(int=5), JSON, b'"00000000-0000-0000-0000-000000000005"'),
        (MOMENT, JSON, b'"2026-01-02T03:04:05Z"'),
        (b"\x00\xff", BYTES, b"\x00\xff"),
        (bytearray(b"ab"), BYTES, b"ab"),
        (memoryview(b"abcd")[::2], BYTES, b"ac"),
        (None, None, b""),
    ],
)
def test_plain_results(result, content_type, body):
    assert seen(result) == (204 if result is None else 200, content_type, body)


TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@given(VALUES)
def test_json_comes_back_as_it_was(value):
    _, body = answer_for([value])

    assert json.loads(body) == [value]


class Number(int):
    pass


class Share(float):
    pass


def test_types_derived_from_plain_ones_stand_in_json_as_those():
    # As in the standard library; msgspec leaves them to us.
    result = {"text": Shout("hi"), "html": Html("<b>"), "number": Number(3), "share": Share(0.5)}

    assert answer_for(result)[1] == b'{"text":"hi","html":"<b>","number":3,"share":0.5}'


def test_a_type_is_looked_up_by_its_bases_and_then_known():
    kind = type("Late", (Settings,), {})

    assert seen(kind(a=1)) == seen(kind(a=1)) == (200, JSON, b'{"a":1}')


def test_what_was_met_before_does_not_decide_about_other_types():
    with pytest.raises(ResultError):
        answer_for(object())

    assert isinstance(answer_for(text for text in "ab"), Stepping)


# ── tuples ────────────────────────────────────────────────────────────────────────────────

COOKIE = SetCookie("id", "7")


@pytest.mark.parametrize(
    "parts", list(permutations([201, Headers({"x-a": "1"}), COOKIE, {"id": 7}]))
)
def test_the_parts_of_a_tuple_come_in_any_order(parts):
    head, body = answer_for(parts)

    assert (head.status, body) == (201, b'{"id":7}')
    assert head.get(b"content-type") == JSON
    assert head.get(b"x-a") == b"1"
    assert head.get(b"set-cookie") == COOKIE.encode()


@pytest.mark.parametrize(
    ("parts", "status", "body"),
    [
        ((), 204, b""),
        ((None,), 204, b""),
        ((201,), 201, b""),
        ((404, None), 404, b""),
        (("x",), 200, b"x"),
        ((202, "x"), 202, b"x"),
        (("x", 599), 599, b"x"),
        ((HTTPStatus.CREATED, "x"), 201, b"x"),
        ((201, 7), 201, b"7"),
        ((201, 202), 201, b"202"),
        ((201, True), 201, b"true"),
        ((True, 201), 201, b"true"),
        ((7,), 200, b"7"),
        ((600,), 200, b"600"),
        ((Headers({"a": "b"}),), 204, b""),
    ],
)
def test_what_is_a_status_and_what_a_body(parts, status, body):
    assert seen(parts)[::2] == (status, body)


def test_all_headers_and_cookies_of_a_tuple_go_out():
    first, second = Headers({"x-a": "1"}), Headers([("x-a", "2"), ("x-b", "3")])
    head, _ = answer_for((first, "x", second, COOKIE, SetCookie("b", "c")))

    assert [value for name, value in head.fields if name == b"x-a"] == [b"1", b"2"]
    assert [value for name, value in head.fields if name == b"set-cookie"] == [
        COOKIE.encode(),
        SetCookie("b", "c").encode(),
    ]
    assert first.getall("x-a") == ["1"]


def test_a_tuple_can_change_the_content_type():
    assert seen(("a,b", Headers({"Content-Type": "text/csv"}))) == (200, b"text/csv", b"a,b")


def test_a_stream_in_a_tuple_takes_the_rest_over():
    stream = answer_for((206, Headers({"x-a": "1"}), COOKIE, Stream(["x"])))

    assert isinstance(stream, Stream)
    assert stream.status == 206
    assert stream.headers["x-a"] == "1"
    assert stream.headers["set-cookie"] == COOKIE.encode().decode()


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (("a", "b"), "2 bodies"),
        (("a", {}, []), "3 bodies"),
        ((700, "a"), "2 bodies"),
        ((201, Response("x")), "tuple with a Response"),
        ((201, Redirect("/")), "tuple with a Response"),
        (object(), "no JSON"),
        ({"a": object()}, "no JSON"),
        (map(str, [1]), "no JSON"),
        (ValueError("x"), "no JSON"),
        (["\ud800"], "no JSON"),
        ((201, object()), "no JSON"),
    ],
)
def test_what_cannot_be_sent_is_refused(result, says):
    with pytest.raises(ResultError, match=says):
        answer_for(result)


def test_a_model_that_pydantic_cannot_write_is_refused():
    class Odd(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

        it: object

    with pytest.raises(ResultError, match="no JSON"):
        answer_for(Odd(it=object()))


def test_a_circle_is_refused():
    circle = []
    circle.append(circle)

    with pytest.raises(ResultError, match="no JSON"):
        answer_for(circle)


# ── responses ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("response", "status", "content_type", "body"),
    [
        (Response(), 204, None, b""),
        (Response(status=201), 201, None, b""),
        (Response("x"), 200, TEXT, b"x"),
        (Response(Html("x"), 404), 404, HTML, b"x"),
        (Response({"a": 1}, 201), 201, JSON, b'{"a":1}'),
        (Response(b"x", headers={"content-type": "image/png"}), 200, b"image/png", b"x"),
        (Response("x", headers=[("Content-Type", "text/csv")]), 200, b"text/csv", b"x"),
        (Redirect("/a"), 302, None, b""),
        (Redirect("/a", 308), 308, None, b""),
    ],
)
def test_responses(response, status, content_type, body):
    assert seen(response) == (status, content_type, body)


def test_headers_and_cookies_of_a_response():
    response = Response("x", headers={"x-a": "1"})
    response.headers.add("x-a", "2")
    response.set_cookie("id", "7")
    response.delete_cookie("old")
    head, _ = answer_for(response)

    assert [value for name, value in head.fields if name == b"x-a"] == [b"1", b"2"]
    cookies = [value for name, value in head.fields if name == b"set-cookie"]
    assert cookies[0] == COOKIE.encode()
    assert cookies[1].startswith(b"old=; Max-Age=0")


def test_a_response_can_be_sent_twice():
    response = Response("x", headers={"x-a": "1"})

    assert answer_for(response)[0].fields == answer_for(response)[0].fields


def test_the_length_that_an_author_announces_is_kept_for_checking():
    head, _ = answer_for(Response("abc", headers={"content-length": "3"}))

    assert head.length == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"x": "a\r\nset-cookie: b=c"},
        {"x": "a\nb"},
        {"x": "a\x00"},
        {"x y": "a"},
        {"x:": "a"},
        {"x": "€"},
        {"x": 1},
        {"connection": "close"},
        {"transfer-encoding": "chunked"},
        {"content-length": "1, 2"},
        {"content-length": "-1"},
        [("content-length", "1"), ("content-length", "2")],
    ],
)
def test_headers_that_would_break_the_message_are_refused(headers):
    with pytest.raises(InvalidField):
        answer_for(Response("x", headers=headers))


@pytest.mark.parametrize("status", [0, 99, 100, 199, 600, -200])
def test_a_status_that_is_none_is_refused(status):
    with pytest.raises(ValueError, match="between 200 and 599"):
        answer_for(Response("x", status))


# ── streams ───────────────────────────────────────────────────────────────────────────────


async def several():
    yield "x"


def test_a_stream_is_streamed():
    stream = Stream(["a"])

    assert answer_for(stream) is stream


GENERATORS = pytest.mark.parametrize("make", [lambda: (text for text in "ab"), several])


@GENERATORS
def test_a_generator_is_stepped_through(make):
    generator = make()
    stepping = answer_for(generator)

    assert isinstance(stepping, Stepping)
    assert stepping.generator is generator


@GENERATORS
@pytest.mark.parametrize("wrap", [Response, lambda body: (201, body)])
def test_a_generator_as_a_body_is_streamed(make, wrap):
    generator = make()
    stream = answer_for(wrap(generator))

    assert isinstance(stream, Stream)
    assert stream.pieces is generator


def test_a_generator_for_an_error_is_streamed():
    stream = amended((text for text in "ab"), 404, [])

    assert isinstance(stream, Stream)
    assert stream.status == 404


def test_a_response_adds_to_a_stream():
    response = Response(Stream(["x"], status=202), headers={"content-type": "text/csv"})
    response.set_cookie("id", "7")
    stream = answer_for(response)

    assert stream.status == 202
    assert stream.headers["content-type"] == "text/csv"
    assert stream.headers["set-cookie"] == COOKIE.encode().decode()
    assert answer_for(Response(several(), 201)).status == 201


# ── -> Html ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("result", "content_type"),
    [("<b>", HTML), (Html("<b>"), HTML), ({"a": 1}, JSON), (None, None), (b"<b>", BYTES)],
)
def test_html_is_for_text_only(result, content_type):
    assert seen(as_html(result))[1] == content_type


def test_a_cookie_alone_is_set_and_shown_to_nobody():
    head, body = answer_for(COOKIE)

    assert (head.status, body) == (204, b"")
    assert (b"set-cookie", COOKIE.encode()) in head.fields
