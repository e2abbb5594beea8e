"""The way through filters when things go wrong: exactly one answer, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import os
import threading
from pathlib import Path
from typing import Annotated

import pytest

import tarry
from tarry import App, Body, HttpError, Request, Stream
from tarry.app.filters import Filter
from tests.app.serving import Asked, ask, once, started
from tests.exchanges import Recorded, turns

WAIT_S = 10.0


async def through(app, *arguments, **named):
    """One request; afterwards no task is left that belongs to it."""
    async with started(app):
        asked = await ask(app, *arguments, **named)
        await until_alone()
        return asked


async def until_alone():
    """Wait until there is no task but this one; fails if one stays."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        _, waiting = await asyncio.wait(others, timeout=WAIT_S / 5)
        assert not waiting, "left behind"


def run(test):
    """Run a coroutine; what asyncio has to say about tasks counts."""
    told = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        async with asyncio.timeout(WAIT_S):
            result = await test
        gc.collect()
        await turns()
        return result

    result = asyncio.run(main())
    assert told == []
    return result


class Waiting:
    """Handlers that wait until the test lets them go on."""

    def __init__(self, lane):
        self.begun = asyncio.Event()
        self.ended = []
        self.go_on = threading.Event()
        self.function = getattr(self, f"_{lane}")
        self._loop = asyncio.get_running_loop()

    async def _async(self):
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append("async")

    async def _stubborn(self):
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "late"

    async def _furious(self):
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise KeyError("late") from None

    def _thread(self):
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self.go_on.wait(WAIT_S)
        return "late"

    def _failing_thread(self):
        self._thread()
        raise KeyError("late")


LANES = ("async", "stubborn", "furious", "thread", "failing_thread")


# ── timeouts ──────────────────────────────────────────────────────────────────────────────


async def expire(waiting, deadline):
    """A time-out that comes when the handler has begun, not by the clock."""
    await waiting.begun.wait()
    deadline.reschedule(asyncio.get_running_loop().time())


def timing_out(waiting, answer=lambda: (504, "too slow")):
    """A filter with `asyncio.timeout` around what is inside."""

    async def limit(request, next):
        try:
            async with asyncio.timeout(None) as deadline:
                expiring = asyncio.ensure_future(expire(waiting, deadline))
                return await next(request)
        except TimeoutError:
            await expiring
            return answer()

    return limit


def waiting_for(waiting):
    """The same with `asyncio.wait`, which waits for a task of its own."""

    async def limit(request, next):
        inside = asyncio.ensure_future(next(request))
        await waiting.begun.wait()
        inside.cancel()
        await asyncio.wait([inside])
        return 504, "too slow"

    return limit


def around(calls, name):
    async def filter(request, next):
        calls.append(name)
        try:
            response = await next(request)
        except asyncio.CancelledError:
            calls.append(f"{name} cancelled")
            raise
        await asyncio.sleep(0)
        calls.append(f"{name} {response.status}")
        return response

    return filter


def inline(calls, name):
    def filter(request):
        calls.append(name)
        try:
            response = yield
        except GeneratorExit:
            calls.append(f"{name} closed")
            raise
        calls.append(f"{name} {response.status}")

    return Filter(filter, inline=True)


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("limit", [timing_out, waiting_for])
@pytest.mark.parametrize("outer", [[], [around], [inline, around, around, inline]])
@pytest.mark.parametrize(
    ("place", "inner"),
    [("app", []), *((at, [inline, around, around, inline]) for at in ("app", "route"))],
)
def test_a_handler_that_is_given_up_is_answered_for_once(lane, limit, outer, inner, place, caplog):
    async def test():
        app, waiting, calls = App(), Waiting(lane), []
        outside = [make(calls, f"out {n}") for n, make in enumerate(outer)]
        inside = [make(calls, f"in {n}") for n, make in enumerate(inner)]
        for step in [*outside, limit(waiting), *(inside if place == "app" else [])]:
            function, is_inline = getattr(step, "function", step), isinstance(step, Filter)
            app.filter("/", inline=is_inline)(function)
        filters = inside if place == "route" else []
        app.add_route("/", waiting.function, filters=filters)
        app.add_route("/next", lambda: "next", inline=True)

        async with started(app):
            exchange = Recorded()
            app.handle(exchange)
            await exchange.complete.wait()
            asked = Asked(exchange)
            waiting.go_on.set()
            assert (await ask(app, target="/next")).body == b"next"
            await until_alone()
        return asked, exchange, calls, waiting

    asked, exchange, calls, waiting = run(test())

    assert (asked.status, asked.body, asked.aborted) == (504, b"too slow", False)
    assert exchange.pieces == [b"too slow"]
    names = [f"out {n}" for n in range(len(outer))]
    begun = [f"in {n}" for n in range(len(inner))]
    ended = [each for each in calls if each.startswith("in") and each not in begun]
    kinds = ["cancelled" if make is around else "closed" for make in inner]
    assert sorted(ended) == [f"{name} {kind}" for name, kind in zip(begun, kinds, strict=True)]
    first = [each for each in calls if each.startswith("out")][: 2 * len(names)]
    assert first == [*names, *(f"{name} 504" for name in reversed(names))]
    if lane == "async":
        assert waiting.ended == ["async"]
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(errors) == (lane in ("furious", "failing_thread"))


