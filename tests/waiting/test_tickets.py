"""Tickets for answers: a handler goes on while its client goes away with one."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from tarry import App, Headers, HttpError, Request, Stream
from tarry.state.memory import MemoryStore
from tarry.state.store import StoreFull
from tarry.testing import AsyncClient, JumpingClock

ASYNC = {"prefer": "respond-async"}
WAIT_S = 10.0


def run(test):
    asyncio.run(asyncio.wait_for(test(), WAIT_S))


class Slow:
    """An application whose handlers go on when the test says so, in two lanes."""

    def __init__(self, result, store="memory"):
        self.app = app = App(store=store)
        self.clock = app.clock = JumpingClock()
        self.result = result
        self.in_thread = threading.Event()
        self.on_loop = None
        self.ended = 0

        def answer():
            self.ended += 1
            return self.result() if callable(self.result) else self.result

        @app.get("/async", ticket=True)
        async def in_task():
            await self.on_loop.wait()
            return answer()

        @app.get("/def", ticket=True)
        def in_thread():
            assert self.in_thread.wait(WAIT_S)
            return answer()

    def go_on(self):
        self.in_thread.set()
        self.on_loop.set()

    def client(self, **options):
        self.on_loop = asyncio.Event()
        return AsyncClient(self.app, clock=self.clock, **options)


async def settled(client, ticket):
    """The answer at the address of the result, when there is one."""
    path = ticket.json()["links"]["result"]
    while (reply := await client.get(path)).status == 409:
        await asyncio.sleep(0)
    return reply


@pytest.mark.parametrize("lane", ["async", "def"])
@pytest.mark.parametrize("http2", [False, True])
def test_the_answer_is_kept_for_the_ticket(lane, http2):
    slow = Slow((201, Headers([("x-made", "yes")]), {"pages": 12}))

    async def test():
        async with slow.client(http2=http2) as client:
            ticket = await client.get(f"/{lane}", headers=ASYNC)
            assert ticket.status == 202
            assert ticket.headers["location"] == ticket.json()["links"]["self"]
            assert ticket.headers["preference-applied"] == "respond-async"
            assert (await client.get(ticket.json()["links"]["result"])).status == 409

            slow.go_on()
            for _ in range(2):  # it can be read more than once
                reply = await settled(client, ticket)
                assert (reply.status, reply.json()) == (201, {"pages": 12})
                assert reply.headers["x-made"] == "yes"
        assert slow.ended == 1

    run(test)


@pytest.mark.parametrize("lane", ["async", "def"])
def test_an_answer_in_time_needs_no_ticket(lane):
    slow = Slow("done")

    async def test():
        async with slow.client() as client:
            pending = client.begin("GET", f"/{lane}", headers={"prefer": "wait=20"})
            slow.go_on()
            reply = await pending.reply()
            assert (reply.status, reply.text) == (200, "done")
            await slow.clock.advance(30)
            assert slow.app._waiting.ledger.store.scan("w/").result() == []

    run(test)


@pytest.mark.parametrize(("prefer", "seconds"), [({}, 25), ({"prefer": "wait=8"}, 8)])
def test_the_client_gets_it_when_it_has_waited_long_enough(prefer, seconds):
    slow = Slow("done")

    async def test():
        async with slow.client() as client:
            pending = client.begin("GET", "/async", headers=prefer)
            await slow.clock.advance(0)
            await slow.clock.advance(seconds - 1)
            assert not pending.done
            await slow.clock.advance(1)
            ticket = await pending.reply()
            assert ticket.status == 202
            slow.go_on()
            assert (await settled(client, ticket)).text == "done"

    run(test)


def raises(error):
    def result():
        raise error

    return result


@pytest.mark.parametrize(
    ("result", "status", "detail"),
    [
        (raises(HttpError(402, "pay first")), 402, "pay first"),
        (raises(KeyError("secret")), 500, ""),
        (lambda: Stream(["a"]), 500, ""),
    ],
)
def test_an_error_is_kept_as_well(result, status, detail, caplog):
    slow = Slow(result)

    async def test():
        async with slow.client() as client:
            ticket = await client.get("/async", headers=ASYNC)
            slow.go_on()
            reply = await settled(client, ticket)
            assert reply.status == status
            assert reply.json().get("detail", "") == detail
            assert "secret" not in reply.text

    run(test)
    assert bool(caplog.records) == (status == 500)


def test_a_file_is_kept_by_its_path(tmp_path):
    file = tmp_path / "report.txt"
    file.write_text("12 pages")
    slow = Slow(file)

    async def test():
        async with slow.client() as client:
            ticket = await client.get("/def", headers=ASYNC)
            slow.go_on()
            path = ticket.json()["links"]["result"]
            assert (await settled(client, ticket)).text == "12 pages"
            part = await client.get(path, headers={"range": "bytes=0-1"})
            assert (part.status, part.text) == (206, "12")

    run(test)


def test_a_wait_that_is_returned_late_is_waited_for():
    slow = Slow(lambda: slow.wait)

    async def test():
        async with slow.client() as client:
            slow.wait = slow.app.park(str)
            ticket = await client.get("/async", headers=ASYNC)
            slow.go_on()
            await slow.clock.advance(0)
            assert (await client.get(ticket.json()["links"]["result"])).status == 409
            slow.wait.wake("late")
            assert (await settled(client, ticket)).text == "late"

    run(test)


def test_filters_see_the_ticket_and_not_the_answer():
    slow = Slow("done")
    seen = []

    @slow.app.filter(inline=True)
    def watch(request):
        response = yield
        seen.append((request.path, response.status))

    async def test():
        async with slow.client() as client:
            ticket = await client.get("/async", headers=ASYNC)
            slow.go_on()
            await settled(client, ticket)

    run(test)
    assert seen[0] == ("/async", 202)
    assert "/async" not in [path for path, _ in seen[1:]]


class Full(MemoryStore):
    """A store that takes nothing."""

    def update(self, keys, change):
        future = Future()
        future.set_exception(StoreFull("there is no room"))
        return future


def test_without_room_for_a_ticket_the_client_waits_on(caplog):
    slow = Slow("done", store=Full())

    async def test():
        async with slow.client() as client:
            pending = client.begin("GET", "/async", headers=ASYNC)
            await slow.clock.advance(0)
            assert not pending.done
            slow.go_on()
            assert (await pending.reply()).text == "done"

    run(test)
    assert "cannot be stored" in caplog.text


def test_a_client_has_to_send_its_body_first():
    app = App(store="memory")
    app.clock = clock = JumpingClock()
    read, done = [], asyncio.Event()

    @app.post("/", ticket=True)
    async def add(request: Request):
        async for piece in request.stream():
            read.append(piece)
        await done.wait()
        return len(read)

    async def test():
        async with AsyncClient(app, clock=clock) as client:
            sent = client.begin("POST", "/", data=b"body", headers=ASYNC)
            ticket = await sent.reply()
            assert (ticket.status, read) == (202, [b"body"])
            done.set()
            assert (await settled(client, ticket)).json() == 1

    run(test)


# ---- handlers that await or yield a durable wait ---------------------------------------------


class Paying:
    """An application whose handlers make something of the value of a durable wait."""

    def __init__(self):
        self.app = app = App(store="memory")
        self.clock = app.clock = JumpingClock()
        self.made = []

        def park():
            self.wait = app.park(int, durable=True, timeout="1h")
            return self.wait

        def made_of(value):
            self.made.append(value)
            return {"paid": value}

        @app.get("/awaited")
        async def awaited():
            return made_of(await park())

        @app.get("/yielded")
        def yielded():
            return made_of((yield park()))

        @app.get("/twice")
        async def twice():
            return made_of(await park() + await park())


@pytest.mark.parametrize("path", ["/awaited", "/yielded"])
@pytest.mark.parametrize("http2", [False, True])
def test_what_a_handler_makes_of_the_value_is_kept(path, http2):
    paying = Paying()

    async def test():
        async with AsyncClient(paying.app, clock=paying.clock, http2=http2) as client:
            ticket = await client.get(path, headers=ASYNC)
            assert ticket.status == 202
            assert ticket.json()["ticket"] != paying.wait.ticket

            assert await paying.wait.wake(5)
            assert (await settled(client, ticket)).json() == {"paid": 5}
        assert paying.made == [5]

    run(test)


def test_a_client_that_waits_has_the_answer_itself():
    paying = Paying()

    async def test():
        async with AsyncClient(paying.app, clock=paying.clock) as client:
            pending = await client.parked("GET", "/awaited")
            await paying.wait.wake(5)
            assert (await pending.reply()).json() == {"paid": 5}

    run(test)


@pytest.mark.parametrize("path", ["/awaited", "/yielded"])
def test_a_handler_goes_on_when_its_client_leaves(path):
    paying = Paying()

    async def test():
        async with AsyncClient(paying.app, clock=paying.clock) as client:
            pending = await client.parked("GET", path)
            pending.disconnect()
            await paying.clock.advance(0)
            assert await paying.wait.wake(5)
            while not paying.made:
                await asyncio.sleep(0)
        assert paying.made == [5]

    run(test)


def test_a_handler_that_waits_twice_has_one_ticket():
    paying = Paying()

    async def test():
        async with AsyncClient(paying.app, clock=paying.clock) as client:
            ticket = await client.get("/twice", headers=ASYNC)
            first = paying.wait
            await first.wake(5)
            while paying.wait is first:
                await asyncio.sleep(0)
            await paying.wait.wake(6)
            assert (await settled(client, ticket)).json() == {"paid": 11}

    run(test)


def test_a_wait_that_expires_fails_the_ticket():
    paying = Paying()

    async def test():
        async with AsyncClient(paying.app, clock=paying.clock) as client:
            ticket = await client.get("/awaited", headers=ASYNC)
            await paying.clock.advance("1h")
            reply = await settled(client, ticket)
            assert reply.status == 504

    run(test)
