"""The forms of filters, their order, and what they can do to requests and answers."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Annotated

import pytest

from tarry import (
    App,
    Body,
    Headers,
    HttpError,
    Redirect,
    RegistrationError,
    Request,
    Response,
    SetCookie,
    Stream,
)
from tarry.app.filters import Filter
from tests.app.serving import once

FORMS = ("inline", "def", "async generator", "around")
"""What a filter with a part before and a part after can be written as."""


def filter_of(form, before, after=lambda request, response: None):
    """A filter in one of the forms: the function, and whether it is inline."""

    def generator(request):
        early = before(request)
        response = yield early
        return after(request, response)

    async def async_generator(request):
        await asyncio.sleep(0)
        response = yield before(request)
        await asyncio.sleep(0)
        after(request, response)

    async def around(request, next):
        await asyncio.sleep(0)
        early = before(request)
        if early is not None:
            return early
        response = await next(request)
        await asyncio.sleep(0)
        replaced = after(request, response)
        return response if replaced is None else replaced

    functions = {"async generator": async_generator, "around": around}
    return functions.get(form, generator), form == "inline"


def add_filter(app, form, before, after=lambda request, response: None):
    function, inline = filter_of(form, before, after)
    app.filter(inline=inline)(function)


async def async_handler():
    await asyncio.sleep(0)
    return "handler"


def handlers(app):
    """The same in all lanes."""
    app.add_route("/inline", lambda: "handler", inline=True)
    app.add_route("/thread", lambda: "handler")
    app.add_route("/async", async_handler)
    app.add_route("/stream", lambda: Stream(["hand", "ler"]))


PATHS = ("/inline", "/thread", "/async", "/stream")


# ── the forms ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", PATHS)
def test_each_form_runs_before_and_after_once(form, path):
    app, calls = App(), []
    handlers(app)

    def after(request, response):
        calls.append(f"after {response.status}")
        response.headers["x-after"] = "1"

    add_filter(app, form, lambda request: calls.append(f"before {request.path}"), after)
    asked = once(app, target=path)

    assert calls == [f"before {path}", "after 200"]
    assert (asked.body, asked.headers[b"x-after"]) == (b"handler", b"1")


@pytest.mark.parametrize("path", PATHS)
def test_filters_of_all_forms_nest_in_the_order_of_registration(path):
    app, calls = App(), []
    handlers(app)
    for form in (*FORMS, *reversed(FORMS)):
        number = len(app._dispatcher._filters)
        add_filter(
            app,
            form,
            lambda request, number=number: calls.append(number),
            lambda request, response, number=number: calls.append(-number),
        )

    assert once(app, target=path).body == b"handler"
    assert calls == [*range(8), *(-number for number in reversed(range(8)))]


def test_plain_functions_run_before_only():
    app, calls = App(), []
    handlers(app)
    app.filter(inline=True)(lambda request: calls.append("inline"))
    app.filter(lambda request: calls.append(threading.current_thread().name))

    @app.filter
    async def coroutine(request):
        calls.append("async")

    assert once(app, target="/inline").body == b"handler"
    assert calls == ["inline", "tarry-handler", "async"]


@pytest.mark.parametrize(
    ("function", "inline"),
    [
        (lambda: None, False),
        (lambda request, next: None, False),
        (lambda request, next: None, True),
        (lambda request, next, third: None, False),
        (async_handler, False),
    ],
)
def test_what_is_no_filter_is_told_when_it_is_registered(function, inline):
    with pytest.raises(TypeError, match=r"a filter is .*test_filters\.py:"):
        Filter(function, inline=inline)


@pytest.mark.parametrize(
    "function", [filter_of("around", None)[0], filter_of("async generator", None)[0]]
)
def test_an_async_filter_is_not_inline(function):
    with pytest.raises(TypeError, match="inline=True is for a def"):
        App().filter(inline=True)(function)


def test_a_filter_has_a_path_or_a_regexp():
    with pytest.raises(RegistrationError, match="not both"):
        App().filter("/a", regexp="/b")


# ── where they run ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "regexp", "seen"),
    [
        (None, None, ["/", "/a", "/a/b", "/%2e", "/%zz"]),
        ("/a", None, ["/a"]),
        ("/a/**", None, ["/a/b"]),
        (None, "^/a", ["/a", "/a/b"]),
    ],
)
def test_a_filter_is_for_all_or_for_a_path_or_a_regexp(path, regexp, seen):
    app, calls = App(), []
    app.add_route("/", lambda: "home", inline=True)
    app.filter(path, regexp=regexp, inline=True)(lambda request: calls.append(request.raw_path))
    for target in ("/", "/a", "/a/b", "/%2e", "/%zz"):
        once(app, target=target)

    assert calls == seen


def test_filters_of_groups_and_routes_come_after_those_of_the_application():
    app, calls = App(), []

    def note(name):
        def filter(request):
            calls.append(name)
            yield
            calls.append(f"/{name}")

        return filter

    outer = app.group("/a", filters=[note("outer")])
    inner = outer.group("/b")
    inner.add_route("/c", lambda: "c", inline=True, filters=[note("route")])
    app.add_route("/d", lambda: "d", inline=True)
    inner.filters.append(note("inner, added later"))
    app.filter(note("app"))

    assert once(app, target="/a/b/c").body == b"c"
    order = ["app", "outer", "inner, added later", "route"]
    assert calls == [*order, *(f"/{name}" for name in reversed(order))]

    calls.clear()
    assert once(app, target="/d").body == b"d"
    assert calls == ["app", "/app"]


@pytest.mark.parametrize("form", FORMS)
def test_filters_see_what_has_no_handler(form, tmp_path):
    app, seen = App(), []
    (tmp_path / "file").write_bytes(b"0123456789")

    @app.post("/body", max_body_bytes=3)
    async def body(content: Annotated[bytes, Body()]):
        return content

    app.add_route("/number", lambda number: number, inline=True)
    app.add_route("/int/{number}", typed, inline=True)
    app.add_route("/file", lambda: tmp_path / "file")
    app.add_route("/missing", lambda: tmp_path / "missing")
    add_filter(app, form, lambda _: None, lambda _, response: seen.append(response.status))

    for method, target, headers, sent, status in [
        ("GET", "/nothing", [], None, 404),
        ("PUT", "/file", [], None, 405),
        ("OPTIONS", "/file", [], None, 204),
        ("OPTIONS", "*", [], None, 204),
        ("GET", "/number", [], None, 400),
        ("GET", "/int/x", [], None, 400),
        ("GET", "/%zz", [], None, 400),
        ("POST", "/body", [], b"1234", 413),
        ("GET", "/file", [], None, 200),
        ("GET", "/file", [("range", "bytes=2-4")], None, 206),
        ("GET", "/file", [("if-none-match", "*")], None, 304),
        ("GET", "/file", [("range", "bytes=99-")], None, 416),
        ("GET", "/missing", [], None, 404),
        ("HEAD", "/file", [], None, 200),
    ]:
        asked = once(app, method, target, headers, body=sent)
        assert (asked.status, seen.pop()) == (status, status), target
        assert seen == []


def typed(number: int):
    return number


# ── early answers and errors ──────────────────────────────────────────────────────────────


EARLY = [
    ("no", 200, b"no"),
    ((403, "no"), 403, b"no"),
    (Response("no", 403), 403, b"no"),
    (Redirect("/login"), 302, b""),
    ({"no": 1}, 200, b'{"no":1}'),
    (Stream(["n", "o"], status=403), 403, b"no"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("early", "status", "body"), EARLY)
def test_an_early_answer_goes_through_the_outer_filters_only(form, early, status, body):
    app, calls = App(), []
    app.add_route("/", lambda: calls.append("handler"), inline=True)
    add_filter(app, "inline", lambda _: None, lambda _, response: calls.append(response.status))
    add_filter(app, form, lambda _: early, lambda *_: calls.append("after"))
    add_filter(app, form, lambda _: calls.append("inside"))
    asked = once(app)

    assert (asked.status, asked.body) == (status, body)
    assert calls == [status]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", ["before", "after"])
@pytest.mark.parametrize("error", [HttpError(403, "no"), ValueError("secret"), SystemExit(1)])
def test_an_error_in_a_filter_is_answered_and_outer_filters_see_it(form, part, error, caplog):
    app, seen = App(), []
    app.add_route("/", lambda: "fine", inline=True)

    def fail(*_):
        raise error

    add_filter(app, "inline", lambda _: None, lambda _, response: seen.append(response.status))
    add_filter(app, "around", lambda _: None, lambda _, response: seen.append(response.status))
    if part == "before":
        add_filter(app, form, fail)
    else:
        add_filter(app, form, lambda _: None, fail)
    asked = once(app)

    status = 403 if isinstance(error, HttpError) else 500
    assert asked.status == status
    assert seen == [status, status]
    assert b"secret" not in asked.body
    assert len(caplog.records) == (status == 500)


def test_a_filter_that_yields_twice_is_a_bug(caplog):
    app = App()
    handlers(app)

    def twice(request):
        yield
        yield

    async def async_twice(request):
        yield
        yield

    app.filter("/inline", inline=True)(twice)
    app.filter("/thread")(twice)
    app.filter("/async")(async_twice)
    for path in PATHS[:3]:
        assert once(app, target=path).status == 500

    assert caplog.text.count("a filter yields once") == 3


# ── what they change ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", FORMS)
def test_headers_and_state_of_a_request_are_seen_by_all_that_comes_after(form):
    app, seen = App(), []

    @app.get("/")
    async def handler(request: Request, headers: Headers, user_agent: str = ""):
        cookies = request.cookies
        return [headers["x-user"], request.headers["x-user"], cookies, request.state["n"]]

    def change(request):
        assert request.cookies == {}
        request.headers["x-user"] = "ada"
        request.headers["cookie"] = "a=b"
        request.state["n"] = 1

    add_filter(app, form, change)
    add_filter(app, form, lambda request: seen.append(request.headers["x-user"]))

    assert once(app, headers=[("X-User", "eve")]).json == ["ada", "ada", {"a": "b"}, 1]
    assert seen == ["ada"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", PATHS)
def test_status_headers_and_cookies_of_an_answer_can_be_changed(form, path):
    app = App()
    handlers(app)

    def change(request, response):
        response.status = 203
        response.headers["x-run"] = "1"
        response.cookies.append(SetCookie("a", "b"))

    add_filter(app, form, lambda _: None, change)
    asked = once(app, target=path)

    assert (asked.status, asked.body, asked.headers[b"x-run"]) == (203, b"handler", b"1")
    assert asked.headers[b"set-cookie"].startswith(b"a=b")
    assert asked.content_type == b"text/plain; charset=utf-8"


@pytest.mark.parametrize("form", ["inline", "def", "around"])
@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
def test_what_the_part_after_returns_takes_the_place_of_the_answer(form, path):
    app = App()
    handlers(app)
    add_filter(app, form, lambda _: None, lambda *_: (418, "other"))
    asked = once(app, target=path)

    assert (asked.status, asked.body) == (418, b"other")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "value"), [("bad name", "x"), ("x-a", "a\r\nset-cookie: b"), ("x-a", "\x00")]
)
def test_a_header_that_would_break_the_answer_is_no_part_of_it(form, name, value, caplog):
    app = App()
    handlers(app)

    def split(request, response):
        response.headers[name] = value

    add_filter(app, form, lambda _: None, split)
    asked = once(app, target="/inline")

    assert asked.status == 500
    assert set(asked.headers) == {b"content-type", b"vary"}
    assert caplog.records


# ── context variables ─────────────────────────────────────────────────────────────────────

user = contextvars.ContextVar("user", default="nobody")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", ["/inline", "/thread", "/async"])
def test_context_variables_of_a_filter_are_those_of_the_handler(form, path):
    app = App()

    async def of_task():
        return user.get()

    app.add_route("/inline", lambda: user.get(), inline=True)
    app.add_route("/thread", lambda: user.get())
    app.add_route("/async", of_task)
    add_filter(app, form, lambda request: user.set("ada") and None)

    assert once(app, target=path).body == b"ada"
    assert user.get() == "nobody"


@pytest.mark.parametrize("form", ["def", "async generator", "around"])
def test_a_context_variable_can_be_reset_in_the_part_after(form):
    app, tokens = App(), []
    app.add_route("/", async_handler)
    add_filter(
        app,
        form,
        lambda _: tokens.append(user.set("ada")),
        lambda *_: user.reset(tokens.pop()),
    )

    assert once(app).body == b"handler"