@pytest.mark.parametrize("lane", ["thread", "failing_thread", "stubborn", "furious"])
def test_a_late_handler_does_not_disturb_a_streamed_answer(lane):
    async def test():
        app, waiting, more = App(), Waiting(lane), asyncio.Event()

        async def pieces():
            yield b"too "
            await more.wait()
            yield b"slow"

        app.filter(timing_out(waiting, lambda: Stream(pieces())))
        app.add_route("/", waiting.function)
        async with started(app):
            exchange = Recorded()
            app.handle(exchange)
            await waiting.begun.wait()
            while not exchange.pieces:
                await asyncio.sleep(0)
            waiting.go_on.set()
            # A thread of its own says that the one before is through.
            await app._dispatcher._in_thread(int)
            await turns()
            more.set()
            await exchange.complete.wait()
            await until_alone()
            return Asked(exchange)

    asked = run(test())
    assert (asked.body, asked.aborted) == (b"too slow", False)


def test_time_outs_around_time_outs():
    async def test():
        app, waiting = App(), Waiting("async")

        async def patient(request, next):
            async with asyncio.timeout(WAIT_S):
                return await next(request)

        for step in (patient, timing_out(waiting), patient, patient):
            app.filter(step)
        app.add_route("/", waiting.function, filters=[patient])
        return await through(app)

    assert run(test()).status == 504


def test_what_was_given_up_while_its_body_came_is_never_called():
    calls = []

    async def test():
        app, waiting = App(), Waiting("async")
        app.filter(timing_out(waiting))

        @app.post("/", inline=True)
        def handler(content: Annotated[bytes, Body()]):
            calls.append(content)

        async with started(app):
            exchange = Recorded("POST", body=True)
            app.handle(exchange)
            exchange.body.feed(b"half")
            await turns()
            waiting.begun.set()
            await exchange.complete.wait()
            exchange.body.feed(b"rest")
            exchange.body.finish([])
            await until_alone()
            return Asked(exchange)

    assert run(test()).status == 504
    assert calls == []


# ── next ──────────────────────────────────────────────────────────────────────────────────


def test_calling_next_twice_is_a_bug(caplog):
    app, calls = App(), []
    app.add_route("/", lambda: calls.append("handler"), inline=True)

    @app.filter
    async def twice(request, next):
        await next(request)
        return await next(request)

    assert run(through(app)).status == 500
    assert calls == ["handler"]
    assert "a filter calls next once" in caplog.text


def test_calling_next_twice_at_once_is_one_answer(caplog):
    async def test():
        app, waiting = App(), Waiting("async")
        app.add_route("/", waiting.function)

        @app.filter
        async def twice(request, next):
            return await asyncio.gather(next(request), next(request))

        return await through(app)

    assert run(test()).status == 500
    assert "a filter calls next once" in caplog.text


def test_a_filter_that_returns_nothing_keeps_the_response():
    app = App()
    app.add_route("/", lambda: "fine", inline=True)

    @app.filter
    async def forgetful(request, next):
        response = await next(request)
        response.headers["x-a"] = "1"

    asked = run(through(app))
    assert (asked.status, asked.body, asked.headers[b"x-a"]) == (200, b"fine", b"1")


