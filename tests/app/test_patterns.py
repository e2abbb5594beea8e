"""Route patterns: what they mean, and what is refused with which words."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from pathlib import PurePosixPath
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.kinds import DOUBLE_STAR, KINDS, PATH, STAR, STR, Parameter, is_uuid
from tarry.app.path_values import BuildError, PathText
from tarry.app.patterns import MAX_COUNT, PatternError, parse_pattern
from tarry.app.router import Router
from tarry.message.target import decode_path


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("/", ("",)),
        ("/users", ("users",)),
        ("users", ("users",)),
        ("/users/", ("users", "")),
        ("/users/{id}", ("users", Parameter("id", STR))),
        ("{id}", (Parameter("id", STR),)),
        ("/{id:str}", (Parameter("id", STR),)),
        ("/{id:int}/x", (Parameter("id", KINDS["int"]), "x")),
        ("/{x:float}/{y:uuid}", (Parameter("x", KINDS["float"]), Parameter("y", KINDS["uuid"]))),
        ("/files/{rest:path}", ("files", Parameter("rest", PATH))),
        ("/{id}/", (Parameter("id", STR), "")),
        ("/日本/{名}", ("日本", Parameter("名", STR))),
        ("/files/{rest:path}/raw", ("files", Parameter("rest", PATH), "raw")),
        ("/{rest:path}/", (Parameter("rest", PATH), "")),
        ("/{rest:path:2}/x", (Parameter("rest", PATH, 2), "x")),
        (f"/{{rest:path:{MAX_COUNT}}}", (Parameter("rest", PATH, MAX_COUNT),)),
        ("/star/*", ("star", Parameter("wildcard", STAR))),
        ("*/star", (Parameter("wildcard", STAR), "star")),
        ("/a/**", ("a", Parameter("wildcard", DOUBLE_STAR))),
        ("**/star", (Parameter("wildcard", DOUBLE_STAR), "star")),
        ("/a/**/b", ("a", Parameter("wildcard", DOUBLE_STAR), "b")),
        ("/*/**/*", (Parameter("wildcard", STAR), Parameter("wildcard2", DOUBLE_STAR),
                     Parameter("wildcard3", STAR))),
        ("/{x}/*", (Parameter("x", STR), Parameter("wildcard", STAR))),
        ("/caf%C3%A9", ("café",)),
        ("/a%20b/a b", ("a b", "a b")),
        ("/a%2Fb", ("a/b",)),
        ("/%7Bid%7D/%2A", ("{id}", "*")),
        ("/a;b=c,d@e:f!$&'()+~", ("a;b=c,d@e:f!$&'()+~",)),
    ],
)  # fmt: skip
def test_segments(text, segments):
    assert parse_pattern(text).segments == segments


@pytest.mark.parametrize(("text", "shown"), [("a/{b}", "/a/{b}"), ("/a/{b:int}", "/a/{b:int}")])
def test_the_text_is_kept_with_a_slash_before(text, shown):
    assert parse_pattern(text).text == shown


def test_names_and_types_from_left_to_right():
    pattern = parse_pattern("/{a:int}/x/{b}/{c:uuid}/{d:path}")

    assert pattern.names == ("a", "b", "c", "d")
    assert pattern.types == {"a": int, "b": str, "c": UUID, "d": str}


def test_wildcards_have_names_that_nobody_has_to_take():
    pattern = parse_pattern("/*/{a:int}/**")

    assert pattern.names == ("wildcard", "a", "wildcard2")
    assert pattern.required_names == ("a",)
    assert pattern.types == {"wildcard": str, "a": int, "wildcard2": str}


def test_a_pattern_is_shown_as_written():
    assert str(parse_pattern("a/{b:int}/*")) == "/a/{b:int}/*"


def test_names_are_normalized_as_python_does_with_arguments():
    def function(ﬁle):
        return ﬁle

    assert parse_pattern("/{ﬁle}").names == function.__code__.co_varnames == ("file",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("//", "empty segment"),
        ("/a//b", "empty segment"),
        ("//a", "empty segment"),
        ("/{id}/{id:int}", "two parameters 'id'"),
        ("/{}", "cannot be the name"),
        ("/{1a}", "'1a' cannot be the name"),
        ("/{a-b}", "cannot be the name"),
        ("/{ a}", "cannot be the name"),
        ("/{:int}", "'' cannot be the name"),
        ("/{id:number}", "no kind 'number'; there are int, float, uuid, str, path"),
        ("/{id:}", "no kind ''"),
        ("/{id:int:str}", "no kind 'int:str'"),
        ("/x{id}", "whole segment, and 'x{id}' is not; a part of a segment needs a regular exp"),
        ("/{id}.json", "whole segment"),
        ("/{a}{b}", "whole segment"),
        ("/{a", "whole segment"),
        ("/a}", "whole segment"),
        ("/{a/b}", "whole segment"),
        ("/{{a}}", "whole segment"),
        ("/{a:path}/{b:path}", "only one part"),
        ("/{a:path}/x/**", "only one part"),
        ("/**/**", "only one part"),
        ("/{a:path:2}/**", "only one part"),
        ("/{a:path:}", "'' is no number of segments from 1 to 999"),
        ("/{a:path:0}", "'0' is no number"),
        ("/{a:path:02}", "'02' is no number"),
        ("/{a:path:-1}", "'-1' is no number"),
        ("/{a:path:٣}", "'٣' is no number"),
        (f"/{{a:path:{MAX_COUNT + 1}}}", "'1000' is no number"),
        ("/{a:path:2:3}", "'2:3' is no number"),
        ("/{a:int:2}", "no kind 'int:2'"),
        ("/{a:*}", "no kind '*'"),
        ("/{wildcard}/*", "two parameters 'wildcard'"),
        ("/*.txt", "regexp="),
        ("/x**", "whole segment"),
        ("/***", "whole segment"),
        ("/a?b=c", "query"),
        ("/a#b", "fragment"),
        ("/100%", "hexadecimal"),
        ("/%00", "NUL"),
        ("/%ff", "UTF-8"),
        ("/\ud800", "surrogates"),
        ("/a/../b", "'..'"),
        ("/%2e", "'.'"),
    ],
)
def test_refused(text, words):
    with pytest.raises(PatternError) as caught:
        parse_pattern(text)

    assert words in str(caught.value)


DIGITS = "9" * 19


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("int", ["0", "-1", "007", DIGITS, f"-{DIGITS}"],
         ["", "-", "+1", "1.0", "--1", DIGITS + "1", "٣", "1\n", " 1", "1_0", "0x1"]),
        ("float", ["0", "-1", "1.5", f"{DIGITS}.{DIGITS}"],
         ["", ".5", "1.", "1e3", "nan", "inf", "1.5\n", f"1.{DIGITS}0", f"{DIGITS}0"]),
        ("uuid", ["00000000-0000-0000-0000-00000000000f", "ABCDEF00-0000-0000-0000-000000000000"],
         ["", "0" * 32, "0000000-00000-0000-0000-000000000000",
          "{00000000-0000-0000-0000-000000000000}", "00000000-0000-0000-0000-00000000000g",
          "00000000-0000-0000-0000-0000000000000"]),
    ],
)  # fmt: skip
def test_what_a_kind_accepts(kind, good, bad):
    accepts = KINDS[kind].accepts

    assert [text for text in good if not accepts(text)] == []
    assert [text for text in bad if accepts(text)] == []


def test_each_uuid_is_one():
    assert is_uuid(str(uuid4()))


@given(st.text(alphabet="ab/{}:%*?#.é\0int path12", max_size=20))
def test_any_text_is_a_pattern_or_refused(text):
    try:
        pattern = parse_pattern(text)
    except PatternError:
        return
    assert len(set(pattern.names)) == len(pattern.names)
    assert "" not in pattern.segments[:-1]


# ── URLs ──────────────────────────────────────────────────────────────────────────────────


class Colour(Enum):
    RED = "dark red"


SOME_UUID = UUID("00000000-0000-0000-0000-00000000000a")


@pytest.mark.parametrize(
    ("text", "values", "url"),
    [
        ("/", {}, "/"),
        ("/a/", {}, "/a/"),
        ("/a b/%2A;,", {}, "/a%20b/*;,"),
        ("/中文/x", {}, "/%E4%B8%AD%E6%96%87/x"),
        ("/{名}", {"名": "日"}, "/%E6%97%A5"),
        ("/{x}/y", {"x": "a/b c?"}, "/a%2Fb%20c%3F/y"),
        ("/{x:int}", {"x": -7}, "/-7"),
        ("/{x:int}", {"x": "007"}, "/007"),
        ("/{x:float}", {"x": 1.5}, "/1.5"),
        ("/{x:uuid}", {"x": SOME_UUID}, f"/{SOME_UUID}"),
        ("/{x}", {"x": True}, "/true"),
        ("/{x}", {"x": Colour.RED}, "/dark%20red"),
        ("/{x}", {"x": date(2026, 1, 2)}, "/2026-01-02"),
        ("/{x}", {"x": datetime(2026, 1, 2, 3, 4)}, "/2026-01-02T03%3A04%3A00"),  # noqa: DTZ001 — because the text is what counts
        ("/{x:path}", {"x": "a/b c"}, "/a/b%20c"),
        ("/{x:path}", {"x": ["a/b", 1]}, "/a%2Fb/1"),
        ("/{x:path}", {"x": PathText(("a/b", "c"))}, "/a%2Fb/c"),
        ("/{x:path}", {"x": PurePosixPath("a/b")}, "/a/b"),
        ("/{x:path}", {"x": "a/"}, "/a/"),
        ("/{x:path:2}/y", {"x": ("a", "b")}, "/a/b/y"),
        ("/*/x/**", {"wildcard": "a", "wildcard2": "b/c"}, "/a/x/b/c"),
    ],
)  # fmt: skip
def test_urls(text, values, url):
    assert parse_pattern(text).build(values) == url


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        ("/{x}", {}, "/{x} needs a value for 'x'"),
        ("/{x}", {"x": 1, "y": 2}, "/{x} has no parameter 'y'"),
        ("/a", {"a": 1}, "no parameter 'a'"),
        ("/{x}", {"x": ""}, "parameter 'x' cannot be '': a segment is empty"),
        ("/{x}", {"x": ".."}, "'..' cannot be a segment"),
        ("/{x}", {"x": "a\0"}, "NUL"),
        ("/{x}", {"x": "\ud800"}, "surrogate"),
        ("/{x}", {"x": None}, "a NoneType cannot stand in a path"),
        ("/{x}", {"x": b"a"}, "a bytes cannot stand in a path"),
        ("/{x}", {"x": ["a"]}, "a list cannot stand in a path"),
        ("/{x}", {"x": object()}, "cannot stand in a path"),
        ("/{x:int}", {"x": "ada"}, "parameter 'x' cannot be 'ada': that is no int"),
        ("/{x:int}", {"x": 10**19}, "no int"),
        ("/{x:float}", {"x": float("nan")}, "no float"),
        ("/{x:uuid}", {"x": "1"}, "no uuid"),
        ("/{x:path}", {"x": ""}, "empty"),
        ("/{x:path}", {"x": []}, "empty"),
        ("/{x:path}", {"x": "/a"}, "empty"),
        ("/{x:path}", {"x": "/"}, "empty"),
        ("/{x:path}", {"x": "a//b"}, "empty"),
        ("/{x:path}", {"x": "a//"}, "empty"),
        ("/{x:path}", {"x": "a/../b"}, "'..' cannot be a segment"),
        ("/{x:path}/y", {"x": "a/"}, "empty"),
        ("/{x:path:2}", {"x": "a"}, "it has 1 segments instead of 2"),
        ("/{x:path:2}", {"x": "a/"}, "empty"),
        ("/{x:path:1}", {"x": "a/"}, "2 segments instead of 1"),
    ],
)
def test_no_url(text, values, words):
    with pytest.raises(BuildError) as caught:
        parse_pattern(text).build(values)

    assert words in str(caught.value)


NAMES = st.text(min_size=1, max_size=5)
VALUES = st.one_of(NAMES, st.integers(), st.floats(), st.booleans(), st.lists(NAMES, max_size=3))


@given(
    st.sampled_from(["/a/{x}", "/{x:int}/b", "/{x:path}", "/a/{x:path}/b", "/{x:path:2}"]), VALUES
)
def test_a_url_leads_back_with_the_same_text(text, value):
    pattern, router = parse_pattern(text), Router()
    router.add(pattern, ["GET"], "route")
    try:
        url = pattern.build({"x": value})
    except BuildError:
        return
    route, values = router.find(b"GET", url.encode("ascii"))

    assert route == "route"
    assert pattern.build({"x": values[0]}) == url
    assert "" not in decode_path(url.encode("ascii"))[:-1]
    if isinstance(value, str):
        assert values == (value,)
