"""Dates of HTTP: written in one form, read in three."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.message.dates import format_date, parse_date

EXAMPLE_S = 784111777.0
YEAR_1_S = datetime(1, 1, 1, tzinfo=UTC).timestamp()
YEAR_10000_S = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp() + 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (EXAMPLE_S, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (EXAMPLE_S + 0.999, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-0.5, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (951782400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (2**31, "Tue, 19 Jan 2038 03:14:08 GMT"),
        (YEAR_1_S, "Mon, 01 Jan 0001 00:00:00 GMT"),
        (YEAR_10000_S - 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_a_date_is_written(seconds, text):
    assert format_date(seconds) == text


@pytest.mark.parametrize(
    "seconds", [YEAR_1_S - 1, YEAR_10000_S, 1e30, -1e30, float("inf"), float("nan")]
)
def test_a_time_beyond_the_calendar_is_refused(seconds):
    with pytest.raises(ValueError, match="no time of the years 1 to 9999"):
        format_date(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994",
        "Mon, 06 Nov 1994 08:49:37 GMT",  # not a Monday, which is nobody's loss
    ],
)
def test_rfc9110_5_6_7_three_forms_are_read(text):
    assert parse_date(text) == EXAMPLE_S


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Tue, 29 Feb 2000 00:00:00 GMT", 951782400),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800),  # a leap second is the next one
        ("Sun Nov 16 08:49:37 1994", EXAMPLE_S + 864000),
    ],
)
def test_single_dates_are_read(text, seconds):
    assert parse_date(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "0", "784111777",
        " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 GMT\n", "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 6 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt", "Sun 06 Nov 1994 08:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Xyz 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
        "Mon, 29 Feb 2100 08:49:37 GMT", "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 19944 08:49:37 GMT", "Sun, 06  Nov 1994 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT", "Sunday, 6-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94", "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov   6 08:49:37 1994", "Sun, Nov  6 08:49:37 1994",
        "1994-11-06T08:49:37Z",
    ],
)  # fmt: skip
def test_no_dates(text):
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("this_year", "digits", "year"),
    [(2026, "76", 2076), (2026, "77", 1977), (2026, "26", 2026), (2026, "00", 2000),
     (2049, "99", 2099), (2048, "99", 1999), (1994, "94", 1994), (1994, "44", 1944)],
)  # fmt: skip
def test_rfc9110_5_6_7_a_year_over_50_years_ahead_is_past(this_year, digits, year):
    now_s = datetime(this_year, 6, 1, tzinfo=UTC).timestamp()
    expected = datetime(year, 11, 6, tzinfo=UTC).timestamp()

    assert parse_date(f"Sunday, 06-Nov-{digits} 00:00:00 GMT", now_s) == expected


def test_two_digit_years_need_no_clock():
    assert parse_date("Sunday, 06-Nov-94 08:49:37 GMT") == EXAMPLE_S
    assert parse_date("Friday, 06-Nov-26 08:49:37 GMT") == 1793954977


@given(st.integers(int(YEAR_1_S), int(YEAR_10000_S) - 1))
def test_a_date_comes_back_as_it_was_written(seconds):
    assert parse_date(format_date(seconds)) == seconds


@given(st.integers(0, 2**35))
def test_the_standard_library_writes_the_same(seconds):
    assert format_date(seconds) == formatdate(seconds, usegmt=True)


@given(st.text() | st.text("Sun, 0619MonvGT:-48", max_size=40))
def test_any_text_is_a_date_or_none(text):
    assert parse_date(text) is None or len(text) >= 24
