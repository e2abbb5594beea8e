"""Start and stop: in order and in reverse, a start that fails is taken down again."""

from __future__ import annotations

import asyncio

import pytest

from tarry.app.events import APP_EVENTS, Emitter
from tarry.app.lifecycle import start, stop

WAIT_S = 10.0


def run(test):
    asyncio.run(asyncio.wait_for(test(), WAIT_S))


def living(*failing):
    """An emitter with three handlers of start and stop each, and the order of their calls."""
    calls, reported = [], []
    emitter = Emitter(APP_EVENTS, report=lambda event, function, error: reported.append(error))

    def register(name, number):
        def handler(app):
            calls.append(f"{name} {number} {app}")
            if (name, number) in failing:
                raise ValueError(f"{name} {number}")

        emitter.on(name, handler)

    for number in (1, 2, 3):
        register("start", number)
        register("stop", number)
    return emitter, calls, reported


def test_what_was_set_up_last_is_taken_down_first():
    emitter, calls, reported = living()

    async def test():
        await start(emitter, "app")
        await stop(emitter, "app")

    run(test)
    assert calls == [f"start {n} app" for n in (1, 2, 3)] + [f"stop {n} app" for n in (3, 2, 1)]
    assert reported == []


def test_a_start_that_fails_is_stopped_and_raises():
    emitter, calls, reported = living(("start", 2), ("stop", 3))

    async def test():
        with pytest.raises(ValueError, match="start 2"):
            await start(emitter, "app")

    run(test)
    assert calls == ["start 1 app", "start 2 app", "stop 3 app", "stop 2 app", "stop 1 app"]
    assert [str(error) for error in reported] == ["stop 3"]


def test_a_start_that_is_cancelled_is_stopped_too():
    async def waits():
        waiting.set()
        await asyncio.Event().wait()

    waiting = asyncio.Event()
    emitter, calls, _ = living()
    emitter.on("start", waits)

    async def test():
        task = asyncio.create_task(start(emitter, "app"))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(test)
    assert calls[3:] == [f"stop {n} app" for n in (3, 2, 1)]


def test_every_handler_of_stop_is_called():
    emitter, calls, reported = living(("stop", 1), ("stop", 2), ("stop", 3))

    async def test():
        await stop(emitter, "app")

    run(test)
    assert calls == [f"stop {n} app" for n in (3, 2, 1)]
    assert [str(error) for error in reported] == ["stop 3", "stop 2", "stop 1"]
