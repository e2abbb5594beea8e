"""One server for each file of attacks; whatever is sent, it must live on."""

from __future__ import annotations

import logging

import pytest

from tarry import App, Headers, Redirect, Request, Response
from tests.wire import ask

SEEN: list[str] = []
"""Paths that reached a handler; an attack must not add to it."""


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


async def echo(request: Request):
    SEEN.append(request.raw_path)
    return await request.body()


def early(request: Request):
    """Answers without a look at the body."""
    SEEN.append(request.raw_path)
    return "early"


def about(request: Request):
    """What a handler learns of the request line and Host."""
    SEEN.append(request.raw_path)
    return {
        "path": request.path,
        "url": request.url,
        "host": request.host,
        "scheme": request.scheme,
        "client": request.client,
        "query": request.query,
    }


def header_named(name: str):
    return Headers({name: "value"}), "leaked"


def header_valued(value: str):
    return Headers({"x-injected": value}), "leaked"


def cookie_named(name: str):
    response = Response("leaked")
    response.set_cookie(name, "value")
    return response


def cookie_valued(value: str):
    response = Response("leaked")
    response.set_cookie("x-injected", value)
    return response


def redirected(url: str):
    return Redirect(url)


def number(n: int):
    return n


def make_app():
    app = App()
    for path, function in [
        ("/about", about), ("/header-name", header_named), ("/header-value", header_valued),
        ("/cookie-name", cookie_named), ("/cookie-value", cookie_valued),
        ("/redirect", redirected), ("/number", number), ("/smuggled", early),
    ]:  # fmt: skip
        app.add_route(path, function, inline=True)
    app.add_route("/", early, methods=["GET"], inline=True)
    app.add_route("/early", early, methods=["GET", "POST"], inline=True)
    app.add_route("/", echo, methods=["POST"])
    return app


@pytest.fixture(scope="module")
def url():
    """A running server, which must still answer when all attacks of the file are over."""
    with make_app().start() as server:
        yield server.url
        reply, _ = ask(server.url, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert reply.status == 200


@pytest.fixture
def seen():
    """The paths that reach a handler during a test."""
    SEEN.clear()
    return SEEN


@pytest.fixture
def logged():
    """What the logger `tarry` and those below it say during a test."""
    handler = Lines()
    logger = logging.getLogger("tarry")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)
