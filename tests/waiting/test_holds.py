"""Holds: clients that come, leave, have no more patience, or are told that the server stops."""

from __future__ import annotations

import asyncio
import gc
import queue
import weakref

import pytest

from tarry import App, ClientGone
from tarry.testing import AsyncClient
from tarry.waiting.limits import ParkingLimits
from tarry.waiting.parking import TooManyParked
from tarry.waiting.waits import Wait
from tests.exchanges import turns
from tests.waiting.nodes import Asked, waited, with_node

WAIT_S = 10.0
KINDS = {"in this process": {}, "with a key": {"key": "k"}, "durable": {"durable": True}}
of_each_kind = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
returned_or_awaited = pytest.mark.parametrize("awaited", [False, True], ids=["returned", "awaited"])


def tick(node, seconds):
    node.clock.advance(seconds)
    node.parking.tick()


# ---- clients that leave --------------------------------------------------------------------


def test_a_handler_learns_at_the_wait_that_its_client_left():
    async def test(node):
        told = []

        async def handler():
            try:
                await node.park(int)
            except ClientGone:
                told.append("gone")
                raise
            finally:
                told.append("cleaned up")

        node.add("/", handler, inline=False)
        exchange = Asked("GET", "/")
        node.dispatcher.handle(exchange)
        await turns()
        exchange.leave()
        await turns()
        assert told == ["gone", "cleaned up"]
        assert exchange.told is None
        assert not node.parking.holds

    with_node(test)


@returned_or_awaited
def test_with_its_last_client_a_wait_is_cancelled(awaited):
    async def test(node):
        for options in ({}, {"key": "k"}):
            wait = node.park(int, **options)
            first, last = (node.ask(wait, awaited=awaited) for _ in range(2))
            await turns()
            first.leave()
            await turns()
            assert wait.state == "waiting"
            last.leave()
            await turns()
            assert wait.state == "cancelled"
            assert not await wait.wake(7)

    with_node(test)


def test_who_leaves_a_key_does_not_cancel_it_for_those_who_joined():
    async def test(node):
        leaving, staying = (node.ask(node.park(int, key="k")) for _ in range(2))
        leaving.leave()
        await turns()
        assert staying.told is None
        assert await node.waiting.wake("k", 7)
        await waited(staying)
        assert staying.told == (200, 7)

    with_node(test)


@returned_or_awaited
@pytest.mark.parametrize(
    "options", [{"abandon": "keep"}, {"abandon": "keep", "key": "k"}, {"durable": True}]
)
def test_a_wait_that_is_kept_goes_on_without_clients(options, awaited):
    async def test(node):
        wait = node.park(int, **options)
        exchange = node.ask(wait, awaited=awaited)
        await turns()
        exchange.leave()
        await turns()
        assert await wait.wake(7)
        again = node.ask(wait)
        await waited(again)
        assert again.told == (200, 7)

    with_node(test)


def test_a_durable_await_goes_on_to_its_end_without_its_client():
    async def test(node):
        done = []
        wait = node.park(int, durable=True)

        async def handler():
            done.append(await wait)

        node.add("/", handler, inline=False)
        exchange = Asked("GET", "/")
        node.dispatcher.handle(exchange)
        await turns()
        exchange.leave()
        await wait.wake(7)
        await turns()
        assert done == [7]

    with_node(test)


def test_a_wait_may_be_given_some_seconds_for_its_client_to_come_back():
    async def test(node):
        for options in ({}, {"key": "k"}):
            wait = node.park(int, abandon="10s", timeout="1h", **options)
            node.ask(wait).leave()
            tick(node, 9)
            node.ask(wait).leave()  # came back, and left: ten seconds more
            tick(node, 9)
            await turns()
            assert wait.state == "waiting"
            staying = node.ask(wait)
            tick(node, 20)
            await turns()
            assert wait.state == "waiting"
            staying.leave()
            tick(node, 11)
            await turns()
            assert wait.state == "cancelled"

    with_node(test)


