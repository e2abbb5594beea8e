"""Results and errors become answers: error handlers, debug, and what can go wrong on the way."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from tarry import App, HttpError, Request, Response, Stream
from tests.app.serving import Asked, ask, once, started
from tests.exchanges import Recorded, turns


def once_from(client, app, *arguments, **named):
    """As `once`, for a client with another address."""

    async def run():
        async with started(app):
            exchange = Recorded(*arguments, **named)
            exchange.client = client
            app.handle(exchange)
            await exchange.complete.wait()
            return Asked(exchange)

    return asyncio.run(run())


# ── debug ─────────────────────────────────────────────────────────────────────────────────


def failing(*, debug=True, error=None):
    app = App(debug=debug)

    def fail(request: Request):
        password = "hunter2"  # noqa: F841 — because a page shows variables
        raise error or ValueError("the reason")

    app.add_route("/", fail)
    return app


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1", ""])
def test_clients_on_this_machine_see_the_traceback(client):
    asked = once_from(client, failing())

    assert asked.content_type == b"application/problem+json"
    assert asked.json["detail"] == "the reason"
    assert any("test_answering.py" in line for line in asked.json["traceback"])


@pytest.mark.parametrize(
    "client",
    ["192.0.2.7", "10.0.0.1", "::", "0.0.0.0", "127.0.0.1.example", "localhost", "fe80::1"],
)
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_others_see_nothing(client, accept):
    asked = once_from(client, failing(), headers=[("accept", accept), ("x-forwarded-for", "::1")])

    assert asked.status == 500
    assert b"reason" not in asked.body
    assert b"test_answering" not in asked.body


def test_without_debug_nobody_sees_anything():
    assert once_from("127.0.0.1", failing(debug=False)).json == {
        "status": 500,
        "title": "Internal Server Error",
    }


def test_a_browser_gets_a_page_without_secrets():
    headers = [
        ("accept", "text/html"),
        ("authorization", "Basic c2VjcmV0"),
        ("cookie", "a=cookie1"),
    ]
    asked = once_from("127.0.0.1", failing(), target="/?token=token1&q=shown", headers=headers)

    assert asked.content_type == b"text/html; charset=utf-8"
    assert asked.headers[b"cache-control"] == b"no-store"
    assert b"content-security-policy" in asked.headers
    assert b"the reason" in asked.body
    assert b"shown" in asked.body
    # The line of the source has it, its value does not show.
    values = asked.body.split(b"<table>", 1)[1]
    for secret in (b"c2VjcmV0", b"cookie1", b"token1", b"&#x27;hunter2&#x27;</td>"):
        assert secret not in values


def test_expected_errors_have_no_traceback():
    asked = once_from("127.0.0.1", failing(error=HttpError(418, "short")))

    assert asked.json == {"status": 418, "title": "I'm a Teapot", "detail": "short"} or (
        asked.status == 418 and "traceback" not in asked.json
    )


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_an_error_whose_text_cannot_be_had_is_told_all_the_same(accept):
    asked = once_from("127.0.0.1", failing(error=Unprintable()), headers=[("accept", accept)])

    assert asked.status == 500
    assert b"Unprintable" in asked.body


def test_debug_goes_through_the_filters():
    app, seen = failing(), []

    @app.filter(inline=True)
    def watch(request):
        response = yield
        seen.append(response.status)

    assert "traceback" in once_from("127.0.0.1", app).json
    assert seen == [500]


# ── error handlers ────────────────────────────────────────────────────────────────────────


async def fails_async():
    raise KeyError("of the handler")


def fails():
    raise KeyError("of the handler")


async def cancelled():
    raise asyncio.CancelledError


@pytest.mark.parametrize("function", [fails_async, fails, cancelled, object])
@pytest.mark.parametrize("filtered", [True, False])
def test_an_error_handler_that_fails_is_asked_once(function, filtered, caplog):
    app, calls = App(), []
    app.error(404)(function)
    app.error(500)(lambda: calls.append("asked for its own error"))
    if filtered:
        app.filter(inline=True)(lambda request: None)

    asked = once(app, target="/nothing")
    assert (asked.status, calls) == (404, [])
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "result",
    [
        lambda: Response("x", headers={"a": "b\r\nc"}),
        lambda: (404, "a", "b"),
        lambda: Response("x", 99),
        lambda: {"a": object()},
    ],
)
def test_what_an_error_handler_returns_and_cannot_be_sent(result, caplog):
    app = App()
    app.error(404)(result)

    assert once(app, target="/nothing").status == 404
    assert len(caplog.records) == 1


def test_a_stream_of_an_error_handler_that_fails_is_broken_off(caplog):
    async def pieces():
        yield "a"
        raise KeyError

    app, calls = App(), []
    app.error(404)(lambda: calls.append(1) or Stream(pieces()))
    asked = once(app, target="/nothing")

    assert (asked.status, asked.body, asked.aborted, calls) == (404, b"a", True, [1])


def test_an_error_handler_waits_for_a_thread_no_longer_than_there_are_any():
    app = App(max_threads=1, max_queued=1)
    app.error(404)(lambda: "page")

    async def test():
        async with started(app):
            return await asyncio.gather(*(ask(app, target="/nothing") for _ in range(20)))

    bodies = [each.body for each in asyncio.run(test())]
    assert 0 < bodies.count(b"page") < 20
    plain = [json.loads(body)["status"] for body in bodies if body != b"page"]
    assert plain == [404] * len(plain)


def test_an_error_handler_sees_the_request_and_may_change_the_answer():
    app = App()

    @app.error(404)
    async def page(request, error, status, detail):
        request.response.headers["x-a"] = "1"
        return f"{request.path} {status} {detail} {type(error).__name__}"

    asked = once(app, target="/nothing")
    assert asked.body == b"/nothing 404 there is nothing at this address HttpError"
    assert asked.headers[b"x-a"] == b"1"


# ── handlers ──────────────────────────────────────────────────────────────────────────────


def test_a_cancellation_that_comes_out_of_what_is_awaited_is_an_error(caplog):
    async def handler():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    app = App()
    app.add_route("/", handler)

    assert once(app).status == 500


@pytest.mark.parametrize("error", [SystemExit(1), KeyError("x"), ExceptionGroup("x", [KeyError()])])
@pytest.mark.parametrize("lane", ["inline", "async", "thread"])
def test_what_a_handler_raises_is_answered_and_logged_once(error, lane, caplog):
    def plain():
        raise error

    async def coroutine():
        raise error

    app = App()
    app.add_route("/", coroutine if lane == "async" else plain, inline=lane == "inline")

    assert once(app).status == 500
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_stream_is_broken_off_where_it_fails(caplog):
    def pieces():
        yield "a"
        raise KeyError

    app = App()
    app.add_route("/", lambda: Stream(pieces()))
    asked = once(app)

    assert (asked.status, asked.body, asked.aborted) == (200, b"a", True)
    assert len(caplog.records) == 1


def test_the_path_in_the_log_cannot_forge_a_line(caplog):
    def fail(rest):
        raise KeyError

    app = App()
    app.add_route("/{rest:path}", fail)
    once(app, target="/a%0aERROR%1b[31m")

    assert len(caplog.records[0].getMessage().splitlines()) == 1
    assert "\x1b" not in caplog.records[0].getMessage()


# ── events ────────────────────────────────────────────────────────────────────────────────


async def told(app, *arguments, **named):
    """What a request is answered with; events that follow the answer are waited for."""
    async with started(app):
        asked = await ask(app, *arguments, **named)
        await turns()
        return asked


LANES = ("inline", "thread", "async")


def listen(app, name, function, lane):
    """Register a function for an event, in a lane."""

    async def listener(request):
        await asyncio.sleep(0)
        function(request)

    if lane == "async":
        app.on(name, listener)
    else:
        app.on(name, lambda request: function(request), inline=lane == "inline")


@pytest.mark.parametrize("lane", LANES)
def test_requests_and_responses_are_told_in_order(lane):
    app, calls = App(), []
    app.add_route("/", lambda: calls.append("handler"), inline=True)
    app.filter(inline=True)(lambda request: calls.append("filter"))
    for name in ("response", "request"):
        for number in (1, 2):
            listen(app, name, lambda _, what=f"{name} {number}": calls.append(what), lane)

    asyncio.run(told(app))
    assert calls == ["request 1", "request 2", "filter", "handler", "response 1", "response 2"]


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("name", ["request", "response", "error"])
def test_a_listener_that_fails_spoils_nothing(name, lane, caplog):
    app, calls = App(), []
    app.add_route("/", lambda: "fine", inline=True)

    def fail(request):
        raise KeyError("listener")

    listen(app, name, fail, lane)
    listen(app, name, lambda request: calls.append(name), lane)
    asked = asyncio.run(told(app, target="/nothing" if name == "error" else "/"))

    assert asked.status == (404 if name == "error" else 200)
    assert calls == [name]
    assert [record.exc_info[0] for record in caplog.records] == [KeyError]


def test_a_response_can_be_changed_by_who_is_told():
    app = App()
    app.add_route("/", lambda: "fine", inline=True)

    @app.on("response")
    def mark(request, response):
        response.headers["x-path"] = request.path

    assert once(app).headers[b"x-path"] == b"/"
    assert once(app, target="/nothing").headers[b"x-path"] == b"/nothing"


def test_an_error_is_told_with_its_request():
    app, seen = App(), []

    @app.get("/")
    def fail():
        raise KeyError("x")

    app.on("error", lambda request, error: seen.append((request.path, type(error))), inline=True)
    asyncio.run(told(app))
    asyncio.run(told(app, target="/nothing"))

    assert seen == [("/", KeyError), ("/nothing", HttpError)]


def test_who_leaves_is_told_of_once():
    app, calls, begun = App(), [], asyncio.Event()
    app.on("gone", lambda request: calls.append(request.path), inline=True)

    @app.get("/")
    async def handler(request: Request):
        begun.set()
        async for _ in request.stream():
            continue

    async def test():
        async with started(app):
            exchange = Recorded(body=True)
            app.handle(exchange)
            await begun.wait()
            exchange.leave()
            exchange.leave()
            await turns()
            assert (await ask(app, target="/nothing")).status == 404

    asyncio.run(test())
    assert calls == ["/"]


def test_events_can_be_forgotten():
    app, calls = App(), []
    app.add_route("/", lambda: "fine", inline=True)

    def listener(request):
        calls.append(request.path)

    app.on("request", listener)
    app.off("request", listener)
    app.off("response")

    assert once(app).body == b"fine"
    assert calls == []


def test_the_first_listener_to_requests_must_come_before_the_start():
    app = App()

    async def test():
        async with started(app):
            with pytest.raises(RuntimeError, match="before the application starts"):
                app.on("response", print)
            with pytest.raises(RuntimeError, match="before the application starts"):
                app.filter(inline=True)(lambda request: None)
            app.on("error", print)

    asyncio.run(test())


def test_start_and_stop_are_told_in_all_lanes_and_in_order():
    app, calls = App(), []

    @app.on("start")
    async def first(app):
        calls.append("start 1")

    app.on("start", lambda: calls.append("start 2"), inline=True)
    app.on("start", lambda: calls.append("start 3"))
    app.on("stop", lambda: calls.append("stop 1"))
    app.on("stop", lambda: calls.append("stop 2"), inline=True)

    async def test():
        async with started(app):
            calls.append("serving")

    asyncio.run(test())
    assert calls == ["start 1", "start 2", "start 3", "serving", "stop 2", "stop 1"]
