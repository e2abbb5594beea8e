from __future__ import annotations

import pytest

from tarry import Headers
from tarry.testing import IncompleteAnswer, Reply


def reply(body: bytes, content_type: str = "text/plain") -> Reply:
    return Reply(200, Headers({"Content-Type": content_type}), body)


def test_text_is_decoded_by_the_charset_of_its_type():
    assert reply("ö".encode()).text == "ö"
    assert reply("ö".encode("latin-1"), "text/plain; charset=iso-8859-1").text == "ö"
    assert Reply(200, Headers(), b"x").text == "x"


def test_text_that_is_none_is_an_error():
    with pytest.raises(UnicodeDecodeError):
        _ = reply(b"\xff").text


def test_json():
    assert reply(b'{"a": [1, null]}').json() == {"a": [1, None]}
    with pytest.raises(ValueError, match="Expecting"):
        reply(b"<p>").json()


def test_an_incomplete_answer_says_how_far_it_came():
    assert "GET / was broken off; 200, 3 bytes came" in str(
        IncompleteAnswer("GET /", reply(b"abc"))
    )
    assert "nothing came" in str(IncompleteAnswer("GET /", None))
