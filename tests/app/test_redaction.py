"""Secrets are hidden by their names, wherever a name stands before a value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.app.redaction import HIDDEN, hide_in_query, hide_named, is_secret


@pytest.mark.parametrize(
    "name",
    ["password", "PASSWD", "db_pwd", "token", "csrf-token", "client_secret", "key", "x-api-key",
     "apiKey", "authorization", "Proxy-Authorization", "auth", "auth_header", "cookie",
     "Set-Cookie", "session_id", "credentials"],
)  # fmt: skip
def test_names_of_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", ["name", "author", "authors", "author_id", "user", "pass", "url"])
def test_other_names(name):
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("'x'", "'x'"),
        ("{'user': 'ada', 'password': 'x'}", "{'user': 'ada', 'password': •••}"),
        ("Login(user='ada', password='x')", "Login(user='ada', password=•••)"),
        ("Form(login=Login(password='x', n=1))", "Form(login=Login(password=•••, n=1))"),
        ("[('cookie', 'sid=1; a=2'), ('a', 'b')]", "[('cookie', •••), ('a', 'b')]"),
        ("[(b'authorization', b'Bearer x')]", "[(b'authorization', •••)]"),
        ("{'token': \"it's\", 'a': 1}", "{'token': •••, 'a': 1}"),
        (r"{'token': 'it\'s, x', 'a': 1}", "{'token': •••, 'a': 1}"),
        ("{'tokens': ['a', 'b'], 'c': 1}", "{'tokens': •••, 'c': 1}"),
        ("{'keys': ('a', 'b'), 'c': {'token': {'a': 'b'}}}", "{'keys': •••, 'c': {'token': •••}}"),
        ("{'password': 'cut off", "{'password': •••"),
        ("{'password': ", "{'password': •••"),
        ("key=1, n=2", "key=•••, n=2"),
        ("b'GET / HTTP/1.1\\r\\ncookie: a=1; b=2'", "b'GET / HTTP/1.1\\r\\ncookie: •••"),
        ("the token was lost", "the token was lost"),
    ],
)
def test_values_after_the_name_of_a_secret(text, shown):
    assert hide_named(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://a/b", "http://a/b"),
        ("http://a/?user=ada&token=x&n=1", "http://a/?user=ada&token=•••&n=1"),
        ("/?token=x#f", "/?token=•••#f"),
        ("/?api%5Fkey=x", "/?api%5Fkey=•••"),
        ("/?%70assword=x y", "/?%70assword=••• y"),
        ("GET /?key=1&key=2 HTTP/1.1", "GET /?key=•••&key=••• HTTP/1.1"),
        ("/?token", "/?token"),
        ("token=x", "token=x"),
    ],
)
def test_secret_parameters_of_a_query(text, shown):
    assert hide_in_query(text) == shown


@pytest.mark.parametrize(
    "piece", ["a", "-", "'", '"', "\\", " ", "a ", "a:", "(", "key='", "?a", "&"]
)
def test_long_texts_take_linear_time(piece):
    text = "token=" + piece * (300_000 // len(piece))

    assert HIDDEN in hide_named(text)
    assert isinstance(hide_named(text.removeprefix("token=")), str)
    assert isinstance(hide_in_query("?" + text), str)


@given(st.text(st.sampled_from("ab'\"\\ ,")), st.sampled_from(["password", "a_token", "Cookie"]))
@settings(max_examples=200)
def test_no_part_of_a_secret_is_left_in_a_repr(text, name):
    assert hide_named(repr({name: f"{text}S3", "n": 1})) == repr({name: 0, "n": 1}).replace(
        "0", HIDDEN
    )