@pytest.mark.parametrize("begins", [True, False])
def test_a_filter_that_answers_without_next_ends_what_it_began(begins, caplog):
    async def test():
        app, waiting = App(), Waiting("async")
        app.add_route("/", waiting.function)

        @app.filter
        async def careless(request, next):
            if begins:
                careless.task = asyncio.ensure_future(next(request))
                await waiting.begun.wait()
            return "early"

        async with started(app):
            asked = await ask(app)
            if begins:
                careless.task.cancel()
                await asyncio.wait([careless.task])
            await until_alone()
            return asked

    assert run(test()).body == b"early"
    assert not caplog.records


def test_a_filter_that_neither_answers_nor_calls_next_is_a_bug(caplog):
    app = App()
    app.add_route("/", lambda: "fine", inline=True)

    @app.filter
    async def silent(request, next):
        return None

    assert run(through(app)).status == 500
    assert "returned no response" in caplog.text


# ── clients that leave, tasks that are cancelled ──────────────────────────────────────────


@pytest.mark.parametrize("takes", ["whole", "pieces", "thread"])
@pytest.mark.parametrize("place", ["app", "route"])
def test_filters_end_when_the_client_leaves_in_the_middle_of_its_body(takes, place, caplog):
    calls = []

    async def test():
        app = App()

        async def whole(content: Annotated[bytes, Body()]):
            calls.append("called")

        async def pieces(request: Request):
            async for _ in request.stream():
                continue

        def thread(content: Annotated[bytes, Body()]):
            calls.append("called")

        steps = [make(calls, make.__name__) for make in (around, inline, around, inline)]
        if place == "app":
            for step in steps:
                app._add_filter(step if isinstance(step, Filter) else Filter(step))
        filters = steps if place == "route" else []
        app.post("/", filters=filters)({"whole": whole, "pieces": pieces, "thread": thread}[takes])
        async with started(app):
            exchange = Recorded("POST", body=True)
            app.handle(exchange)
            exchange.body.feed(b"half")
            await turns()
            exchange.leave()
            await until_alone()
            assert not exchange.pieces

    run(test())
    ended = ["around cancelled", "inline closed"]
    assert sorted(calls[4:]) == sorted(ended * 2)
    assert not caplog.records


@pytest.mark.parametrize("path", ["/async", "/thread", "/stream"])
def test_a_handler_goes_on_when_the_client_has_left(path, caplog):
    calls = []

    async def test():
        app, waiting = App(), Waiting("thread")
        app._add_filter(inline(calls, "inline"))
        app.filter(around(calls, "around"))
        app.add_route("/thread", waiting.function)

        @app.get("/async")
        async def handler():
            waiting.begun.set()
            await turns()
            return "done"

        @app.get("/stream")
        def stream():
            return Stream(pieces())

        async def pieces():
            waiting.begun.set()
            yield b"a"
            await asyncio.Event().wait()

        async with started(app):
            exchange = Recorded(target=path)
            app.handle(exchange)
            await waiting.begun.wait()
            exchange.leave()
            waiting.go_on.set()
            await exchange.complete.wait()
            await until_alone()

    run(test())
    assert calls == ["inline", "around", "around 200", "inline 200"]
    assert not caplog.records


@pytest.mark.parametrize("place", ["app", "route"])
def test_a_cancelled_handler_ends_its_filters(place):
    calls = []

    async def test():
        app, tasks = App(), []

        async def handler():
            tasks.append(asyncio.current_task())
            await asyncio.Event().wait()

        steps = [around(calls, "around"), inline(calls, "inline"), around(calls, "around")]
        if place == "app":
            for step in steps:
                app._add_filter(step if isinstance(step, Filter) else Filter(step))
        app.add_route("/", handler, filters=steps if place == "route" else [])
        async with started(app):
            exchange = Recorded()
            app.handle(exchange)
            while not tasks:
                await asyncio.sleep(0)
            tasks[0].cancel()
            await exchange.complete.wait()
            await until_alone()
            assert exchange.aborted

    run(test())
    assert sorted(calls[3:]) == ["around cancelled", "around cancelled", "inline closed"]


