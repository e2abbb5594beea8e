"""From a request to its route, and the answers where there is none."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tarry.app.dependencies import Provider
from tarry.app.dispatch import Dispatcher, RouteError
from tarry.app.errors import HttpError
from tarry.app.filters import Filter
from tarry.app.path_values import BuildError
from tarry.app.request import Request
from tarry.app.responses import Html, Response, Stream
from tarry.exchange import DEFAULT_MAX_BODY_BYTES
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


def test_two_applications_on_one_loop_keep_their_own_threads():
    async def run():
        first, second = serving(lanes_of), serving(lanes_of)
        async with started(first):
            async with started(second):
                pass
            # The threads of the second one are gone; the first one must not ask them.
            return await ask(first)

    assert asyncio.run(run()).body == b"x"


async def lanes_of(request: Request):
    return await request.lanes.in_thread(lambda: "x")


# ── narrowing ─────────────────────────────────────────────────────────────────────────────

URLENCODED = [("content-type", "application/x-www-form-urlencoded")]
MULTIPART = [("content-type", "multipart/form-data; boundary=b")]


def narrowed(*, methods=("POST",), **settings):
    """Two routes at one place, told apart by `kind`, and one for all others."""
    dispatcher = Dispatcher(**settings)
    for kind in ("a", "b"):

        def handler(kind: str, note: str = "none", expected=kind):
            return f"{expected} {kind} {note}"

        add_route(dispatcher, "/", methods, handler, params=(f"kind={kind}",))
    add_route(dispatcher, "/", methods, lambda note="none": f"other {note}")
    return dispatcher


def part(name, value):
    return f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


@pytest.mark.parametrize(
    ("target", "headers", "body", "answer"),
    [
        ("/?kind=a&note=n", (), None, b"a a n"),
        ("/", URLENCODED, b"kind=b&note=n", b"b b n"),
        ("/", MULTIPART, part("kind", "b") + part("note", "n") + b"--b--\r\n", b"b b n"),
        ("/?kind=a", URLENCODED, b"kind=b&note=n", b"a a n"),
        ("/", URLENCODED, b"kind=c&note=n", b"other n"),
        ("/", (), b"kind=a", b"other none"),
        ("/", URLENCODED, b"", b"other none"),
    ],
)
def test_a_form_decides_and_is_bound_then(target, headers, body, answer):
    assert once(narrowed(), "POST", target, headers, body=body).body == answer


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ([("content-type", "multipart/form-data")], b"", 400),
        ([("content-type", ";")], b"", 400),
        ([("content-type", "application/x-www-form-urlencoded; charset=latin-1")], b"", 415),
        (MULTIPART, b"nonsense", 400),
        (URLENCODED, b"kind=%ff", 400),
        ([*URLENCODED, ("content-encoding", "rot13")], b"kind=a", 415),
    ],
)
def test_a_form_that_cannot_decide_is_refused(headers, body, status, caplog):
    assert once(narrowed(), "POST", "/", headers, body=body).status == status
    assert not caplog.records


def test_a_query_that_does_not_decode_decides_nothing():
    assert once(narrowed(), "POST", "/?kind=%zz").status == 400


def test_narrowed_routes_alone_tell_why_nothing_was_found():
    def handler():
        return "x"

    dispatcher = Dispatcher()
    add_route(dispatcher, "/", ["POST"], handler, params=("kind=a",), headers=("x-a",))

    asked = once(dispatcher, "POST", "/", [*URLENCODED, ("x-a", "")], body=b"kind=a")
    assert asked.body == b"x"
    asked = once(dispatcher, "POST", "/", URLENCODED, body=b"kind=a")
    assert (asked.status, asked.json["detail"]) == (
        404, "what is at this address takes other parameters or headers",
    )  # fmt: skip


# ── limits of bodies ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("size", "status"), [(20, 200), (21, 413)])
def test_a_form_that_decides_may_be_as_large_as_the_application_takes(size, status):
    body = b"kind=a&note=".ljust(size, b"x")

    assert once(narrowed(max_body_bytes=20), "POST", "/", URLENCODED, body=body).status == status


@pytest.mark.parametrize(
    ("kind", "size", "status"),
    [
        ("a", 30, 200),
        ("a", 31, 413),
        ("b", 20, 200),
        ("b", 21, 413),
        ("c", 20, 200),
        ("c", 21, 413),
    ],
)
def test_a_form_that_decides_is_measured_by_the_route_it_leads_to(kind, size, status):
    dispatcher = Dispatcher(max_body_bytes=20)
    add_route(dispatcher, "/", ["POST"], lambda: "a", params=("kind=a",), max_body_bytes=30)
    add_route(dispatcher, "/", ["POST"], lambda: "b", params=("kind=b",))
    add_route(dispatcher, "/", ["POST"], lambda: "other")
    body = f"kind={kind}&".encode().ljust(size, b"x")

    assert once(dispatcher, "POST", "/", URLENCODED, body=body).status == status


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
def test_a_filter_reads_no_more_than_the_application_takes(size, status):
    async def read(request):
        await request.body()

    dispatcher = serving(lambda: "x", methods=["POST"], max_body_bytes=10)
    dispatcher.add_filter(Filter(read))

    assert once(dispatcher, "POST", "/", body=b"x" * size).status == status


@pytest.mark.parametrize("options", [{}, {"max_body_bytes": 2 * DEFAULT_MAX_BODY_BYTES}])
@pytest.mark.parametrize("beyond", [0, 1])
def test_a_filter_of_a_route_reads_as_much_as_the_route_takes(options, beyond):
    async def read(request):
        await request.body()

    limit = DEFAULT_MAX_BODY_BYTES + 1
    dispatcher = Dispatcher(max_body_bytes=limit)
    limit = options.get("max_body_bytes", limit)
    add_route(dispatcher, "/", ["POST"], lambda: "x", filters=(read,), **options)
    status = once(dispatcher, "POST", "/", body=bytes(limit + beyond)).status

    assert status == (413 if beyond else 200)


@pytest.mark.parametrize(("size", "status"), [(5, 200), (6, 413)])
def test_a_route_that_takes_less_refuses_what_a_filter_has_read(size, status):
    async def read(request):
        await request.body()

    dispatcher = Dispatcher()
    add_route(dispatcher, "/", ["POST"], lambda: "x", max_body_bytes=5)
    dispatcher.add_filter(Filter(read))

    assert once(dispatcher, "POST", "/", body=b"x" * size).status == status


# ── names, replacing, removing ────────────────────────────────────────────────────────────


def first():
    return "first"


def other():
    return "other"


def test_a_name_is_that_of_one_route():
    dispatcher = Dispatcher()
    add_route(dispatcher, "/a", ["GET"], first, name="page")
    with pytest.raises(RouteError, match=r"the name 'page' is that of /a, first \(.*other"):
        add_route(dispatcher, "/b", ["GET"], other, name="page")

    assert dispatcher.url_for("page", {}) == "/a"
    assert once(dispatcher, "GET", "/b").status == 404


def test_urls_are_built_by_name():
    dispatcher = Dispatcher()
    add_route(dispatcher, "/{user}/{rest:path}", ["GET"], lambda user, rest: rest, name="file")

    assert dispatcher.url_for("file", {"user": "a/b", "rest": ["c", "d e"]}) == "/a%2Fb/c/d%20e"
    with pytest.raises(LookupError, match="no route named 'files'"):
        dispatcher.url_for("files", {})


@pytest.mark.parametrize("values", [{}, {"id": 1, "x": 2}, {"id": ""}, {"id": None}])
def test_urls_that_cannot_be_built(values):
    dispatcher = Dispatcher()
    add_route(dispatcher, "/{id}", ["GET"], lambda id: id, name="one")
    with pytest.raises(BuildError):
        dispatcher.url_for("one", values)


def test_a_route_that_is_replaced_loses_its_name():
    dispatcher = Dispatcher()
    add_route(dispatcher, "/", ["GET"], first, name="old")
    add_route(dispatcher, "/", ["GET"], other, name="new", replace=True)

    assert once(dispatcher).body == b"other"
    assert dispatcher.url_for("new", {}) == "/"
    with pytest.raises(LookupError):
        dispatcher.url_for("old", {})
    add_route(dispatcher, "/x", ["GET"], first, name="old")
    assert dispatcher.url_for("old", {}) == "/x"


def test_removing_a_route_leaves_those_that_replaced_a_part_of_it():
    dispatcher = Dispatcher()
    add_route(dispatcher, "/", ["GET", "POST"], first)
    add_route(dispatcher, "/", ["GET"], other, replace=True)
    dispatcher.remove(first)

    assert once(dispatcher).body == b"other"
    assert once(dispatcher, "POST").status == 405


def show(x):
    return x


@pytest.mark.parametrize("which", ["a name", "/{x}", show])
def test_routes_are_removed_by_name_path_or_function(which):
    dispatcher = Dispatcher()
    add_route(dispatcher, "/{x}", ["GET"], show, name="a name")
    add_route(dispatcher, "/", ["GET"], other)
    assert once(dispatcher, "GET", "/x").status == 200
    removed = dispatcher.remove(which)

    assert len(removed) == 1
    assert once(dispatcher, "GET", "/x").status == 404
    assert once(dispatcher, "GET", "/").body == b"other"
    with pytest.raises(LookupError):
        dispatcher.remove(which)


def test_nothing_is_removed_for_none():
    dispatcher = serving(other)
    with pytest.raises(LookupError, match="no route None"):
        dispatcher.remove(None)

    assert once(dispatcher).body == b"other"


def test_a_function_is_removed_from_all_its_places():
    dispatcher = Dispatcher()
    add_route(dispatcher, "/a", ["GET"], first)
    add_route(dispatcher, "/b", ["GET", "POST"], first, params=("x",))

    assert len(dispatcher.remove(first)) == 2
    assert once(dispatcher, "GET", "/a").status == 404
    assert once(dispatcher, "GET", "/b?x").status == 404


def test_requests_under_way_are_answered_though_their_route_is_removed():
    async def slow_one(request: Request):
        waiting.set()
        await go_on.wait()
        return await request.body()

    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def run():
        async with started(serving(slow_one, methods=["POST"])) as dispatcher:
            asking = asyncio.create_task(ask(dispatcher, "POST", body=b"x"))
            await waiting.wait()
            dispatcher.remove(slow_one)
            go_on.set()
            return await asking, await ask(dispatcher, "POST", body=b"x")

    answered, missed = asyncio.run(run())
    assert (answered.body, missed.status) == (b"x", 404)


def test_routes_are_added_while_it_serves():
    async def run():
        async with started(serving(first)) as dispatcher:
            before = await ask(dispatcher, "GET", "/late")

            async def tag(request, next):
                response = await next(request)
                response.headers["x-tag"] = "1"
                return response

            add_route(dispatcher, "/late", ["GET"], other, filters=(tag,))
            return before, await ask(dispatcher, "GET", "/late")

    before, after = asyncio.run(run())
    assert (before.status, after.body, after.headers[b"x-tag"]) == (404, b"other", b"1")
