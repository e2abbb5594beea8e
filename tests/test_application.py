"""`App` as authors hold it, over real sockets: the parts are put together rightly."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import logging
import select
import socket
import struct
import threading
from typing import Annotated

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tarry import (
    App,
    BinderContext,
    Body,
    BuildError,
    ClientGone,
    Headers,
    Html,
    HttpError,
    ListenError,
    Redirect,
    Request,
    RouteError,
    Stream,
    WebSocket,
)
from tests.both.clients import ask_http1, ask_http2
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
            for each in readable:
                reply = waiting.pop(each).read()
                assert (reply.status, reply.get("retry-after")) == (503, "1")
        go_on.set()
        (last,) = waiting.values()

        assert [wire.read().body for wire in (first, last)] == [b"done"] * 2


# ── filters ───────────────────────────────────────────────────────────────────────────────


def after(change):
    """A filter in each form that changes the response, and whether it is inline."""

    def plain(request):
        response = yield
        change(response)

    async def asynchronous(request):
        response = yield
        change(response)

    async def around(request, next):
        response = await next(request)
        change(response)
        return response

    return [(plain, True), (plain, False), (asynchronous, False), (around, False)]


def marked(response):
    response.headers["x-run"] = str(response.status)


def socket_url(url):
    return url.replace("http://", "ws://")


@pytest.mark.parametrize("form", range(4))
def test_handshakes_go_through_filters(start, form, caplog):
    app = App()
    function, inline = after(marked)[form]
    app.filter(inline=inline)(function)

    @app.websocket("/")
    async def echo(socket: WebSocket):
        async for message in socket:
            await socket.send(message)

    @app.websocket("/closed", handshake=lambda socket: False)
    async def closed(socket: WebSocket):
        pass

    url = socket_url(start(app))
    with connect(url) as socket:
        socket.send("a")
        assert socket.recv() == "a"
        assert socket.response.headers["x-run"] == "101"
    with pytest.raises(InvalidStatus) as raised, connect(f"{url}/closed"):
        pass
    assert raised.value.response.headers["x-run"] == "403"
    assert not caplog.records


@pytest.mark.parametrize("form", range(4))
@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda response: setattr(response, "status", 200), 101),
        (lambda response: setattr(response, "status", 403), 500),
        (lambda response: setattr(response, "body", "no"), 500),
        (lambda response: response.headers.add("x-a", "\r\n"), 500),
    ],
)
def test_what_is_left_of_a_handshake_that_a_filter_spoils(start, form, change, status, caplog):
    app = App()
    function, inline = after(change)[form]
    app.filter(inline=inline)(function)
    app.websocket("/")(socket_that_ends)

    assert handshake_status(start(app)) == status
    assert len(caplog.records) == (status == 500)


async def socket_that_ends(socket: WebSocket):
    pass


def handshake_status(url):
    try:
        with connect(socket_url(url)) as socket:
            return socket.response.status_code
    except InvalidStatus as error:
        return error.response.status_code


def test_a_filter_refuses_a_handshake_and_the_connection_lives_on(start):
    app = App()
    app.websocket("/")(socket_that_ends)
    app.add_route("/plain", lambda: "plain", inline=True)

    @app.filter("/", inline=True)
    def refuse(request):
        return 403, "no sockets today"

    key = "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA=="
    fields = ("upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13", key)
    with Wire(start(app)) as wire:
        wire.send(get("/", *fields) + get("/plain"))
        assert wire.read().body == b"no sockets today"
        assert wire.read().body == b"plain"


@pytest.mark.parametrize("form", range(4))
def test_lengths_stay_known_through_filters(start, form, tmp_path):
    app = App()
    function, inline = after(marked)[form]
    app.filter(inline=inline)(function)
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)
    app.add_route("/file", lambda: path)
    app.add_route("/stream", lambda: Stream([b"abc"], length=3))
    with Wire(start(app)) as wire:
        for target, length in (("/file", 200_000), ("/stream", 3)):
            for method in ("HEAD", "GET"):
                wire.send(get(target).replace(b"GET", method.encode(), 1))
                reply = wire.read(method)
                assert reply.get("content-length") == str(length)
                assert reply.get("x-run") == "200"
                assert len(reply.body) == (0 if method == "HEAD" else length)


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_where_there_is_none_does_not_confuse_the_connection(start, status):
    app = App()

    @app.filter
    async def spoil(request, next):
        response = await next(request)
        response.status, response.body = status, "no such body"
        return response

    app.add_route("/", lambda: "fine", inline=True)
    with Wire(start(app)) as wire:
        for _ in range(3):
            wire.send(get("/"))
            assert wire.read().status == status


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_context_variables_of_a_request_are_not_those_of_the_next(start, loop):
    app = App()
    user = contextvars.ContextVar("user", default="nobody")

    @app.filter(inline=True)
    def identify(request):
        if "x-user" in request.headers:
            user.set(request.headers["x-user"])

    async def coroutine():
        await asyncio.sleep(0)
        return user.get()

    app.add_route("/inline", lambda: user.get(), inline=True)
    app.add_route("/thread", lambda: user.get())
    app.add_route("/async", coroutine)
    paths = ("/inline", "/thread", "/async")
    with Wire(start(app, loop=loop)) as wire:
        for path in paths:
            for other in paths:
                wire.send(get(path, "x-user: ada") + get(other))
                assert [wire.read().body, wire.read().body] == [b"ada", b"nobody"]


def test_streams_pass_filters_piece_by_piece(start):
    app, go_on = App(), threading.Event()
    app.filter(after(marked)[3][0])

    @app.get("/")
    def handler():
        yield "first"
        assert go_on.wait(10)
        yield "second"

    with Wire(start(app)) as wire:
        wire.send(get("/"))
        received = b""
        while b"first" not in received:
            received += wire.socket.recv(65536)
        go_on.set()
        while not received.endswith(b"0\r\n\r\n"):
            received += wire.socket.recv(65536)

    assert b"x-run: 200" in received
    assert b"second" in received


def test_a_client_that_leaves_in_the_middle_lets_go_of_what_a_filter_holds(start, caplog):
    app = App()
    held = []
    began, ended = threading.Event(), threading.Event()

    @app.filter("/")
    async def limit(request, next):
        held.append(request)
        began.set()
        try:
            return await next(request)
        finally:
            held.remove(request)
            ended.set()

    @app.post("/")
    async def handler(content: Annotated[bytes, Body()]):
        return content

    app.add_route("/held", lambda: len(held))
    url = start(app)
    with Wire(url) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf")
        assert began.wait(10)
    assert ended.wait(10)
    assert reply_to(url, get("/held")).body == b"0"
    assert not caplog.records


def test_the_debug_page_is_for_this_machine(start):
    app = App(debug=True)

    @app.get("/")
    def fail():
        raise ValueError("the reason")

    url = start(app)
    assert json.loads(reply_to(url, get("/")).body)["detail"] == "the reason"
    assert b"the reason" in reply_to(url, get("/", "accept: text/html")).body


# ── bodies over both protocols ────────────────────────────────────────────────────────────

BOTH = pytest.mark.parametrize("ask_over", [ask_http1, ask_http2])


def limited_app():
    app = App(max_body_bytes=10)
    group = app.group("/group", max_body_bytes=20)

    async def size(request: Request):
        return len(await request.body())

    def stored(raw: Annotated[bytes, Body()]):
        return len(raw)

    def copied(request: Request):
        return len(request.file.read())

    for path, function in [("/body", size), ("/argument", stored), ("/file", copied)]:
        app.post(path)(function)
        group.post(path)(function)
        group.post(f"/route{path}", max_body_bytes=30)(function)
    app.post("/unread")(lambda: "early")
    return app


@BOTH
@pytest.mark.parametrize(("prefix", "limit"), [("", 10), ("/group", 20), ("/group/route", 30)])
@pytest.mark.parametrize("way", ["/body", "/argument", "/file"])
def test_a_body_at_the_limit_and_one_beyond(start, ask_over, way, prefix, limit):
    url = start(limited_app())

    taken = ask_over(url, "POST", prefix + way, body=b"x" * limit)
    assert (taken.status, taken.body) == (200, b"%d" % limit)
    refused = ask_over(url, "POST", prefix + way, body=b"x" * (limit + 1))
    assert (refused.status, refused.complete) == (413, True)


@pytest.mark.parametrize("way", ["/body", "/argument", "/file"])
def test_an_announced_body_is_refused_before_it_comes_and_the_connection_lives(start, way):
    with Wire(start(limited_app())) as wire:
        wire.send(f"POST {way} HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n".encode())
        refused = wire.read()
        again = f"POST {way} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nxx"
        wire.send(b"x" * 11 + again.encode())

        assert (refused.status, refused.closes) == (413, False)
        assert wire.read().body == b"2"


@pytest.mark.parametrize("way", ["/body", "/argument", "/file"])
def test_a_chunked_body_is_refused_at_the_limit_and_the_connection_closes(start, way):
    head = f"POST {way} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    with Wire(start(limited_app())) as wire:
        wire.send(head + b"b\r\n" + b"x" * 11 + b"\r\n")
        refused = wire.read()

        assert (refused.status, refused.closes) == (413, True)
    with Wire(start(limited_app())) as wire:
        wire.send(head + b"a\r\n" + b"x" * 10 + b"\r\n0\r\n\r\n" + get("/nothing"))
        assert wire.read().body == b"10"
        assert wire.read().status == 404


@pytest.mark.parametrize("way", ["/body", "/argument", "/file"])
def test_continue_comes_before_a_body_that_is_read(start, way):
    with Wire(start(limited_app())) as wire:
        wire.send(
            f"POST {way} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n"
            "expect: 100-continue\r\n\r\n".encode()
        )
        assert wire.read().status == 100
        wire.send(b"xx")
        assert wire.read().body == b"2"


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [("/body", 11, 413), ("/argument", 11, 413), ("/file", 11, 413), ("/unread", 2, 200),
     ("/nothing", 2, 404)],
)  # fmt: skip
def test_no_continue_for_what_nobody_will_read(start, path, length, status):
    with Wire(start(limited_app())) as wire:
        wire.send(
            f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n"
            "expect: 100-continue\r\n\r\n".encode()
        )
        reply = wire.read()

        assert (reply.status, reply.closes) == (status, True)


@BOTH
def test_a_malformed_content_type_is_no_error_of_the_server(start, ask_over, caplog):
    app = App()
    app.post("/")(lambda name="none": name)
    app.post("/narrowed", params="a")(lambda: "x")
    url = start(app)
    for path in ("/", "/narrowed"):
        for content_type in ("multipart/form-data", ";", "a/b; c"):
            asked = ask_over(url, "POST", path, [("content-type", content_type)], b"a=1")
            assert (asked.status, asked.complete) == (400, True)

    assert not caplog.records


def test_a_client_that_leaves_within_a_body_frees_the_thread_of_the_handler(start):
    ended = threading.Event()
    app = App(max_threads=1)

    @app.post("/")
    def handler(request: Request):
        try:
            return len(request.file.read())
        except ClientGone:
            ended.set()
            raise

    url = start(app)
    with Wire(url) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nxx")
    assert ended.wait(10)
    assert ask_http1(url, "POST", "/", body=b"xx").body == b"2"


# ── names and removal ─────────────────────────────────────────────────────────────────────


def test_urls_of_named_routes():
    app = App()
    app.get("/users/{id:int}", "/people/{id:int}", name="user")(lambda id: id)

    assert app.url_for("user", id=7) == "/users/7"
    assert app.url_for("user", {"a": [1, "ü"], "b": ""}, id=7) == "/users/7?a=1&a=%C3%BC&b="
    with pytest.raises(LookupError):
        app.url_for("users", id=7)
    with pytest.raises(BuildError):
        app.url_for("user", id="x")


def test_a_route_is_removed_while_it_serves():
    app = App()
    app.get("/a", name="a")(lambda: "x")
    with app.testing() as client:
        assert client.get("/a").status == 200
        app.remove_route("a")
        assert client.get("/a").status == 404
    with pytest.raises(LookupError):
        app.remove_route("a")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_endless_stream_to_a_broken_connection_does_not_hold_up_the_others(start, loop):
    app, begun, reset, closed = App(), threading.Event(), threading.Event(), threading.Event()

    async def endless():
        begun.set()
        reset.wait(10)  # so that the connection breaks while the loop looks elsewhere
        try:
            while True:
                yield b"x" * 1000
        finally:
            closed.set()

    app.add_route("/", lambda: Stream(endless()))
    app.add_route("/other", lambda: "other", inline=True)
    url = start(app, loop=loop)
    with Wire(url) as wire:
        wire.send(get("/"))
        assert begun.wait(10)
        # A reset instead of an orderly end, as when a program is killed.
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    reset.set()

    assert closed.wait(10)
    assert reply_to(url, get("/other")).body == b"other"
