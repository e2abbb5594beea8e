"""The watchdog: who blocks the loop is named with function, file and line, once."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import re
import threading
import time

import pytest
import uvloop

from tarry.app.watchdog import Watchdog

BLOCK_S = 0.3
"""Longer than what the watchdog allows; the loop is really blocked, nothing waits for time."""

WAIT_S = 10.0

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def run(request):
    """Run a coroutine function with a watchdog, on either loop."""

    async def watched(test, *arguments):
        watchdog = Watchdog()
        try:
            # A callback of its own, as handlers are, not part of what started the watchdog.
            return await asyncio.create_task(test(*arguments))
        finally:
            watchdog.close()

    def start(test, *arguments):
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(watched(test, *arguments))

    return start


class Reports(logging.Handler):
    """Warnings of the watchdog, and a way to wait for them."""

    def __init__(self):
        super().__init__()
        self.texts = []
        self._came = threading.Semaphore(0)

    def emit(self, record):
        if record.levelno == logging.WARNING:
            self.texts.append(record.getMessage())
            self._came.release()

    async def reach(self, count):
        while len(self.texts) < count:
            assert await asyncio.to_thread(self._came.acquire, timeout=WAIT_S)


@pytest.fixture
def reports():
    handler = Reports()
    logging.getLogger("tarry").addHandler(handler)
    yield handler
    logging.getLogger("tarry").removeHandler(handler)


def wait_in_standard_library():
    threading.Event().wait(BLOCK_S)


def work():
    end = time.monotonic() + BLOCK_S
    while time.monotonic() < end:
        pass


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(at for at, line in enumerate(lines) if text in line)


@pytest.mark.parametrize(
    ("function", "text"), [(wait_in_standard_library, ".wait("), (work, "while")]
)
def test_function_file_and_line_are_named(run, reports, function, text):
    async def block():
        function()
        await reports.reach(2)

    run(block)

    found = re.match(
        r"(\w+) \((.*):(\d+)\) blocks the event loop for more than 100 ms", reports.texts[0]
    )
    assert found, reports.texts
    assert found[1] == function.__name__
    assert found[2] == __file__
    # Within the loop of `work` either line can be the one.
    assert int(found[3]) in (line_of(function, text), line_of(function, text) + 1)


def test_the_end_of_a_block_tells_its_time(run, reports):
    async def block():
        wait_in_standard_library()
        await reports.reach(2)

    run(block)

    assert reports.texts[1].startswith("wait_in_standard_library (")
    seconds = re.search(r"blocked the event loop for (\d+\.\d) s$", reports.texts[1])
    assert seconds
    assert 0.1 <= float(seconds[1]) < WAIT_S


def test_each_block_is_named_once(run, reports):
    async def block():
        for _ in range(2):
            wait_in_standard_library()
            await reports.reach(2)
            del reports.texts[2:]
            counted.append([text for text in reports.texts if " blocks " in text])
            reports.texts.clear()

    counted = []
    run(block)

    assert [len(texts) for texts in counted] == [1, 1]


def test_a_method_is_named_with_its_class(run, reports):
    class Shop:
        def price(self):
            threading.Event().wait(BLOCK_S)

    async def block():
        Shop().price()
        await reports.reach(1)

    run(block)

    assert "Shop.price (" in reports.texts[0]


def test_a_block_in_the_standard_library_alone_is_named_there(run, reports):
    async def test():
        # Called by the loop itself: no function of an author is on the way.
        asyncio.get_running_loop().call_soon(functools.partial(threading.Event().wait, BLOCK_S))
        await reports.reach(1)

    run(test)

    assert re.match(r"\w+\.wait \(.*threading\.py:\d+\)", reports.texts[0])


def test_who_started_the_loop_is_not_blamed(run, reports):
    async def test():
        asyncio.get_running_loop().call_soon(functools.partial(threading.Event().wait, BLOCK_S))
        await reports.reach(1)

    run(test)

    assert "test_who_started_the_loop" not in reports.texts[0]
    assert __file__ not in reports.texts[0]


def unblocked(test):
    """Run it with a watchdog that allows more than a busy machine takes by itself."""

    async def watched():
        watchdog = Watchdog(blocked_after_s=0.5)
        await test()
        watchdog.close()

    asyncio.run(watched())


def test_a_loop_that_has_nothing_to_do_is_not_reported(reports):
    async def test():
        await asyncio.to_thread(threading.Event().wait, 1.2)

    unblocked(test)

    assert reports.texts == []


def test_a_loop_that_works_in_small_steps_is_not_reported(reports):
    async def test():
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            threading.Event().wait(0.02)
            await asyncio.sleep(0)

    unblocked(test)

    assert reports.texts == []


def test_close_ends_the_thread_at_once_and_says_nothing():
    async def test():
        watchdog = Watchdog(blocked_after_s=60)
        watchdog.close()
        return [thread.name for thread in threading.enumerate()]

    assert "tarry-watchdog" not in asyncio.run(asyncio.wait_for(test(), WAIT_S))


def test_a_watchdog_ends_with_a_loop_that_forgot_it():
    async def forget():
        Watchdog(blocked_after_s=0.01)

    asyncio.run(forget())
    for thread in threading.enumerate():
        if thread.name == "tarry-watchdog":
            thread.join(WAIT_S)
            assert not thread.is_alive()