@of_each_kind
def test_a_client_that_left_before_the_handler_came_to_wait(options):
    async def test(node):
        for number, way in enumerate(("returned", "awaited")):
            wait = node.park(int, **options)
            exchange = Asked("GET", f"/{way}/{number}")
            exchange.leave()
            node.dispatcher.handle(exchange)
            await turns()
            assert exchange.told is None
            assert wait.state == ("waiting" if wait.options.durable else "cancelled")
        assert len(node.parking.holds) == wait.options.durable  # the await that goes on

    with_node(test)


@of_each_kind
@returned_or_awaited
def test_a_client_that_leaves_when_its_answer_is_on_the_way(options, awaited):
    """It is settled, but the loop has not come to answer yet."""

    async def test(node):
        wait = node.park(int, **options)
        exchange = node.ask(wait, awaited=awaited)
        await turns()
        wait.wake(7)
        exchange.leave()
        await turns()
        assert wait.state == "done"
        assert exchange.answers <= 1
        assert not node.parking.holds

    with_node(test)


def test_a_client_that_leaves_after_its_answer_changes_nothing():
    async def test(node):
        wait = node.park(int)
        exchange = node.ask(wait)
        await wait.wake(7)
        await waited(exchange)
        exchange.leave()
        await turns()
        assert wait.state == "done"

    with_node(test)


def test_nothing_is_kept_of_a_request_that_was_answered():
    async def test(node):
        node.add("/next", lambda: "the loop's thread knows the last one only")
        for options in ({}, {"key": "k"}, {"durable": True}):
            for awaited in (False, True):
                wait = node.park(int, **options)
                exchange = weakref.ref(node.ask(wait, awaited=awaited))
                await turns()
                await wait.wake(7)
                await turns()
                node.dispatcher.handle(Asked("GET", "/next"))
                node.waits.clear()
                del wait
                gc.collect()
                assert exchange() is None
        assert not any(type(each) is Wait for each in gc.get_objects())

    with_node(test)


# ---- patience ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefer", "status"),
    [("respond-async", 202), ("respond-async, wait=0", 202), ("wait=0", 202), (None, None),
     ("respond-async, wait=5", None), ("wait=5", None), ("handling=strict", None)],
)  # fmt: skip
def test_a_client_says_how_long_it_waits(prefer, status):
    async def test(node):
        headers = [("prefer", prefer)] if prefer else []
        exchange = node.ask(node.park(int, durable=True), headers=headers)
        await turns()
        assert exchange.told == (None if status is None else (status, None))

    with_node(test)


@pytest.mark.parametrize(("prefer", "seconds"), [("wait=5", 5), ("wait=1000", 25), (None, 25)])
def test_a_ticket_comes_when_the_patience_of_a_client_ends(prefer, seconds):
    async def test(node):
        headers = [("prefer", prefer)] if prefer else []
        wait = node.park(int, durable=True)
        exchange = node.ask(wait, headers=headers)
        tick(node, seconds - 1)
        await turns()
        assert exchange.told is None
        tick(node, 2)
        reply = await waited(exchange)
        assert reply.status == 202
        assert reply.headers[b"location"].decode() == wait.ticket_url
        assert reply.json["ticket"] == wait.ticket
        assert reply.json["state"] == "waiting"
        assert await wait.wake(7)

    with_node(test)


BROWSER = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")


@pytest.mark.parametrize(
    ("headers", "seconds"), [([], 2), ([("prefer", "wait=5")], 5), ([("prefer", "wait=1")], 1)]
)
def test_a_browser_gets_the_page_of_the_ticket_soon_unless_it_says_how_long(headers, seconds):
    async def test(node):
        exchange = node.ask(node.park(int, durable=True), headers=[BROWSER, *headers])
        tick(node, seconds - 0.5)
        await turns()
        assert exchange.told is None
        tick(node, 1)
        reply = await waited(exchange)
        assert reply.status == 202
        assert reply.headers[b"content-type"] == b"text/html; charset=utf-8"

    with_node(test)


