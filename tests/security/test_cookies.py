"""Cookies: read in linear time and in one way, given only if browsers keep them as meant.

What the same class of faults has for sessions and tokens comes with the parts that have them:

| row | comes with |
|---|---|
| fixation, foreign ids, expiry on the server | sessions |
| `Vary: Cookie` and `Cache-Control: private` once a session was touched | sessions |
| comparing secrets in constant time, ids of 128 bits and more | tokens, sessions |
| a cancelled call to a store must not leave its answer to the next one | the Redis store |
"""

from __future__ import annotations

import json
import time
from urllib.parse import urlencode

import pytest

from tarry import App, Cookie, Cookies, Headers, Request, Response, SetCookie
from tests.security.attacks import get
from tests.wire import Wire, ask

MAX_WORK_S = 2.0
"""For a dozen requests of at most 8 KiB; quadratic work on each would take longer."""


async def by_name(sid: str = Cookie(default="none")):
    return sid


def all_of_them(cookies: Cookies):
    return cookies


def of_request(request: Request):
    return request.cookies


def given(name: str, value: str, path: str, domain: str, secure: bool, way: str):
    """A cookie in each way that a handler can give one."""
    options = {"path": path, "domain": domain or None, "secure": secure}
    if way == "tuple":
        return SetCookie(name, value, **options), "leaked"
    response = Response("leaked")
    if way == "response":
        response.set_cookie(name, value, **options)
    else:
        response.cookies.append(SetCookie(name, value, **options))
    return response


def amended(request: Request, name: str, value: str):
    request.response.cookies.append(SetCookie(name, value))
    return "leaked"


def by_header(value: str):
    return Headers({"set-cookie": value}), "leaked"


@pytest.fixture(scope="module")
def url():
    app = App()
    app.get("/name")(by_name)
    for path, function in (("/all", all_of_them), ("/request", of_request), ("/given", given),
                           ("/amended", amended), ("/header", by_header)):  # fmt: skip
        app.get(path, inline=True)(function)
    with app.start() as server:
        yield server.url


@pytest.fixture(autouse=True)
def a_neighbour_is_answered(url):
    with Wire(url) as neighbour:
        yield
        neighbour.send(get(b"/all", b"Cookie: a=b"))
        assert json.loads(neighbour.read().body) == {"a": "b"}


def cookies(url, *lines, path=b"/all"):
    reply, _ = ask(url, get(path, *(b"Cookie: " + line for line in lines)))
    assert reply.status == 200
    return json.loads(reply.body)


# ---- nameless cookies, tossing -------------------------------------------------------------


@pytest.mark.parametrize("path", [b"/all", b"/request"])
@pytest.mark.parametrize(
    "line",
    [b"=__Host-sid=evil", b"= __Host-sid=evil", b"=x", b"x", b";", b"=", b" =x", b";;=;",
     b"\t=\t", b"=;=;=", b"__Host-sid"],
)  # fmt: skip
def test_nameless_cookies_do_not_count(url, path, line):
    assert cookies(url, line, path=path) == {}
    assert cookies(url, line + b"; a=b", path=path) == {"a": "b"}
    assert cookies(url, b"a=b;" + line, path=path) == {"a": "b"}


@pytest.mark.parametrize("space", ["\xa0", "\u2003", "\u3000", "\x85", "\ufeff", "\u200b"])
def test_no_other_space_makes_a_guarded_name(url, space):
    """Browsers guard the prefix by its bytes; what only looks like it must not become it."""
    for raw in (space.encode(), space.encode("latin-1", "ignore")):
        if raw:
            assert "__Host-sid" not in cookies(url, raw + b"__Host-sid=evil")
            assert "__Host-sid" not in cookies(url, b"__Host-sid" + raw + b"=evil")


@pytest.mark.parametrize(
    "lines",
    [(b"sid=good; sid=evil",), (b"sid=good", b"sid=evil"), (b"sid=good;sid=evil;sid=worse",),
     (b"=sid=evil; sid=good; sid=evil",), (b'sid=good; sid="evil"',)],
)  # fmt: skip
def test_a_tossed_cookie_comes_too_late(url, lines):
    """Browsers send the cookie of the longest path first; one of another host follows."""
    assert cookies(url, *lines)["sid"] == "good"
    fields = [b"Cookie: " + line for line in lines]
    assert ask(url, get(b"/name", *fields))[0].body == b"good"


@pytest.mark.parametrize("line", [b"sid=a,sid=b", b"sid=a&sid=b", b"sid=a sid=b", b"x=y,sid=b"])
def test_only_a_semicolon_separates(url, line):
    assert len(cookies(url, line)) == 1


