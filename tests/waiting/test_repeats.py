"""Requests that are sent again with their Idempotency-Key: one ticket, one effect."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest

from tarry import App, Body, Request
from tarry.testing import AsyncClient, JumpingClock
from tarry.waiting.ledger import SCHEMA
from tests.waiting.tickets_app import ASYNC

KEY = {"idempotency-key": '"8e03978e-40d5"'}


class Shop:
    """An application that counts what was done after parking, in each lane."""

    def __init__(self):
        self.clock = JumpingClock()
        self.app = app = App(store="memory")
        app.clock = self.clock
        self.waits = []
        self.done = 0

        def park(**options):
            wait = app.park(str, durable=True, timeout="1h", **options)
            self.waits.append(wait)
            self.done += 1
            return wait

        @app.post("/async/{rest:path}")
        async def in_task(rest: str, request: Request):
            await request.body()
            return park()

        @app.post("/inline", inline=True)
        def on_loop():
            return park()

        @app.post("/thread")
        def in_thread(item: Annotated[dict[str, int], Body()]):
            return park()

        @app.post("/form")
        def with_form(amount: int = 0):
            return park()

        @app.post("/named", inline=True)
        def named():
            return park(key="name")

    @property
    def wait(self):
        return self.waits[-1]


@pytest.fixture
def shop():
    return Shop()


def run(coroutine):
    return asyncio.run(coroutine)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/async/x", {"data": b"abc"}),
        ("/async/x", {}),
        ("/inline", {}),
        ("/thread", {"json": {"a": 1}}),
        ("/form", {"data": {"amount": "7"}}),
        ("/named", {}),
    ],
)
def test_a_request_that_comes_again_gets_the_same_ticket(shop, path, body):
    async def go():
        async with AsyncClient(shop.app) as client:
            first = await client.post(path, headers=ASYNC | KEY, **body)
            second = await client.post(path, headers=ASYNC | KEY, **body)
            assert first.status == second.status == 202
            assert first.json() == second.json()
            assert first.headers["location"] == second.headers["location"]
            assert shop.done == 1

            waiting = asyncio.create_task(client.post(path, headers=KEY, **body))
            await asyncio.sleep(0)
            assert await shop.wait.wake("here")
            assert (await waiting).text == "here"
            late = await client.post(path, headers=ASYNC | KEY, **body)
            assert (late.status, late.text) == (200, "here")
            assert shop.done == 1

    run(go())


def test_quotes_do_not_matter(shop):
    async def go():
        async with AsyncClient(shop.app) as client:
            first = await client.post("/inline", headers=ASYNC | {"idempotency-key": "a-b"})
            second = await client.post("/inline", headers=ASYNC | {"idempotency-key": '"a-b"'})
            assert first.json() == second.json()

    run(go())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"data": b"abc"}, {"data": b"abd"}),
        ({"data": b"abc"}, {}),
        ({}, {"query": "?a=1"}),
    ],
)
def test_a_key_is_for_one_request(shop, one, other):
    async def go():
        async with AsyncClient(shop.app) as client:
            for request, status in ((one, 202), (other, 422), (one, 202)):
                options = dict(request)
                path = "/async/x" + options.pop("query", "")
                reply = await client.post(path, headers=ASYNC | KEY, **options)
                assert reply.status == status
            assert shop.done == 1

    run(go())


def test_others_have_keys_of_their_own(shop):
    async def go():
        async with AsyncClient(shop.app) as client:
            tickets = [
                (await client.post(path, headers=ASYNC | KEY | headers)).json()["ticket"]
                for path, headers in [
                    ("/async/x", {}),
                    ("/async/y", {}),
                    ("/async/x", {"authorization": "Bearer a"}),
                    ("/async/x", {"authorization": "Bearer b"}),
                    ("/async/x", {"idempotency-key": "another"}),
                ]
            ]
            assert len(set(tickets)) == 5

    run(go())


@pytest.mark.parametrize("key", ["", '""', "x" * 256, '"', 'a"b"', "ü", "a b"])
def test_a_key_that_is_none(shop, key):
    async def go():
        async with AsyncClient(shop.app) as client:
            headers = ASYNC | {"idempotency-key": key.encode().decode("latin-1")}
            assert (await client.post("/inline", headers=headers)).status == 400
            assert shop.done == 0

    run(go())


def test_a_key_is_kept_as_long_as_its_ticket(shop):
    async def go():
        async with AsyncClient(shop.app) as client:
            await client.post("/inline", headers=ASYNC | KEY)
            await shop.wait.wake("one")
            shop.clock.advance(3599)
            assert (await client.post("/inline", headers=KEY)).text == "one"
            shop.clock.advance(2)
            assert (await client.post("/inline", headers=ASYNC | KEY)).status == 202
            assert shop.done == 2
            await shop.wait.wake("two")
            assert (await client.post("/inline", headers=KEY)).text == "two"

    run(go())


def test_requests_that_come_at_once_share_one_ticket(shop):
    async def go():
        async with AsyncClient(shop.app) as client:
            replies = await asyncio.gather(
                *(client.post("/thread", headers=ASYNC | KEY, json={"a": 1}) for _ in range(20))
            )
            assert {reply.status for reply in replies} == {202}
            assert len({reply.json()["ticket"] for reply in replies}) == 1
            assert shop.done == 1

    run(go())


def test_nothing_is_left_of_keys_in_the_end(shop):
    async def go():
        async with AsyncClient(shop.app) as client:
            await client.post("/inline", headers=ASYNC | KEY)
            ledger = shop.app._waiting.ledger
            shop.clock.advance(3600)
            ledger.sweep().result()
            shop.clock.advance(3602)
            ledger.sweep().result()
            left = [key for key, _ in ledger.store.scan("").result()]
            assert [key for key in left if not key.startswith(SCHEMA)] == []

    run(go())
