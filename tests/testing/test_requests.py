from __future__ import annotations

from dataclasses import dataclass

import pytest

from tarry.testing.requests import outgoing


def fields(method="GET", path="/", kept_cookies=None, **options) -> dict[str, str]:
    request = outgoing(method, path, "here", options, kept_cookies)
    return {name.decode(): value.decode() for name, value in request.fields}


def body(**options) -> bytes:
    return b"".join(outgoing("POST", "/", "here", options).pieces)


@dataclass
class Point:
    x: int


def test_a_request_without_a_body_has_no_length():
    assert fields() == {"host": "here"}
    assert fields("DELETE") == {"host": "here"}


def test_a_post_says_that_it_has_no_body():
    assert fields("POST")["content-length"] == "0"


def test_json_of_a_dataclass():
    assert body(json=Point(1)) == b'{"x":1}'
    assert body(json=None) == b"null"
    assert fields("POST", json=Point(1))["content-type"] == "application/json"


def test_a_form():
    options = {"data": {"a": "ö&", "b": [1, 2]}}

    assert body(**options) == b"a=%C3%B6%26&b=1&b=2"
    assert fields("POST", **options)["content-type"] == "application/x-www-form-urlencoded"


def test_pieces_have_no_length():
    request = outgoing("POST", "/", "here", {"data": [b"a", b"b"]})

    assert not request.has_length
    assert [name for name, _ in request.fields] == [b"host"]


def test_given_headers_replace_those_of_the_client():
    given = fields("POST", data="x", headers={"Host": "there", "Content-Type": "text/x"})

    assert given == {"Host": "there", "Content-Type": "text/x", "content-length": "1"}


def test_cookies_of_the_request_come_before_kept_ones():
    assert fields(cookies={"a": "1", "b": "2"}, kept_cookies="c=3")["cookie"] == "a=1; b=2; c=3"
    assert fields(kept_cookies="c=3")["cookie"] == "c=3"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/a?b=c", "/a?b=c"),
        ("/ö x", "/%C3%B6%20x"),
        ("/%C3%B6", "/%C3%B6"),
        ("/a\r\nb", "/a%0D%0Ab"),
    ],
)
def test_a_path_is_quoted_as_a_browser_does(path, target):
    assert outgoing("GET", path, "here", {}).target == target


@pytest.mark.parametrize("path", ["", "a", "http://here/"])
def test_a_path_begins_with_a_slash(path):
    with pytest.raises(ValueError, match="must begin"):
        outgoing("GET", path, "here", {})


def test_an_option_that_there_is_not_is_no_empty_body():
    with pytest.raises(TypeError, match="no option 'content'; there are headers, cookies, json, "):
        outgoing("POST", "/", "here", {"content": b"abc"})


def test_a_request_has_one_body():
    with pytest.raises(ValueError, match="one body"):
        outgoing("POST", "/", "here", {"json": 1, "data": b""})


def test_an_option_that_there_is_not():
    with pytest.raises(TypeError, match="no option 'header'; there are headers, cookies, json"):
        outgoing("GET", "/", "a", {"header": {}})
