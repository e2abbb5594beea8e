"""Route patterns: what they mean, and what is refused with which words."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.patterns import KINDS, PATH, STR, Parameter, PatternError, is_uuid, parse_pattern


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
        ("/caf%C3%A9", ("café",)),
        ("/a%20b/a b", ("a b", "a b")),
        ("/a%2Fb", ("a/b",)),
        ("/%7Bid%7D/%2A", ("{id}", "*")),
        ("/a;b=c,d@e:f!$&'()+~", ("a;b=c,d@e:f!$&'()+~",)),
    ],
)
def test_segments(text, segments):
    assert parse_pattern(text).segments == segments


@pytest.mark.parametrize(("text", "shown"), [("a/{b}", "/a/{b}"), ("/a/{b:int}", "/a/{b:int}")])
def test_the_text_is_kept_with_a_slash_before(text, shown):
    assert parse_pattern(text).text == shown


def test_names_and_types_from_left_to_right():
    pattern = parse_pattern("/{a:int}/x/{b}/{c:uuid}/{d:path}")

    assert pattern.names == ("a", "b", "c", "d")
    assert pattern.types == {"a": int, "b": str, "c": UUID, "d": str}


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
        ("/x{id}", "whole segment, and 'x{id}' is not; wildcards and regular expressions are"),
        ("/{id}.json", "whole segment"),
        ("/{a}{b}", "whole segment"),
        ("/{a", "whole segment"),
        ("/a}", "whole segment"),
        ("/{a/b}", "whole segment"),
        ("/{{a}}", "whole segment"),
        ("/{rest:path}/x", "nothing can follow"),
        ("/{rest:path}/", "nothing can follow"),
        ("/a?b=c", "query"),
        ("/a#b", "fragment"),
        ("/*", "wildcards"),
        ("/a/**", "wildcards"),
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


@given(st.text(alphabet="ab/{}:%*?#.é\0int path", max_size=20))
def test_any_text_is_a_pattern_or_refused(text):
    try:
        pattern = parse_pattern(text)
    except PatternError:
        return
    assert len(set(pattern.names)) == len(pattern.names)
    assert "" not in pattern.segments[:-1]
