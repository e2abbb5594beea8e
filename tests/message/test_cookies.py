"""Cookies: lenient in what is read, strict in what is set."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.message.cookies import (
    MAX_COOKIE_BYTES,
    MAX_SET_COOKIE_BYTES,
    CookiesTooLarge,
    SetCookie,
    delete_cookie,
    parse_cookies,
)
from tarry.message.heads import InvalidField, check_field

PIECES = st.lists(st.sampled_from([b";", b"=", b" ", b'"', b"a", b"\\", b","]) | st.binary())
TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=9)
OCTETS = st.text([chr(n) for n in range(0x21, 0x7F) if chr(n) not in '",;\\'], max_size=20)


@pytest.mark.parametrize(
    ("line", "cookies"),
    [
        (b"", {}),
        (b"a=1", {"a": "1"}),
        (b"a=1; b=2", {"a": "1", "b": "2"}),
        (b"a=1;b=2", {"a": "1", "b": "2"}),
        (b" \ta\t = 1 \t;; ;b=2;", {"a": "1", "b": "2"}),
        (b"a=b=c==", {"a": "b=c=="}),
        (b"a=", {"a": ""}),
        (b"a=x y", {"a": "x y"}),
        (b"a; b=2", {"b": "2"}),
        (b"=1; b=2", {"b": "2"}),
        (b" =1", {}),
        (b"=", {}),
        (b"=__Host-a=1", {}),
        (b"\xa0__Host-a=1", {"\xa0__Host-a": "1"}),
        (b"\xe2\x80\x80__Host-a=1", {"\u2000__Host-a": "1"}),
        (b"\x0b__Host-a=1", {"\x0b__Host-a": "1"}),
        (b"a=first; a=second", {"a": "first"}),
        (b"a=1; A=2", {"a": "1", "A": "2"}),
        (b'a="1"; b="; c=""', {"a": "1", "b": '"', "c": ""}),
        (b'a="x;y"', {"a": '"x'}),
        (b'a="1', {"a": '"1'}),
        (b'a="\\073"', {"a": "\\073"}),
        (b"a=%20+", {"a": "%20+"}),
        ("a=né".encode(), {"a": "né"}),
        ("a=né; b=ü".encode("latin-1"), {"a": "né", "b": "ü"}),
        (b"$Version=1; a=1", {"$Version": "1", "a": "1"}),
    ],
)
def test_rfc6265_5_4_cookies_are_read(line, cookies):
    assert parse_cookies([line]) == cookies


def test_several_fields_are_one_list():
    assert parse_cookies(iter([b"a=1; b=2", b"b=3; c=4"])) == {"a": "1", "b": "2", "c": "4"}
    assert parse_cookies([]) == {}


@pytest.mark.parametrize("fields", [1, 2])
def test_cookies_are_limited_in_all_fields_together(fields):
    half = MAX_COOKIE_BYTES // fields

    assert parse_cookies([b"a=".ljust(half, b"1")] * fields)["a"] == "1" * (half - 2)
    with pytest.raises(CookiesTooLarge):
        parse_cookies([b"a=".ljust(half, b"1")] * fields + [b"a"])


@pytest.mark.parametrize("piece", [b";", b"=", b'"', b"\\", b'\\"', b"a=", b" ", b"a;", b'="'])
def test_long_cookies_take_linear_time(monkeypatch, piece):
    monkeypatch.setattr("tarry.message.cookies.MAX_COOKIE_BYTES", 10**7)
    line = b'a="' + piece * (1_000_000 // len(piece))

    assert set(parse_cookies([line])) <= {"a"}


@given(st.lists(PIECES.map(b"".join), max_size=3))
def test_any_bytes_are_read(lines):
    cookies = parse_cookies(lines)

    assert all(name and name == name.strip(" \t") for name in cookies)
    assert len(cookies) <= sum(line.count(b"=") for line in lines)


@pytest.mark.parametrize(
    ("cookie", "encoded"),
    [
        (SetCookie("a", "1"), b"a=1; Path=/; SameSite=Lax; HttpOnly"),
        (SetCookie("a", ""), b"a=; Path=/; SameSite=Lax; HttpOnly"),
        (SetCookie("a", "1", http_only=False, same_site=None), b"a=1; Path=/"),
        (SetCookie("a", "1", path="/x y", domain="a-b.example"),
         b"a=1; Domain=a-b.example; Path=/x y; SameSite=Lax; HttpOnly"),
        (SetCookie("a", "1", max_age_s=60), b"a=1; Max-Age=60; Path=/; SameSite=Lax; HttpOnly"),
        (SetCookie("a", "1", max_age_s=-1), b"a=1; Max-Age=0; Path=/; SameSite=Lax; HttpOnly"),
        (SetCookie("a", "1", secure=True, same_site="None", partitioned=True),
         b"a=1; Path=/; SameSite=None; Secure; HttpOnly; Partitioned"),
        (SetCookie("__Host-a", "1", secure=True, same_site="Strict"),
         b"__Host-a=1; Path=/; SameSite=Strict; Secure; HttpOnly"),
        (SetCookie("__Secure-a", "1", secure=True, path="/b", domain="c"),
         b"__Secure-a=1; Domain=c; Path=/b; SameSite=Lax; Secure; HttpOnly"),
        (SetCookie("a", "1", expires=datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
         b"a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Path=/; SameSite=Lax; HttpOnly"),
        (SetCookie("a", "1", expires=datetime(1994, 11, 6, 9, tzinfo=timezone(timedelta(hours=1)))),
         b"a=1; Expires=Sun, 06 Nov 1994 08:00:00 GMT; Path=/; SameSite=Lax; HttpOnly"),
    ],
)  # fmt: skip
def test_rfc6265_4_1_1_a_cookie_is_set(cookie, encoded):
    assert cookie.encode() == encoded


@pytest.mark.parametrize(
    ("cookie", "reason"),
    [
        (SetCookie("", "1"), "name is no token"),
        (SetCookie("a b", "1"), "name is no token"),
        (SetCookie("a=b", "1"), "name is no token"),
        (SetCookie("a\n", "1"), "name is no token"),
        (SetCookie("é", "1"), "name is no token"),
        (SetCookie("a", "1", path="b"), "path"),
        (SetCookie("a", "1", path=""), "path"),
        (SetCookie("a", "1", path="/;b"), "path"),
        (SetCookie("a", "1", path="/\r\n"), "path"),
        (SetCookie("a", "1", path="/é"), "path"),
        (SetCookie("a", "1", domain=""), "domain"),
        (SetCookie("a", "1", domain=".a"), "domain"),
        (SetCookie("a", "1", domain="a;b"), "domain"),
        (SetCookie("a", "1", domain="a b"), "domain"),
        (SetCookie("a", "1", domain="a\n"), "domain"),
        (SetCookie("a", "1", expires=datetime(2026, 1, 1)), "time zone"),  # noqa: DTZ001 — the case
        (SetCookie("a", "1", same_site="lax"), "same_site is unknown"),
        (SetCookie("a", "1", same_site="None"), "same_site None needs secure"),
        (SetCookie("a", "1", partitioned=True), "partitioned needs secure"),
        (SetCookie("__Secure-a", "1"), "prefix needs secure"),
        (SetCookie("__secure-a", "1"), "prefix needs secure"),
        (SetCookie("__Host-a", "1"), "prefix needs secure"),
        (SetCookie("__Host-a", "1", secure=True, path="/b"), "needs path"),
        (SetCookie("__HOST-a", "1", secure=True, path="/b"), "needs path"),
        (SetCookie("__Host-a", "1", secure=True, domain="a"), "needs path"),
    ],
)  # fmt: skip
def test_a_cookie_that_browsers_would_drop_is_refused(cookie, reason):
    with pytest.raises(InvalidField, match=reason):
        cookie.encode()


@pytest.mark.parametrize("character", [*'\0\t\n\r\x1f ",;\\\x7f\x80é€'])
def test_a_value_has_cookie_octets_only(character):
    with pytest.raises(InvalidField, match="the value has") as caught:
        SetCookie("a", f"secret{character}").encode()

    assert "secret" not in str(caught.value)


def test_a_cookie_is_limited_in_size():
    value = "1" * (MAX_SET_COOKIE_BYTES - 1)

    assert SetCookie("a", value).encode().startswith(b"a=1")
    with pytest.raises(InvalidField, match="longer than 4096"):
        SetCookie("a", value + "1").encode()


def test_a_cookie_is_a_value():
    cookie = SetCookie("a", "1")

    assert {cookie: 1}[SetCookie("a", "1")] == 1
    with pytest.raises(FrozenInstanceError):
        cookie.value = "2"


def test_a_value_stays_out_of_repr():
    assert "secret" not in repr(SetCookie("a", "secret"))


@pytest.mark.parametrize(
    ("cookie", "encoded"),
    [
        (delete_cookie("a"), b"a=; Max-Age=0; Path=/; SameSite=Lax; HttpOnly"),
        (delete_cookie("a", "/b", "c"),
         b"a=; Max-Age=0; Domain=c; Path=/b; SameSite=Lax; HttpOnly"),
        (delete_cookie("__Host-a"),
         b"__Host-a=; Max-Age=0; Path=/; SameSite=Lax; Secure; HttpOnly"),
        (delete_cookie("__Secure-a", "/b"),
         b"__Secure-a=; Max-Age=0; Path=/b; SameSite=Lax; Secure; HttpOnly"),
    ],
)  # fmt: skip
def test_a_cookie_is_deleted(cookie, encoded):
    assert cookie.encode() == encoded


@given(TOKENS, OCTETS)
def test_a_cookie_comes_back_as_it_was_set(name, value):
    encoded = SetCookie(name, value, secure=True).encode()
    check_field(b"set-cookie", encoded)

    assert parse_cookies([encoded.partition(b"; ")[0]]) == {name: value}


def test_the_standard_library_reads_the_same():
    cookie = SetCookie("a", "1", max_age_s=5, domain="b", secure=True, same_site="Strict")
    read = SimpleCookie(cookie.encode().decode())["a"]

    assert [read.value, read["max-age"], read["domain"], read["path"]] == ["1", "5", "b", "/"]
    assert [read["secure"], read["httponly"], read["samesite"]] == [True, True, "Strict"]


@given(st.text(), st.text(), st.text(), st.text() | st.none())
def test_a_cookie_is_encoded_or_refused(name, value, path, domain):
    try:
        encoded = SetCookie(name, value, path=path, domain=domain, secure=True).encode()
    except InvalidField:
        return
    check_field(b"set-cookie", encoded)
    assert encoded.count(b";") == 4 + (domain is not None)
