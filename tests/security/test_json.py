"""JSON from clients: whatever they send, in whatever way a handler takes it, is a value or a 400.

Never a 500, never a lost answer, and what is accepted can be sent back as JSON.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import json
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal, TypedDict
from urllib.parse import quote

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry import App, Body, Form, Query, Request
from tests.security.attacks import get
from tests.wire import Wire

# ---- the ways to take it -------------------------------------------------------------------


class Struct(msgspec.Struct):
    value: Any


@dataclasses.dataclass
class Dataclass:
    value: Any


class Dict(TypedDict):
    value: Any


@attrs.define
class Attrs:
    value: Any


class Model(pydantic.BaseModel):
    value: Any


@pydantic.dataclasses.dataclass
class ModelDataclass:
    value: Any


def struct(body: Struct):
    return body


async def dataclass(body: Dataclass):
    return body


def typed_dict(body: Dict):
    return body


def attrs_class(body: Attrs):
    return body


async def model(body: Model):
    return body


def model_dataclass(body: ModelDataclass):
    return body


def plain_dict(body: Annotated[dict, Body]):
    return body


def plain_list(body: Annotated[list, Body]):
    return body


def anything(body: Annotated[Any, Body]):
    return [body]


async def of_request(request: Request):
    return [await request.json()]


def from_query(value: Annotated[dict, Query]):
    return value


def from_form(value: Annotated[dict, Form]):
    return value


def from_query_or_form(value: dict[str, Any]):
    return value


RECORDS = [struct, dataclass, typed_dict, attrs_class, model, model_dataclass]
BODIES = [*RECORDS, plain_dict, plain_list, anything, of_request]
TEXTS = {
    "query": from_query,
    "urlencoded": from_form,
    "multipart": from_form,
    "query or form": from_query_or_form,
}
WAYS = [*(function.__name__ for function in BODIES), *TEXTS]


def post(path, body, content_type=b"application/json"):
    fields = b"Content-Type: %b\r\n" % content_type if content_type else b""
    head = b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n"
    return head % (path.encode(), fields, len(body)) + body


def asking(way, text):
    """The request that sends a JSON text in one way."""
    quoted = quote(text, safe="").encode()
    if way == "query":
        return get(b"/from_query?value=" + quoted)
    if way == "query or form":
        return get(b"/from_query_or_form?value=" + quoted)
    if way == "urlencoded":
        return post("/from_form", b"value=" + quoted, b"application/x-www-form-urlencoded")
    if way == "multipart":
        disposition = b"Content-Disposition: form-data; name=value"
        body = b"--b\r\n%b\r\n\r\n%b\r\n--b--\r\n" % (disposition, text)
        return post("/from_form", body, b"multipart/form-data; boundary=b")
    return post(f"/{way}", text)


def wrapped(way, value):
    """A JSON value where the way takes any: as a member, or as an item."""
    return b"[%b]" % value if way == "plain_list" else b'{"value":%b}' % value


class Client:
    """A client that stays on one connection as long as it can."""

    def __init__(self, url):
        self._url = url
        self._wire = None

    def ask(self, data):
        self._wire = self._wire or Wire(self._url)
        self._wire.send(data)
        reply = self._wire.read()
        if reply.closes:
            self.close()
        return reply

    def close(self):
        if self._wire is not None:
            self._wire.socket.close()
        self._wire = None


@pytest.fixture(scope="module")
def client():
    app = App()
    for function in (*BODIES, from_form):
        app.post(f"/{function.__name__}")(function)
    for function in (from_query, from_query_or_form):
        app.get(f"/{function.__name__}")(function)
    for number, kind in enumerate(KINDS):
        app.post(f"/kind/{number}")(taking(kind))
    with app.start() as server:
        client = Client(server.url)
        yield client
        client.close()


def strictly(body):
    """What JSON stands for, if it is JSON as RFC 8259 has it."""
    value = json.loads(body.decode(), parse_constant=refuse_constant)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def refuse_constant(name):
    raise AssertionError(f"{name} is no JSON")


def refused(client, way, text):
    """A text is 400 with a problem document, and the connection lives on."""
    reply = client.ask(asking(way, text))
    too_long = "query" in way and len(quote(text)) > 8000
    assert reply.status == (414 if too_long else 400)
    assert strictly(reply.body)["status"] == reply.status
    if not too_long:
        assert not reply.closes
        assert client.ask(asking(way, wrapped(way, b"1"))).status == 200


# ---- what is no JSON -----------------------------------------------------------------------

BAD_VALUES = [
    b"NaN", b"Infinity", b"-Infinity", b"nan", b"+1", b"01", b"1.", b".5", b"-", b"1e", b"0x1",
    b"1_0", b"True", b"None",
    b"undefined", b"'a'", b"a", b"", b",", b"[1,]", b"[,1]", b'{"a":1,}', b'{"a"}', b"{a:1}",
    b"{1:1}", b'{"a":1 "b":2}', b"[1 2]", b"[1", b'{"a":', b'"a', b"]", b"}", b"[1}", b'{"a":1]',
    b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\ud800\\u0041"', b'"\\ud83d"', b'{"\\ud800":1}',
    b'"\xed\xa0\x80"', b'"\xed\xbf\xbf"', b'"\xed\xa0\xbd\xed\xb8\x80"',
    b'"\xff"', b'"\xc0\xaf"', b'"\xc1\xbf"', b'"\xe0\x80\xaf"', b'"\xf0\x80\x80\xaf"', b'"\x80"',
    b'"\xf4\x90\x80\x80"', b'"\xf8\x88\x80\x80\x80"', b'"\xe2\x82"', b'"\xc3"', b"\xff", b"\x80",
    b'{"\xff":1}', b'"\x00"', b'"\x01"', b'"\x1f"', b'"\n"', b'"\t"', b'"\\x41"', b'"\\u00"',
    b'"\\u00g0"', b'"\\"', b'"\\U0001f600"', b"1//", b"/* */1", b"1#", b"\xa0" + b"1",
    "\u00a01".encode(), "\u20281".encode(), "\ufeff1".encode(), b"1\x00", b"\x0c1", b"\x0b1",
    b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"[{\"a\":" * 50_000, b"[" * 129 + b"]" * 129,
    b'{"a":' * 129 + b"1" + b"}" * 129, b"[[]" + b",[" * 100_000,
]  # fmt: skip

BEYOND_NUMBERS = [
    b"1e999999", b"-1e999999", b"1e309", b"9" * 400 + b".0e1", b"9" * 5_000, b"-" + b"9" * 5_000,
]  # fmt: skip
"""Well-formed, so that they may stand where nobody looks at them."""


@pytest.mark.parametrize("way", WAYS)
def test_values_that_are_no_json(client, way):
    for value in (*BAD_VALUES, *BEYOND_NUMBERS):
        if wrapped(way, value) != b"[]":
            refused(client, way, wrapped(way, value))


@pytest.mark.parametrize("function", RECORDS)
def test_members_that_nobody_asked_for_are_json_all_the_same(client, function):
    way = function.__name__
    for value in BAD_VALUES:
        refused(client, way, b'{"value":1,"other":%b}' % value)


@pytest.mark.parametrize("way", WAYS)
def test_whole_texts_that_are_no_json(client, way):
    good = wrapped(way, b"1")
    texts = [
        b"", b" ", b"\xef\xbb\xbf" + good, b"\xff\xfe", good.decode().encode("utf-16"),
        good.decode().encode("utf-16-le"), good.decode().encode("utf-16-be"),
        good.decode().encode("utf-32"), good + good, good + b"x", good + b"\x00", b"\x00" + good,
        good + b"]", good + b",", good[:-1], good[1:], good + b"\xff", b")]}',\n" + good,
        b"while(1);" + good, b"<" + good, b"value=1", b"\x1f\x8b\x08", good + b"//",
        b"\x1e" + good,
    ]  # fmt: skip
    for text in texts:
        refused(client, way, text)


@pytest.mark.parametrize("way", WAYS)
def test_another_kind_of_value_than_wanted(client, way):
    values = [b'"text"', b'"{}"', b"1", b"-0.0", b"true", b"null"]
    if way in ("anything", "of_request"):
        for value in values:
            assert client.ask(asking(way, value)).body == b"[%b]" % value
        return
    for value in (*values, b"{}" if way == "plain_list" else b"[]"):
        refused(client, way, value)


# ---- what is JSON --------------------------------------------------------------------------

GOOD_VALUES = [
    b"0", b"-0", b"-0.0", b"1E+2", b"1e-999999", b"1e308", b"123456789012345678901234567890",
    b"9" * 300, b'""', b'"\\u0000"', b'"\\ud83d\\ude00"', b'"\\/"', '"\u2028\ufeff\x7f"'.encode(),
    b"[]", b"{}", b' [ 1 , "a" ] ', b"\t\r\n1", b'{"a":1,"a":2}', b'{"":1}', b'"NaN"',
    b"[" * 120 + b"]" * 120, b'{"__proto__":1,"__class__":2}', b'"' + b"[" * 1000 + b'"',
    b'"<script>"', b'{"a\\u0000b":1}', b"true", b"null",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_what_is_json_comes_back_as_json(client, way):
    for value in GOOD_VALUES:
        text = wrapped(way, value)
        reply = client.ask(asking(way, text))

        assert reply.status == 200
        told = strictly(reply.body)
        assert told == (
            [json.loads(text)] if way in ("anything", "of_request") else json.loads(text)
        )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def damaged_texts(draw):
    """JSON as Python writes it, NaN included, with a few bytes replaced."""
    value, is_ascii = draw(JSON), draw(st.booleans())
    text = json.dumps({"value": value}, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    place = draw(st.integers(0, len(text)))
    gone = draw(st.integers(0, 2))
    return text[:place] + draw(st.binary(max_size=2)) + text[place + gone :]


@settings(max_examples=80)
@given(text=damaged_texts())
def test_any_text_is_a_value_or_refused(client, text):
    for way in WAYS:
        reply = client.ask(asking(way, text))

        assert reply.status in (200, 400)
        strictly(reply.body)


# ---- types with a will of their own --------------------------------------------------------


class TypedStruct(msgspec.Struct):
    number: float = 0
    amount: Decimal = Decimal(0)
    at: datetime.datetime | None = None
    names: set[Any] = set()


class TypedModel(pydantic.BaseModel):
    number: float = 0
    amount: Decimal = Decimal(0)
    at: datetime.datetime | None = None
    names: set[Any] = set()
    url: pydantic.AnyUrl | None = None


@dataclasses.dataclass
class Amount:
    amount: Decimal


@dataclasses.dataclass
class Unhashable:
    value: Any = None


KINDS = [
    int, float, str, bool, bytes, Decimal, uuid.UUID, datetime.datetime, datetime.date,
    datetime.time, datetime.timedelta, set, set[Any], frozenset[Any], set[list[int]],
    set[Unhashable], list[set[Any]], dict[str, set[Any]], tuple[int, str], dict[int, Any],
    dict[float, Any], dict[datetime.timedelta, Any], dict[Decimal, int],
    dict[str, Decimal], set[Decimal], Amount, int | str,
    Literal["a", 1], ipaddress.IPv4Address, ipaddress.IPv6Network, TypedStruct, TypedModel,
    list[TypedModel], Annotated[str, msgspec.Meta(pattern="^a+$")],
    Annotated[int, msgspec.Meta(gt=0)],
]  # fmt: skip

VALUES = [
    b"1", b"-1", b"0.5", b"1e300", b"9" * 400, b"true", b"null", b'"a"', b'""', b"[]", b"{}",
    b"[[1]]", b"[{}]", b'[{"value":[1]}]', b'[1,"a"]', b'["a",[]]', b'[[{"a":[]}]]', b'{"a":[[]]}',
    b'"nan"', b'"Infinity"', b'"1e999999"', b'"' + b"9" * 5000 + b'"', b'"P999999999999999D"',
    b'"PT9999999999999999999999S"', b'"0000-00-00"', b'"9999-12-31T23:59:59-14:00"',
    b'"2020-01-01T00:00:00.9999999999+25:00"', b'{"1e999":1}', b'{"P999999999999999D":1}',
    b'{"9999999999999999999999":1}', b'{"sNaN":1}', b'["sNaN"]', b'{"number":"nan"}',
    b'{"number":"1e999"}', b'{"amount":"sNaN"}', b'{"amount":"NaN"}', b'{"amount":"1e999999"}',
    b'{"at":1e300}', b'{"at":"9999999999999999"}', b'{"names":[[1]]}', b'{"names":[{}]}',
    b'{"names":[1,"a",null]}', b'{"url":"http://[::1"}', b'{"url":"http://\\u0000"}',
    b'[{"names":[[1]]}]', b'"::1/999"', b'"1.2.3.4%a"', b'"====="', b'"\\u0000"',
    b'"' + b"a" * 9000 + b'!"',
]  # fmt: skip


DECIMALS = [Decimal, TypedStruct, Amount, dict[str, Decimal], dict[Decimal, int], set[Decimal]]


@pytest.mark.parametrize("kind", DECIMALS, ids=str)
def test_decimals_are_numbers_one_can_calculate_with(client, kind):
    def ask(number):
        text = {Decimal: b"%b", set[Decimal]: b"[%b]", dict[Decimal, int]: b'{"%b":1}'}.get(
            kind, b'{"amount":%b}'
        )
        is_key = kind == dict[Decimal, int]
        text %= number.strip(b'"') if is_key else number
        return client.ask(post(f"/kind/{KINDS.index(kind)}", text)).status

    for number in (b"1", b'"1.20"', b"-0", b"1e308", b'"1E-300"', b"123456789012345678901.5"):
        assert ask(number) == 200
    for number in (b'"NaN"', b'"sNaN"', b'"-Infinity"', b'"inf"', b'"nan123"', b"1e309",
                   b"1e999999", b'"1e999999"', b'"-1e-999999"',
                   b'"1e99999999999999999999"'):  # fmt: skip
        assert ask(number) == 400


def taking(kind):
    def take(body):
        return [body]

    take.__annotations__["body"] = Annotated[kind, Body]
    return take


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_values_for_types_are_taken_or_refused(client, kind):
    for value in VALUES:
        reply = client.ask(post(f"/kind/{KINDS.index(kind)}", value))

        assert reply.status in (200, 400), value
        strictly(reply.body)


# ---- JSON from foreign pages ---------------------------------------------------------------


@pytest.mark.parametrize("function", BODIES)
@pytest.mark.parametrize(
    "content_type",
    [b"", b"text/plain", b"text/plain;charset=UTF-8", b"application/x-www-form-urlencoded",
     b"multipart/form-data; boundary=b", b"text/plain; application/json", b"text/json",
     b"application/jsonp", b"application/xjson", b"application/json, text/plain", b"*/*",
     b"application/javascript", b"application/octet-stream", b"application/csp-report+jsonx",
     b'text/plain; a="application/json"'],
)  # fmt: skip
def test_csrf_by_content_type(client, function, content_type):
    """What a page of another site can send without asking first is never taken for JSON."""
    way = function.__name__
    reply = client.ask(post(f"/{way}", wrapped(way, b"1"), content_type))

    assert reply.status == 415
    assert reply.get("accept") == "application/json"


@pytest.mark.parametrize("function", BODIES)
@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"Application/JSON ; charset=utf-8", b"application/problem+json"],
)
def test_json_that_says_so(client, function, content_type):
    way = function.__name__

    assert client.ask(post(f"/{way}", wrapped(way, b"1"), content_type)).status == 200
