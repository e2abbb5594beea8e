"""`App` as authors hold it, over real sockets: the parts are put together rightly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import select
import threading

import pytest

from tarry import (
    App,
    BinderContext,
    Headers,
    Html,
    HttpError,
    ListenError,
    Redirect,
    Request,
    RouteError,
    Stream,
)
from tests.wire import Wire, ask


def get(path, *fields):
    lines = "".join(f"{field}\r\n" for field in ("host: a", *fields))
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


@pytest.fixture
def start():
    """Start an application on a free port: `start(app)` gives its URL."""
    handles = []

    def begin(app, **settings):
        handles.append(app.start(**{"access_log": False, "stop_timeout_s": 0.1, **settings}))
        return handles[-1].url

    yield begin
    for handle in handles:
        handle.stop()


def reply_to(url, data):
    with Wire(url) as wire:
        wire.send(data)
        return wire.read(data.split(b" ")[0].decode())


# ── routes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
@pytest.mark.parametrize("inline", [True, False])
def test_a_decorator_for_each_method_keeps_the_function(start, method, inline):
    app = App()

    def handler(request: Request):
        return request.method

    assert getattr(app, method)("/", inline=inline)(handler) is handler
    url = start(app)
    asked = f"{method.upper()} / HTTP/1.1\r\nhost: a\r\n\r\n".encode()

    assert reply_to(url, asked).body == method.upper().encode()
    assert reply_to(url, b"BREW / HTTP/1.1\r\nhost: a\r\n\r\n").status == 405


def test_one_function_for_several_methods(start):
    app = App()

    @app.route("/", methods=["GET", "POST"])
    async def handler(request: Request):
        return request.method

    url = start(app)
    assert reply_to(url, get("/")).body == b"GET"
    assert reply_to(url, b"POST / HTTP/1.1\r\nhost: a\r\n\r\n").body == b"POST"
    assert reply_to(url, b"PUT / HTTP/1.1\r\nhost: a\r\n\r\n").status == 405


def test_the_three_lanes_and_their_results(start):
    app = App()
    app.add_route("/inline", lambda: threading.current_thread().name, inline=True)

    @app.get("/thread")
    def thread():
        return threading.current_thread().name

    @app.get("/async")
    async def asynchronous():
        await asyncio.sleep(0)
        return {"thread": threading.current_thread().name}

    url = start(app)
    assert reply_to(url, get("/inline")).body == b"tarry-server"
    assert reply_to(url, get("/thread")).body == b"tarry-handler"
    assert json.loads(reply_to(url, get("/async")).body) == {"thread": "tarry-server"}


def test_head_and_options_by_themselves(start):
    app = App()
    app.add_route("/", lambda: "hello", inline=True)
    url = start(app)

    head = reply_to(url, b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (head.status, head.get("content-length"), head.body) == (200, "5", b"")
    options = reply_to(url, b"OPTIONS / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert options.status == 204
    assert "HEAD" in options.get("allow")


def test_streams_tuples_and_redirects(start):
    app = App()
    app.add_route("/stream", lambda: Stream(str(number) for number in range(3)))
    app.add_route("/known", lambda: Stream([b"abc"], length=3))
    app.add_route("/tuple", lambda: (201, Headers({"x-a": "1"}), {"id": 7}))
    app.add_route("/redirect", lambda: Redirect("/tuple"))
    url = start(app)

    stream = reply_to(url, get("/stream"))
    assert (stream.get("transfer-encoding"), stream.body) == ("chunked", b"012")
    known = reply_to(url, get("/known"))
    assert (known.get("content-length"), known.body) == ("3", b"abc")
    created = reply_to(url, get("/tuple"))
    assert (created.status, created.get("x-a"), created.body) == (201, "1", b'{"id":7}')
    redirect = reply_to(url, get("/redirect"))
    assert (redirect.status, redirect.get("location")) == (302, "/tuple")


@pytest.mark.parametrize(("length", "pieces"), [(5, [b"abc"]), (2, [b"abc"]), (2, [b"a", b"bc"])])
def test_a_stream_of_another_length_is_broken_off(start, length, pieces, caplog):
    app = App()
    app.add_route("/", lambda: Stream(pieces, length=length))

    with Wire(start(app)) as wire:
        wire.send(get("/"))
        head, _, body = wire.rest().partition(b"\r\n\r\n")

    assert b"content-length: %d" % length in head
    assert len(body) < max(length, 3)
    assert "LengthError" in caplog.text


def test_a_route_that_cannot_be_is_told_at_once():
    app = App()
    with pytest.raises(RouteError, match=r"test_application\.py"):
        app.get("/{name}")(lambda: None)


def test_the_site_map_and_the_table_of_routes():
    app = App()
    app.add_route("/notes/{number:int}", lambda number: number, methods=["GET", "DELETE"])

    assert "notes" in app.site_map()
    assert [row.path for row in app.routes()] == ["/notes/{number:int}"]


def test_a_binder_for_an_authors_type(start):
    class Tenant:
        def __init__(self, name):
            self.name = name

    app = App()

    @app.binder(Tenant)
    def tenant_of(request: Request, context: BinderContext):
        return Tenant(f"{request.query_string} as {context.argument.name}")

    async def show(tenant: Tenant):
        return tenant.name

    app.add_route("/", show)
    assert reply_to(start(app), get("/?acme")).body == b"acme as tenant"
    with pytest.raises(ValueError, match="already"):
        app.binder(Tenant)(tenant_of)


# ── errors ────────────────────────────────────────────────────────────────────────────────


class SoldOut(Exception):
    pass


def test_an_exception_tells_nothing_and_the_connection_lives_on(start, caplog):
    app = App()

    @app.get("/")
    def fail():
        raise ValueError("the secret")

    with Wire(start(app)) as wire:
        for _ in range(3):
            wire.send(get("/"))
            reply = wire.read()
            assert reply.status == 500
            assert json.loads(reply.body) == {"status": 500, "title": "Internal Server Error"}
            assert not reply.closes

    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert [each.exc_info[1].args for each in errors] == [("the secret",)] * 3


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_errors_are_pages_or_problems(start, accept):
    app = App()
    reply = reply_to(start(app), get("/<b>", f"accept: {accept}"))

    assert reply.status == 404
    expected = "text/html" if accept == "text/html" else "application/problem+json"
    assert reply.get("content-type").startswith(expected)


def test_error_handlers_by_status_class_type_and_for_all(start):
    app = App()

    @app.error(404)
    async def missing(request):
        return Html(f"<p>{request.path}")

    @app.error("4xx")
    def fault_of_the_client(status):
        return f"client {status}"

    @app.error(SoldOut)
    def sold_out(error):
        return 410, str(error)

    @app.error
    def anything(error, status):
        return f"{type(error).__name__} {status}"

    def fail(kind: str):
        raise {"sold": SoldOut("gone"), "conflict": HttpError(409), "bug": KeyError("x")}[kind]

    app.add_route("/fail/{kind}", fail)
    url = start(app)

    def seen(path):
        reply = reply_to(url, get(path))
        return reply.status, reply.body

    assert seen("/nothing") == (404, b"<p>/nothing")
    assert seen("/fail/conflict") == (409, b"client 409")
    assert seen("/fail/sold") == (410, b"gone")
    assert seen("/fail/bug") == (500, b"KeyError 500")


@pytest.mark.parametrize("key", [200, "3xx"])
def test_no_error_handler_for_what_is_no_error(key):
    with pytest.raises(ValueError, match="an error handler is for"):
        App().error(key)(lambda: None)


# ── serving ───────────────────────────────────────────────────────────────────────────────


def test_two_applications_in_one_process(start):
    apps = [App(), App()]
    for number, app in enumerate(apps):
        app.add_route("/", lambda number=number: number)
    urls = [start(app) for app in apps]

    assert [reply_to(url, get("/")).body for url in urls] == [b"0", b"1"]


def test_an_application_starts_and_stops_twice():
    app = App()
    app.add_route("/", lambda: "hello")
    for _ in range(2):
        with app.start(access_log=False) as handle:
            assert ask(handle.url, get("/", "connection: close"))[0].body == b"hello"
    assert not [each for each in threading.enumerate() if each.name == "tarry-server"]


def test_a_port_in_use(start):
    port = int(start(App()).rpartition(":")[2])
    with pytest.raises(ListenError, match=f"{port}: it is in use"):
        App().start(port=port)


@pytest.mark.parametrize(
    ("settings", "error"),
    [({"port": 70_000}, ValueError), ({"prot": 80}, TypeError), ({"loop": "x"}, ValueError)],
)
def test_settings_that_make_no_sense(settings, error):
    with pytest.raises(error):
        App().start(**settings)


def test_serving_in_a_loop_of_the_author():
    app = App()
    app.add_route("/", lambda: "hello", inline=True)

    async def run():
        urls = asyncio.Queue()

        class Announced(logging.Handler):
            def emit(self, record):
                urls.put_nowait(record.args[0])

        handler = Announced()
        logger = logging.getLogger("tarry")
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        serving = asyncio.create_task(app.serve(port=0, access_log=False))
        try:
            url = await asyncio.wait_for(urls.get(), 10)
            reply = await asyncio.to_thread(reply_to, url, get("/"))
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        return reply.body

    assert asyncio.run(run()) == b"hello"


def test_more_requests_than_may_wait_for_a_thread(start):
    runs, go_on = threading.Event(), threading.Event()
    app = App(max_threads=1, max_queued=1)

    @app.get("/")
    def block():
        runs.set()
        assert go_on.wait(10)
        return "done"

    url = start(app)
    with contextlib.ExitStack() as stack:
        first, *others = [stack.enter_context(Wire(url)) for _ in range(10)]
        first.send(get("/"))
        assert runs.wait(10)
        for wire in others:
            wire.send(get("/"))
        # Whoever is refused is so at once; one waits for the thread.
        waiting = {wire.socket: wire for wire in others}
        while len(waiting) > 1:
            readable, _, _ = select.select(waiting, [], [], 10)
            assert readable, "too few were refused"
            for socket in readable:
                reply = waiting.pop(socket).read()
                assert (reply.status, reply.get("retry-after")) == (503, "1")
        go_on.set()
        (last,) = waiting.values()

        assert [wire.read().body for wire in (first, last)] == [b"done"] * 2
