"""Events: told in order and in each lane, checked at registration, one failure stops nobody."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading

import pytest

from tarry.app.events import APP_EVENTS, REQUEST_EVENTS, Emitter, Event
from tarry.app.params import SignatureError
from tarry.app.threads import ThreadPool

WAIT_S = 10.0
TABLE = {"start": ("app",), "stop": ("app",), "change": ("old", "new"), "bare": ()}


def run(test):
    return asyncio.run(asyncio.wait_for(test(), WAIT_S))


def emitting(emitter, name="change", **values):
    """What one event has become."""

    async def test():
        return await emitter.emit(name, "source", **values)

    return run(test)


def in_lane(lane, function):
    """A function written for a lane, and the options to register it with."""

    @functools.wraps(function)
    async def asynchronous(*arguments, **named):
        await asyncio.sleep(0)
        return function(*arguments, **named)

    return asynchronous if lane == "async" else function, {"inline": lane == "inline"}


LANES = pytest.mark.parametrize("lane", ["async", "threads", "inline"])


# ── registering ───────────────────────────────────────────────────────────────────────────


def test_a_function_can_be_decorated_or_given():
    emitter = Emitter(TABLE)

    @emitter.on("bare")
    def first():
        calls.append("first")

    def second():
        calls.append("second")

    calls = []
    assert emitter.on("bare", second) is second
    assert callable(first)
    emitting(emitter, "bare")
    assert calls == ["first", "second"]


def test_inline_can_be_said_in_both_forms():
    emitter, threads = Emitter(TABLE), []
    emitter.on("bare", lambda: threads.append(threading.get_ident()), inline=True)
    emitter.on("bare", inline=True)(lambda: threads.append(threading.get_ident()))
    emitting(emitter, "bare")

    assert threads == [threading.get_ident()] * 2


@pytest.mark.parametrize("name", ["chnge", "Change", "changes"])
def test_an_unknown_event_names_the_nearest(name):
    emitter = Emitter(TABLE)
    for call in (emitter.on, emitter.off, functools.partial(emitter.on, function=print)):
        with pytest.raises(ValueError, match=f'no event "{name}".*did you mean "change"'):
            call(name)


def test_an_unknown_event_names_the_known_ones():
    with pytest.raises(ValueError, match=r'no event "xyz", but start, stop, change, bare$'):
        Emitter(TABLE).on("xyz")


@pytest.mark.parametrize("function", [5, "start", [], object()])
def test_a_handler_can_be_called(function):
    with pytest.raises(TypeError, match=f"is a function, not {type(function).__name__}"):
        Emitter(TABLE).on("bare", function)


def test_inline_is_not_for_async_functions():
    async def handler():
        return None

    with pytest.raises(TypeError, match="inline=True is for a def"):
        Emitter(TABLE).on("bare", handler, inline=True)


@pytest.mark.parametrize(
    "function",
    [
        lambda request: None,
        lambda new, request: None,
        lambda old, /: None,
        lambda *, tenant: None,
    ],
)
def test_what_an_event_does_not_have_is_told_at_registration(function):
    with pytest.raises(SignatureError, match=r"takes event, old, new by .*test_events.py:\d+"):
        Emitter(TABLE).on("change", function)


def test_a_callable_without_a_signature_is_refused():
    class Odd:
        __signature__ = "none"

        def __call__(self):
            raise AssertionError

    with pytest.raises(SignatureError, match=r"function .*Odd.*unexpected object"):
        Emitter(TABLE).on("bare", Odd())


@LANES
@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda: (), ()),
        (lambda new: new, 2),
        (lambda new, old: (old, new), (1, 2)),
        (lambda *, old: old, 1),
        (lambda event: (event.name, event.source), ("change", "source")),
        (lambda old, other="default": (old, other), (1, "default")),
        (lambda old=7: old, 1),
        (lambda *arguments: arguments, ()),
        (lambda **named: sorted(named), ["event", "new", "old"]),
        (lambda old, **named: (old, sorted(named)), (1, ["event", "new"])),
        (functools.partial(lambda given, new: (given, new), 5), (5, 2)),
    ],
)
def test_handlers_get_what_they_ask_for(lane, function, got):
    results = []

    @functools.wraps(function)
    def keep(*arguments, **named):
        results.append(function(*arguments, **named))

    emitter = Emitter(TABLE)
    handler, options = in_lane(lane, keep)
    emitter.on("change", handler, **options)
    emitting(emitter, old=1, new=2)

    assert results == [got]


def test_methods_and_callable_objects_are_handlers():
    class Listener:
        def __init__(self):
            self.heard = []

        def listen(self, new):
            self.heard.append(new)

        async def __call__(self, old):
            self.heard.append(old)

    listener, emitter = Listener(), Emitter(TABLE)
    emitter.on("change", listener)
    emitter.on("change", listener.listen)
    emitting(emitter, old=1, new=2)
    assert listener.heard == [1, 2]

    emitter.off("change", listener.listen)
    emitting(emitter, old=3, new=4)
    assert listener.heard == [1, 2, 3]


@pytest.mark.parametrize("table", [APP_EVENTS, REQUEST_EVENTS])
def test_the_tables_name_what_can_be_asked_for(table):
    emitter = Emitter(table)
    seen = []
    for name, values in table.items():
        emitter.on(name, lambda **named: seen.append(set(named)), inline=True)
        emitting(emitter, name, **dict.fromkeys(values))

    assert seen == [{"event", *values} for values in table.values()]


# ── emitting ──────────────────────────────────────────────────────────────────────────────


def test_handlers_run_one_after_the_other_in_order_of_registration():
    emitter, calls = Emitter(TABLE), []
    for number in range(9):

        def handler(number=number):
            calls.append(("begin", number))
            calls.append(("end", number))

        function, options = in_lane(["async", "threads", "inline"][number % 3], handler)
        emitter.on("bare", function, **options)
    emitting(emitter, "bare")

    assert calls == [(what, number) for number in range(9) for what in ("begin", "end")]


def test_each_lane_runs_where_it_says():
    async def test():
        pool = ThreadPool(1, 1)
        emitter, names = Emitter(TABLE, pool.run), []
        for lane in ("async", "threads", "inline"):
            handler, options = in_lane(lane, lambda: names.append(threading.current_thread().name))
            emitter.on("bare", handler, **options)
        await emitter.emit("bare", None)
        pool.close()

        here = threading.current_thread().name
        assert names == [here, "tarry-handler", here]

    run(test)


@LANES
def test_a_stopped_event_goes_no_further(lane):
    emitter, calls = Emitter(TABLE), []

    def first(event):
        calls.append("first")
        event.stop()

    handler, options = in_lane(lane, first)
    emitter.on("bare", handler, **options)
    emitter.on("bare", lambda: calls.append("second"), inline=True)

    assert emitting(emitter, "bare").stopped
    assert calls == ["first"]


def test_handlers_leave_things_for_later_ones():
    emitter, seen = Emitter(TABLE), []
    emitter.on("bare", lambda event: event.set("user", 7))
    emitter.on("bare", lambda event: seen.append((event.get("user"), event.get("x", "none"))))
    event = emitting(emitter, "bare")

    assert seen == [(7, "none")]
    assert event.get("user") == 7
    assert Event("bare", None).get("user") is None


def test_an_event_that_nobody_hears_is_nothing():
    emitter = Emitter(TABLE)

    assert not emitter.has("change")
    assert emitting(emitter, old=1, new=2).name == "change"


def test_off_forgets_one_or_all():
    emitter, calls = Emitter(TABLE), []

    def one():
        calls.append("one")

    for function in (one, lambda: calls.append("two"), one):
        emitter.on("bare", function)
    emitter.off("bare", one)
    emitter.off("bare", print)
    emitting(emitter, "bare")
    assert calls == ["two"]
    assert emitter.has("bare")

    emitter.off("bare")
    emitter.off("bare")
    emitting(emitter, "bare")
    assert calls == ["two"]
    assert not emitter.has("bare")


def test_changes_while_an_event_is_under_way_count_from_the_next_one():
    emitter, calls = Emitter(TABLE), []

    def first():
        calls.append("first")
        emitter.off("bare", second)
        emitter.on("bare", third)

    def second():
        calls.append("second")

    def third():
        calls.append("third")

    emitter.on("bare", first)
    emitter.on("bare", second)
    emitting(emitter, "bare")
    assert calls == ["first", "second"]

    calls.clear()
    emitting(emitter, "bare")
    assert calls == ["first", "third"]


def test_emit_backwards_begins_with_the_last():
    emitter, calls = Emitter(TABLE), []
    for number in range(3):
        emitter.on("bare", lambda number=number: calls.append(number))

    async def test():
        await emitter.emit_backwards("bare", None)

    run(test)
    assert calls == [2, 1, 0]


# ── failures ──────────────────────────────────────────────────────────────────────────────


@LANES
@pytest.mark.parametrize("error", [ValueError("reason"), SystemExit(3)])
def test_who_raises_is_reported_and_the_next_still_runs(lane, error, caplog):
    def fails():
        raise error

    emitter, calls = Emitter(TABLE), []
    handler, options = in_lane(lane, fails)
    emitter.on("bare", handler, **options)
    emitter.on("bare", lambda: calls.append("next"))
    with caplog.at_level(logging.ERROR, "tarry"):
        emitting(emitter, "bare")

    assert calls == ["next"]
    (record,) = caplog.records
    assert record.exc_info[1] is error
    assert type(error).__name__ in record.message
    assert "fails (" in record.message
    assert "test_events.py:" in record.message
    assert "'bare'" in record.message


def test_the_report_can_go_elsewhere(caplog):
    def fails():
        raise ValueError("reason")

    reported = []
    emitter = Emitter(TABLE, report=lambda *what: reported.append(what))
    emitter.on("bare", fails)
    event = emitting(emitter, "bare")

    ((where, function, error),) = reported
    assert where is event
    assert function is fails
    assert str(error) == "reason"
    assert not caplog.records


def test_a_cancellation_is_no_failure():
    async def waits():
        waiting.set()
        await asyncio.Event().wait()

    waiting, reported, calls = asyncio.Event(), [], []
    emitter = Emitter(TABLE, report=lambda *what: reported.append(what))
    emitter.on("bare", waits)
    emitter.on("bare", lambda: calls.append(1))

    async def test():
        task = asyncio.create_task(emitter.emit("bare", None))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(test)
    assert reported == calls == []


@LANES
def test_emit_strictly_raises_the_first_error_and_ends(lane):
    emitter, calls = Emitter(TABLE), []
    emitter.on("bare", lambda: calls.append("first"))
    handler, options = in_lane(lane, lambda: 1 // 0)
    emitter.on("bare", handler, **options)
    emitter.on("bare", lambda: calls.append("third"))

    async def test():
        with pytest.raises(ZeroDivisionError):
            await emitter.emit_strictly("bare", None)

    run(test)
    assert calls == ["first"]
