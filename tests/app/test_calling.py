"""The lanes: the same handler gives the same answer in each, and errors are told once."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import threading

import msgspec
import pytest

from tarry.app.errors import HttpError
from tarry.app.filters import Filter
from tarry.app.lanes import Lane, lane_of
from tarry.app.request import Request
from tarry.app.responses import Html, Redirect, Response, Stream
from tarry.exchange import ClientGone
from tests.app.serving import WAIT_S, ask, once, serving, started
from tests.exchanges import Recorded, turns

tenant = contextvars.ContextVar("tenant", default="none")


def lanes(function):
    """A plain function in each of the three lanes: (function, inline)."""

    @functools.wraps(function)
    async def asynchronous(*arguments, **named):
        return function(*arguments, **named)

    return {
        "async": (asynchronous, False),
        "threads": (function, False),
        "inline": (function, True),
    }


LANES = pytest.mark.parametrize("lane", ["async", "threads", "inline"])


def in_lane(lane, function, **settings):
    chosen, inline = lanes(function)[lane]
    return serving(chosen, inline=inline, **settings)


# ── which lane ────────────────────────────────────────────────────────────────────────────


async def asynchronous():
    return "x"


def plain():
    return "x"


class Item(msgspec.Struct):
    a: int


class Callable:
    def __call__(self):
        return "x"


class AsyncCallable:
    async def __call__(self):
        return "x"


@pytest.mark.parametrize(
    ("function", "inline", "lane"),
    [
        (asynchronous, False, Lane.ASYNC),
        (plain, False, Lane.THREADS),
        (plain, True, Lane.INLINE),
        (Callable(), False, Lane.THREADS),
        (AsyncCallable(), False, Lane.ASYNC),
        (functools.partial(asynchronous), False, Lane.ASYNC),
        (functools.partial(plain), True, Lane.INLINE),
        (lambda: "x", False, Lane.THREADS),
    ],
)
def test_the_lane_is_how_the_function_is_written(function, inline, lane):
    assert lane_of(function, inline) is lane
    assert once(serving(function, inline=inline)).body == b"x"


@pytest.mark.parametrize("function", [asynchronous, AsyncCallable()])
def test_inline_is_for_plain_functions(function):
    with pytest.raises(TypeError, match="inline=True is for a def"):
        lane_of(function, inline=True)


@LANES
def test_where_it_runs(lane):
    dispatcher = in_lane(lane, lambda: threading.current_thread().name)

    assert once(dispatcher).body.startswith(
        b"tarry-handler" if lane == "threads" else b"MainThread"
    )


# ── results ───────────────────────────────────────────────────────────────────────────────


@LANES
@pytest.mark.parametrize(
    ("result", "status", "content_type", "body"),
    [
        ("x", 200, b"text/plain; charset=utf-8", b"x"),
        (Html("x"), 200, b"text/html; charset=utf-8", b"x"),
        ({"a": 1}, 200, b"application/json", b'{"a":1}'),
        (b"x", 200, b"application/octet-stream", b"x"),
        (None, 204, None, b""),
        ((201, "x"), 201, b"text/plain; charset=utf-8", b"x"),
        (Response("x", 202), 202, b"text/plain; charset=utf-8", b"x"),
        (Redirect("/a"), 302, None, b""),
    ],
)
def test_results(lane, result, status, content_type, body):
    asked = once(in_lane(lane, lambda: result))

    assert (asked.status, asked.content_type, asked.body) == (status, content_type, body)


@LANES
@pytest.mark.parametrize("make", [lambda: Stream(["a", "b"]), lambda: (x for x in "ab")])
def test_streams(lane, make):
    assert once(in_lane(lane, lambda: make())).body == b"ab"


def test_generator_handlers():
    def pieces():
        yield "a"
        yield threading.current_thread().name

    async def asynchronous_pieces():
        yield "a"
        yield "b"

    assert once(serving(pieces)).body != b"aMainThread"
    assert once(serving(asynchronous_pieces)).body == b"ab"


@LANES
def test_text_of_a_handler_that_says_it_is_html(lane):
    def page() -> Html:
        return "<p>"

    function, inline = lanes(page)[lane]

    assert once(serving(function, inline=inline)).content_type == b"text/html; charset=utf-8"


@LANES
def test_arguments_and_bodies(lane):
    def join(name: str, request: Request, times: int = 1):
        return f"{request.method} {name * times}"

    function, inline = lanes(join)[lane]
    dispatcher = serving(function, "/{name}", methods=["GET", "POST"], inline=inline)

    assert once(dispatcher, "GET", "/a?times=3").body == b"GET aaa"
    assert once(dispatcher, "POST", "/a", body=b"ignored").body == b"POST a"


@LANES
def test_a_checked_body(lane):
    def add(item: Item):
        return item.a + 1

    function, inline = lanes(add)[lane]
    dispatcher = serving(function, methods=["POST"], inline=inline)
    json = [("content-type", "application/json")]

    assert once(dispatcher, "POST", "/", json, body=b'{"a":1}').body == b"2"
    assert once(dispatcher, "POST", "/", json, body=b'{"a":"x"}').status == 400
    assert once(dispatcher, "POST", "/", json, body=b"{").status == 400


def test_the_context_of_the_loop_is_there_in_a_thread():
    async def run():
        tenant.set("acme")
        async with started(serving(tenant_name)) as dispatcher:
            return await ask(dispatcher)

    assert asyncio.run(run()).body == b"acme"


def tenant_name():
    return tenant.get()


# ── errors ────────────────────────────────────────────────────────────────────────────────


@LANES
def test_an_http_error_is_the_answer_and_not_logged(lane, caplog):
    def fail():
        raise HttpError(404, "no note 7", headers={"x-a": "1"})

    asked = once(in_lane(lane, fail))

    assert asked.status == 404
    assert asked.json["detail"] == "no note 7"
    assert asked.headers[b"x-a"] == b"1"
    assert not caplog.records


@LANES
def test_an_exception_is_a_500_that_tells_nothing_and_is_logged(lane, caplog):
    def fail():
        raise ValueError("the secret")

    asked = once(in_lane(lane, fail), "GET", "/")

    assert (asked.status, asked.json) == (500, {"status": 500, "title": "Internal Server Error"})
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage() == "ValueError in the handler of GET /"
    assert record.exc_info[1].args == ("the secret",)


@LANES
@pytest.mark.parametrize(
    "result", [object(), ("a", "b"), Response("x", 99), Response("x", headers={"a": "b\nc"})]
)
def test_what_cannot_be_sent_is_a_500(lane, result, caplog):
    assert once(in_lane(lane, lambda: result)).status == 500
    assert len(caplog.records) == 1


@LANES
def test_a_wrong_length_is_a_500(lane, caplog):
    result = Response("abc", headers={"content-length": "2"})

    assert once(in_lane(lane, lambda: result)).status == 500
    assert "LengthError" in caplog.text


@LANES
def test_what_reading_a_request_finds_is_the_fault_of_the_client(lane, caplog):
    def read(request: Request):
        return request.cookies

    function, inline = lanes(read)[lane]
    cookie = [("cookie", "a=" + "x" * 9000)]

    assert once(serving(function, inline=inline), "GET", "/", cookie).status == 431
    assert not caplog.records


@LANES
@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
def test_a_stream_that_fails_after_it_began_is_broken_off(lane, kind, caplog):
    def plain_pieces():
        yield "a"
        raise ValueError("the secret")

    async def asynchronous_pieces():
        yield "a"
        raise ValueError("the secret")

    make = {"plain": plain_pieces, "asynchronous": asynchronous_pieces}[kind]
    asked = once(in_lane(lane, lambda: make()))

    assert (asked.status, asked.body, asked.aborted) == (200, b"a", True)
    assert "the secret" in caplog.text


def test_a_handler_in_a_thread_cannot_end_the_server(caplog):
    def leave():
        raise SystemExit(3)

    asked = once(serving(leave))

    assert asked.status == 500
    assert "SystemExit" in caplog.text


def test_a_handler_that_awaits_something_cancelled_is_a_500():
    async def handler():
        task = asyncio.get_running_loop().create_future()
        task.cancel()
        await task

    asked = once(serving(handler))

    assert asked.status == 500


# ── threads ───────────────────────────────────────────────────────────────────────────────


def test_more_than_may_wait_are_told_to_come_back():
    def block():
        assert go_on.wait(WAIT_S)
        return "done"

    go_on = threading.Event()

    async def run():
        async with started(serving(block, max_threads=1, max_queued=2)) as dispatcher:
            asking = [asyncio.create_task(ask(dispatcher)) for _ in range(10)]
            await turns()
            go_on.set()
            return await asyncio.gather(*asking)

    answers = asyncio.run(run())
    refused = [each for each in answers if each.status == 503]

    # One runs and two wait, or all three wait if the thread has not come to it.
    assert len(refused) in (7, 8)
    assert all(each.headers[b"retry-after"] == b"1" for each in refused)
    assert all(each.body == b"done" for each in answers if each.status == 200)


# ── clients that leave ────────────────────────────────────────────────────────────────────


def test_a_handler_that_hears_that_its_client_left_is_no_error(caplog):
    async def read(request: Request):
        try:
            await request.body()
        except ClientGone:
            heard.append(True)
            raise

    heard = []

    async def run():
        async with started(serving(read, methods=["POST"])) as dispatcher:
            exchange = Recorded("POST", body=True)
            dispatcher.handle(exchange)
            await turns()
            exchange.leave()
            await exchange.complete.wait()
            return exchange

    exchange = asyncio.run(run())

    assert heard == [True]
    assert exchange.aborted
    assert not caplog.records


def test_a_stream_ends_when_its_client_leaves(caplog):
    async def pieces():
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    closed = []

    async def run():
        async with started(serving(pieces)) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            while not exchange.pieces:
                await asyncio.sleep(0)
            await turns()
            exchange.leave()
            await exchange.complete.wait()
            return exchange

    assert asyncio.run(run()).aborted
    assert closed == [True]
    assert not caplog.records


def test_a_plain_stream_is_read_in_the_threads_of_the_handlers():
    def pieces():
        yield threading.current_thread().name

    assert once(serving(lambda: Stream(pieces()))).body.startswith(b"tarry-handler")


# ── the response as an argument ───────────────────────────────────────────────────────────


@LANES
def test_an_injected_response_amends_what_is_returned(lane):
    def handler(response: Response):
        response.status = 201
        response.headers["x-a"] = "1"
        response.set_cookie("sid", "abc")
        return {"id": 7}

    function, inline = lanes(handler)[lane]
    asked = once(serving(function, inline=inline))

    assert (asked.status, asked.json, asked.headers[b"x-a"]) == (201, {"id": 7}, b"1")
    assert asked.headers[b"set-cookie"].startswith(b"sid=abc")


@LANES
@pytest.mark.parametrize(
    ("status", "result", "answered"),
    [(200, None, 204), (202, None, 202), (201, (203, "x"), 201), (200, Response("x", 202), 202)],
)
def test_the_status_of_an_injected_response(lane, status, result, answered):
    def handler(response: Response):
        response.status = status
        response.headers["x-a"] = "1"
        return result

    function, inline = lanes(handler)[lane]
    asked = once(serving(function, inline=inline))

    assert (asked.status, asked.headers[b"x-a"]) == (answered, b"1")


@LANES
def test_an_injected_response_may_be_returned(lane):
    def handler(response: Response):
        response.body = "whole"
        response.headers["x-a"] = "1"
        return response

    function, inline = lanes(handler)[lane]
    asked = once(serving(function, inline=inline))

    assert (asked.status, asked.body, asked.headers[b"x-a"]) == (200, b"whole", b"1")


@LANES
def test_an_injected_response_amends_no_error(lane):
    def handler(response: Response):
        response.status = 201
        response.headers["x-a"] = "1"
        raise HttpError(409)

    function, inline = lanes(handler)[lane]
    asked = once(serving(function, inline=inline))

    assert asked.status == 409
    assert b"x-a" not in asked.headers


@LANES
def test_an_injected_response_amends_a_stream(lane):
    def handler(response: Response):
        response.headers["x-a"] = "1"
        return Stream(["a", "b"])

    function, inline = lanes(handler)[lane]
    asked = once(serving(function, inline=inline))

    assert (asked.body, asked.headers[b"x-a"]) == (b"ab", b"1")


# ── bodies that do not come ───────────────────────────────────────────────────────────────


@LANES
@pytest.mark.parametrize("filtered", [False, True])
def test_a_handler_whose_body_does_not_come_is_not_called(lane, filtered, caplog):
    called = []

    async def step(request):
        return None

    def handler(item: Item):
        called.append(item)

    async def run():
        function, inline = lanes(handler)[lane]
        dispatcher = serving(function, methods=["POST"], inline=inline)
        if filtered:
            dispatcher.add_filter(Filter(step))
        async with started(dispatcher):
            exchange = Recorded("POST", body=True)
            dispatcher.handle(exchange)
            exchange.body.feed(b'{"a":')
            await turns()
            exchange.leave()
            if filtered:  # who runs around it has to hear of its end
                await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
                assert exchange.aborted

    asyncio.run(run())
    assert not called
    assert not caplog.records
