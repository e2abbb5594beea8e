"""The request as an author sees it: decoded at first use, remembered after."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tarry.app.errors import HttpError
from tarry.app.lanes import Lanes
from tarry.app.request import Request
from tarry.exchange import ClientGone
from tarry.message.cookies import CookiesTooLarge
from tarry.message.target import InvalidTarget
from tests.app.serving import WAIT_S, once, serving, started
from tests.exchanges import Recorded, turns


def request_for(*arguments, **named):
    return Request(Recorded(*arguments, **named))


def reading(test, **named):
    """Run `test(request, body)` on a loop, for a request with a body."""

    async def run():
        exchange = Recorded("POST", body=True, **named)
        await test(Request(exchange), exchange.body)

    asyncio.run(asyncio.wait_for(run(), 10))


def test_the_request_line():
    request = request_for("PATCH", "/a%20b/c%2Fd?x=1&y=%C3%BC", version=b"1.0")

    assert request.method == "PATCH"
    assert request.path == "/a b/c/d"
    assert request.raw_path == "/a%20b/c%2Fd"
    assert request.query_string == "x=1&y=%C3%BC"
    assert request.http_version == "1.0"


def test_the_query():
    request = request_for(target="/?a=1&b=%C3%BC&a=2&c")

    assert request.query == {"a": ["1", "2"], "b": ["ü"], "c": [""]}
    assert request.query is request.query
    assert request_for().query == {}


def test_headers():
    request = request_for(headers=[("X-A", "1"), ("x-a", "2")])

    assert request.headers.getall("X-a") == ["1", "2"]
    assert request.headers is request.headers


def test_cookies():
    request = request_for(headers=[("Cookie", "a=1; b=2"), ("Cookie", "c=3")])

    assert request.cookies == {"a": "1", "b": "2", "c": "3"}
    assert request.cookies is request.cookies


def test_too_many_cookies():
    with pytest.raises(CookiesTooLarge):
        _ = request_for(headers=[("Cookie", "a=" + "x" * 8192)]).cookies


def test_a_path_that_does_not_decode():
    with pytest.raises(InvalidTarget):
        _ = request_for(target="/%zz").path


def test_who_asks_and_for_what():
    request = request_for(target="/a?b=c", headers=[("Host", "example.org:8000")])

    assert request.client == "192.0.2.7"
    assert request.scheme == "http"
    assert request.host == "example.org:8000"
    assert request.url == "http://example.org:8000/a?b=c"


def test_a_request_without_a_host():
    assert request_for().host == ""


def test_a_client_that_left():
    request = request_for()
    assert not request.gone
    request.exchange.leave()

    assert request.gone


# ── bodies ────────────────────────────────────────────────────────────────────────────────


def test_no_body():
    async def run():
        request = request_for()
        return await request.body(), [piece async for piece in request.stream()]

    assert asyncio.run(run()) == (b"", [])


def test_the_whole_body_can_be_read_again():
    async def test(request, body):
        body.feed(b"one")
        body.feed(b"two")
        body.finish([])

        assert await request.body() == b"onetwo"
        assert await request.body() == b"onetwo"
        assert [piece async for piece in request.stream()] == [b"onetwo"]

    reading(test)


def test_a_body_comes_piece_by_piece():
    async def test(request, body):
        pieces = []

        async def collect():
            pieces.extend([piece async for piece in request.stream()])

        collecting = asyncio.create_task(collect())
        for piece in (b"one", b"two"):
            body.feed(piece)
            await turns()
        body.finish([])
        await collecting

        assert pieces == [b"one", b"two"]

    reading(test)


def test_a_client_that_leaves_in_the_middle():
    async def test(request, body):
        body.feed(b"one")
        asking = asyncio.create_task(request.body())
        await turns()
        request.exchange.leave()
        with pytest.raises(ClientGone):
            await asking

    reading(test)


JSON = [("Content-Type", "application/json")]


@pytest.mark.parametrize(
    ("body", "value"), [(b'{"a":[1,null]}', {"a": [1, None]}), (b"7", 7), ('"ü"'.encode(), "ü")]
)
def test_json(body, value):
    async def test(request, body_of_exchange):
        body_of_exchange.feed(body)
        body_of_exchange.finish([])

        assert await request.json() == value
        assert await request.json() == value

    reading(test, headers=JSON)


@pytest.mark.parametrize("body", [b"", b"{", b'"\xff"', b"{} {}", b"nan"])
def test_malformed_json(body):
    async def test(request, body_of_exchange):
        body_of_exchange.feed(body)
        body_of_exchange.finish([])
        with pytest.raises(HttpError, match="malformed JSON") as caught:
            await request.json()

        assert caught.value.status == 400

    reading(test, headers=JSON)


# ── events ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("late", [False, True])
def test_a_client_that_leaves_is_told_on_the_loop_also_to_who_listens_too_late(late):
    left, listening = threading.Event(), threading.Event()
    told = []

    def handler(request: Request):
        if late:
            left.wait(WAIT_S)
        request.on("gone", lambda: told.append(threading.current_thread().name), inline=True)
        listening.set()
        left.wait(WAIT_S)

    async def run():
        async with started(serving(handler, methods=["POST"])) as dispatcher:
            exchange = Recorded("POST", body=True)
            dispatcher.handle(exchange)
            if not late:
                await asyncio.to_thread(listening.wait, WAIT_S)
            exchange.leave()
            left.set()
            await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
            await turns()

    asyncio.run(run())
    assert told == ["MainThread"]


def test_who_no_longer_listens_hears_nothing():
    told = []

    async def handler(request: Request):
        first = request.on("end", lambda: told.append(1), inline=True)
        request.on("end", lambda: told.append(2), inline=True)
        request.off("end", first)

    assert once(serving(handler, methods=["POST"]), "POST", body=b"x").status == 204
    assert told == [2]


@pytest.mark.parametrize(("name", "function"), [("dta", turns), ("data", lambda piece: None)])
def test_what_cannot_be_listened_to(name, function):
    async def run():
        with pytest.raises((ValueError, TypeError)):
            Request(Recorded(), Lanes(1, 1)).on(name, function)

    asyncio.run(run())


@pytest.mark.parametrize("headers", [[], [("Content-Type", "text/plain")]])
def test_json_has_to_say_so(headers):
    async def test(request, body_of_exchange):
        body_of_exchange.feed(b"{}")
        body_of_exchange.finish([])
        with pytest.raises(HttpError, match="has to be application/json") as caught:
            await request.json()

        assert caught.value.status == 415

    reading(test, headers=headers)
