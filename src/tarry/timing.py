"""All durations, clocks and timers.

One `TimerTable` per worker holds every timeout, in buckets of a fixed width;
an entry moves to a later bucket only when its bucket comes up.  Putting off a
deadline, which each request does, is then one attribute and no table work.
"""

import heapq
import math
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

NEVER: Final = float("inf")

Duration = float | int | str | timedelta
"""How long: seconds, a text such as `"1h30m"`, or a timedelta; see `seconds`."""

_UNITS_S: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

# Largest unit first, each once.
_TEXT: Final = re.compile(
    "".join(rf"(?:([0-9]+(?:\.[0-9]+)?){unit})?" for unit in _UNITS_S), re.ASCII
)

_FORMS: Final = 'a duration is 30, 1.5, "250ms", "25s", "2m", "1.5h", "7d", "1h30m" or a timedelta'


def seconds(duration: Duration) -> float:
    """A duration in seconds: numbers are seconds, texts have the units d, h, m, s and ms.

    Raises:
        TypeError: neither number, text nor timedelta; `bool` is none of them.
        ValueError: a text of another form, less than 0, infinite or NaN.
    """
    try:
        seconds_s = _seconds(duration)
    except OverflowError:  # a whole number that no float holds
        seconds_s = NEVER
    if not 0 <= seconds_s < NEVER:
        raise ValueError(f"{_FORMS}, at least 0 and finite, not {duration!r}")
    return seconds_s


def _seconds(duration: Duration) -> float:
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    if isinstance(duration, str):
        return _of_text(duration)
    if isinstance(duration, bool) or not isinstance(duration, float | int):
        raise TypeError(f"{_FORMS}, not {duration!r}")
    return float(duration)


def _of_text(text: str) -> float:
    parts = _TEXT.fullmatch(text)
    if parts is None or not text:
        raise ValueError(f"{_FORMS}, not {text!r}")
    amounts = zip(parts.groups(), _UNITS_S.values(), strict=True)
    return math.fsum(float(amount) * unit_s for amount, unit_s in amounts if amount is not None)


class Clock(Protocol):
    """Where time comes from; tests pass one that jumps."""

    def monotonic_s(self) -> float:
        """Seconds that never go back."""

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC."""


class SystemClock:
    """The clock of the machine."""

    __slots__ = ()

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()


class Timed:
    """Something with a deadline; `expire` is called once when it has passed.

    Move `deadline_s` to a later time by assigning it; to set the first one or
    an earlier one call `TimerTable.set`.
    """

    __slots__ = ("_bucket", "deadline_s")

    def __init__(self) -> None:
        self.deadline_s = NEVER
        self._bucket: int | None = None

    def expire(self) -> None:
        """Called by the table after the deadline."""
        raise TypeError(f"{type(self).__name__} does not say what happens when it expires")


class TimerTable:
    """Deadlines in buckets of `width_s` seconds: never early, less than two widths late.

    `now_s` is the time of the last `advance`, a cheap clock for deadlines.
    """

    def __init__(self, clock: Clock, width_s: float = 0.25) -> None:
        self._clock = clock
        self._width_s = width_s
        self._buckets: dict[int, dict[Timed, None]] = {}
        self._numbers: list[int] = []
        self.now_s = clock.monotonic_s()
        self._done = int(self.now_s / width_s) - 1

    def set(self, timed: Timed, deadline_s: float) -> None:
        """Have `timed` expire at `deadline_s`, whatever was set before."""
        timed.deadline_s = deadline_s
        if deadline_s == NEVER:
            self.remove(timed)
            return
        bucket = int(deadline_s / self._width_s)
        if timed._bucket is None or bucket < timed._bucket:
            self._put(timed, bucket)

    def remove(self, timed: Timed) -> None:
        """Forget an entry; without effect on one that is not there."""
        bucket, timed._bucket = timed._bucket, None
        if bucket is not None:
            self._buckets.get(bucket, {}).pop(timed, None)

    def _put(self, timed: Timed, bucket: int) -> None:
        self.remove(timed)
        timed._bucket = bucket = max(bucket, self._done + 1)
        if bucket not in self._buckets:
            self._buckets[bucket] = {}
            heapq.heappush(self._numbers, bucket)
        self._buckets[bucket][timed] = None

    def advance(self, *, exactly: bool = False) -> None:
        """Look at the clock and expire what is due; call it every `width_s` seconds.

        With `exactly` nothing that is due is left for later, which means to look
        at more entries: for a clock that jumps and then stands still.  If an
        `expire` raises, the others are still due and come next time.
        """
        self.now_s = now_s = self._clock.monotonic_s()
        self._done = max(self._done, int(now_s / self._width_s) - 1)
        self._empty_buckets(now_s)
        if exactly:
            self._empty_now(now_s)

    def _empty_buckets(self, now_s: float) -> None:
        """Take every entry whose bucket is over: it is due, or comes up later again."""
        while self._numbers and self._numbers[0] <= self._done:
            entries = self._buckets[self._numbers[0]]
            while entries:
                timed = next(iter(entries))
                del entries[timed]
                timed._bucket = None
                self._due(timed, now_s)
            del self._buckets[heapq.heappop(self._numbers)]

    def _empty_now(self, now_s: float) -> None:
        """Expire what is due in the bucket that is not over yet."""
        entries = self._buckets.get(self._done + 1, {})
        for timed in list(entries):
            # An earlier one may have taken it away, or have put it off.
            if timed in entries and timed.deadline_s <= now_s:
                self.remove(timed)
                timed.expire()

    def _due(self, timed: Timed, now_s: float) -> None:
        if timed.deadline_s <= now_s:
            timed.expire()
        elif timed.deadline_s != NEVER:
            self._put(timed, int(timed.deadline_s / self._width_s))

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._buckets.values())


class Ticker:
    """Runs `advance` on a loop every `width_s` seconds until stopped."""

    def __init__(
        self, call_later: Callable[..., "Handle"], width_s: float, tick: Callable[[], None]
    ) -> None:
        self._call_later = call_later
        self._width_s = width_s
        self._tick = tick
        self._handle = call_later(width_s, self._run)

    def _run(self) -> None:
        self._handle = self._call_later(self._width_s, self._run)
        self._tick()

    def stop(self) -> None:
        """No further tick."""
        self._handle.cancel()


class Handle(Protocol):
    """What a loop's `call_later` returns."""

    def cancel(self) -> None: ...
