"""Filters match paths as routes do, and a long path is no way around them."""

from __future__ import annotations

import sys

import pytest

from tarry.app.matching import path_matcher, regexp_matcher
from tarry.app.patterns import PatternError
from tarry.app.regexps import MAX_REGEXP_PATH_CHARACTERS
from tarry.message.target import decode_path


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/api/**", "/api/x", True),
        ("/api/**", "/api/x/y/", True),
        ("/api/**", "/api", False),
        ("/api/**", "/api/", False),
        ("/api/**", "/api2/x", False),
        ("/api/**", "/api//x", False),
        ("/api/**", "/%61pi/x", True),
        ("/api/**", "/API/x", False),
        ("/**", "/x", True),
        ("/**", "/", False),
        ("/", "/", True),
        ("/a", "/a", True),
        ("/a", "/a/", False),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b/c", False),
        ("*/star", "/a/star", True),
        ("**/star", "/star", False),
        ("**/star", "/a/b/star", True),
        ("/a/**/b", "/a/b", False),
        ("/a/**/b", "/a/b/b", True),
        ("/{x:int}", "/1", True),
        ("/{x:int}", "/a", False),
        ("/{x:path:2}", "/a/b", True),
        ("/中文/x", "/%E4%B8%AD%E6%96%87/x", True),
    ],
)
def test_patterns(pattern, path, fits):
    assert path_matcher(pattern)(decode_path(path.encode())) is fits


@pytest.mark.parametrize(
    ("expression", "path", "fits"),
    [
        ("^/abcd", "/abcd", True),
        ("^/abcd", "/abcdef/g", True),
        ("/abcd", "/x/abcd", False),
        ("abcd", "/abcd", False),
        ("/abcd$", "/abcde", False),
        ("/a b", "/a%20b/c", True),
        ("/a/.*/admin", "/a/%0A/admin", True),
        ("^/admin", "/" + "x" * (MAX_REGEXP_PATH_CHARACTERS - 1), False),
        ("^/admin", "/" + "x" * MAX_REGEXP_PATH_CHARACTERS, True),
        (".*[.]html$", "/" + "x" * MAX_REGEXP_PATH_CHARACTERS + ".html", True),
    ],
)
def test_expressions(expression, path, fits):
    assert regexp_matcher(expression)(decode_path(path.encode())) is fits


@pytest.mark.parametrize(("make", "text"), [(path_matcher, "/**/**"), (regexp_matcher, "/(")])
def test_refused(make, text):
    with pytest.raises(PatternError):
        make(text)


@pytest.mark.parametrize("pattern", ["/**/a/a/a/b", "/a/a/**/a/b", "/*/**/*/*/b"])
def test_no_path_makes_a_pattern_backtrack(pattern):
    fits = path_matcher(pattern)

    def lines_run(count: int) -> int:
        ran = 0

        def trace(frame, event, argument):
            nonlocal ran
            ran += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            assert not fits(["a"] * count)
        finally:
            sys.settrace(before)
        return ran

    assert lines_run(4000) == lines_run(40)