def test_a_cancelled_filter_ends_what_is_inside():
    calls = []

    async def test():
        app, tasks, waiting = App(), [], Waiting("async")

        @app.filter
        async def outermost(request, next):
            tasks.append(asyncio.current_task())
            return await next(request)

        app.filter(around(calls, "around"))
        app.add_route("/", waiting.function, filters=[around(calls, "route")])
        async with started(app):
            exchange = Recorded()
            app.handle(exchange)
            await waiting.begun.wait()
            tasks[0].cancel()
            await exchange.complete.wait()
            await until_alone()
            assert exchange.aborted
            assert waiting.ended == ["async"]

    run(test())
    assert calls == ["around", "route", "route cancelled", "around cancelled"] or calls == [
        "around", "route", "around cancelled", "route cancelled",
    ]  # fmt: skip


# ── files ─────────────────────────────────────────────────────────────────────────────────


def open_files():
    return {os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize("how", ["returns", "body", "raises"])
def test_a_file_that_is_not_sent_is_closed(how, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"x" * 200_000)

    async def test():
        app = App()
        app.add_route("/", lambda: path)

        @app.filter
        async def replace(request, next):
            response = await next(request)
            assert str(path) in open_files()
            if how == "returns":
                return "other"
            if how == "body":
                response.body = "other"
                return response
            raise HttpError(410)

        asked = await through(app)
        # A thread that opened it may not have let go yet.
        async with asyncio.timeout(WAIT_S):
            while str(path) in open_files():
                await asyncio.sleep(0)
        return asked

    statuses = {"returns": 200, "body": 200, "raises": 410}
    gc.disable()
    try:
        assert run(test()).status == statuses[how]
    finally:
        gc.enable()


# ── error handlers ────────────────────────────────────────────────────────────────────────


def test_a_filter_that_fails_after_an_error_handler_is_told_for_itself():
    app, seen = App(), []
    app.error(404)(lambda: "nothing here")
    app.error(403)(lambda: "not for you")

    @app.filter(inline=True)
    def watch(request):
        response = yield
        seen.append(response.status)

    @app.filter
    async def refuse(request, next):
        seen.append((await next(request)).status)
        raise HttpError(403)

    asked = run(through(app))
    assert (asked.status, asked.body) == (403, b"not for you")
    assert seen == [404, 403]


@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyError])
def test_an_error_handler_that_ends_badly_still_is_an_answer(kind, caplog):
    app, seen = App(), []

    @app.error(404)
    async def fail():
        raise kind("bad")

    @app.filter(inline=True)
    def watch(request):
        response = yield
        seen.append(response.status)

    assert run(through(app)).status == 404
    assert seen == [404]
    assert len(caplog.records) == 1


def test_an_error_handler_whose_file_is_missing_is_asked_once(tmp_path, caplog):
    app, calls = App(), []

    @app.error(404)
    def page():
        calls.append("asked")
        return tmp_path / "missing.html"

    app.filter(around(calls, "filter"))

    assert run(through(app)).status == 404
    assert calls == ["filter", "asked", "filter 404"]


