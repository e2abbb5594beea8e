"""Dates of HTTP (RFC 9110 section 5.6.7), in English whatever the locale is."""

import math
import re
from datetime import date
from typing import Final

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_S: Final = 86400

_REFERENCE_S: Final = 1767225600.0
"""2026-01-01, for two-digit years where the caller has no clock at hand."""


def format_date(seconds: float) -> str:
    """An IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT`, rounded down to the second.

    `seconds` count from 1970-01-01 UTC.

    Raises:
        ValueError: not a time of the years 1 to 9999.
    """
    try:
        days, rest_s = divmod(math.floor(seconds), _DAY_S)
        day = date.fromordinal(_EPOCH + days)
    except (ValueError, OverflowError):
        raise ValueError(f"{seconds} s is no time of the years 1 to 9999") from None
    minutes, second = divmod(rest_s, 60)
    hour, minute = divmod(minutes, 60)
    weekday, month = _DAYS[day.weekday()][:3], _MONTHS[day.month - 1]
    date_text = f"{weekday}, {day.day:02} {month} {day.year:04}"
    return f"{date_text} {hour:02}:{minute:02}:{second:02} GMT"


_CLOCK: Final = "(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9]|60)"
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_SHORT_DAY: Final = f"(?:{'|'.join(day[:3] for day in _DAYS)})"
_LONG_DAY: Final = f"(?:{'|'.join(_DAYS)})"

_FORMS: Final = tuple(
    re.compile(form)
    for form in (
        rf"{_SHORT_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_CLOCK} GMT",
        rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_CLOCK} GMT",
        rf"{_SHORT_DAY} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_CLOCK} (?P<year>[0-9]{{4}})",
    )
)
"""IMF-fixdate, and the obsolete forms of RFC 850 and of C's asctime."""


def parse_date(text: str, now_s: float = _REFERENCE_S) -> float | None:
    """Seconds since 1970-01-01 UTC of a date in any of the three forms, `None` if it is none.

    The name of the weekday has to be one, but may be the wrong one.  `now_s`
    matters for the two-digit years of RFC 850 only: a year more than 50 years
    after it belongs to the century before.
    """
    match = next(filter(None, (form.fullmatch(text) for form in _FORMS)), None)
    if match is None:
        return None
    try:
        day = date(
            _year(match["year"], now_s), _MONTHS.index(match["month"]) + 1, int(match["day"])
        )
    except ValueError:
        return None
    clock_s = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    return float((day.toordinal() - _EPOCH) * _DAY_S + clock_s)


def _year(digits: str, now_s: float) -> int:
    if len(digits) == 4:
        return int(digits)
    this_year = date.fromordinal(_EPOCH + int(now_s // _DAY_S)).year
    year = this_year - this_year % 100 + int(digits)
    return year - 100 if year > this_year + 50 else year
