from __future__ import annotations

import asyncio
import threading

import pytest

from tarry.message.heads import ResponseHead
from tarry.testing import AsyncClient, Client, JumpingClock
from tarry.timing import SystemClock, Timed, TimerTable
from tests.exchanges import RawApplication

WAIT_S = 10.0


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


def test_a_jump_is_a_duration():
    clock = JumpingClock(monotonic_s=0, wall_s=100)
    clock.advance("1h30m")

    assert (clock.monotonic_s(), clock.wall_s()) == (5400, 5500)
    with pytest.raises(TypeError, match="a duration is"):
        clock.advance(None)
    with pytest.raises(ValueError, match="a duration is"):
        clock.advance("soon")
    assert clock.monotonic_s() == 5400


# ── what is due after a jump ──────────────────────────────────────────────────────────────


def test_who_wants_to_know_of_jumps_hears_of_them_after_the_jump():
    clock, told = JumpingClock(monotonic_s=0), []
    take_back = clock.on_jump(lambda: told.append(clock.monotonic_s()))
    clock.on_jump(lambda: told.append("other"))
    clock.advance(1)
    take_back()
    take_back()
    clock.advance(1)

    assert told == [1, "other", "other"]


def test_awaiting_a_jump_lets_the_loop_come_to_rest():
    async def go(steps):
        for _ in range(steps):
            await asyncio.sleep(0)
        done.append(1)

    async def test():
        clock.on_jump(lambda: tasks.append(asyncio.create_task(go(20))))
        clock.advance(1)
        assert not done
        await clock.advance(1)
        assert len(done) == 2

    clock, tasks, done = JumpingClock(), [], []
    asyncio.run(test())


class Waiting(RawApplication):
    """Goes by the clock it is given, and answers a minute after the request."""

    clock = SystemClock()

    async def startup(self):
        self.clock_at_start = self.clock

    def handle(self, exchange):
        alarm = Alarm()
        alarm.expire = lambda: exchange.respond(OK, b"a minute later")
        service = exchange.carrier.service
        service.timers.set(alarm, self.clock.monotonic_s() + 60)
        exchange.park()


OK = ResponseHead(200)
HTTP = pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])


@HTTP
def test_what_is_due_happens_when_a_plain_client_has_time_pass(http2):
    with Client(Waiting(), http2=http2, clock=JumpingClock()) as client:
        pending = client.parked("GET", "/")
        client.advance("59s")
        assert not pending.done
        client.advance(1)

        assert pending.done
        assert pending.reply().text == "a minute later"


@HTTP
def test_what_is_due_happens_when_time_passes_in_an_async_test(http2):
    async def test():
        clock = JumpingClock()
        async with AsyncClient(Waiting(), http2=http2, clock=clock) as client:
            pending = await client.parked("GET", "/")
            await clock.advance("59s")
            assert not pending.done
            await clock.advance("1s")

            assert pending.done
            assert (await pending.reply()).text == "a minute later"

    asyncio.run(asyncio.wait_for(test(), WAIT_S))


def test_a_clock_may_be_advanced_beside_a_client():
    clock = JumpingClock()
    with Client(Waiting(), clock=clock) as client:
        pending = client.parked("GET", "/")
        threads = [threading.Thread(target=clock.advance, args=("30s",)) for _ in range(2)]
        for thread in threads:
            thread.start()
            thread.join(WAIT_S)

        assert pending.reply().text == "a minute later"
    clock.advance(1)  # nobody is there any more to be told


def test_an_application_goes_by_the_clock_of_its_client_until_that_ends():
    app, clock = Waiting(), JumpingClock()
    with Client(app, clock=clock):
        assert app.clock_at_start is clock
    assert app.clock is Waiting.clock
    with Client(app):
        assert app.clock_at_start is Waiting.clock


def test_an_application_that_does_not_start_has_its_own_clock_back():
    class Broken(Waiting):
        async def startup(self):
            raise OSError("no database")

    app = Broken()
    with pytest.raises(OSError, match="no database"), Client(app, clock=JumpingClock()):
        pass

    assert app.clock is Waiting.clock


@pytest.mark.parametrize("clock", [None, SystemClock()])
def test_only_a_jumping_clock_can_be_advanced(clock):
    with (
        Client(Waiting(), clock=clock) as client,
        pytest.raises(TypeError, match="JumpingClock"),
    ):
        client.advance(1)
