"""Results that come later: returned in each lane, settled with a result or an error."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from tarry import Answered, HttpError, Response
from tarry.app.deferred import Awaited, Deferred, Instead
from tarry.app.dispatch import Dispatcher
from tarry.app.filters import Filter
from tarry.app.lanes import Lanes
from tarry.app.request import CurrentRequest
from tests.app.serving import add_route, ask, once, serving, started
from tests.exchanges import Recorded, turns

WAIT_S = 10.0


class Later(Deferred):
    """Settled by the test."""

    def __init__(self):
        self.waiting = []

    def attach(self, exchange, settler):
        self.waiting.append((exchange, settler))

    def settle(self, result=None, error=None):
        waiting, self.waiting = self.waiting, []
        for exchange, settler in waiting:
            settler.settle(exchange, result, error)


def handlers(later):
    async def in_task():
        return later

    def at_once():
        return later

    return {
        "async": (in_task, False),
        "inline": (at_once, True),
        "threads": (at_once, False),
    }


def answered(lane, *, result=None, error=None, filters=(), wrap=None):
    """What a request is answered with whose handler's result is settled later."""

    async def test():
        later = Later()
        function, inline = handlers(later)[lane]
        dispatcher = serving(wrap(function) if wrap else function, inline=inline)
        for each in filters:
            dispatcher.add_filter(Filter(each, inline=True))
        async with started(dispatcher):
            exchange = Recorded("GET", "/")
            dispatcher.handle(exchange)
            while not later.waiting:
                await asyncio.sleep(0)
            await turns()
            assert not exchange.started
            later.settle(result, error)
            await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
        return exchange

    return asyncio.run(asyncio.wait_for(test(), WAIT_S))


@pytest.mark.parametrize("lane", ["async", "inline", "threads"])
def test_the_result_is_answered_as_if_it_had_been_returned(lane):
    exchange = answered(lane, result={"a": 1})

    assert exchange.answer_head.status == 200
    assert exchange.answer == b'{"a":1}'


@pytest.mark.parametrize("lane", ["async", "inline", "threads"])
def test_an_error_is_answered_as_if_it_had_been_raised(lane):
    exchange = answered(lane, error=HttpError(409, "no"))

    assert exchange.answer_head.status == 409


def test_a_result_that_cannot_be_sent_is_the_servers_error(caplog):
    exchange = answered("inline", result=object())

    assert exchange.answer_head.status == 500
    assert "no JSON" in caplog.text


def test_filters_see_the_answer_when_it_is_there():
    seen = []

    def watch(request):
        response = yield
        assert isinstance(response, Answered)
        seen.append(response.body)
        response.headers["x-seen"] = "yes"

    exchange = answered("inline", result="text", filters=[watch])

    assert seen == [b"text"]
    assert (b"x-seen", b"yes") in exchange.answer_head.fields


def test_nothing_runs_while_it_is_waited_for():
    async def test():
        later = Later()

        async def handler():
            return later

        dispatcher = serving(handler)
        async with started(dispatcher):
            exchange = Recorded("GET", "/")
            dispatcher.handle(exchange)
            while not later.waiting:
                await asyncio.sleep(0)
            await turns()

            assert exchange.task is None
            assert len(asyncio.all_tasks()) == 2  # this one, and the one with the time-out
            later.settle("done")

    asyncio.run(asyncio.wait_for(test(), WAIT_S))


def test_the_current_request_is_there_when_it_is_settled():
    async def test():
        seen = []
        current = CurrentRequest()

        class Looking(Later):
            def settle(self, result=None, error=None):
                for exchange, settler in self.waiting:
                    settler.settle(exchange, Shown(), None)

        class Shown(Deferred):
            def attach(self, exchange, settler):
                seen.append(current.path)
                settler.settle(exchange, "shown", None)

        later = Looking()
        dispatcher = serving(lambda: later, path="/x", inline=True)
        async with started(dispatcher):
            exchange = Recorded("GET", "/x")
            dispatcher.handle(exchange)
            later.settle()

            assert seen == ["/x"]
            assert exchange.answer == b"shown"

    asyncio.run(asyncio.wait_for(test(), WAIT_S))


@pytest.mark.parametrize("inline", [False, True])
def test_what_settles_it_in_another_request_is_not_taken_for_a_part_of_this_one(inline):
    later, seen = Later(), []
    current, tenant = CurrentRequest(), contextvars.ContextVar("tenant", default="none")

    def watch(request):
        yield
        seen.append((current.path, tenant.get()))

    def settle():
        tenant.set("other")
        later.settle("done")
        seen.append((current.path, tenant.get()))

    async def settle_in_task():
        settle()

    async def test():
        dispatcher = Dispatcher()
        filters = [Filter(watch, inline=True)]
        add_route(dispatcher, "/a", ["GET"], lambda: later, inline=True, filters=filters)
        add_route(
            dispatcher, "/settle", ["GET"], settle if inline else settle_in_task, inline=inline
        )
        async with started(dispatcher):
            exchange = Recorded("GET", "/a")
            dispatcher.handle(exchange)
            await ask(dispatcher, target="/settle")
            assert exchange.answer == b"done"

    asyncio.run(asyncio.wait_for(test(), WAIT_S))

    assert seen == [("/a", "none"), ("/settle", "other")]


@pytest.mark.parametrize("wrap", [lambda later: (201, later), Response])
def test_it_is_returned_by_itself(wrap, caplog):
    async def test():
        later = Later()
        dispatcher = serving(lambda: wrap(later), inline=True)
        async with started(dispatcher):
            return await ask(dispatcher)

    assert asyncio.run(test()).status == 500
    assert "returned by itself" in caplog.text


def test_a_coroutine_waits_for_one():
    async def test():
        lanes = Lanes(1, 1)
        lanes.open()
        later, exchange = Later(), Recorded("GET", "/")
        for settled, expected in (({"result": 3}, 3), ({"error": KeyError("k")}, KeyError)):
            awaited = Awaited(lanes)
            later.attach(exchange, awaited)
            later.settle(**settled)
            awaited.settle(exchange, "too late", None)
            if expected is KeyError:
                with pytest.raises(KeyError):
                    await awaited.result()
            else:
                assert await awaited.result() == expected
        lanes.close()

    asyncio.run(asyncio.wait_for(test(), WAIT_S))


@pytest.mark.parametrize("lane", ["async", "inline", "threads"])
@pytest.mark.parametrize("filtered", [False, True])
def test_a_handler_can_be_ended_with_a_result(lane, filtered, caplog):
    def ended():
        raise Instead((201, {"a": 1}))

    async def ended_in_task():
        ended()

    def tag(request):
        response = yield
        response.headers["x-seen"] = str(response.status)

    dispatcher = serving(ended_in_task if lane == "async" else ended, inline=lane == "inline")
    dispatcher.errors.add(None, lambda: "an error")
    if filtered:
        dispatcher.add_filter(Filter(tag, inline=True))
    asked = once(dispatcher)

    assert (asked.status, asked.json) == (201, {"a": 1})
    assert asked.headers.get(b"x-seen") == (b"201" if filtered else None)
    assert not caplog.text