# ── what is left ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lane", ["inline", "async", "thread", "missing", "stream", "file"])
@pytest.mark.parametrize("filters", [[], [inline], [around], [inline, around, inline]])
def test_nothing_is_left_to_the_garbage_collector(lane, filters, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")

    async def asynchronous(request: Request):
        await asyncio.sleep(0)
        return request.method

    async def test():
        app, calls = App(), []
        app.add_route("/inline", lambda request: request.method, inline=True)
        for step in (make(calls, "filter") for make in filters):
            app._add_filter(step if isinstance(step, Filter) else Filter(step))
        app.add_route("/async", asynchronous)
        app.add_route("/thread", plain)
        app.add_route("/stream", streamed)
        app.add_route("/file", lambda: path)
        left = []
        async with started(app):
            await ask(app, target=f"/{lane}")  # caches are filled
            await until_alone()
            exchange = Recorded(target=f"/{lane}")
            exchange.__class__ = watched(left)
            app.handle(exchange)
            await exchange.complete.wait()
            del exchange
            await until_alone()
            # The thread of the loop knows the last inline one.
            await ask(app, target="/inline")
            await until_alone()
        return left

    gc.collect()
    gc.disable()
    try:
        assert run_without_collecting(test()) == ["gone"]
    finally:
        gc.enable()


def plain(request: Request):
    return request.method


def streamed(request: Request):
    return Stream([request.method])


def watched(left):
    """A class of exchanges that says when one is no more."""

    class Watched(Recorded):
        def __del__(self):
            left.append("gone")

    return Watched


def run_without_collecting(test):
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        return loop.run_until_complete(test)


def test_the_request_at_hand_is_known_to_inline_filters():
    app, seen = App(), []

    async def handler():
        await asyncio.sleep(0)
        return "fine"

    app.add_route("/async", handler)
    app.add_route("/thread", lambda: "fine")
    app.add_route("/inline", lambda: "fine", inline=True)

    @app.filter(inline=True)
    def watch(request):
        seen.append(tarry.request.get() is request)
        yield
        seen.append(tarry.request.get() is request)

    for target in ("/async", "/thread", "/inline", "/nothing"):
        once(app, target=target)
    assert seen == [True] * 8


# ── inline filters around a body ──────────────────────────────────────────────────────────


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")


def posting(calls, place="app", lane="inline"):
    """An application whose filter and handler tell one another by a context variable."""
    app = App()

    def watch(request):
        calls.append(variable.get())
        variable.set("filter")
        try:
            response = yield
        except GeneratorExit:
            calls.append("closed")
            raise
        calls.append(response.status)
        calls.append(tarry.request.get() is request)

    def handler(content: Annotated[bytes, Body()]):
        calls.append(variable.get())
        return content

    async def coroutine(content: Annotated[bytes, Body()]):
        return handler(content)

    step = Filter(watch, inline=True)
    if place == "app":
        app._add_filter(step)
    function, inline = (coroutine, False) if lane == "async" else (handler, lane == "inline")
    app.post("/", inline=inline, filters=[] if place == "app" else [step])(function)
    return app


def test_a_body_that_comes_with_its_head_needs_no_task():
    calls = []

    async def test():
        async with started(posting(calls)) as app:
            exchange = Recorded("POST", body=True)
            app.handle(exchange)
            exchange.body.finish([], b"all")
            assert exchange.complete.is_set()
            assert len(asyncio.all_tasks()) == 1
            return Asked(exchange)

    assert run(test()).body == b"all"
    assert calls == ["nothing", "filter", 200, True]


@pytest.mark.parametrize("place", ["app", "route"])
@pytest.mark.parametrize("lane", ["inline", "async", "thread"])
def test_what_filters_set_is_there_when_the_body_has_come_and_not_for_the_next_request(place, lane):
    calls = []

    async def test():
        async with started(posting(calls, place, lane)) as app:
            first, second = Recorded("POST", body=True), Recorded("POST", body=True)
            for exchange in (first, second):
                app.handle(exchange)
                exchange.body.feed(b"half")
            for exchange in (first, second):
                exchange.body.finish([], b"rest")
                await exchange.complete.wait()
            await until_alone()

    run(test())
    assert calls == ["nothing", "nothing", *["filter", 200, True] * 2]


@pytest.mark.parametrize("place", ["app", "route"])
def test_a_body_that_is_too_large_is_an_answer_for_inline_filters(place):
    calls = []

    async def test():
        async with started(posting(calls, place)) as app:
            exchange = Recorded("POST", body=True)
            app.handle(exchange)
            exchange.body.max_bytes = 3
            exchange.body.feed(b"four")
            assert exchange.complete.is_set()
            return Asked(exchange)

    assert run(test()).status == 413
    assert calls == ["nothing", 413, True]


@pytest.mark.parametrize("place", ["app", "route"])
def test_inline_filters_end_when_the_rest_of_a_body_never_comes(place, caplog):
    calls = []

    async def test():
        async with started(posting(calls, place)) as app:
            exchange = Recorded("POST", body=True)
            app.handle(exchange)
            exchange.body.feed(b"half")
            exchange.leave()
            assert exchange.aborted
            assert not exchange.pieces

    run(test())
    assert calls == ["nothing", "closed"]
    assert not caplog.records


@pytest.mark.parametrize("place", ["app", "route"])
def test_a_request_header_that_is_no_text_of_http_is_an_error_of_the_filter(place, caplog):
    app, seen = App(), []

    def outer(request):
        response = yield
        seen.append(response.status)

    def spoil(request):
        request.headers["x-price"] = "€"

    steps = [Filter(outer, inline=True), Filter(spoil, inline=True)]
    for step in steps if place == "app" else []:
        app._add_filter(step)
    filters = steps if place == "route" else []
    app.add_route("/", lambda: "fine", inline=True, filters=filters)

    assert once(app).status == 500
    assert seen == [500]
    assert "outside latin-1" in caplog.text
