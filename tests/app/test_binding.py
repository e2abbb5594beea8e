"""Binding: where each argument comes from, and refusals that name every bad parameter."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from types import SimpleNamespace
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.binders import standard_binders
from tarry.app.binding import compile_binding
from tarry.app.errors import BadParameters, HttpError
from tarry.app.params import Body, Cookie, Cookies, Header, Path, Query, SignatureError
from tarry.message.headers import Headers
from tarry.message.heads import Fields, PlainRequestHead

JSON = [(b"content-type", b"application/json")]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(msgspec.Struct):
    name: str
    price: float
    tags: list[str] = []


@dataclasses.dataclass
class Point:
    x: int


class Record(TypedDict):
    x: int


class Tenant:
    def __init__(self, name: str) -> None:
        self.name = name


def tenant_of(exchange, context) -> Tenant:
    if b"x-tenant" not in dict(exchange.head.headers):
        raise HttpError(401)
    return Tenant(context.path.get("tenant", context.argument.name))


BINDERS = {**standard_binders(), Tenant: tenant_of}


def bind(function, query=b"", path=None, headers=(), body=None, types=None):
    """Bind one request for `/?query` as a server and a router would."""
    path = path or {}
    binding = compile_binding(function, tuple(path), BINDERS, types)
    # A binding reads nothing of an exchange but its head.
    exchange = SimpleNamespace(head=PlainRequestHead(b"GET", b"/?" + query, Fields(headers)))
    return binding.arguments(exchange, tuple(path.values()), body)


def faults(function, *arguments, **named) -> list[tuple[str, str, str]]:
    with pytest.raises(BadParameters) as caught:
        bind(function, *arguments, **named)
    assert caught.value.status == 400
    return [(fault["in"], fault["name"], fault["reason"]) for fault in caught.value.faults]


# ── where values come from ────────────────────────────────────────────────────────────────


def test_nothing():
    def function():
        return None

    assert bind(function, b"a=1") == {}
    assert compile_binding(function, (), {}).empty


def test_path_then_query_by_name():
    def function(id: int, verbose: bool = False):
        return id, verbose

    assert bind(function, path={"id": "42"}) == {"id": 42, "verbose": False}
    assert bind(function, b"verbose=1&id=7", {"id": "42"}) == {"id": 42, "verbose": True}
    assert not compile_binding(function, ("id",), {}).empty


def test_arguments_without_annotation():
    def function(id, name, age=16, flag=True, color=Color.RED, skills=[], sizes=[1], note=None):  # noqa: B006 — because this is what is tested
        return id, name, age, flag, color, skills, sizes, note

    assert bind(function, b"name=x", {"id": "1"}) == {
        "id": "1", "name": "x", "age": 16, "flag": True, "color": Color.RED, "skills": [],
        "sizes": [1], "note": None,
    }  # fmt: skip
    query = b"name=x&age=7&flag=no&color=blue&skills=a&skills=b&sizes=3&sizes=4&note=hi"
    assert bind(function, query, {"id": "1"}) == {
        "id": "1", "name": "x", "age": 7, "flag": False, "color": Color.BLUE,
        "skills": ["a", "b"], "sizes": [3, 4], "note": "hi",
    }  # fmt: skip


def test_the_type_of_a_path_parameter_counts_where_the_argument_has_none():
    def function(a, b: str, c):
        return a, b, c

    path = {"a": "1", "b": "2", "c": "3"}
    assert bind(function, path=path, types={"a": int, "b": int}) == {"a": 1, "b": "2", "c": "3"}


def test_what_may_be_none_is_none_if_it_is_absent():
    def function(a: int | None, b: str | None, c: list[int] | None, item: Item | None):
        return a, b, c, item

    assert bind(function) == {"a": None, "b": None, "c": None, "item": None}
    assert bind(function, b"a=&b=&c=1", headers=JSON, body=b"null") == {
        "a": None, "b": "", "c": [1], "item": None,
    }  # fmt: skip


def test_markers_by_annotation():
    def function(
        kind: Annotated[str, Path("type")],
        page: Annotated[int, Query("p")],
        x_token: Annotated[str, Header],
        agents: Annotated[list[str], Header("X-Agent")],
        session: Annotated[str, Cookie("sid")],
        many: Annotated[list[int], Query("n", default=[])],
    ):
        return kind, page, x_token, agents, session, many

    headers = [
        (b"X-Token", b"caf\xe9"), (b"x-agent", b"a"), (b"X-AGENT", b"b, c"),
        (b"cookie", b"sid=1; sid=2"),
    ]  # fmt: skip
    assert bind(function, b"p=2&n=1&n=2", {"type": "cat"}, headers) == {
        "kind": "cat", "page": 2, "x_token": "café", "agents": ["a", "b, c"], "session": "1",
        "many": [1, 2],
    }  # fmt: skip


def test_markers_by_default():
    def function(
        token=Header("x-token"),  # noqa: B008 — because markers are made for this
        page: int = Query(default=1),
        size=Query(default=10),  # noqa: B008 — because markers are made for this
        theme=Cookie(default=None),  # noqa: B008 — because markers are made for this
    ):
        return token, page, size, theme

    headers = [(b"x-token", b"abc")]
    assert bind(function, headers=headers) == {
        "token": "abc", "page": 1, "size": 10, "theme": None,
    }  # fmt: skip
    assert bind(function, b"size=20&page=2", headers=headers)["size"] == 20


def test_a_mutable_default_is_fresh_each_time():
    def plain(a=[], b={"x": [1]}):  # noqa: B006 — because this is what is tested
        return a, b

    binding = compile_binding(plain, (), {})
    exchange = SimpleNamespace(head=PlainRequestHead(b"GET", b"/", Fields()))
    first = binding.arguments(exchange, (), None)
    first["a"].append(1)
    first["b"]["x"].append(2)

    assert binding.arguments(exchange, (), None) == {"a": [], "b": {"x": [1]}}
    assert plain() == ([], {"x": [1]})


def test_rest_of_the_path_goes_to_named_arguments():
    def function(b: int, **rest):
        return b, rest

    assert bind(function, path={"a": "1", "b": "2", "c": "3"}, types={"c": int}) == {
        "b": 2, "a": "1", "c": 3,
    }  # fmt: skip


# ── binders ───────────────────────────────────────────────────────────────────────────────


def test_headers_and_cookies():
    def function(headers: Headers, cookies: Cookies):
        return headers, cookies

    bound = bind(function, headers=[(b"Cookie", b"a=1; b=2"), (b"X-A", b"1")])

    assert bound["headers"].getall("x-a") == ["1"]
    assert bound["cookies"] == {"a": "1", "b": "2"}
    assert type(bound["cookies"]) is Cookies


def test_a_binder_sees_the_argument_and_the_path():
    def function(owner: Tenant, guest: Annotated[Tenant | None, "note"] = None):
        return owner, guest

    bound = bind(function, path={"tenant": "acme"}, headers=[(b"x-tenant", b"1")])
    assert [tenant.name for tenant in bound.values()] == ["acme", "acme"]
    assert bind(function, headers=[(b"x-tenant", b"1")])["guest"].name == "guest"


def test_binders_are_asked_after_all_parameters_were_good():
    def function(tenant: Tenant, n: int):
        return tenant, n

    assert faults(function, b"n=x") == [("query", "n", "is not an integer")]
    with pytest.raises(HttpError, match="401"):
        bind(function, b"n=1")


def test_a_binder_for_a_generic_type():
    class Box(list[int]):
        pass

    def function(a: dict[str, int], b: Box):
        return a, b

    binding = compile_binding(function, (), {dict: lambda *_: "dict", Box: lambda *_: "box"})
    assert binding.arguments(SimpleNamespace(), (), None) == {"a": "dict", "b": "box"}


# ── bodies ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("annotation", "body", "value"),
    [
        (Item, b'{"name": "x", "price": 1}', Item("x", 1.0)),
        (Point, b'{"x": 1}', Point(1)),
        (Record, b'{"x": 1}', {"x": 1}),
        (Item | None, b'{"name": "x", "price": 1}', Item("x", 1.0)),
        (Annotated[dict, Body], b'{"x": 1}', {"x": 1}),
        (Annotated[list[Item], Body()], b"[]", []),
        (Annotated[int, Body()], b" 5 ", 5),
        (Annotated[Any, Body()], b"[1, null]", [1, None]),
        (Annotated[Literal["a"], Body()], b'"a"', "a"),
        (Annotated[bytes, Body()], b"\xff{", b"\xff{"),
    ],
)
def test_bodies_by_type(annotation, body, value):
    def function(it: annotation):
        return it

    assert bind(function, headers=JSON, body=body) == {"it": value}
    assert compile_binding(function, (), {}).needs_body


def test_a_body_by_default_marker():
    def function(it=Body()):  # noqa: B008 — because markers are made for this
        return it

    assert bind(function, headers=JSON, body=b"[1]") == {"it": [1]}


def test_no_body_is_needed():
    def function(a: int, b: dict = {}):  # noqa: B006 — because this is what is tested
        return a, b

    assert not compile_binding(function, (), {}).needs_body
    assert bind(function, b"a=1&b=%7B%22x%22:1%7D") == {"a": 1, "b": {"x": 1}}


@pytest.mark.parametrize("body", [None, b""])
def test_an_absent_body(body):
    def required(it: Item):
        return it

    def optional(it: Item = Item("x", 1)):  # noqa: B008 — because this is what is tested
        return it

    def raw(it: Annotated[bytes, Body()]):
        return it

    assert faults(required, body=body) == [("body", "it", "is missing")]
    assert bind(optional, body=body) == {"it": Item("x", 1)}
    assert bind(raw, body=body) == {"it": b""}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"")],
        [(b"content-type", b"application/jsonx")],
        [(b"content-type", b"multipart/form-data; boundary=x")],
        [(b"content-type", b"\xff")],
    ],
)
def test_a_body_of_another_type(headers):
    def function(it: Item, n: int):
        return it, n

    with pytest.raises(HttpError) as caught:
        bind(function, b"n=x", headers=headers, body=b"{}")

    assert caught.value.status == 415
    assert "application/json" in caught.value.detail
    assert caught.value.headers == ((b"accept", b"application/json"),)


@pytest.mark.parametrize("value", [b"application/json; charset=utf-8", b"application/ld+json"])
def test_other_names_of_json(value):
    def function(it: Annotated[int, Body]):
        return it

    assert bind(function, headers=[(b"content-type", value)], body=b"1") == {"it": 1}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"name": x}', "is malformed JSON at byte 9"),
        (b'{"name":', "is malformed JSON"),
        (b'{"name": "x", "price": 1} x', "is malformed JSON at byte 27"),
        (b"\xef\xbb\xbf{}", "is malformed JSON at byte 0"),
        (b'{"name": NaN}', "is malformed JSON at byte 9"),
        (b'{"name": "\\ud800"}', "is malformed JSON"),
        (b'{"name": "\xff"}', "is malformed JSON at byte 10: not UTF-8"),
        (b'{"\xff": 1}', "is malformed JSON at byte 2: not UTF-8"),
        (b'{"x": "\xed\xa0\x80"}', "is malformed JSON at byte 7: not UTF-8"),
        (b"[]", "is refused: expected `object`, got `array`"),
        (b'{"x": ' + b"[" * 200_000, "is nested too deeply"),
    ],
)  # fmt: skip
def test_bad_bodies(body, reason):
    def function(it: Item):
        return it

    assert faults(function, headers=JSON, body=body) == [("body", "it", reason)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"name": "x", "price": "1"}', "is refused: expected `float`, got `str`"),
        (b'{"name": "x", "price": 1e999}', "is refused: number out of range"),
        (b'{"name": "x"}', "is missing"),
    ],
)
def test_a_bad_member_of_a_body_is_named(body, reason):
    def function(it: Item):
        return it

    assert faults(function, headers=JSON, body=body) == [("body", "price", reason)]


# ── refusals ──────────────────────────────────────────────────────────────────────────────


def test_every_fault_is_named():
    def function(
        id: int,
        a: int,
        b: list[bool],
        item: Item,
        token: Annotated[int, Header("x-token")],
        lang: Annotated[Color, Cookie("l")] = Color.RED,
        fine: int = 1,
    ):
        return id, a, b, item, token, lang, fine

    headers = [*JSON, (b"x-token", b"t"), (b"cookie", b"l=green")]
    assert faults(function, b"b=1&b=x&fine=2", {"id": "x"}, headers, b"{}") == [
        ("path", "id", "is not an integer"),
        ("query", "a", "is missing"),
        ("query", "b", "has a value (number 2) that is not one of: "
         "1, true, yes, on, 0, false, no, off"),
        ("header", "x-token", "is not an integer"),
        ("cookie", "l", "is not one of: red, blue"),
        ("body", "name", "is missing"),
    ]  # fmt: skip


def test_names_are_those_of_the_client():
    def function(
        x_token: Annotated[str, Header], a: Annotated[int, Query("b")], c: Annotated[int, Path("d")]
    ):
        return x_token, a, c

    assert [fault[:2] for fault in faults(function, path={"d": "x"})] == [
        ("path", "d"), ("header", "x-token"), ("query", "b"),
    ]  # fmt: skip


def test_a_query_that_does_not_decode():
    def function(a: int):
        return a

    with pytest.raises(HttpError) as caught:
        bind(function, b"a=%ff")
    assert (caught.value.status, type(caught.value)) == (400, HttpError)


def test_a_query_is_not_read_for_nothing():
    def function(id: int):
        return id

    assert bind(function, b"a=%ff", {"id": "1"}) == {"id": 1}


@pytest.mark.parametrize("annotation", [Cookies, Annotated[str, Cookie("a")]])
def test_too_many_cookies(annotation):
    def function(it: annotation):
        return it

    with pytest.raises(HttpError) as caught:
        bind(function, headers=[(b"cookie", b"a=1;" * 10_000)])
    assert caught.value.status == 431


def untaken():
    return None


def misnamed_path(a: Annotated[int, Path("b")]):
    return a


def two_bodies(a: Item, b: Annotated[dict, Body]):
    return a, b


def unknown_type(a: Color, b: complex):
    return a, b


def unmarked_bytes(b: bytes):
    return b


def list_of_records(b: list[Item]):
    return b


def untagged_union(b: Item | Point | Record | None):
    return b


def bad_header(b: Annotated[str, Header("x y")]):
    return b


def foreign_header(b: Annotated[str, Header("é")]):
    return b


def odd_default(b=object):
    return b


@pytest.mark.parametrize(
    ("function", "path", "name", "reason"),
    [
        (untaken, ("id",), "id", "is in the pattern, but the function does not take it"),
        (misnamed_path, ("a", "c"), "a", "is a path parameter 'b', but the pattern has a, c"),
        (misnamed_path, (), "a", "but the pattern has none"),
        (two_bodies, (), "b", "is a second body beside 'a'"),
        (unknown_type, (), "b", "has the type complex, which is not made from text; mark it with"),
        (unmarked_bytes, (), "b", "mark it with Body()"),
        (list_of_records, (), "b", "mark it with Body()"),
        (untagged_union, (), "b", "cannot be the body"),
        (bad_header, (), "b", "has 'x y', which is no name of a header"),
        (foreign_header, (), "b", "has 'é', which is no name of a header"),
        (odd_default, (), "b", "has the type type"),
    ],
)
def test_signatures_that_cannot_be_bound(function, path, name, reason):
    with pytest.raises(SignatureError) as caught:
        compile_binding(function, path, BINDERS)

    line = function.__code__.co_firstlineno
    place = f"function {function.__name__} ({__file__}:{line}): argument {name!r} "
    assert str(caught.value).startswith(place)
    assert reason in str(caught.value)


def everything(
    id: int,
    text: str,
    number: float = 0,
    flags: list[bool] = [],  # noqa: B006 — because this is what is tested
    color: Color | None = None,
    data: dict = {},  # noqa: B006 — because this is what is tested
    token: Annotated[int | None, Header("x-token")] = None,
    theme: Annotated[Literal["dark", "light"], Cookie] = "dark",
    item: Item | None = None,
):
    return id, text, number, flags, color, data, token, theme, item


QUERIES = st.lists(
    st.sampled_from([b"text=", b"number=", b"flags=", b"color=", b"data=", b"&", b"%", b"1", b"{"])
    | st.binary(max_size=4)
).map(b"".join)
BODIES = st.binary(max_size=40) | st.lists(
    st.sampled_from([b'{"name":', b'"x"', b',"price":', b"1", b"}", b"[", b"\\u", b"\xff", b"null"])
).map(b"".join)


@given(st.text(), QUERIES, st.binary(), st.binary(), st.sampled_from([b"", b"text/plain"]), BODIES)
def test_any_request_is_bound_or_refused_with_a_status(id_, query, token, cookie, kind, body):
    headers = [
        (b"x-token", token), (b"cookie", b"theme=" + cookie),
        (b"content-type", kind or b"application/json"),
    ]  # fmt: skip
    status, bound = 200, {}
    try:
        bound = bind(everything, query, {"id": id_}, headers, body)
    except HttpError as error:
        status = error.status
        msgspec.json.encode(error.problem())

    assert status in {200, 400, 415}
    assert status != 200 or bound.keys() == inspect.signature(everything).parameters.keys()