def test_quotes_do_not_hide_a_separator(url):
    """RFC 6265 has no quoting: what another program takes for one value are two cookies."""
    assert cookies(url, b'a="b; sid=c"; d=e') == {"a": '"b', "sid": 'c"', "d": "e"}


# ---- time and size -------------------------------------------------------------------------

PIECES = [
    b";", b"=", b"a", b"a=b;", b'"', b'"\\', b"\\", b"\\073", b"; ", b"a=", b" ", b"\t;", b"\xff",
    b'a="\\"";', b"\xe2\x82", b"a=b; ",
]  # fmt: skip


@pytest.mark.parametrize("path", [b"/all", b"/name"])
def test_cookies_take_linear_time(url, path):
    started = time.perf_counter()
    for piece in PIECES:
        line = b"a=" + piece * (8190 // len(piece))
        assert ask(url, get(path, b"Cookie: " + line))[0].status == 200
        halves = [b"Cookie: a=" + piece * (4094 // len(piece))] * 2
        assert ask(url, get(path, *halves))[0].status == 200

    assert time.perf_counter() - started < MAX_WORK_S


@pytest.mark.parametrize("path", [b"/all", b"/name", b"/request"])
def test_more_than_8_kib_are_431(url, path):
    for lines in ([b"a=" + b"x" * 8191], [b"a=" + b"x" * 4095] * 2, [b"a=" + b"x" * 90] * 90,
                  [b"a=" + b"x" * 16_000]):  # fmt: skip
        with Wire(url) as wire:
            fields = [b"Cookie: " + line for line in lines]
            wire.send(get(path, *fields))
            assert wire.read().status == 431
            wire.send(get(path, b"Cookie: a=" + b"x" * 8190))
            assert wire.read().status == 200


def test_more_than_a_field_line_can_have_is_431(url):
    reply, closed = ask(url, get(b"/all", b"Cookie: a=" + b"x" * 17_000))

    assert reply.status == 431
    assert closed


# ---- giving cookies ------------------------------------------------------------------------


def give(url, name="a", value="b", path="/", domain="", secure="0", way="response"):
    query = {"name": name, "value": value, "path": path, "domain": domain, "secure": secure}
    with Wire(url) as wire:
        wire.send(get(b"/given?" + urlencode(query | {"way": way}).encode()))
        reply = wire.read()
        wire.send(get(b"/all"))
        assert wire.read().status == 200
    return reply


@pytest.mark.parametrize("way", ["response", "list", "tuple"])
@pytest.mark.parametrize(
    "bad",
    [
        {"name": "__Host-a"},
        {"name": "__host-a"},
        {"name": "__Host-a", "secure": "1", "domain": "a.example"},
        {"name": "__Host-a", "secure": "1", "path": "/sub"},
        {"name": "__Secure-a"},
        {"name": "__sEcUrE-a"},
        {"name": ""},
        {"name": "a b"},
        {"name": "a=b"},
        {"name": "a\r\nx: y"},
        {"name": "ä"},
        {"value": "b; Domain=evil"},
        {"value": "b\r\nx: y"},
        {"value": "b,c"},
        {"value": "ä"},
        {"value": 'b"'},
        {"value": "x" * 4096},
        {"path": "/; Secure"},
        {"path": "x"},
        {"path": "/\r\nx: y"},
        {"domain": "a; Secure"},
        {"domain": "a\r\nx: y"},
        {"domain": ".."},
    ],
)
def test_a_cookie_that_browsers_would_take_otherwise(url, way, bad):
    reply = give(url, way=way, **bad)

    assert reply.status == 500
    assert reply.get("set-cookie") is None
    assert reply.get("x") is None
    assert b"leaked" not in reply.body


@pytest.mark.parametrize("way", ["response", "list", "tuple"])
def test_a_guarded_cookie(url, way):
    reply = give(url, name="__Host-sid", secure="1", way=way)

    assert reply.get("set-cookie") == ("__Host-sid=b; Path=/; SameSite=Lax; Secure; HttpOnly")


def test_cookies_of_an_injected_response(url):
    assert ask(url, get(b"/amended?name=a&value=b"))[0].get("set-cookie").startswith("a=b; ")
    for query in (b"name=a&value=%0d%0ax:y", b"name=__Host-a&value=b", b"name=a%3b&value=b"):
        reply, _ = ask(url, get(b"/amended?" + query))

        assert reply.status == 500
        assert reply.get("set-cookie") is None


def test_a_cookie_written_as_a_header_cannot_break_out(url):
    for value in (b"a=b%0d%0ax:y", b"a=b%0ax:y", b"a=b%1b", b"a=b%7f"):
        reply, _ = ask(url, get(b"/header?value=" + value))

        assert reply.status == 500
        assert reply.get("set-cookie") is None
