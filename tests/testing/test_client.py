"""The same questions over memory, over HTTP/2 in memory, and over a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tarry import App, HttpError, Request, Response, Stream
from tarry.message.heads import InvalidField
from tarry.server.settings import ServerSettings
from tarry.testing import AsyncClient, Client, IncompleteAnswer, JumpingClock, SocketClient
from tests.exchanges import RawApplication

MAX_BODY_BYTES = 1024 * 1024
SETTINGS = ServerSettings(access_log=False)


def make_app() -> App:
    app = App(max_body_bytes=MAX_BODY_BYTES)
    app.add_route("/hello/{name}", hello, inline=True)
    app.add_route("/nothing", lambda: None, methods=("POST",))
    app.add_route("/fail", fail)
    app.add_route("/echo", echo, methods=("GET", "POST", "PUT", "PATCH", "DELETE"))
    app.add_route("/pieces/{count:int}", pieces)
    app.add_route("/broken", broken)
    app.add_route("/login", login, methods=("POST",))
    app.add_route("/logout", logout, methods=("POST",))
    return app


def hello(name: str, times: int = 1) -> dict[str, list[str]]:
    return {"hello": [name] * times}


def fail() -> None:
    raise KeyError("of the handler")


async def echo(request: Request) -> Response:
    headers = {f"x-{name}": value for name, value in request.headers.items() if name != "host"}
    return Response(await request.body(), headers={"x-method": request.method, **headers})


def pieces(count: int) -> Stream:
    return Stream("x" * 10_000 for _ in range(count))


def broken() -> Stream:
    def give():
        yield "some"
        raise LookupError("in the middle")

    return Stream(give(), length=100)


def login() -> Response:
    response = Response("in")
    response.set_cookie("user", "me")
    response.set_cookie("deep", "yes", path="/echo/below")
    return response


def logout() -> Response:
    response = Response("out")
    response.delete_cookie("user")
    return response


@pytest.fixture(params=["HTTP/1.1", "HTTP/2", "socket"])
def client(request) -> Iterator[Client | SocketClient]:
    app = make_app()
    if request.param == "socket":
        settings = {"access_log": False, "limits": SETTINGS.limits}
        with app.start(**settings) as handle, SocketClient(handle.url) as client:
            yield client
    else:
        with Client(app, http2=request.param == "HTTP/2", settings=SETTINGS) as client:
            yield client


def test_an_answer(client):
    reply = client.get("/hello/you?times=2")

    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert {"date", "server"} <= set(reply.headers)
    assert reply.json() == {"hello": ["you", "you"]}


def test_a_path_that_is_not_ascii(client):
    assert client.get("/hello/ö €").json() == {"hello": ["ö €"]}


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_each_method(client, method):
    assert getattr(client, method)("/echo").headers["x-method"] == method.upper()


def test_head_has_the_fields_of_get_and_no_body(client):
    got, reply = client.get("/hello/you"), client.head("/hello/you")

    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-length"] == got.headers["content-length"]
    assert client.get("/hello/you").json() == {"hello": ["you"]}


def test_options(client):
    assert client.options("/echo").headers["allow"].split(", ").count("PATCH") == 1
    assert client.options("*").status == 204


def test_no_content_has_no_length(client):
    reply = client.post("/nothing")

    assert (reply.status, reply.body) == (204, b"")
    assert "content-length" not in reply.headers


def test_errors_are_replies(client):
    assert client.get("/nowhere").status == 404
    assert client.get("/hello/you?times=x").status == 400
    assert client.delete("/hello/you").status == 405


def test_an_error_in_a_handler_is_a_500(client, caplog):
    reply = client.get("/fail")

    assert reply.status == 500
    assert b"of the handler" not in reply.body
    assert "KeyError in the handler of GET /fail" in caplog.text


def test_bodies(client):
    assert client.post("/echo", data="ö").text == "ö"
    assert client.post("/echo", json=[1]).headers["x-content-type"] == "application/json"
    assert client.post("/echo", data={"a": "b"}).body == b"a=b"
    assert client.post("/echo", data=[b"a", b"b"]).body == b"ab"
    # More than the flow control windows of HTTP/2 and the buffers of both ends.
    assert client.post("/echo", data=bytes(500_000)).body == bytes(500_000)


def test_a_body_that_nobody_reads_leaves_the_next_request_alone(client):
    for size in (10, 100_000, 900_000):
        assert client.post("/nothing", data=bytes(size)).status == 204
        assert client.get("/hello/you").json() == {"hello": ["you"]}


def test_a_body_without_length_that_nobody_reads(client):
    assert client.post("/nothing", data=[bytes(10_000)] * 90).status == 204
    assert client.get("/hello/you").json() == {"hello": ["you"]}


def test_a_body_without_end_is_not_read_for_ever_once_the_answer_is_there(client):
    assert client.post("/nothing", data=iter(lambda: bytes(10_000), None)).status in {204, 413}
    assert client.get("/hello/you").json() == {"hello": ["you"]}


def test_a_body_that_breaks_off_is_the_callers_error_and_the_client_goes_on(client):
    def pieces():
        yield b"a"
        raise LookupError("of the caller")

    with pytest.raises(LookupError, match="of the caller"):
        client.post("/echo", data=pieces())
    assert client.get("/hello/you").status == 200


def test_a_body_that_is_too_large_is_refused_and_the_client_goes_on(client):
    assert client.post("/echo", data=bytes(MAX_BODY_BYTES + 1)).status == 413
    assert client.get("/hello/you").status == 200


def test_a_streamed_answer(client):
    reply = client.get("/pieces/100")

    assert len(reply.body) == 1_000_000
    assert "content-length" not in reply.headers


def test_an_answer_that_breaks_off_is_an_error_with_what_came(client):
    with pytest.raises(IncompleteAnswer, match="GET /broken") as raised:
        client.get("/broken")

    assert raised.value.reply.status == 200
    assert raised.value.reply.body == b"some"
    assert client.get("/hello/you").status == 200


def test_cookies_and_headers_of_one_request(client):
    reply = client.get("/echo", cookies={"a": "1", "b": "2"}, headers={"X-Mine": "yes"})

    assert reply.headers["x-cookie"] == "a=1; b=2"
    assert reply.headers["x-x-mine"] == "yes"


@pytest.mark.parametrize(
    ("method", "headers"), [("GET", {"x-a": "1\r\nx-b: 2"}), ("G T", {}), ("GET", {"x a": "1"})]
)
def test_what_cannot_be_sent_is_an_error_and_the_client_goes_on(client, method, headers):
    with pytest.raises(InvalidField):
        client.request(method, "/echo", headers=headers)

    assert client.get("/hello/you").status == 200


def test_cookies_are_forgotten_unless_asked(client):
    client.post("/login")

    assert "x-cookie" not in client.get("/echo").headers


def test_a_length_that_does_not_fit_cannot_be_sent():
    with Client(make_app()) as client:
        with pytest.raises(ValueError, match="POST /echo cannot be sent"):
            client.post("/echo", data="abc", headers={"content-length": "2"})
        assert client.get("/hello/you").status == 200


# ---- what both clients in memory do ----------------------------------------------------


@pytest.fixture(params=[False, True], ids=["HTTP/1.1", "HTTP/2"])
def http2(request) -> bool:
    return request.param


def test_kept_cookies_come_back_until_they_are_deleted(http2):
    with Client(make_app(), http2=http2, keep_cookies=True) as client:
        client.post("/login")
        assert client.get("/echo").headers["x-cookie"] == "user=me"
        assert client.get("/echo", cookies={"a": "b"}).headers["x-cookie"] == "a=b; user=me"
        client.post("/logout")
        assert "x-cookie" not in client.get("/echo").headers


def test_a_socket_client_keeps_cookies_too():
    handle = make_app().start(access_log=False)
    with handle, SocketClient(handle.url, keep_cookies=True) as client:
        client.post("/login")
        assert client.get("/echo").headers["x-cookie"] == "user=me"


@pytest.mark.parametrize(("path", "error"), [("/fail", KeyError), ("/broken", LookupError)])
def test_an_error_in_a_handler_is_raised_if_asked(http2, path, error):
    with Client(make_app(), http2=http2, raise_errors=True) as client:
        with pytest.raises(error):
            client.get(path)
        assert client.get("/nowhere").status == 404
        assert client.get("/hello/you").status == 200


def test_errors_that_have_a_handler_are_not_raised():
    app = make_app()
    app.error(KeyError)(lambda: (418, "handled"))
    app.add_route("/500", refuse)

    with Client(app, raise_errors=True) as client:
        assert client.get("/fail").text == "handled"
        assert client.get("/500").status == 500


def refuse() -> None:
    raise HttpError(500, "meant so")


def test_the_application_starts_and_ends_with_the_client():
    class Recorder(RawApplication):
        def __init__(self) -> None:
            self.happened: list[str] = []
            self.handle = make_app().handle

        async def startup(self) -> None:
            self.happened.append("startup")

        async def shutdown(self) -> None:
            self.happened.append("shutdown")

    app = Recorder()
    with Client(app) as client:
        assert app.happened == ["startup"]
        assert client.get("/hello/you").status == 200
    assert app.happened == ["startup", "shutdown"]


def test_an_error_at_start_is_raised_where_the_client_is_entered():
    class Broken(RawApplication):
        handle = staticmethod(make_app().handle)

        async def startup(self) -> None:
            raise OSError("no database")

        async def shutdown(self) -> None:
            raise AssertionError("it never started")

    with pytest.raises(OSError, match="no database"), Client(Broken()):
        pass


def test_a_client_can_be_entered_again():
    client = Client(make_app())
    for _ in range(2):
        with client:
            assert client.get("/hello/you").status == 200


def test_a_client_that_is_not_open_says_so():
    with pytest.raises(RuntimeError, match="with statement"):
        Client(make_app()).get("/")
    with pytest.raises(RuntimeError, match="with statement"):
        asyncio.run(AsyncClient(make_app()).get("/"))


def test_an_answer_that_does_not_come_in_time(http2):
    app = make_app()
    app.add_route("/never", wait_for_ever)

    late = pytest.raises(TimeoutError, match=r"GET /never within 0\.01 s")
    with Client(app, http2=http2, timeout_s=0.01) as client, late:
        client.get("/never")


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


def test_the_application_goes_on_between_two_requests():
    app, worked = App(), threading.Event()
    tasks = []

    @app.post("/later")
    async def later() -> None:
        async def work() -> None:
            worked.set()

        tasks.append(asyncio.create_task(work()))

    with Client(app) as client:
        assert client.post("/later").status == 204
        assert worked.wait(10)


def test_the_date_comes_from_the_given_clock():
    with Client(make_app(), clock=JumpingClock(wall_s=0)) as client:
        assert client.get("/hello/you").headers["date"] == "Thu, 01 Jan 1970 00:00:00 GMT"


# ---- in a running loop ----------------------------------------------------------------


def test_requests_run_side_by_side(http2):
    app = App()
    both = asyncio.Barrier(2)

    @app.get("/meet")
    async def meet() -> int:
        return await both.wait()

    async def run() -> None:
        async with AsyncClient(app, http2=http2) as client:
            replies = await asyncio.gather(client.get("/meet"), client.get("/meet"))
        assert {reply.json() for reply in replies} == {0, 1}

    asyncio.run(run())


def test_a_request_that_is_cancelled_is_a_client_that_leaves(http2):
    async def run() -> None:
        app = App()
        entered, left = asyncio.Event(), asyncio.Event()

        @app.get("/wait")
        async def wait(request: Request) -> None:
            request.exchange.on_gone(left.set)
            entered.set()
            await asyncio.Event().wait()

        async with AsyncClient(app, http2=http2) as client:
            asking = asyncio.create_task(client.get("/wait"))
            await entered.wait()
            asking.cancel()
            await left.wait()
            assert (await client.get("/nowhere")).status == 404

    asyncio.run(asyncio.wait_for(run(), 10))


def test_clients_that_are_still_there_leave_at_the_end(http2):
    async def run() -> None:
        app = App()
        entered, left = asyncio.Event(), asyncio.Event()

        @app.get("/wait")
        async def wait(request: Request) -> None:
            request.exchange.on_gone(left.set)
            entered.set()
            await left.wait()

        async with AsyncClient(app, http2=http2) as client:
            asking = asyncio.create_task(client.get("/wait"))
            await entered.wait()
        assert left.is_set()
        with pytest.raises(IncompleteAnswer, match="nothing came"):
            await asking

    asyncio.run(asyncio.wait_for(run(), 10))
