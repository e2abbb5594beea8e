"""Generator handlers: they wait without thread or task, and then answer or begin a stream."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gzip
import sys
import threading

import pytest

import tarry
from tarry import ClientGone, Html, HttpError, Response, Stream
from tarry.app.dependencies import Provider
from tarry.app.dispatch import Dispatcher
from tarry.app.filters import Filter
from tarry.features.compression import Compression
from tests.app.serving import Asked, add_route, ask, once, serving, started
from tests.app.test_deferred import WAIT_S, Later
from tests.exchanges import Recorded, turns

KINDS = pytest.mark.parametrize("kind", ["plain", "async"])

tenant = contextvars.ContextVar("tenant", default="none")


def in_kind(function, kind):
    """A generator function as it is, or as an async one, which cannot return anything."""
    if kind == "plain":
        return function

    @functools.wraps(function)
    async def asynchronous(**arguments):
        generator = function(**arguments)
        step = functools.partial(generator.send, None)
        try:
            while True:
                try:
                    item = step()
                except StopIteration:
                    return
                try:
                    step = functools.partial(generator.send, (yield item))
                except GeneratorExit:
                    raise
                except BaseException as error:
                    step = functools.partial(generator.throw, error)
        finally:
            generator.close()

    return asynchronous


def run(test):
    return asyncio.run(asyncio.wait_for(test(), WAIT_S))


async def parked(later):
    """Wait until somebody waits for it, and all else has come to rest."""
    while not later.waiting:
        await asyncio.sleep(0)
    await turns()


async def settled(dispatcher, later, outcomes, exchange=None):
    """One request, whose handler waits as often as there are outcomes."""
    exchange = exchange or Recorded()
    dispatcher.handle(exchange)
    for outcome in outcomes:
        await parked(later)
        later.settle(**outcome)
    await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
    return Asked(exchange)


def filtered(function, filters):
    dispatcher = Dispatcher()
    add_route(dispatcher, "/", ["GET"], function, filters=filters)
    return dispatcher


def answer(function, later, *outcomes, exchange=None, **options):
    async def test():
        async with started(serving(function, **options)) as dispatcher:
            return await settled(dispatcher, later, outcomes, exchange)

    return run(test)


# ── before the first text ─────────────────────────────────────────────────────────────────


def test_what_comes_back_decides_about_the_answer():
    later = Later()

    def handler(n: int):
        decision = yield later
        return {"n": n, "decision": decision}

    asked = answer(handler, later, {"result": 7}, path="/{n}", exchange=Recorded(target="/3"))

    assert (asked.status, asked.json) == (200, {"n": 3, "decision": 7})


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ((201, "made"), 201, b"made"),
        (Response("x", 202), 202, b"x"),
        (None, 204, b""),
        (Stream(["a", "b"]), 200, b"ab"),
        ((piece for piece in "ab"), 200, b"ab"),
    ],
)
def test_any_result_may_follow(result, status, body):
    later = Later()

    def handler():
        yield later
        return result

    asked = answer(handler, later, {})

    assert (asked.status, asked.body) == (status, body)


def test_a_deferred_result_may_follow():
    later = Later()

    def handler():
        yield later
        return later

    assert answer(handler, later, {}, {"result": "second"}).body == b"second"


@KINDS
def test_it_may_wait_several_times_and_then_stream(kind):
    later = Later()

    def handler():
        first = yield later
        second = yield later
        yield f"{first} {second}"
        yield " end"

    asked = answer(in_kind(handler, kind), later, {"result": 1}, {"result": 2})

    assert (asked.status, asked.body, asked.aborted) == (200, b"1 2 end", False)


@KINDS
def test_an_error_is_thrown_in(kind):
    later = Later()

    def handler():
        try:
            yield later
        except TimeoutError as error:
            yield f"too late: {error}"

    asked = answer(in_kind(handler, kind), later, {"error": TimeoutError("10 s")})

    assert asked.body == b"too late: 10 s"


@KINDS
def test_an_error_that_is_not_caught_is_answered(kind):
    later = Later()

    def handler():
        yield later

    asked = answer(in_kind(handler, kind), later, {"error": HttpError(409, "taken")})

    assert (asked.status, asked.json["detail"]) == (409, "taken")


@KINDS
def test_an_error_of_a_later_step_is_answered(kind, caplog):
    later = Later()

    def handler():
        yield later
        raise KeyError("the secret")

    assert answer(in_kind(handler, kind), later, {}).status == 500
    assert "the secret" in caplog.text


def test_who_refuses_to_be_waited_for_is_heard_at_the_yield():
    class Refusing(Later):
        def attach(self, exchange, settler):
            raise HttpError(503, "too many wait")

    def handler():
        try:
            yield Refusing()
        except HttpError as error:
            return error.detail

    assert once(serving(handler)).body == b"too many wait"


class There(Later):
    """A result that is there already."""

    def attach(self, exchange, settler):
        settler.settle(exchange, 1, None)


@KINDS
def test_results_that_are_there_already_do_not_pile_up(kind):
    """Nor do those after the first text."""

    def handler():
        total = 0
        for _ in range(1200 if kind == "async" else 50):
            total += yield There()
        yield "sum: "
        total += yield There()
        yield str(total)

    asked = once(serving(in_kind(handler, kind)))

    assert asked.body == (b"sum: 1201" if kind == "async" else b"sum: 51")


@KINDS
def test_a_generator_without_a_yield_that_is_reached_is_an_empty_stream(kind):
    def handler():
        yield from ()

    asked = once(serving(in_kind(handler, kind)))

    assert (asked.status, asked.content_type, asked.body) == (
        200,
        b"text/plain; charset=utf-8",
        b"",
    )


def test_what_is_returned_without_any_wait_is_the_result():
    def handler(wait: bool = False):
        if wait:
            yield Later()
        return {"wait": wait}

    assert once(serving(handler)).json == {"wait": False}


def test_an_async_generator_that_only_waited_has_nothing_to_say():
    later = Later()

    async def handler():
        yield later

    assert answer(handler, later, {}).status == 204


def test_text_of_a_handler_that_says_it_is_html():
    later = Later()

    def page() -> Html:
        name = yield later
        return f"<p>{name}"

    asked = answer(page, later, {"result": "Ada"})

    assert (asked.content_type, asked.body) == (b"text/html; charset=utf-8", b"<p>Ada")


@KINDS
def test_the_first_piece_must_be_one(kind, caplog):
    def handler():
        yield 5

    asked = once(serving(in_kind(handler, kind)))

    assert asked.aborted
    assert "a stream gave a int" in caplog.text


@KINDS
def test_head_is_answered_with_the_head_of_the_stream(kind):
    closed = threading.Event()

    def handler():
        try:
            yield "text"
        finally:
            closed.set()

    asked = once(serving(in_kind(handler, kind)), "HEAD")

    assert (asked.status, asked.body) == (200, b"")
    assert closed.is_set()


def test_a_body_that_is_a_generator_begins_at_once():
    def pieces():
        yield "a"
        yield "b"

    assert once(serving(lambda: (201, pieces()), inline=True)).status == 201
    assert once(serving(lambda: Response(pieces(), 202), inline=True)).body == b"ab"


# ── where the steps run ───────────────────────────────────────────────────────────────────


def test_steps_of_a_plain_generator_are_in_threads_and_those_of_an_async_one_on_the_loop():
    later, threads = Later(), []

    def handler():
        for _ in range(2):
            threads.append(threading.current_thread().name)
            yield later
        threads.append(threading.current_thread().name)
        yield "text"

    answer(handler, later, {}, {})
    assert set(threads) == {"tarry-handler"}
    threads.clear()
    answer(in_kind(handler, "async"), later, {}, {})
    assert set(threads) == {"MainThread"}


@KINDS
def test_nothing_runs_while_it_waits(kind):
    later = Later()

    def handler():
        yield later
        yield "text"

    async def test():
        async with started(serving(in_kind(handler, kind), max_threads=1)) as dispatcher:
            add_route(dispatcher, "/thread", ["GET"], lambda: "the thread is free")
            exchange = Recorded()
            dispatcher.handle(exchange)
            await parked(later)

            assert exchange.task is None
            assert len(asyncio.all_tasks()) == 2  # this one, and the one with the time-out
            assert (await ask(dispatcher, target="/thread")).body == b"the thread is free"
            later.settle()
            await exchange.complete.wait()
            assert exchange.answer == b"text"

    run(test)


@KINDS
def test_what_waits_is_small(kind):
    """The generator aside: one object with its slots, and a context."""
    later = Later()

    def handler():
        yield later
        return "text"

    async def test():
        async with started(serving(in_kind(handler, kind))) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            await parked(later)
            [(_, stepping)] = later.waiting
            parts = [stepping, stepping._context, getattr(stepping, "_presence", None)]

            assert not hasattr(stepping, "__dict__")
            assert sum(map(sys.getsizeof, parts)) < 300
            later.settle()
            await exchange.complete.wait()

    run(test)


@KINDS
def test_the_request_is_there_in_each_step(kind):
    later = Later()

    def handler():
        paths = [tarry.request.path]
        for _ in range(2):
            yield later
            paths.append(tarry.request.path)
        yield " ".join(paths)
        yield later
        yield " " + tarry.request.path

    async def other():
        # In another request, as in life: what is settled must not be taken for a part of it.
        tenant.set("other")
        later.settle()

    async def test():
        dispatcher = serving(in_kind(handler, kind), "/a")
        add_route(dispatcher, "/settle", ["GET"], other)
        async with started(dispatcher):
            exchange = Recorded(target="/a")
            dispatcher.handle(exchange)
            for _ in range(3):
                await parked(later)
                await ask(dispatcher, target="/settle")
            await exchange.complete.wait()
            return exchange.answer

    assert run(test) == b"/a /a /a /a"


def test_context_variables_belong_to_the_request_that_waits():
    later = Later()

    async def handler():
        token = tenant.set("acme")
        yield later
        before = tenant.get()
        tenant.reset(token)
        yield f"{before} {tenant.get()}"

    async def other():
        tenant.set("other")
        later.settle()

    async def test():
        dispatcher = serving(handler)
        add_route(dispatcher, "/settle", ["GET"], other)
        async with started(dispatcher):
            exchange = Recorded()
            dispatcher.handle(exchange)
            await parked(later)
            await ask(dispatcher, target="/settle")
            await exchange.complete.wait()
            return exchange.answer

    assert run(test) == b"acme none"


async def apart(request, next):
    await asyncio.sleep(0)
    response = await next(request)
    await asyncio.sleep(0)
    return response


def watch(request):
    yield


@pytest.mark.parametrize("filters", [[], [Filter(watch, inline=True)], [apart], [apart, apart]])
def test_an_async_generator_stays_in_one_task_from_its_first_text_to_its_end(filters):
    """So that it can hold what belongs to a task, such as a time-out, over its yields."""
    tasks = []

    async def handler():
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            group.create_task(turns())
            for _ in range(3):
                tasks.append(asyncio.current_task())
                yield "text "
        tasks.append(asyncio.current_task())

    assert once(filtered(handler, filters)).body == b"text text text "
    assert len(tasks) == 4
    assert len(set(tasks)) == 1


def test_calls_that_go_on_come_before_new_ones():
    later, go_on, order = Later(), threading.Event(), []

    def handler():
        yield later
        order.append("goes on")
        yield "text"

    def block():
        assert go_on.wait(WAIT_S)

    async def test():
        dispatcher = serving(handler, max_threads=1)
        add_route(dispatcher, "/block", ["GET"], block)
        add_route(dispatcher, "/new", ["GET"], lambda: order.append("new"))
        async with started(dispatcher):
            waiting = Recorded()
            dispatcher.handle(waiting)
            await parked(later)
            others = [Recorded(target=target) for target in ("/block", "/new", "/new")]
            for each in others:
                dispatcher.handle(each)
            await turns()
            later.settle()
            await turns()
            go_on.set()
            for each in (waiting, *others):
                await each.complete.wait()

    run(test)

    assert order == ["goes on", "new", "new"]


def test_more_than_may_wait_for_a_thread_are_told_to_come_back():
    go_on = threading.Event()

    def handler():
        assert go_on.wait(WAIT_S)
        yield "text"

    async def test():
        async with started(serving(handler, max_threads=1, max_queued=1)) as dispatcher:
            exchanges = [Recorded() for _ in range(4)]
            for each in exchanges:
                dispatcher.handle(each)
                await turns()
            refused = [each for each in exchanges if each.started]
            go_on.set()
            for each in exchanges:
                await each.complete.wait()
            return [Asked(each) for each in refused]

    refused = run(test)

    assert refused
    assert {each.status for each in refused} == {503}
    assert refused[0].headers[b"retry-after"] == b"1"


# ── within a stream ───────────────────────────────────────────────────────────────────────


@KINDS
def test_a_stream_goes_on_with_what_it_waited_for(kind):
    later = Later()

    def handler():
        got = yield "first "
        assert got is None
        second = yield later
        yield f"{second} "
        try:
            yield later
        except TimeoutError:
            yield "too late"

    async def test():
        async with started(serving(in_kind(handler, kind))) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            await parked(later)
            assert exchange.answer == b"first "
            later.settle("second")
            await parked(later)
            assert exchange.answer == b"first second "
            later.settle(error=TimeoutError())
            await exchange.complete.wait()
            return Asked(exchange)

    asked = run(test)

    assert (asked.body, asked.aborted) == (b"first second too late", False)


@KINDS
def test_an_error_that_a_stream_does_not_catch_breaks_it_off(kind, caplog):
    later = Later()

    def handler():
        yield "first"
        yield later

    asked = answer(in_kind(handler, kind), later, {"error": KeyError("the secret")})

    assert (asked.body, asked.aborted) == (b"first", True)
    assert "the secret" in caplog.text


@KINDS
def test_filters_see_a_stream_that_waits_as_any_other(kind):
    later = Later()

    def handler():
        yield later
        yield "a" * 1000
        yield later
        yield "b" * 1000

    async def test():
        dispatcher = serving(in_kind(handler, kind))
        dispatcher.add_filter(Filter(Compression(min_bytes=1).filter))
        async with started(dispatcher):
            exchange = Recorded(headers=[("accept-encoding", "gzip")])
            return await settled(dispatcher, later, [{}, {}], exchange)

    asked = run(test)

    assert asked.headers[b"content-encoding"] == b"gzip"
    assert gzip.decompress(asked.body) == b"a" * 1000 + b"b" * 1000


# ── the end ───────────────────────────────────────────────────────────────────────────────


@KINDS
@pytest.mark.parametrize("begun", [False, True])
def test_it_can_clean_up_when_the_client_leaves(kind, begun, caplog):
    later, threads, heard, done = Later(), [], [], threading.Event()

    def handler():
        try:
            if begun:
                yield "text"
            yield later
        except ClientGone:
            heard.append(True)
            raise
        finally:
            threads.append(threading.current_thread().name)
            done.set()

    async def test():
        async with started(serving(in_kind(handler, kind))) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            await parked(later)
            exchange.leave()
            later.settle(error=ClientGone("the client left"))
            await exchange.complete.wait()
            assert await asyncio.to_thread(done.wait, WAIT_S)
            return exchange

    assert run(test).aborted
    assert heard == [True]
    assert threads == ["tarry-handler" if kind == "plain" else "MainThread"]
    assert not caplog.records


def test_what_an_async_generator_awaits_before_its_first_text_ends_when_the_client_leaves(caplog):
    begun, closed = asyncio.Event(), []

    async def handler():
        try:
            begun.set()
            await asyncio.Event().wait()
            yield "never"
        finally:
            closed.append(True)

    async def test():
        async with started(serving(handler)) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            await begun.wait()
            exchange.leave()
            await exchange.complete.wait()
            return exchange

    assert run(test).aborted
    assert closed == [True]
    assert not caplog.records


def test_an_async_generator_whose_client_has_left_gets_no_step_more():
    later, steps = Later(), []

    async def handler():
        try:
            yield later
            steps.append("goes on")
        except ClientGone:
            steps.append("gone")
            raise

    async def test():
        async with started(serving(handler)) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            await parked(later)
            exchange.leave()
            later.settle("a result all the same")
            await exchange.complete.wait()

    run(test)

    assert steps == ["gone"]


def test_an_async_generator_is_closed_when_its_task_is_cancelled():
    begun, closed = asyncio.Event(), []

    async def handler():
        try:
            begun.set()
            await asyncio.Event().wait()
            yield "never"
        finally:
            closed.append(True)

    async def test():
        async with started(serving(handler)) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            await begun.wait()
            exchange.task.cancel()
            await exchange.complete.wait()
            return exchange

    assert run(test).aborted
    assert closed == [True]


def test_a_plain_generator_is_closed_by_its_thread_when_its_task_is_cancelled():
    begun, go_on, closed = threading.Event(), threading.Event(), []
    left = threading.Event()

    def handler():
        try:
            begun.set()
            assert go_on.wait(WAIT_S)
            yield "never sent"
        finally:
            closed.append(threading.current_thread().name)
            left.set()

    async def test():
        async with started(serving(handler)) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            assert await asyncio.to_thread(begun.wait, WAIT_S)
            exchange.task.cancel()
            await exchange.complete.wait()
            go_on.set()
            assert await asyncio.to_thread(left.wait, WAIT_S)
            return exchange

    exchange = run(test)

    assert (exchange.aborted, exchange.answer) == (True, b"")
    assert closed == ["tarry-handler"]


@KINDS
def test_what_is_settled_after_the_stop_closes_the_generator(kind):
    later, closed = Later(), threading.Event()

    def handler():
        try:
            yield later
        finally:
            closed.set()

    async def test():
        async with started(serving(in_kind(handler, kind))) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            await parked(later)
        exchange.leave()
        later.settle(error=ClientGone("the client left"))
        await exchange.complete.wait()
        assert closed.is_set()

    run(test)


def test_what_it_depends_on_is_cleaned_up_after_the_end():
    later, log = Later(), []

    class Session:
        pass

    def provide():
        yield Session()
        log.append("closed")

    def handler(session: Session):
        log.append((yield later))
        yield "text"
        log.append("end")

    async def test():
        dispatcher = serving(lambda: None, "/other")
        dispatcher.binders[Session] = Provider(provide)
        add_route(dispatcher, "/", ["GET"], handler)
        async with started(dispatcher):
            return await settled(dispatcher, later, [{"result": "settled"}])

    assert run(test).body == b"text"
    assert log == ["settled", "end", "closed"]


# ── filters ───────────────────────────────────────────────────────────────────────────────


@KINDS
@pytest.mark.parametrize("outcome", [{"result": "x"}, {"error": KeyError("late")}])
def test_one_that_a_filter_has_given_up_does_not_disturb_its_answer(kind, outcome):
    later, more = Later(), asyncio.Event()

    def handler():
        yield later
        yield "never sent"

    async def pieces():
        yield "too "
        await more.wait()
        yield "slow"

    async def give_up(request, next):
        inside = asyncio.ensure_future(next(request))
        await parked(later)
        inside.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await inside
        return Stream(pieces())

    async def test():
        async with started(filtered(in_kind(handler, kind), [give_up])) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            while not exchange.pieces:
                await asyncio.sleep(0)
            later.settle(**outcome)
            await dispatcher._in_thread(int)  # the thread of the last step is through
            await turns()
            more.set()
            await exchange.complete.wait()
            return Asked(exchange)

    asked = run(test)

    assert (asked.body, asked.aborted) == (b"too slow", False)


@KINDS
@pytest.mark.parametrize("replaced", ["text", Stream(["te", "xt"])], ids=["text", "stream"])
def test_a_filter_may_send_something_else_than_the_stream(kind, replaced):
    def handler():
        yield "never sent"

    async def instead(request, next):
        await next(request)
        return Stream(["te", "xt"]) if isinstance(replaced, Stream) else replaced

    async def test():
        async with started(filtered(in_kind(handler, kind), [instead])) as dispatcher:
            asked = await ask(dispatcher)
            # The task that had begun the generator has not been left behind.
            while len(asyncio.all_tasks()) > 2:
                await asyncio.sleep(0)
            return asked

    assert run(test).body == b"text"


def test_a_filter_that_fails_leaves_no_task_behind(caplog):
    async def handler():
        yield "never sent"

    async def fail(request, next):
        await next(request)
        raise HttpError(418, "no")

    async def test():
        async with started(filtered(handler, [fail])) as dispatcher:
            asked = await ask(dispatcher)
            while len(asyncio.all_tasks()) > 2:
                await asyncio.sleep(0)
            return asked

    assert run(test).status == 418


def test_a_client_that_leaves_while_a_filter_looks_leaves_no_task_behind():
    looks = asyncio.Event()

    async def handler():
        yield "never sent"

    async def look(request, next):
        await next(request)
        left = asyncio.Event()
        request.exchange.on_gone(left.set)
        looks.set()
        await left.wait()
        raise ClientGone("the client left")

    async def test():
        async with started(filtered(handler, [look])) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            await looks.wait()
            exchange.leave()
            await exchange.complete.wait()
            while len(asyncio.all_tasks()) > 2:
                await asyncio.sleep(0)
            return exchange

    assert run(test).aborted


# ── registration ──────────────────────────────────────────────────────────────────────────


@KINDS
def test_a_generator_is_never_inline(kind):
    def handler():
        yield "text"

    with pytest.raises(tarry.RegistrationError, match="inline=True is for a plain function"):
        serving(in_kind(handler, kind), inline=True)
