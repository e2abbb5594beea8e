from __future__ import annotations

import pytest

from tarry.testing import JumpingClock
from tarry.timing import Timed, TimerTable


class Alarm(Timed):
    rang = False

    def expire(self) -> None:
        self.rang = True


def test_time_stands_still_until_it_is_told_to_move():
    clock = JumpingClock(monotonic_s=5, wall_s=100)

    assert (clock.monotonic_s(), clock.wall_s()) == (5, 100)
    clock.advance(2.5)
    assert (clock.monotonic_s(), clock.wall_s()) == (7.5, 102.5)


def test_time_does_not_go_back():
    with pytest.raises(ValueError, match="does not go back"):
        JumpingClock().advance(-1)


def test_an_hour_passes_at_once():
    clock = JumpingClock()
    timers, alarm = TimerTable(clock), Alarm()
    timers.set(alarm, clock.monotonic_s() + 3600)

    clock.advance(3599)
    timers.advance()
    assert not alarm.rang

    clock.advance(2)
    timers.advance()
    assert alarm.rang