def test_what_is_not_durable_gives_no_tickets():
    async def test(node):
        exchange = node.ask(node.park(int), headers=[("prefer", "respond-async")])
        tick(node, 30)
        await turns()
        assert exchange.told is None

    with_node(test)


# ---- the server stops ----------------------------------------------------------------------


@returned_or_awaited
def test_who_waits_is_told_to_ask_again_when_the_server_stops(awaited):
    async def test(node):
        wait = node.park(int)
        token = wait.token
        exchange = node.ask(wait, awaited=awaited)
        await turns()
        node.parking.drain()
        reply = await waited(exchange)
        assert reply.status == 503
        assert reply.headers[b"retry-after"]
        # Nobody is there any more whom a wake could reach, and the waker learns it.
        assert not await node.waiting.wake(token, 7)

    with_node(test)


@returned_or_awaited
def test_who_waits_gets_the_default_when_the_server_stops(awaited):
    async def test(node):
        exchange = node.ask(node.park(int, default=0), awaited=awaited)
        await turns()
        node.parking.drain()
        await waited(exchange)
        assert exchange.told == (200, 0)

    with_node(test)


def test_who_waits_for_something_durable_gets_a_ticket_when_the_server_stops():
    async def test(node):
        wait = node.park(int, durable=True)
        exchange = node.ask(wait)
        node.parking.drain()
        assert (await waited(exchange)).status == 202
        assert await wait.wake(7)

    with_node(test)


def test_who_is_to_be_finished_waits_on_when_the_server_stops():
    async def test(node):
        wait = node.park(int, on_drain="finish")
        exchange = node.ask(wait)
        node.parking.drain()
        await turns()
        assert exchange.told is None
        await wait.wake(7)
        await waited(exchange)
        assert exchange.told == (200, 7)

    with_node(test)


def test_a_durable_one_can_be_closed_when_the_server_stops():
    async def test(node):
        wait = node.park(int, durable=True, on_drain="close")
        exchange = node.ask(wait)
        node.parking.drain()
        assert (await waited(exchange)).status == 503
        assert await wait.wake(7)

    with_node(test)


def test_who_comes_while_the_server_stops_does_not_wait():
    async def test(node):
        node.parking.drain()
        exchange = node.ask(node.park(int))
        await waited(exchange)
        assert exchange.told == (503, None)

    with_node(test)


def test_a_wait_whose_client_may_still_come_back_ends_with_the_server():
    async def test(node):
        wait = node.park(int, abandon="10s")
        token = wait.token
        node.ask(wait).leave()
        await turns()
        await node.stop()
        assert not node.waiting.ledger.wake(token, b"7").result().accepted

    with_node(test)


# ---- limits --------------------------------------------------------------------------------


@returned_or_awaited
@of_each_kind
def test_no_more_wait_than_may(options, awaited):
    async def test(node):
        wait = node.park(int, **options)
        waiting = [node.ask(wait, awaited=awaited) for _ in range(3)]
        await turns()
        assert {exchange.told for exchange in waiting} == {None}

        reply = await waited(node.ask(wait, awaited=awaited))
        assert reply.status == 503
        assert reply.headers[b"retry-after"]

        if not (wait.options.durable and awaited):
            waiting.pop().leave()
            waiting.append(node.ask(wait, awaited=awaited))
        await turns()
        await wait.wake(7)
        for exchange in waiting:
            await waited(exchange)
            assert exchange.told == (200, 7)

    with_node(test, max_parked=3)


def test_one_client_does_not_take_all_places():
    class OfAnother(Asked):
        client = "192.0.2.8"

    async def test(node):
        wait = node.park(int)
        waiting = [node.ask(wait) for _ in range(2)]
        assert (await waited(node.ask(wait))).status == 503

        other = OfAnother("GET", "/returned/0")
        node.dispatcher.handle(other)
        waiting.pop().leave()
        waiting += [other, node.ask(wait)]
        await wait.wake(7)
        for exchange in waiting:
            await waited(exchange)
            assert exchange.told == (200, 7)

    with_node(test, max_parked_per_client=2)


