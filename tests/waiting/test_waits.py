"""Waits: each way to wait, and each way in which it ends."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest

from tarry import App, HttpError, Request
from tarry.state.memory import MemoryStore
from tarry.state.store import StoreError
from tarry.testing import AsyncClient, Client, JumpingClock
from tarry.waiting.errors import WaitCancelled, WaitExpired, WaitFailed
from tarry.waiting.values import BadValue
from tarry.waiting.waits import Wait
from tests.exchanges import turns
from tests.waiting.nodes import waited, with_node

TIMEOUT_S = 10.0

WAYS = ["awaited", "async def", "def", "inline"]


def serving(way, **options):
    """An application whose handler waits in one of the ways; each wait goes to a queue."""
    app, waits = App(), queue.SimpleQueue()

    def parked():
        wait = app.park(int, **options)
        waits.put(wait)
        return wait

    async def awaited():
        return {"got": await parked()}

    async def returned_by_a_task():
        return parked()

    if way == "awaited":
        app.get("/")(awaited)
    elif way == "async def":
        app.get("/")(returned_by_a_task)
    else:
        app.get("/", inline=way == "inline")(parked)
    return app, waits


def answered(way, settle, **options):
    """What is answered when the wait is settled, from a thread that knows nothing of the server."""
    app, waits = serving(way, **options)
    app.clock = clock = JumpingClock()

    def settle_the_next():
        settle(waits.get(timeout=TIMEOUT_S), clock)

    thread = threading.Thread(target=settle_the_next)
    thread.start()
    with Client(app) as client:
        reply = client.get("/")
    thread.join()
    return reply


@pytest.mark.parametrize("way", WAYS)
def test_a_value_is_the_answer(way):
    reply = answered(way, lambda wait, _: wait.wake(7))

    assert reply.status == 200
    assert reply.json() == ({"got": 7} if way == "awaited" else 7)


@pytest.mark.parametrize("way", WAYS)
def test_a_failure_has_its_status_and_its_sentence(way):
    reply = answered(way, lambda wait, _: wait.fail("the printer is on fire", 502))

    assert reply.status == 502
    assert reply.json()["detail"] == "the printer is on fire"


@pytest.mark.parametrize("way", WAYS)
def test_what_is_cancelled_is_gone(way):
    assert answered(way, lambda wait, _: wait.cancel()).status == 410


@pytest.mark.parametrize("way", WAYS)
def test_what_does_not_come_in_time_is_504(way):
    def let_time_pass(wait, clock):
        while wait.state == "waiting":
            clock.advance(1)

    assert answered(way, let_time_pass, timeout=5).status == 504
    reply = answered(way, let_time_pass, timeout=5, default=0)
    assert (reply.status, reply.json()) == (200, {"got": 0} if way == "awaited" else 0)


def test_a_handler_can_catch_how_it_ended():
    caught = []

    async def catching(wait):
        try:
            await wait
        except HttpError as error:
            caught.append(type(error))

    async def test(node):
        for settle in ("cancel", "fail", "expire"):
            wait = node.park(int)
            task = asyncio.ensure_future(catching(wait))
            await turns()
            getattr(wait, settle)()
            await task

    with_node(test)
    assert caught == [WaitCancelled, WaitFailed, WaitExpired]
    assert issubclass(WaitExpired, TimeoutError)


def test_it_can_be_awaited_outside_of_a_request():
    async def test(node):
        wait = node.park(str)
        task = asyncio.ensure_future(_awaited(wait))
        await turns()
        await wait.wake("hello")
        return await task

    assert with_node(test) == "hello"


async def _awaited(wait):
    return await wait


def test_who_waits_outside_of_a_request_is_not_disturbed_by_others_that_leave():
    """Not even when the handler of a parked request was the last that ran on the loop."""

    async def test(node):
        parked = node.ask(node.park(int))
        wait = node.park(str)
        task = asyncio.ensure_future(_awaited(wait))
        await turns()
        parked.leave()
        await turns()
        await wait.wake("still here")
        return await task

    assert with_node(test) == "still here"


def test_one_that_has_its_value_already_is_answered_at_once():
    async def test(node):
        for options in ({}, {"key": "k"}, {"durable": True}):
            wait = node.park(int, **options)
            assert await wait.wake(7)
            exchanges = [node.ask(wait), node.ask(wait, awaited=True)]
            for exchange in exchanges:
                await waited(exchange)
                assert exchange.told == (200, 7)

    with_node(test)


def test_many_requests_can_wait_for_one():
    async def test(node):
        wait = node.park(int)
        exchanges = [node.ask(wait, awaited=bool(number % 2)) for number in range(10)]
        await turns()
        await wait.wake(7)
        for exchange in exchanges:
            await waited(exchange)
        assert {(exchange.answers, exchange.told) for exchange in exchanges} == {(1, (200, 7))}

    with_node(test)


# ---- settling ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"key": "k"}, {"durable": True}])
def test_only_the_first_settles_it(options):
    async def test(node):
        wait = node.park(int, **options)
        exchange = node.ask(wait)
        verdicts = [
            await wait.wake(1),
            await wait.wake(2),
            await wait.fail("no"),
            await wait.cancel(),
        ]
        await waited(exchange)

        assert verdicts == [True, False, False, False]
        assert exchange.told == (200, 1)
        assert wait.state == "done"

    with_node(test)


@pytest.mark.parametrize("options", [{}, {"key": "k"}, {"durable": True}])
def test_a_value_that_does_not_fit_is_the_wakers_error_and_the_wait_goes_on(options):
    async def test(node):
        wait = node.park(int, **options)
        exchange = node.ask(wait)
        for bad in ("7", None, object(), [7]):
            with pytest.raises(BadValue):
                wait.wake(bad)
        await turns()
        assert exchange.told is None
        assert await wait.wake(7)
        await waited(exchange)
        assert exchange.told == (200, 7)

    with_node(test)


def test_who_is_woken_without_a_value_gets_none():
    async def test(node):
        for kind in (type(None), object):
            wait = node.park(kind)
            exchange = node.ask(wait)
            await wait.wake()
            await waited(exchange)
            assert exchange.answer_head.status == 204

    with_node(test)


# ---- tokens ------------------------------------------------------------------------------


def test_its_token_wakes_it_from_elsewhere():
    async def test(node):
        wait = node.park(int)
        exchange = node.ask(wait)
        assert await node.waiting.wake(wait.token, 7)
        assert not await wait.wake(8)
        await waited(exchange)
        assert exchange.told == (200, 7)

    with_node(test)


def test_one_that_is_asked_for_its_token_after_it_is_settled_stays_settled():
    async def test(node):
        wait = node.park(int)
        await wait.wake(7)

        assert not await node.waiting.wake(wait.token, 8)
        assert wait.share().value == b"7"

    with_node(test)


def test_its_urls_have_different_secrets():
    async def test(node):
        wait = await node.park(int).shared()

        assert wait.token.startswith("wk_")
        assert wait.ticket.startswith("tk_")
        assert wait.url.endswith("/-/w/" + wait.token)
        assert wait.ticket_url.endswith("/-/t/" + wait.ticket)
        assert not await node.waiting.wake(wait.ticket, 7)
        assert await node.waiting.cancel(wait.ticket)
        assert node.waiting.ledger.find(wait.ticket).result().state == "cancelled"

    with_node(test)


def test_who_gives_up_waiting_for_the_record_takes_it_from_nobody():
    from tests.waiting.linked import Hub, SteppedLink

    async def test(node):
        link = SteppedLink(Hub(MemoryStore()))
        node.waiting.ledger.store = link
        wait = node.park(int)
        impatient, patient = (asyncio.ensure_future(wait.shared()) for _ in range(2))
        await turns()
        impatient.cancel()
        await turns()
        while any(link.queues):
            for waiting in link.queues:
                while waiting:
                    waiting.popleft()()
        assert await patient is wait
        assert wait.token

    with_node(test)


class Down(MemoryStore):
    """A store that cannot be written."""

    def update(self, keys, change):
        def broken(entries):
            raise StoreError("the disk is full")

        return super().update(keys, broken)


def test_a_wait_of_this_process_goes_on_without_a_store():
    async def test(node):
        node.waiting.ledger.store = Down()
        wait = node.park(int)
        exchange = node.ask(wait)
        with pytest.raises(StoreError):
            wait.share()
        assert await wait.wake(7)
        await waited(exchange)
        assert exchange.told == (200, 7)

    with_node(test)


def test_a_durable_wait_that_cannot_be_stored_is_503(caplog):
    async def test(node):
        node.waiting.ledger.store = Down()
        return await waited(node.ask(node.park(int, durable=True)))

    reply = with_node(test)
    assert reply.status == 503
    assert reply.headers[b"retry-after"]
    assert "the disk is full" in caplog.text


def test_a_value_that_came_early_is_there_although_the_store_has_forgotten_it():
    async def test(node):
        await node.waiting.wake("k", 7)
        wait = await node.park(int, key="k", timeout="1d").shared()
        node.clock.advance(10_000)
        await asyncio.wrap_future(node.waiting.ledger.sweep())
        exchange = node.ask(wait)
        await waited(exchange)
        assert exchange.told == (200, 7)

    with_node(test)


# ---- time --------------------------------------------------------------------------------


def test_another_time_out_counts_from_now_on():
    async def test(node):
        for options in ({}, {"key": "k"}, {"durable": True}):
            wait = node.park(int, timeout=10, **options)
            node.clock.advance(9)
            exchange = node.ask(wait("20s", default=0))
            node.clock.advance(19)
            node.parking.tick()
            await turns()
            assert exchange.told is None
            node.clock.advance(2)
            node.parking.tick()
            await waited(exchange)
            assert exchange.told == (200, 0)

    with_node(test)


def test_who_came_to_a_key_with_less_time_ends_alone():
    async def test(node):
        longer = node.ask(node.park(int, key="k", timeout=60))
        shorter = node.ask(node.park(int, key="k", timeout=60)(5))
        node.clock.advance(6)
        node.parking.tick()
        await waited(shorter)
        assert shorter.told == (504, None)
        node.clock.advance(50)
        node.parking.tick()
        await turns()
        assert longer.told is None
        assert await node.waiting.wake("k", 7)
        await waited(longer)
        assert longer.told == (200, 7)

    with_node(test)


def test_a_wait_that_expires_here_is_expired_for_all_although_clocks_differ():
    """The wall clock may have been set back: the waker must not be told that somebody has it."""

    async def test(node):
        wait = node.park(int, timeout=10)
        token = wait.token
        exchange = node.ask(wait)
        node.clock.advance(11)
        node.clock._wall_s -= 3600
        node.parking.tick()
        await waited(exchange)

        assert exchange.told == (504, None)
        assert not await node.waiting.wake(token, 7)

    with_node(test)


# ---- what handlers see ---------------------------------------------------------------------


def test_a_wait_can_be_an_argument():
    app, waits = App(), queue.SimpleQueue()

    @app.get("/typed")
    async def typed(wait: Wait[int]):
        waits.put(wait)
        return {"got": await wait(timeout="2m")}

    @app.get("/any")
    def any_value(wait: Wait):
        waits.put(wait)
        return wait

    async def test():
        async with AsyncClient(app) as client:
            for path, value, body in (("/typed", 7, {"got": 7}), ("/any", [1], [1])):
                asking = asyncio.ensure_future(client.get(path))
                while waits.empty():
                    await asyncio.sleep(0)
                wait = waits.get()
                if path == "/typed":
                    with pytest.raises(BadValue):
                        wait.wake("no int")
                assert wait.wake(value)
                assert (await asking).json() == body

    asyncio.run(asyncio.wait_for(test(), TIMEOUT_S))


def test_the_current_request_is_there_after_waiting():
    app = App()

    @app.get("/path")
    async def handler(request: Request, wait: Wait[int]):
        asyncio.get_running_loop().call_soon(wait.wake, 1)
        from tarry import request as current

        return [await wait, current.path]

    with Client(app) as client:
        assert client.get("/path").json() == [1, "/path"]


def test_an_application_can_be_served_again():
    """What was woken when nobody served is not in the way of what comes later."""
    app, waits = serving("def")
    for number in range(3):
        app.park(int).wake(number)  # before it is served, and after it was
        thread = threading.Thread(target=lambda: waits.get(timeout=TIMEOUT_S).wake(7))
        thread.start()
        with Client(app) as client:
            assert client.get("/").json() == 7
        thread.join()
