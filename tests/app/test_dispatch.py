"""From a request to its route, and the answers where there is none."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tarry.app.dependencies import Provider
from tarry.app.dispatch import Dispatcher, RouteError
from tarry.app.errors import HttpError
from tarry.app.request import Request
from tarry.app.responses import Html, Response, Stream
from tests.app.serving import add_route, ask, once, serving, started


def notes():
    """An application with some routes."""
    dispatcher = Dispatcher()
    for path, methods, function in [
        ("/", ["GET"], lambda: "home"),
        ("/notes", ["GET", "POST"], lambda: "notes"),
        ("/notes/{number:int}", ["DELETE"], lambda number: f"deleted {number}"),
    ]:
        add_route(dispatcher, path, methods, function, inline=True)
    return dispatcher


@pytest.mark.parametrize(
    ("method", "target", "status", "body"),
    [
        ("GET", "/", 200, b"home"),
        ("GET", "/?a=b", 200, b"home"),
        ("POST", "/notes", 200, b"notes"),
        ("DELETE", "/notes/7", 200, b"deleted 7"),
        ("HEAD", "/", 200, b"home"),
    ],
)
def test_routes(method, target, status, body):
    asked = once(notes(), method, target)

    assert (asked.status, asked.body) == (status, body)


@pytest.mark.parametrize("target", ["/nothing", "/notes/x", "/notes/7/8", "//", "/notes/"])
def test_nothing_there(target):
    asked = once(notes(), "GET", target)

    assert asked.status == 404
    assert asked.json["detail"] == "there is nothing at this address"


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("PUT", "/notes", b"GET, HEAD, POST, OPTIONS"),
        ("GET", "/notes/7", b"DELETE, OPTIONS"),
        ("BREW", "/", b"GET, HEAD, OPTIONS"),
    ],
)
def test_another_method(method, target, allow):
    asked = once(notes(), method, target)

    assert asked.status == 405
    assert sorted(asked.headers[b"allow"].split(b", ")) == sorted(allow.split(b", "))


@pytest.mark.parametrize("target", ["/notes", "*"])
def test_options_are_answered_by_themselves(target):
    asked = once(notes(), "OPTIONS", target)

    assert (asked.status, asked.body) == (204, b"")
    assert {b"GET", b"POST", b"OPTIONS"} <= set(asked.headers[b"allow"].split(b", "))


@pytest.mark.parametrize("target", ["/%zz", "/%ff", "/%00"])
def test_a_path_that_does_not_decode(target):
    assert once(notes(), "GET", target).status == 400


# ── routes that cannot be ─────────────────────────────────────────────────────────────────


def handler(name: str):
    return name


def second(name: str):
    return name


async def slow():
    return None


@pytest.mark.parametrize(
    ("path", "function", "inline", "says"),
    [
        ("/{a}/{a}", lambda a: None, False, "route /{a}/{a}"),
        ("/{b}", lambda: None, False, "b"),
        ("/", slow, True, "inline=True is for a def"),
    ],
)
def test_a_route_that_cannot_be_names_itself_and_its_place(path, function, inline, says):
    with pytest.raises(RouteError) as caught:
        add_route(Dispatcher(), path, ["GET"], function, inline=inline)

    assert says in str(caught.value)
    assert "test_dispatch.py:" in str(caught.value)


def test_the_same_route_twice_names_both():
    dispatcher = serving(handler, "/{name}")
    with pytest.raises(RouteError) as caught:
        add_route(dispatcher, "/{name}", ["GET"], second, inline=False)

    assert "handler" in str(caught.value)
    assert "second" in str(caught.value)


# ── error handlers ────────────────────────────────────────────────────────────────────────


class ShopError(Exception):
    pass


def failing(error):
    def fail():
        raise error

    return serving(fail, inline=True)


async def async_page(error, request, status):
    return Html(f"{type(error).__name__} {request.path} {status}")


def thread_page(error, request, status):
    return Html(f"{type(error).__name__} {request.path} {status}")


@pytest.mark.parametrize("function", [async_page, thread_page])
@pytest.mark.parametrize(
    ("key", "error", "status"),
    [
        (ShopError, ShopError(), 500),
        (500, ShopError(), 500),
        ("4xx", HttpError(418), 418),
        (None, HttpError(503), 503),
    ],
)
def test_an_error_handler_answers_and_the_status_stays(function, key, error, status):
    dispatcher = failing(error)
    dispatcher.errors.add(key, function)
    asked = once(dispatcher)

    assert asked.status == status
    assert asked.content_type == b"text/html; charset=utf-8"
    assert asked.body == f"{type(error).__name__} / {status}".encode()


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        (("sold", 410), 410, b"sold"),
        (Response("sold", 410), 410, b"sold"),
        (None, 418, b""),
        ({"a": 1}, 418, b'{"a":1}'),
    ],
)
def test_an_error_handler_can_say_another_status(result, status, body):
    dispatcher = failing(HttpError(418))
    dispatcher.errors.add(418, lambda: result)
    asked = once(dispatcher)

    assert (asked.status, asked.body) == (status, body)


def test_an_error_handler_can_stream():
    dispatcher = failing(HttpError(418))
    dispatcher.errors.add(418, lambda: Stream(["a", "b"], status=410))

    assert (once(dispatcher).status, once(dispatcher).body) == (410, b"ab")


def test_misses_and_wrong_methods_have_error_handlers_too():
    dispatcher = notes()
    dispatcher.errors.add(404, lambda: "nothing")
    dispatcher.errors.add(405, lambda: "never")

    assert once(dispatcher, "GET", "/x").body == b"nothing"
    assert once(dispatcher, "PUT", "/").body == b"never"


def test_the_headers_of_an_error_stay_with_an_error_handler():
    dispatcher = notes()
    dispatcher.errors.add(405, lambda: "never")

    assert b"allow" in once(dispatcher, "PUT", "/").headers


def test_a_tuple_without_a_status_keeps_that_of_the_error():
    dispatcher = failing(HttpError(418))
    dispatcher.errors.add(418, lambda: ("sold",))

    assert once(dispatcher).status == 418


async def async_failure():
    raise ValueError("secret of the page")


def thread_failure():
    raise ValueError("secret of the page")


@pytest.mark.parametrize("function", [async_failure, thread_failure, object])
def test_an_error_handler_that_fails_does_not_hide_the_error(function, caplog):
    dispatcher = failing(HttpError(418, "short and stout"))
    dispatcher.errors.add(418, function)
    asked = once(dispatcher)

    assert asked.status == 418
    assert asked.json["detail"] == "short and stout"
    assert len(caplog.records) == 1


def test_an_error_handler_cannot_end_the_server():
    def leave():
        raise SystemExit(3)

    dispatcher = failing(HttpError(418))
    dispatcher.errors.add(418, leave)

    assert once(dispatcher).status == 418


# ── binders ───────────────────────────────────────────────────────────────────────────────


class Tenant:
    def __init__(self, name):
        self.name = name


@pytest.mark.parametrize("inline", [True, False])
def test_an_async_binder_is_awaited(inline):
    async def tenant_of(request: Request):
        await asyncio.sleep(0)
        if request.query_string == "none":
            raise HttpError(401)
        return Tenant(request.query_string)

    def show(tenant: Tenant):
        return tenant.name

    dispatcher = Dispatcher()
    dispatcher.binders[Tenant] = Provider(tenant_of)
    add_route(dispatcher, "/", ["GET"], show, inline=inline)

    assert once(dispatcher, "GET", "/?acme").body == b"acme"
    assert once(dispatcher, "GET", "/?none").status == 401


# ── start and end ─────────────────────────────────────────────────────────────────────────


def test_threads_and_watchdog_end_with_it():
    async def run():
        dispatcher = serving(lambda: "x")
        async with started(dispatcher):
            await ask(dispatcher)
            assert own_threads() >= {"tarry-handler", "tarry-watchdog"}
        for thread in threading.enumerate():
            if thread.name.startswith("tarry-"):
                await asyncio.to_thread(thread.join, 10)

    asyncio.run(run())
    assert not own_threads()


def own_threads():
    return {each.name for each in threading.enumerate() if each.name.startswith("tarry-")}


def test_it_can_start_again():
    dispatcher = serving(method_of)

    assert [once(dispatcher).body for _ in range(3)] == [b"GET"] * 3


def method_of(request: Request):
    return request.method
