"""Conditional requests: tags and dates, in the order of RFC 9110 section 13.2.2."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.message.conditional import etag_matches, evaluate, parse_etags, range_applies
from tarry.message.dates import format_date
from tarry.message.heads import Fields

MODIFIED_S = 784_111_777.25
"""A quarter of a second after the date that RFC 9110 has as its example."""

BEFORE, SAME, AFTER = (format_date(MODIFIED_S + by_s) for by_s in (-1, 0, 1))
MINE, WEAK, OTHER = '"a"', 'W/"a"', '"b"'


def fields(**named):
    return Fields(
        (name.replace("_", "-").encode(), value.encode()) for name, value in named.items()
    )


@pytest.mark.parametrize(
    ("value", "etags"),
    [
        ('"a"', ['"a"']),
        ('W/"a"', ['W/"a"']),
        ('"a", W/"b" ,\t"c"', ['"a"', 'W/"b"', '"c"']),
        ('"a","b"', ['"a"', '"b"']),
        (', "a",, "b",', ['"a"', '"b"']),
        ('""', ['""']),
        ('"a,b"', ['"a,b"']),
        ('"\\"', ['"\\"']),
        ("*", ["*"]),
        (" * ", ["*"]),
        ("", []),
        ("a", []),
        ('w/"a"', []),
        ('"a', []),
        ('"a" "b"', []),
        ('"a b"', []),
        ('"a", b, "c"', ['"a"']),
        ('*, "a"', []),
    ],
)
def test_a_list_of_tags_counts_up_to_its_first_fault(value, etags):
    assert parse_etags(value) == etags


@pytest.mark.parametrize(
    ("value", "etag", "weak", "strong"),
    [
        (MINE, MINE, True, True),
        (MINE, OTHER, False, False),
        (WEAK, MINE, True, False),
        (MINE, WEAK, True, False),
        (WEAK, WEAK, True, False),
        ('"x", "a"', MINE, True, True),
        ("*", MINE, True, True),
        ("*", None, True, True),
        (MINE, None, False, False),
        ("", MINE, False, False),
    ],
)
def test_tags_are_compared_weakly_or_strongly(value, etag, weak, strong):
    assert etag_matches(value, etag, weak=True) is weak
    assert etag_matches(value, etag, weak=False) is strong


@pytest.mark.parametrize(
    ("conditions", "get", "post"),
    [
        ({}, "send", "send"),
        ({"if_match": MINE}, "send", "send"),
        ({"if_match": "*"}, "send", "send"),
        ({"if_match": OTHER}, 412, 412),
        ({"if_match": WEAK}, 412, 412),
        ({"if_match": "nonsense"}, 412, 412),
        ({"if_none_match": MINE}, 304, 412),
        ({"if_none_match": WEAK}, 304, 412),
        ({"if_none_match": "*"}, 304, 412),
        ({"if_none_match": OTHER}, "send", "send"),
        ({"if_none_match": "nonsense"}, "send", "send"),
        ({"if_modified_since": BEFORE}, "send", "send"),
        ({"if_modified_since": SAME}, 304, "send"),
        ({"if_modified_since": AFTER}, 304, "send"),
        ({"if_modified_since": "nonsense"}, "send", "send"),
        ({"if_unmodified_since": BEFORE}, 412, 412),
        ({"if_unmodified_since": SAME}, "send", "send"),
        ({"if_unmodified_since": AFTER}, "send", "send"),
        ({"if_unmodified_since": "nonsense"}, "send", "send"),
        # A tag says more than a date.
        ({"if_match": MINE, "if_unmodified_since": BEFORE}, "send", "send"),
        ({"if_none_match": OTHER, "if_modified_since": AFTER}, "send", "send"),
        ({"if_none_match": MINE, "if_modified_since": BEFORE}, 304, 412),
        # What forbids comes before what spares.
        ({"if_match": OTHER, "if_none_match": MINE}, 412, 412),
        ({"if_match": MINE, "if_none_match": MINE}, 304, 412),
        ({"if_unmodified_since": BEFORE, "if_modified_since": AFTER}, 412, 412),
    ],
)
def test_conditions_are_evaluated_in_order(conditions, get, post):
    headers = fields(**conditions)

    assert evaluate(b"GET", headers, MINE, MODIFIED_S) == get
    assert evaluate(b"HEAD", headers, MINE, MODIFIED_S) == get
    assert evaluate(b"POST", headers, MINE, MODIFIED_S) == post


def test_the_tags_of_repeated_fields_are_one_list():
    headers = Fields([(b"if-none-match", b'"x"'), (b"if-none-match", b'"a"')])

    assert evaluate(b"GET", headers, MINE, None) == 304


def test_a_date_that_came_twice_is_none():
    headers = Fields([(b"if-modified-since", AFTER.encode())] * 2)

    assert evaluate(b"GET", headers, None, MODIFIED_S) == "send"


@pytest.mark.parametrize("name", ["if_modified_since", "if_unmodified_since"])
def test_dates_do_not_count_for_what_has_none(name):
    assert evaluate(b"GET", fields(**{name: BEFORE}), None, None) == "send"


@pytest.mark.parametrize(
    ("value", "applies"),
    [
        (MINE, True),
        (OTHER, False),
        (WEAK, False),
        (f"{MINE}, {OTHER}", False),
        (SAME, True),
        (BEFORE, False),
        (AFTER, False),
        ("nonsense", False),
        ("*", False),
        ("", False),
    ],
)
def test_a_range_counts_for_exactly_what_the_client_has(value, applies):
    assert range_applies(fields(if_range=value), MINE, MODIFIED_S) is applies


def test_a_range_without_a_condition_counts():
    assert range_applies(fields(), None, None)


def test_a_range_does_not_count_for_what_has_neither_strong_tag_nor_date():
    assert not range_applies(fields(if_range=WEAK), WEAK, None)
    assert not range_applies(fields(if_range=MINE), None, None)
    assert not range_applies(fields(if_range=SAME), MINE, None)


@pytest.mark.parametrize(
    "value", ['"a",' * 250_000, "," * 1_000_000, '"' * 1_000_000, "W/" * 500_000, " " * 1_000_000]
)
def test_a_long_list_takes_no_longer_than_its_length(value):
    start_s = time.process_time()
    parse_etags(value + "x")

    assert time.process_time() - start_s < 5


@settings(max_examples=200)
@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_text_has_an_outcome(text):
    names = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since")
    for name in (*names, b"if-range"):
        headers = Fields([(name, text.encode("latin-1"))])
        assert evaluate(b"GET", headers, MINE, MODIFIED_S) in ("send", 304, 412)
        assert range_applies(headers, MINE, MODIFIED_S) in (True, False)
