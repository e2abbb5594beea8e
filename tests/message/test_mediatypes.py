"""Media types and what a client prefers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.message.mediatypes import MediaType, best_match, is_json, parse_media_type

TOKENS = st.text("!#$%&'*+-.^_`|~09az", min_size=1, max_size=9)
QUOTABLE = st.text(
    st.characters(max_codepoint=255, exclude_characters=[chr(n) for n in [*range(32), 127]]),
    max_size=12,
)
PIECES = st.lists(st.sampled_from([*'a*/;,="\\ qQ01.', "q=", "a/b", "*/*"]) | st.text(max_size=2))


@pytest.mark.parametrize(
    ("text", "media"),
    [
        ("text/html", ("text", "html", {})),
        ("Text/HTML", ("text", "html", {})),
        ("text/html; charset=utf-8", ("text", "html", {"charset": "utf-8"})),
        ("text/html;Charset=UTF-8", ("text", "html", {"charset": "UTF-8"})),
        ('text/html; charset="utf-8"', ("text", "html", {"charset": "utf-8"})),
        (" \ttext/html \t;\t a=b \t", ("text", "html", {"a": "b"})),
        ("text/html;", ("text", "html", {})),
        ("text/html;;; a=1;;b=2; ;", ("text", "html", {"a": "1", "b": "2"})),
        ('a/b;c="d;e, \\"f\\" \\\\g"', ("a", "b", {"c": 'd;e, "f" \\g'})),
        ('a/b;c=""', ("a", "b", {"c": ""})),
        ('a/b;c="é\t"', ("a", "b", {"c": "é\t"})),
        ("*/*", ("*", "*", {})),
        ("application/vnd.a+json", ("application", "vnd.a+json", {})),
    ],
)
def test_rfc9110_8_3_1_a_media_type_is_read(text, media):
    assert parse_media_type(text) == media


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "text", "text/", "/html", "/", "text /html", "text/ html", "text/html/x",
        "text/html charset=utf-8", "text/html, text/plain", "text/html;a", "text/html;a=",
        "text/html;=a", "text/html; a =b", "text/html; a= b", 'text/html;a="b', 'text/html;a="b"c',
        'text/html;a="b\\"', 'text/html;a=b"c"', "text/html;a=b c", "text/html;a=b;a=b",
        "text/html;a=1;A=2", "té/html", "text/html\n", 'text/html;a="\n"', 'text/html;a="\\\n"',
        'text/html;a="\0"', 'text/html;a="\x7f"', 'text/html;a="€"', "text/html;a=b\x00",
    ],
)  # fmt: skip
def test_no_media_types(text):
    assert parse_media_type(text) is None


def test_the_essence_is_the_type_without_parameters():
    media = parse_media_type("Text/HTML; charset=utf-8")

    assert media is not None
    assert media.essence == "text/html"


@given(TOKENS, TOKENS, st.dictionaries(TOKENS, QUOTABLE, max_size=4))
def test_a_media_type_comes_back_as_it_was_written(kind, subtype, params):
    def quoted(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = f"{kind}/{subtype}" + "".join(f" ; {n}={quoted(v)}" for n, v in params.items())

    assert parse_media_type(text) == MediaType(kind, subtype, params)


HOSTILE = [";", "; ", " ", "\t;", ";a=1", ';a="', ';a="\\', '"', '\\"', "a", "/", "a/", ",", "a/b,",
           ", ", "a/b;q=", "=", ';a="",', "*/*;q=0,"]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("start", ["", "a/b", 'a/b;a="'])
def test_a_megabyte_takes_linear_time(start, piece):
    text = start + piece * (1_000_000 // len(piece))

    assert parse_media_type(text) is None or set(text[3:]) <= set("; \ta")
    assert best_match(text, ["a/b", "c/d"]) in {"a/b", "c/d", None}


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("application/json;charset=UTF-8", True),
        ("application/json;charset=latin-1", True),
        ("Application/JSON", True),
        ("application/problem+json", True),
        ("application/vnd.a.b+JSON; v=1", True),
        ("", False),
        ("json", False),
        ("text/json", False),
        ("text/plain+json", False),
        ("application/jsonp", False),
        ("application/json-seq", False),
        ("application/x-json", False),
        ("application/json, text/plain", False),
        ("application/json x", False),
        ("application/json; charset", False),
        ("text/plain; a=application/json", False),
        ("text/plain; a=\"application/json\"", False),
    ],
)  # fmt: skip
def test_json_is_known_by_its_type(content_type, expected):
    assert is_json(content_type) is expected


RFC_EXAMPLE = (
    "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4,"
    " */*;q=0.5"
)


@pytest.mark.parametrize(
    ("offers", "best"),
    [
        (["text/plain", "text/plain;format=flowed"], "text/plain;format=flowed"),  # 0.7, 1
        (["text/html", "text/plain"], "text/plain"),  # 0.3, 0.7
        (["text/html", "image/jpeg"], "image/jpeg"),  # 0.3, 0.5
        (["text/html", "text/plain;format=fixed"], "text/plain;format=fixed"),  # 0.3, 0.4
        (["text/plain;format=fixed", "image/jpeg"], "image/jpeg"),  # 0.4, 0.5
        (["image/jpeg", "text/plain;format=other"], "text/plain;format=other"),  # 0.5, 0.7
    ],
)
def test_rfc9110_12_5_1_the_most_specific_range_decides(offers, best):
    assert best_match(RFC_EXAMPLE, offers) == best
    assert best_match(RFC_EXAMPLE, offers[::-1]) == best


JSON, HTML, PLAIN = "application/json", "text/html", "text/plain"


@pytest.mark.parametrize(
    ("accept", "offers", "best"),
    [
        (None, [JSON, HTML], JSON),
        ("", [JSON, HTML], JSON),
        (" , ,", [JSON, HTML], JSON),
        ("*/*", [JSON, HTML], JSON),
        ("*/*", [], None),
        (None, [], None),
        (HTML, [JSON, HTML], HTML),
        (f"{JSON}, {HTML}", [HTML, JSON], HTML),
        (f"{JSON};q=0.9, {HTML};q=0.91", [JSON, HTML], HTML),
        (f",, {JSON};q=0.2 ,\t,{HTML};q=0.1 ,", [HTML, JSON], JSON),
        ("text/*", [JSON, PLAIN, HTML], PLAIN),
        ("TEXT/Html;Q=1", [JSON, HTML], HTML),
        (f"{HTML}, */*", [JSON, HTML], HTML),
        (f"*/*, {HTML}", [JSON, HTML], HTML),
        (f"text/*, {HTML}", [PLAIN, HTML], HTML),
        (f"*/*;q=0.8, {HTML};q=0.7", [HTML, JSON], JSON),
        (f"{JSON}, {PLAIN}, */*", [HTML, JSON], JSON),
        (f"{JSON};charset=utf-8", [HTML, JSON], JSON),
        ('text/html;charset="UTF-8"', [JSON, "text/html;charset=utf-8"], "text/html;charset=utf-8"),
        ("text/html;charset=ascii", ["text/html;charset=utf-8"], None),
        ("text/html;level=1", [HTML], None),
        ("text/html;level=1;q=0.5, text/html;level=2", [HTML, "text/html;level=1"],
         "text/html;level=1"),
        ("text/html;q=0.5;level=1, text/plain;q=0.4", [PLAIN, "text/html;level=1"],
         "text/html;level=1"),
        ('a/b;c="x,y";q=0.1, text/html', ["a/b;c=\"x,y\"", HTML], HTML),
        ("image/png", [JSON, HTML], None),
        (f"{HTML};q=0", [HTML], None),
        (f"{HTML};q=0, */*", [HTML, JSON], JSON),
        (f"*/*, {HTML};q=0.000", [HTML], None),
        ("*/*;q=0", [HTML, JSON], None),
        ("text/*;q=0, text/html", [PLAIN, HTML], HTML),
        (f"{HTML};q=0.001", [JSON, HTML], HTML),
        (f"{HTML};", [JSON, HTML], HTML),  # an empty parameter is none
        (f"{HTML};q=0., {JSON};q=1.", [HTML, JSON], JSON),
        (f"{HTML};q=0.1, {HTML};q=0.9, {JSON};q=0.5", [JSON, HTML], HTML),
    ],
)  # fmt: skip
def test_the_best_offer(accept, offers, best):
    assert best_match(accept, offers) == best


@pytest.mark.parametrize(
    "accept",
    [
        "text", "html;q=1", f"{HTML} {PLAIN}", "*", "*/html", "/", f"{HTML};q",
        f"{HTML};q=", f"{HTML};q=2", f"{HTML};q=1.1", f"{HTML};q=1.001", f"{HTML};q=0.0001",
        f"{HTML};q=-1", f"{HTML};q=.5", f"{HTML};q=x", f"{HTML};q=1;q=0", f"{HTML};q=1e0",
        f"{HTML}, €", f"{HTML}, text", f'{HTML};a="', f"{HTML};a=1 2", f"{HTML};q=nan",
        f"{HTML};q=\u0660",
    ],
)  # fmt: skip
def test_a_malformed_accept_takes_the_first_offer(accept):
    assert best_match(accept, [JSON, HTML]) == JSON


def test_an_offer_has_to_be_a_media_type():
    with pytest.raises(ValueError, match="offer 'html' is no media type"):
        best_match("*/*", ["html"])


@given(PIECES.map("".join))
def test_any_text_is_read_or_refused(text):
    media = parse_media_type(text)

    assert media is None or text.strip(" \t").lower().startswith(media.essence)
    assert best_match(text, [JSON, "a/b"]) in {JSON, "a/b", None}
    assert is_json(text) in {True, False}
