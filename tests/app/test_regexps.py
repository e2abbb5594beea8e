"""Expressions as routes: what they match, what their groups are called, what is refused."""

from __future__ import annotations

import pytest

from tarry.app.path_values import BuildError
from tarry.app.patterns import PatternError
from tarry.app.regexps import MAX_REGEXP_PATH_CHARACTERS, parse_regexp


@pytest.mark.parametrize(
    ("text", "segments", "values"),
    [
        ("^/x/([a-z]+)$", ["x", "abc"], ("abc",)),
        ("/x/([a-z]+)", ["x", "abc"], ("abc",)),
        ("/x/([a-z]+)", ["x", "abc", "d"], None),
        ("/x/([a-z]+)", ["y", "x", "abc"], None),
        ("/x", ["x\n"], None),
        ("x", ["x"], None),
        ("/x", ["x"], ()),
        ("/(.*)", [""], ("",)),
        ("/(.*)", ["", "x"], None),
        ("/(.*)", ["x", "", "y"], None),
        ("/(.*)", ["x", ""], ("x/",)),
        ("/(a)?(b)?", ["b"], ("", "b")),
        ("/(.+)", ["中文", "a/b"], ("中文/a/b",)),
        ("(?i)/X", ["x"], ()),
        ("/(.+)/b", ["a\n", "b"], ("a\n",)),
    ],
)
def test_the_whole_decoded_path_is_matched(text, segments, values):
    assert parse_regexp(text).values(segments) == values


def test_groups_are_called_by_name_or_number():
    regexp = parse_regexp("/(?P<first>a)/(b(c))/(?P<名>d)/(?:e)")

    assert regexp.names == ("first", "2", "3", "名")
    assert regexp.types == dict.fromkeys(regexp.names, str)
    assert tuple(parameter.name for parameter in regexp.parameters) == regexp.names
    assert regexp.required_names == ()


def test_names_are_normalized_as_python_does_with_arguments():
    assert parse_regexp("/(?P<ﬁle>a)").names == ("file",)


def test_an_expression_is_shown_as_one():
    regexp = parse_regexp("^/x")

    assert regexp.text == "^/x"
    assert str(regexp) == "regexp ^/x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("users/.*", "regexp 'users/.*' matches no path, since a path begins with '/'"),
        ("^users", "write '^/users'"),
        ("/(a", "regexp '/(a': missing ), unterminated subpattern at position 1"),
        ("/a**", "at position"),
        ("/a{99999999999}", "too large"),
        ("/(?P<a>x)(?P<a>y)", "redefinition"),
        ("/(?P<ﬁ>x)(?P<fi>y)", "two groups 'fi'"),
    ],
)
def test_refused(text, words):
    with pytest.raises(PatternError) as caught:
        parse_regexp(text)

    assert words in str(caught.value)


@pytest.mark.parametrize("text", [".*x", "(/x)+", "[/]x", "x*/y", "xy|/x", r"\/x", "x?/y", "^/x"])
def test_what_may_match_a_path_is_taken(text):
    assert parse_regexp(text).text == text


def test_only_short_paths_are_asked_about():
    regexp = parse_regexp("/(a+)")
    longest = "a" * (MAX_REGEXP_PATH_CHARACTERS - 1)

    assert regexp.values([longest]) == (longest,)
    assert regexp.values([longest + "a"]) is None


def test_characters_count_not_bytes():
    longest = "中" * (MAX_REGEXP_PATH_CHARACTERS - 1)

    assert parse_regexp("/(.+)").values([longest]) == (longest,)


def test_a_path_cannot_be_built():
    with pytest.raises(BuildError, match="regexp /a cannot become a path again"):
        parse_regexp("/a").build({})
