"""Range fields: what RFC 9110 section 14 makes of them, in bounded time and number."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.message.ranges import MAX_RANGES, UnsatisfiableRange, parse_range


@pytest.mark.parametrize(
    ("value", "ranges"),
    [
        ("bytes=0-0", [(0, 0)]),
        ("bytes=2-5", [(2, 5)]),
        ("bytes=9-9", [(9, 9)]),
        ("bytes=5-", [(5, 9)]),
        ("bytes=0-", [(0, 9)]),
        ("bytes=-3", [(7, 9)]),
        ("bytes=-10", [(0, 9)]),
        ("bytes=-11", [(0, 9)]),
        ("bytes=5-10", [(5, 9)]),
        ("bytes=5-999999999999999999", [(5, 9)]),
        ("bytes=000-001", [(0, 1)]),
        ("BYTES=0-1", [(0, 1)]),
        ("bytes= 0-1 ,\t3-4 ", [(0, 1), (3, 4)]),
        ("bytes=,0-1,,3-4,", [(0, 1), (3, 4)]),
    ],
)
def test_ranges_lie_within_the_ten_bytes_of_a_file(value, ranges):
    assert parse_range(value, 10) == ranges


@pytest.mark.parametrize(
    "value",
    [
        "", "bytes", "bytes=", "bytes=,", "bytes= ", "bytes=-", "bytes=a-b", "bytes=1", "bytes=5-2",
        "bytes=1-2-3", "bytes=--1", "bytes=+1-2", "bytes=1 - 2", "bytes=0x1-2", "bytes=1_0-",
        "bytes=0-1;2-3", "bytes=0-1, x", "bytes=0-1,5-2", "bytes =0-1", "lines=0-1", "=0-1",
        "bytes=٣-٤", "bytes=0-1, bytes=3-4", "bytes=0.5-1",
        "bytes=0-" + "9" * 19, "bytes=" + "0" * 19 + "-1", "bytes=-" + "9" * 10_000,
    ],
)  # fmt: skip
def test_what_is_malformed_is_ignored(value):
    assert parse_range(value, 10) is None


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=10-,-0,99-100"])
def test_a_range_of_which_no_byte_exists_cannot_be_satisfied(value):
    with pytest.raises(UnsatisfiableRange):
        parse_range(value, 10)


def test_what_exists_of_several_ranges_is_taken():
    assert parse_range("bytes=10-,3-4,-0", 10) == [(3, 4)]


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=0-5", "bytes=-5", "bytes=-0"])
def test_an_empty_file_is_sent_whole(value):
    assert parse_range(value, 0) is None


@pytest.mark.parametrize(
    ("value", "ranges"),
    [
        ("bytes=0-4,3-6", [(0, 6)]),
        ("bytes=0-4,5-6", [(0, 6)]),
        ("bytes=0-3,5-6", [(0, 3), (5, 6)]),
        ("bytes=0-9,2-3", [(0, 9)]),
        ("bytes=2-3,2-3,2-3", [(2, 3)]),
        ("bytes=-1,0-0", [(9, 9), (0, 0)]),
        ("bytes=8-9,0-1,7-7", [(7, 9), (0, 1)]),
        ("bytes=0-1,6-7,2-5", [(0, 7)]),
    ],
)
def test_ranges_that_overlap_or_touch_are_one_in_the_place_of_the_first(value, ranges):
    assert parse_range(value, 10) == ranges


def apart(count):
    return "bytes=" + ",".join(f"{at * 2}-{at * 2}" for at in range(count))


def test_more_ranges_than_the_limit_are_ignored():
    assert len(parse_range(apart(MAX_RANGES), 10_000)) == MAX_RANGES == 5
    assert parse_range(apart(MAX_RANGES + 1), 10_000) is None


def test_ranges_beyond_the_limit_count_after_merging():
    touching = "bytes=" + ",".join(f"{at}-{at}" for at in range(5_000))

    assert parse_range(touching, 10_000) == [(0, 4_999)]


@pytest.mark.parametrize(
    "value",
    [
        apart(200_000),
        "bytes=" + "0-," * 200_000 + "0-1",
        "bytes=" + " " * 1_000_000,
        "bytes=" + "0-" * 500_000,
        "bytes=" + "9" * 1_000_000,
    ],
    ids=["apart", "overlapping", "spaces", "dashes", "digits"],
)  # CVE-2025-62727
def test_a_long_field_takes_no_longer_than_its_length(value):
    start_s = time.process_time()
    parse_range(value, 1_000_000)

    assert time.process_time() - start_s < 5


SPECS = st.from_regex(r"(?a:\d{0,3}-\d{0,3})", fullmatch=True)


@settings(max_examples=200)
@given(st.lists(SPECS, max_size=8), st.integers(0, 300))
def test_the_bytes_of_all_ranges_are_those_that_were_asked_for(specs, size):
    try:
        ranges = parse_range("bytes=" + ",".join(specs), size)
    except UnsatisfiableRange:
        ranges = []
    if ranges is None:
        return
    asked = set()
    for spec in specs:
        first, _, last = spec.partition("-")
        start = max(0, size - int(last)) if not first else int(first)
        asked |= set(range(start, min(size, int(last) + 1) if first and last else size))

    assert {at for first, last in ranges for at in range(first, last + 1)} == asked
    assert sum(last + 1 - first for first, last in ranges) == len(asked)


@settings(max_examples=200)
@given(st.text(max_size=60), st.integers(0, 100))
def test_any_text_is_ranges_or_none_or_unsatisfiable(text, size):
    for value in (text, "bytes=" + text):
        try:
            ranges = parse_range(value, size)
        except UnsatisfiableRange:
            continue
        assert ranges is None or all(0 <= first <= last < size for first, last in ranges)