def test_what_has_no_address_counts_in_all_alone():
    limits = ParkingLimits(3, 1)
    limits.take("a", "")
    limits.take("b", "")
    limits.take("c", "192.0.2.7")
    with pytest.raises(TooManyParked):
        limits.take("d", "")
    limits.give_back("c")
    limits.take("d", "192.0.2.7")
    limits.give_back("a")
    with pytest.raises(TooManyParked, match="of yours"):
        limits.take("e", "192.0.2.7")


def test_a_wait_that_found_no_place_is_cancelled():
    """Nobody waits for it: whoever wakes it is told so."""

    async def test(node):
        node.ask(node.park(int))
        wait = node.park(int)
        token = wait.token
        assert (await waited(node.ask(wait))).status == 503
        assert not await node.waiting.wake(token, 7)

    with_node(test, max_parked=1)


# ---- order ---------------------------------------------------------------------------------


def test_who_was_woken_is_answered_ahead_of_what_comes_in_next():
    """In the order of the wakes, and before a request that came after them."""

    async def test(node):
        order = []
        node.add("/new", lambda: order.append("new"))

        class Ordered(Asked):
            def end(self):
                order.append(self.head.path)
                super().end()

        waits = [node.park(int) for _ in range(3)]
        for number in range(3):
            node.dispatcher.handle(Ordered("GET", f"/returned/{number}"))
        for number in (2, 0, 1):
            waits[number].wake(1)
        new = Ordered("GET", "/new")
        asyncio.get_running_loop().call_soon(node.dispatcher.handle, new)
        await waited(new)
        assert order == [b"/returned/2", b"/returned/0", b"/returned/1", "new", b"/new"]

    with_node(test)


def test_after_a_batch_others_have_their_turn():
    async def test(node):
        wait = [node.park(int) for _ in range(1200)]
        exchanges = [node.ask(each) for each in wait]
        for each in wait:
            each.wake(7)
        answered = []
        for _ in range(4):
            await turns(1)
            answered.append(sum(exchange.told is not None for exchange in exchanges))
        assert answered[0] < 1200
        assert answered[-1] == 1200

    with_node(test)


def test_one_answer_that_fails_does_not_keep_the_others_waiting(caplog):
    async def test(node):
        wait = node.park(int)

        class Broken(Asked):
            def start(self, head):
                raise RuntimeError("the connection is broken")

        broken = Broken("GET", "/returned/0")
        node.dispatcher.handle(broken)
        good = node.ask(wait)
        await wait.wake(7)
        await waited(good)
        assert good.told == (200, 7)

    with_node(test)
    assert "the connection is broken" in caplog.text


# ---- the real connection -------------------------------------------------------------------


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1", "HTTP/2"])
def test_a_client_of_a_connection_leaves(http2):
    app, waits, gone = App(), queue.SimpleQueue(), []

    @app.get("/awaited")
    async def awaited():
        waits.put(wait := app.park(int))
        try:
            return await wait
        except ClientGone:
            gone.append("awaited")
            raise

    @app.get("/returned")
    def returned():
        waits.put(wait := app.park(int))
        return wait

    async def test():
        async with AsyncClient(app, http2=http2) as client:
            for path in ("/awaited", "/returned"):
                asking = asyncio.ensure_future(client.get(path))
                while waits.empty():
                    await asyncio.sleep(0)
                wait = waits.get()
                while not wait.holds:
                    await asyncio.sleep(0)
                asking.cancel()
                while wait.state == "waiting":
                    await asyncio.sleep(0)
                assert wait.state == "cancelled"

    asyncio.run(asyncio.wait_for(test(), WAIT_S))
    assert gone == ["awaited"]
