"""Durations; timers: never early, at most two bucket widths late, and cheap to put off."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.timing import NEVER, SystemClock, Ticker, Timed, TimerTable, seconds

WIDTH_S = 0.25


class FakeClock:
    """A clock that a test moves."""

    def __init__(self, now_s=1000.0):
        self.now_s = now_s

    def monotonic_s(self):
        return self.now_s

    def wall_s(self):
        return self.now_s


class Alarm(Timed):
    """Writes down when it expired."""

    def __init__(self, clock, then=None):
        super().__init__()
        self.clock = clock
        self.then = then
        self.expired_at_s = []

    def expire(self):
        self.expired_at_s.append(self.clock.now_s)
        if self.then is not None:
            self.then()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def table(clock):
    return TimerTable(clock, WIDTH_S)


def advance_to(table, clock, now_s):
    """Jump once, as after a blocked loop."""
    clock.now_s = now_s
    table.advance()


def tick_to(table, clock, now_s):
    """Advance once every width."""
    while clock.now_s < now_s:
        advance_to(table, clock, clock.now_s + WIDTH_S)


def test_at_the_deadline_nothing_has_expired_yet(table, clock):
    alarm = Alarm(clock)
    table.set(alarm, 1001.0)
    advance_to(table, clock, 1001.0)

    assert alarm.expired_at_s == []
    assert len(table) == 1


@pytest.mark.parametrize("inside_s", [0, 0.125, 0.249])
def test_one_bucket_beyond_the_deadline_it_expires_once(table, clock, inside_s):
    alarm = Alarm(clock)
    table.set(alarm, 1001.0 + inside_s)
    advance_to(table, clock, 1001.0 + WIDTH_S - 1e-6)
    assert alarm.expired_at_s == []
    advance_to(table, clock, 1001.0 + WIDTH_S)
    advance_to(table, clock, 1003.0)

    assert alarm.expired_at_s == [1001.0 + WIDTH_S]
    assert len(table) == 0


def test_a_deadline_is_put_off_by_assignment(table, clock):
    alarm = Alarm(clock)
    table.set(alarm, 1001.0)
    alarm.deadline_s = 1002.0
    tick_to(table, clock, 1002.0)
    assert alarm.expired_at_s == []
    tick_to(table, clock, 1003.0)

    assert alarm.expired_at_s == [1002.0 + WIDTH_S]


def test_an_earlier_deadline_is_set(table, clock):
    alarm = Alarm(clock)
    table.set(alarm, 1005.0)
    table.set(alarm, 1001.0)
    tick_to(table, clock, 1006.0)

    assert alarm.expired_at_s == [1001.0 + WIDTH_S]


def test_a_later_deadline_may_also_be_set(table, clock):
    alarm = Alarm(clock)
    table.set(alarm, 1001.0)
    table.set(alarm, 1005.0)
    tick_to(table, clock, 1006.0)

    assert alarm.expired_at_s == [1005.0 + WIDTH_S]


def test_a_past_deadline_expires_with_the_next_round(table, clock):
    alarm = Alarm(clock)
    table.set(alarm, 5.0)
    assert alarm.expired_at_s == []
    tick_to(table, clock, 1000.0 + WIDTH_S)

    assert alarm.expired_at_s == [1000.0 + WIDTH_S]


def test_a_removed_entry_does_not_expire(table, clock):
    alarm = Alarm(clock)
    table.set(alarm, 1001.0)
    table.remove(alarm)
    table.remove(alarm)
    tick_to(table, clock, 1003.0)

    assert alarm.expired_at_s == []
    assert len(table) == 0


def test_removing_what_was_never_set_has_no_effect(table, clock):
    table.remove(Alarm(clock))

    assert len(table) == 0


def test_an_entry_that_was_put_off_for_ever_leaves_the_table(table, clock):
    alarm = Alarm(clock)
    table.set(alarm, 1001.0)
    alarm.deadline_s = NEVER
    tick_to(table, clock, 1002.0)

    assert alarm.expired_at_s == []
    assert len(table) == 0
    table.set(alarm, 1003.0)
    tick_to(table, clock, 1004.0)
    assert alarm.expired_at_s == [1003.0 + WIDTH_S]


def test_an_expired_entry_can_be_set_again(table, clock):
    alarm = Alarm(clock)
    table.set(alarm, 1001.0)
    tick_to(table, clock, 1002.0)
    table.set(alarm, 1003.0)
    tick_to(table, clock, 1004.0)

    assert alarm.expired_at_s == [1001.0 + WIDTH_S, 1003.0 + WIDTH_S]


@pytest.mark.parametrize("second_s", [1001.0, 1001.5])
def test_an_earlier_expire_of_the_round_removes_another(table, clock, second_s):
    second = Alarm(clock)
    first = Alarm(clock, lambda: table.remove(second))
    table.set(first, 1001.0)
    table.set(second, second_s)
    advance_to(table, clock, 1010.0)

    assert first.expired_at_s == [1010.0]
    assert second.expired_at_s == []
    assert len(table) == 0


@pytest.mark.parametrize("second_s", [1001.0, 1001.5])
def test_an_earlier_expire_of_the_round_puts_off_another(table, clock, second_s):
    second = Alarm(clock)
    first = Alarm(clock, lambda: table.set(second, 1020.0))
    table.set(first, 1001.0)
    table.set(second, second_s)
    advance_to(table, clock, 1010.0)
    assert second.expired_at_s == []
    tick_to(table, clock, 1021.0)

    assert first.expired_at_s == [1010.0]
    assert second.expired_at_s == [1020.0 + WIDTH_S]


def test_an_entry_that_sets_itself_again_waits_for_the_next_round(table, clock):
    alarm = Alarm(clock, lambda: table.set(alarm, 0.0))
    table.set(alarm, 1001.0)
    advance_to(table, clock, 1010.0)
    assert alarm.expired_at_s == [1010.0]
    advance_to(table, clock, 1010.0 + WIDTH_S)

    assert alarm.expired_at_s == [1010.0, 1010.0 + WIDTH_S]


def test_entries_expire_in_the_order_of_their_buckets(table, clock):
    order = []
    for name, deadline_s in [("c", 1003.0), ("a", 1001.0), ("b", 1002.0), ("b2", 1002.0)]:
        table.set(Alarm(clock, lambda name=name: order.append(name)), deadline_s)
    advance_to(table, clock, 1010.0)

    assert order == ["a", "b", "b2", "c"]


def test_now_is_the_time_of_the_last_round(table, clock):
    assert table.now_s == 1000.0
    clock.now_s = 1000.1
    assert table.now_s == 1000.0
    table.advance()
    assert table.now_s == 1000.1


def test_an_entry_says_what_happens(table, clock):
    class Forgotten(Timed):
        pass

    table.set(Forgotten(), 1001.0)
    with pytest.raises(TypeError, match="Forgotten does not say"):
        advance_to(table, clock, 1010.0)


# Steps of 1/64 s have no rounding error, so that the bounds below are exact.
TIMES = st.integers(0, 64 * 5).map(lambda n: 1000.0 + n / 64)
OPERATIONS = st.lists(
    st.tuples(
        st.integers(0, 8),  # rounds to wait before it
        st.integers(0, 63).map(lambda n: n / 256),  # and how far into the next
        st.integers(0, 2),  # which alarm
        st.sampled_from(["set", "set", "put off", "remove"]),
        TIMES,
    ),
    max_size=12,
)


@given(st.integers(0, 63).map(lambda n: 1000.0 + n / 256), OPERATIONS)
def test_never_early_and_at_most_two_widths_late(start_s, operations):
    """Every alarm is held against a plain list of what is due when."""
    clock = FakeClock(start_s)
    table = TimerTable(clock, WIDTH_S)
    alarms = [Alarm(clock) for _ in range(3)]
    due_s = [NEVER] * 3
    rounds = 0

    def round_and_check():
        nonlocal rounds
        rounds += 1
        advance_to(table, clock, start_s + rounds * WIDTH_S)
        for number, alarm in enumerate(alarms):
            if alarm.expired_at_s:
                assert alarm.expired_at_s.pop() >= max(alarm.deadline_s, due_s[number])
                due_s[number] = NEVER
            assert alarm.expired_at_s == []
            assert clock.now_s < due_s[number] + 2 * WIDTH_S
        assert len(table) == sum(each != NEVER for each in due_s)

    for wait, inside_s, number, operation, deadline_s in operations:
        for _ in range(wait):
            round_and_check()
        clock.now_s = start_s + rounds * WIDTH_S + inside_s
        alarm = alarms[number]
        if operation == "set":
            table.set(alarm, deadline_s)
            due_s[number] = max(deadline_s, clock.now_s)
        elif operation == "remove":
            table.remove(alarm)
            due_s[number] = NEVER
        elif due_s[number] != NEVER and deadline_s >= alarm.deadline_s:
            alarm.deadline_s = deadline_s
            due_s[number] = max(deadline_s, due_s[number])
    while any(each != NEVER for each in due_s):
        round_and_check()


@given(
    st.floats(0.001, 10), st.floats(0, 1e6), st.lists(st.floats(0, 100), min_size=1),
    st.lists(st.floats(0, 100), min_size=1),
)  # fmt: skip
def test_never_early_whatever_the_width_and_the_rounding(width_s, start_s, delays_s, steps_s):
    clock = FakeClock(start_s)
    table = TimerTable(clock, width_s)
    alarms = [Alarm(clock) for _ in delays_s]
    for alarm, delay_s in zip(alarms, delays_s, strict=True):
        table.set(alarm, start_s + delay_s)
    for step_s in steps_s:
        advance_to(table, clock, clock.now_s + step_s)
    expired = [alarm for alarm in alarms if alarm.expired_at_s]

    assert all(alarm.expired_at_s[0] >= alarm.deadline_s for alarm in expired)
    assert all(len(alarm.expired_at_s) == 1 for alarm in expired)
    assert len(expired) + len(table) == len(alarms)


class FakeLoop:
    """Keeps what it was asked to call, for a test to call it."""

    def __init__(self):
        self.calls = []

    def call_later(self, delay_s, callback):
        self.calls.append((delay_s, callback))
        return self

    def cancel(self):
        self.calls.pop()

    def run_next(self):
        self.calls.pop(0)[1]()


def test_a_ticker_ticks_until_stopped():
    loop, ticks = FakeLoop(), []
    ticker = Ticker(loop.call_later, WIDTH_S, lambda: ticks.append(1))
    for _ in range(3):
        loop.run_next()
    assert len(ticks) == 3
    assert [delay_s for delay_s, _ in loop.calls] == [WIDTH_S]
    ticker.stop()

    assert loop.calls == []


def test_a_tick_that_fails_is_not_the_last():
    loop = FakeLoop()
    Ticker(loop.call_later, WIDTH_S, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        loop.run_next()

    assert len(loop.calls) == 1


def test_the_system_clock_is_the_one_of_the_machine():
    clock = SystemClock()
    before = time.monotonic(), time.time()
    between = clock.monotonic_s(), clock.wall_s()
    after = time.monotonic(), time.time()

    assert before[0] <= between[0] <= after[0]
    assert before[1] - 1 <= between[1] <= after[1] + 1


# ── at once, for clocks that jump ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("jump_s", [0.0, 0.1, WIDTH_S, 1.0, 119.9, 120.0])
def test_nothing_that_is_due_is_left_for_later_if_asked(table, clock, jump_s):
    now_s = clock.now_s
    due = [Alarm(clock) for _ in range(2)]
    later = Alarm(clock)
    for alarm in due:
        table.set(alarm, now_s + jump_s)
    table.set(later, now_s + jump_s + 0.01)
    clock.now_s += jump_s
    table.advance(exactly=True)

    assert [alarm.expired_at_s for alarm in due] == [[clock.now_s]] * 2
    assert later.expired_at_s == []
    assert len(table) == 1


def test_what_is_taken_away_or_put_off_meanwhile_does_not_expire_at_once(table, clock):
    def change():
        table.remove(taken_away)
        put_off.deadline_s += 0.01

    taken_away, put_off = Alarm(clock), Alarm(clock)
    for alarm in (Alarm(clock, change), taken_away, put_off):
        table.set(alarm, clock.now_s)
    table.advance(exactly=True)

    assert taken_away.expired_at_s == put_off.expired_at_s == []
    assert len(table) == 1


# ── durations ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("duration", "expected_s"),
    [
        (0, 0.0),
        (30, 30.0),
        (1.5, 1.5),
        ("250ms", 0.25),
        ("25s", 25.0),
        ("2m", 120.0),
        ("1.5h", 5400.0),
        ("7d", 604_800.0),
        ("1h30m", 5400.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("0s", 0.0),
        (timedelta(minutes=1, milliseconds=5), 60.005),
    ],
)
def test_a_duration_in_seconds(duration, expected_s):
    assert seconds(duration) == expected_s
    assert type(seconds(duration)) is float


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "30m1h",
        "1h1h",
        "1x",
        " 1s",
        "1s\n",
        "1h 30m",
        "-1s",
        "1.s",
        ".5s",
        "1S",
        "٣s",
        "1e3s",
    ],
)
def test_a_text_that_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match=r'"250ms".*not ') as refused:
        seconds(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    "duration",
    [-1, -0.1, float("inf"), float("nan"), 10**400, "9" * 400 + "s", timedelta(seconds=-1)],
)
def test_a_duration_is_finite_and_at_least_0(duration):
    with pytest.raises(ValueError, match=r'"250ms".*at least 0 and finite'):
        seconds(duration)


@pytest.mark.parametrize("duration", [True, False, None, b"1s", [1]])
def test_what_is_no_duration_at_all_is_refused(duration):
    with pytest.raises(TypeError, match='"250ms"'):
        seconds(duration)


@given(st.integers(0, 99), st.integers(0, 23), st.integers(0, 59))
def test_the_parts_of_a_text_add_up(days, hours, minutes):
    expected_s = timedelta(days=days, hours=hours, minutes=minutes).total_seconds()

    assert seconds(f"{days}d{hours}h{minutes}m") == expected_s
