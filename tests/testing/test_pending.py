"""Requests that a test begins and whose answers it waits for later."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tarry import App, Request, Response
from tarry.message.heads import ResponseHead
from tarry.testing import AsyncClient, Client, IncompleteAnswer
from tests.exchanges import RawApplication

WAIT_S = 10.0
SHORT_S = 0.01


class Desk:
    """An application whose `/wait` parks until `/wake` has an answer for it."""

    def __init__(self) -> None:
        self.app = App()
        self.waiting: list[asyncio.Future[str]] = []
        self.gone = threading.Event()
        self.app.add_route("/wait/{name}", self.wait, methods=("GET", "POST"))
        self.app.add_route("/wake/{value}", self.wake, methods=("POST",))
        self.app.add_route("/now", lambda: "now", inline=True)
        self.app.add_route("/run", self.run)
        self.app.add_route("/fail", self.fail)

    async def wait(self, name: str, request: Request) -> str:
        exchange = request.exchange
        exchange.on_gone(self.gone.set)
        sent = (await request.body()).decode()
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        exchange.park()
        value = await future
        exchange.resume()
        return f"{name}{sent}: {value}"

    async def wake(self, value: str) -> int:
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            future.set_result(value)
        return len(waiting)

    async def run(self) -> None:
        """Runs, without being parked."""
        await asyncio.Event().wait()

    async def fail(self) -> None:
        raise LookupError("of the handler")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture(params=[False, True], ids=["http1", "http2"])
def http2(request) -> bool:
    return request.param


@pytest.fixture
def client(desk, http2):
    with Client(desk.app, http2=http2) as client:
        yield client


def alone(test):
    asyncio.run(asyncio.wait_for(test, WAIT_S))


# ── from a plain test ─────────────────────────────────────────────────────────────────────


def test_a_request_waits_until_another_one_wakes_it(client):
    pending = client.begin("POST", "/wait/a", data=b"!")
    pending.parked()
    assert not pending.done
    assert client.post("/wake/up").json() == 1

    assert pending.reply().text == "a!: up"
    assert pending.done
    assert pending.reply().text == "a!: up"


def test_many_requests_are_parked_at_once(client):
    all_pending = [client.parked("GET", f"/wait/{number}") for number in range(20)]
    assert not any(pending.done for pending in all_pending)
    client.post("/wake/up")

    texts = [pending.reply().text for pending in all_pending]
    assert texts == [f"{number}: up" for number in range(20)]


def test_who_gives_up_waiting_for_a_reply_can_ask_again(client):
    pending = client.parked("GET", "/wait/a")
    with pytest.raises(TimeoutError, match=r"no whole answer to GET /wait/a within 0\.01 s"):
        pending.reply(timeout_s=SHORT_S)
    assert not pending.done
    client.post("/wake/up")

    assert pending.reply().text == "a: up"


def test_a_request_that_is_answered_is_not_parked(client):
    with pytest.raises(RuntimeError, match="GET /now was not parked but answered with 200"):
        client.parked("GET", "/now")


def test_a_request_that_runs_is_not_parked(client):
    pending = client.begin("GET", "/run")
    with pytest.raises(TimeoutError, match=r"GET /run was not parked within 0\.01 s"):
        pending.parked(timeout_s=SHORT_S)
    assert not pending.done


def test_a_request_that_goes_on_is_parked_no_more(client):
    pending = client.parked("GET", "/wait/a")
    client.post("/wake/up")
    pending.reply()

    with pytest.raises(RuntimeError, match="answered with 200"):
        pending.parked()


def test_a_client_that_leaves_is_noticed_and_the_next_request_is_served(client, desk):
    pending = client.parked("GET", "/wait/a")
    other = client.parked("GET", "/wait/b")
    assert not desk.gone.is_set()
    pending.disconnect()

    assert desk.gone.is_set()
    assert pending.done
    for ask in (pending.reply, pending.parked):
        with pytest.raises(IncompleteAnswer, match="GET /wait/a"):
            ask()
    client.post("/wake/up")
    assert other.reply().text == "b: up"


def test_requests_under_way_end_with_the_client(desk, http2):
    with Client(desk.app, http2=http2) as client:
        pending = client.parked("GET", "/wait/a")

    assert desk.gone.is_set()
    assert pending.done
    with pytest.raises(RuntimeError, match="with statement"):
        pending.reply()


def test_what_cannot_be_sent_is_said_at_once(client, desk):
    with pytest.raises(ValueError, match="the path must begin"):
        client.begin("GET", "wait")
    with pytest.raises(RuntimeError, match="with statement"):
        Client(desk.app).begin("GET", "/now")


def test_an_error_in_a_handler_is_raised_where_its_reply_is_asked_for(desk, http2):
    with Client(desk.app, http2=http2, raise_errors=True) as client:
        pending = client.begin("GET", "/fail")
        with pytest.raises(LookupError, match="of the handler"):
            pending.reply()
        with pytest.raises(LookupError, match="of the handler"):
            client.parked("GET", "/fail")


def test_an_exchange_that_is_parked_before_handle_returns_is_found(http2):
    class Inline(RawApplication):
        def handle(self, exchange):
            exchange.park()
            exchanges.append(exchange)
            if len(exchanges) == 2:
                for parked in exchanges:
                    parked.resume()
                    parked.respond(ResponseHead(200), b"both")

    exchanges = []
    with Client(Inline(), http2=http2) as client:
        one = client.parked("GET", "/")
        two = client.begin("GET", "/")

        assert [one.reply().text, two.reply().text] == ["both", "both"]


# ── in the loop of the test ───────────────────────────────────────────────────────────────


def test_in_an_async_test(desk, http2):
    async def test():
        async with AsyncClient(desk.app, http2=http2) as client:
            pending = client.begin("GET", "/wait/a")
            other = await client.parked("GET", "/wait/b")
            await pending.parked()
            await client.post("/wake/up")

            assert (await other.reply()).text == "b: up"
            assert (await pending.reply()).text == "a: up"

    alone(test())


def test_a_client_that_leaves_in_an_async_test(desk, http2):
    async def test():
        async with AsyncClient(desk.app, http2=http2) as client:
            pending = await client.parked("GET", "/wait/a")
            await pending.disconnect()
            assert desk.gone.is_set()
            with pytest.raises(IncompleteAnswer):
                await pending.reply()

            never_sent = client.begin("GET", "/wait/b")
            never_sent.disconnect()
            with pytest.raises(IncompleteAnswer):
                await never_sent.reply()
            assert (await client.get("/now")).text == "now"

    alone(test())


def test_cookies_of_a_reply_that_came_later_are_kept(http2):
    async def test():
        async with AsyncClient(Cookies().app, http2=http2, keep_cookies=True) as client:
            await client.begin("GET", "/in").reply()

            assert (await client.begin("GET", "/who").reply()).text == "me"

    alone(test())


class Cookies:
    """Sets a cookie and tells it."""

    def __init__(self) -> None:
        self.app = App()
        self.app.add_route("/in", self.login, inline=True)
        self.app.add_route("/who", self.who, inline=True)

    def login(self) -> Response:
        response = Response("in")
        response.set_cookie("user", "me")
        return response

    def who(self, request: Request) -> str:
        return request.cookies["user"]
