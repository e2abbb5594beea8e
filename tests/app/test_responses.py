"""Responses, redirects and streams as an author makes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.responses import (
    Events,
    Html,
    Redirect,
    Response,
    ServerEvent,
    Stream,
    quote_url,
)
from tarry.message.headers import Headers
from tarry.message.heads import InvalidField


def test_html_is_text():
    assert Html("<b>") == "<b>"
    assert isinstance(Html(), str)


@pytest.mark.parametrize(
    "headers", [{"X-A": "1"}, [("X-A", "1")], Headers({"X-A": "1"}), iter([("X-A", "1")])]
)
def test_headers_come_in_any_form(headers):
    assert Response("x", 200, headers).headers.getall("x-a") == ["1"]


def test_the_headers_of_a_response_are_its_own():
    given_headers = Headers({"x-a": "1"})
    response = Response("x", headers=given_headers)
    response.headers["x-a"] = "2"

    assert given_headers["x-a"] == "1"


# ── cookies ───────────────────────────────────────────────────────────────────────────────


def test_a_cookie_is_hidden_from_scripts_and_other_sites_unless_told_otherwise():
    response = Response()
    response.set_cookie("id", "7")
    response.set_cookie("theme", "dark", http_only=False, same_site=None)

    assert [cookie.encode() for cookie in response.cookies] == [
        b"id=7; Path=/; SameSite=Lax; HttpOnly",
        b"theme=dark; Path=/",
    ]


def test_all_attributes_of_a_cookie():
    response = Response()
    response.set_cookie(
        "id",
        "7",
        max_age_s=60,
        expires=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        path="/shop",
        domain="example.org",
        secure=True,
        same_site="None",
    )

    assert response.cookies[0].encode() == (
        b"id=7; Max-Age=60; Expires=Fri, 02 Jan 2026 03:04:05 GMT; Domain=example.org; "
        b"Path=/shop; SameSite=None; Secure; HttpOnly"
    )


@pytest.mark.parametrize(
    ("name", "value", "attributes"),
    [
        ("a b", "x", {}),
        ("", "x", {}),
        ("a", "x; Domain=evil", {}),
        ("a", "x\r\nb", {}),
        ("a", "x", {"path": "/;x"}),
        ("a", "x", {"domain": "a;b"}),
        ("a", "x", {"same_site": "None"}),
        ("__Host-a", "x", {}),
    ],
)
def test_a_cookie_that_browsers_refuse_is_an_error_at_once(name, value, attributes):
    response = Response()
    with pytest.raises(InvalidField):
        response.set_cookie(name, value, **attributes)

    assert response.cookies == []


def test_deleting_a_cookie():
    response = Response()
    response.delete_cookie("id", path="/shop")

    assert b"Max-Age=0" in response.cookies[0].encode()
    assert b"Path=/shop" in response.cookies[0].encode()


# ── redirects ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(status):
    redirect = Redirect("/a?b=c#d", status)

    assert (redirect.status, redirect.headers["location"]) == (status, "/a?b=c#d")


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 309, 404])
def test_other_statuses_are_no_redirects(status):
    with pytest.raises(ValueError, match=f"{status} is not a redirect"):
        Redirect("/", status)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/grüße/☕", "/gr%C3%BC%C3%9Fe/%E2%98%95"),
        ("/a%20b", "/a%20b"),
        ("/%", "/%"),
        ("/", "/"),
        ("/a//b", "/a//b"),
    ],
)
def test_locations_are_ascii(url, location):
    assert Redirect(url).headers["location"] == location


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize(
    "url", ["/a\r\nset-cookie: b=c", "/a\nb", "/a b", "/\t/evil.example", "/\x00", "/\x7f", " /a"]
)
def test_a_url_cannot_break_the_message(url, external):
    with pytest.raises(ValueError, match="no spaces or control"):
        Redirect(url, external=external)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/a\\b",
        "javascript:alert(1)",
        "evil.example",
        "?a",
        "",
    ],
)
def test_a_redirect_stays_on_the_site_unless_told_otherwise(url):
    with pytest.raises(ValueError, match="external=True"):
        Redirect(url)
    if url:
        assert Redirect(url, external=True).headers["location"] == url


@given(st.text(st.characters(codec="utf-8")))
def test_any_path_of_a_user_stays_here_or_is_refused(text):
    try:
        location = Redirect("/" + text).headers["location"]
    except ValueError:
        return
    assert location.isascii()
    assert location.isprintable()
    assert location[:1] == "/"
    assert location[1:2] not in ("/", "\\")


@given(st.text(st.characters(codec="ascii")))
def test_ascii_is_not_quoted_again(text):
    assert quote_url(text) == text


# ── streams ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pieces", ["text", b"bytes", bytearray(b"x"), memoryview(b"x"), Html("x")])
def test_a_text_is_no_stream(pieces):
    with pytest.raises(TypeError, match=f"return the {type(pieces).__name__} itself"):
        Stream(pieces)


@pytest.mark.parametrize("pieces", [None, 5, object(), len])
def test_what_cannot_be_iterated_is_no_stream(pieces):
    with pytest.raises(TypeError, match="a Stream takes an iterable"):
        Stream(pieces)


def test_what_a_stream_says():
    stream = Stream(["x"], status=206, content_type="text/csv", headers={"x-a": "1"}, length=1)

    assert (stream.status, stream.content_type, stream.length) == (206, "text/csv", 1)
    assert stream.headers["X-A"] == "1"


# ── events ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("items", ["text", b"bytes", {"a": 1}, 5, None])
def test_events_take_an_iterable(items):
    with pytest.raises(TypeError, match=f"an iterable of events, not {type(items).__name__}"):
        Events(items)


@pytest.mark.parametrize("ping_s", [0, -1, float("inf"), float("nan")])
def test_pings_need_a_time(ping_s):
    with pytest.raises(ValueError, match="ping_s is above 0 seconds, or None"):
        Events([], ping_s=ping_s)


@pytest.mark.parametrize(
    "fields", [{"event": "a\nb"}, {"id": "a\rb"}, {"id": "a\0"}, {"retry_ms": -1}]
)
def test_an_event_that_would_break_its_stream_is_refused_when_it_is_made(fields):
    with pytest.raises(ValueError, match=r"of an event|retry_ms"):
        ServerEvent("x", **fields)


def test_the_retry_of_events_is_a_whole_number():
    with pytest.raises(ValueError, match="retry_ms"):
        Events([], retry_ms=-1)
