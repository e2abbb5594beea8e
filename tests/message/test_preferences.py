"""The Prefer field: RFC 7240, its examples and what is malformed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.message.preferences import MAX_WAIT_S, parse_preferences, wait_s

EXAMPLES = [
    # Sections 2 and 4 of the RFC, and its errata.
    (["foo; bar"], {"foo": ""}),
    (['foo; bar=""'], {"foo": ""}),
    (['foo=""; bar'], {"foo": ""}),
    (["respond-async, wait=10"], {"respond-async": "", "wait": "10"}),
    (["respond-async", "wait=10"], {"respond-async": "", "wait": "10"}),
    (["respond-async, wait=100", "handling=lenient"],
     {"respond-async": "", "wait": "100", "handling": "lenient"}),
    (['priority=5'], {"priority": "5"}),
    (["return=minimal; foo=\"some parameter\""], {"return": "minimal"}),
    (["Lenient"], {"lenient": ""}),
    # The first of several counts (section 2).
    (["wait=1, wait=2", "wait=3"], {"wait": "1"}),
    # Spaces, quotes, commas in quotes.
    (["  wait = 10  ,  a = \"b, c\" "], {"wait": "10", "a": "b, c"}),
    ([r'a="say \"hi\" \\ there"'], {"a": r'say "hi" \ there'}),
    ([r'a; b="x, y", wait=3'], {"a": "", "wait": "3"}),
    # What is malformed is skipped up to the next comma.
    ([", ,, wait=3,"], {"wait": "3"}),
    (["=5, wait=3"], {"wait": "3"}),
    (["a b, wait=3"], {"wait": "3"}),
    (['a="open, wait=3'], {"wait": "3"}),
    ([""], {}),
    ([], {}),
]  # fmt: skip


@pytest.mark.parametrize(("values", "found"), EXAMPLES)
def test_preferences(values, found):
    assert parse_preferences(values) == found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10.0), ("0", 0.0), ("007", 7.0), ("9" * 400, MAX_WAIT_S),
        ("", None), ("-1", None), ("1.5", None), ("ten", None), ("1 0", None), ("²", None),
        ("\u0661\u0660", None),
    ],
)  # fmt: skip
def test_how_long_a_client_will_wait(text, seconds):
    assert wait_s({"wait": text}) == seconds


def test_who_does_not_say_is_not_asked():
    assert wait_s({}) is None


PIECES = st.sampled_from(
    ["a", "wait", "=", "10", ",", ";", '"', "\\", " ", "\t", "\x00", "é", "\ud800", "a" * 50]
)


@given(st.lists(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=60), max_size=3))
@settings(max_examples=200)
def test_it_never_raises(values):
    found = parse_preferences(values)

    assert all(name == name.lower() and name for name in found)
    wait_s(found)


@pytest.mark.parametrize(
    "piece",
    [
        'a;\\"x,',
        'a="',
        "a;",
        '"',
        "\\",
        ",",
        " ",
        "=",
        'a;"',
        ';"",',
        'a=";"',
        '";',
        " \t",
        ';x="a\\',
        "a ",
    ],
)
def test_a_long_one_is_never_slow(piece):
    """64 KiB are more than a head may have; backtracking would take minutes."""
    for text in (piece * (65536 // len(piece)), "a" + piece * (65536 // len(piece)) + "\x00"):
        began_s = time.process_time()
        parse_preferences([text])
        assert time.process_time() - began_s < 1.0
