"""One handler answers the same over HTTP/1.1 and over HTTP/2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import msgspec
import pytest

from tarry import App, Headers, Html, HttpError, Redirect, Request, Response, Stream
from tests.both.clients import H2Client, ask_http1, ask_http2


class Point(msgspec.Struct):
    x: int
    y: int


@dataclass
class Pair:
    left: str
    right: date


def with_cookie():
    response = Response("text", 201, {"x-a": "1"})
    response.set_cookie("name", "value")
    response.headers.add("x-a", "2")
    return response


def numbers():
    yield "one"
    yield b" two"


async def letters():
    yield "a"
    yield "b" * 200_000


def fail(error):
    def handler():
        raise error

    return handler


async def echo(request: Request):
    return await request.body()


async def size_of(request: Request):
    return sum([len(piece) async for piece in request.stream()])


def sum_of(point: Point) -> int:
    return point.x + point.y


RESULTS = {
    "text": "text",
    "empty text": "",
    "unicode": "grüß",
    "html": Html("<p>hi"),
    "dict": {"a": [1, None, "x"]},
    "list": [1, 2],
    "number": 42,
    "float": 1.5,
    "true": True,
    "decimal": Decimal("1.50"),
    "date": date(2026, 11, 20),
    "struct": Point(1, 2),
    "dataclass": Pair("a", date(2026, 11, 20)),
    "bytes": b"\x00\xff",
    "large": b"x" * 1_000_000,
    "bytearray": bytearray(b"ab"),
    "nothing": None,
    "status and body": (201, {"a": 1}),
    "body, headers, status": ("text", Headers({"x-a": "b"}), 202),
    "headers alone": (Headers({"x-a": "b"}),),
    "status alone": (404,),
    "response": Response("text", 203, {"content-type": "text/css"}),
    "no content": Response(None, 204),
    "not modified": Response(None, 304, {"etag": '"a"'}),
    "not modified with a body": Response("ignored", 304),
    "redirect": Redirect("/there", 308),
    "length given": Response("abc", headers={"content-length": "3"}),
    "wrong length": Response("abc", headers={"content-length": "4"}),
    "forbidden header": Response("abc", headers={"connection": "close"}),
    "bad header": Response("abc", headers={"x": "a\r\nb"}),
    "no JSON": object(),
}

MADE = {
    "cookie": with_cookie,
    "stream": lambda: Stream(["a", b"b", "c"]),
    "stream of nothing": lambda: Stream([]),
    "stream with length": lambda: Stream(["abc"], length=3, headers={"x-a": "b"}),
    "stream with status": lambda: Stream(["abc"], status=202, content_type="text/csv"),
    "stream without a body": lambda: Stream(["abc"], status=204),
    "generator": numbers,
    "async generator": letters,
    "http error": fail(HttpError(409, "taken", headers=[(b"x-a", b"b")], extra={"by": "me"})),
    "bug": fail(ZeroDivisionError("secret")),
    "short stream": lambda: Stream(["abc"], length=4),
    "long stream": lambda: Stream(["abc"], length=2),
    "stream that fails": lambda: Stream(failing()),
    "stream of what is none": lambda: Stream(["a", 1]),
}
BROKEN_OFF = {"short stream", "long stream", "stream that fails", "stream of what is none"}


def failing():
    yield "a"
    raise ZeroDivisionError


def name_of(kind):
    return "/" + kind.replace(" ", "-").replace(",", "")


def handlers_of(make):
    """The handler in each lane."""

    async def asynchronous():
        return make()

    return {"inline": (make, True), "thread": (make, False), "async": (asynchronous, False)}


LANES = ("inline", "thread", "async")


@pytest.fixture(scope="module")
def url():
    app = App()
    made = {kind: (lambda result=result: result) for kind, result in RESULTS.items()} | MADE
    for kind, make in made.items():
        for lane, (function, inline) in handlers_of(make).items():
            # Without the default argument, which would be a query parameter.
            app.add_route(
                f"/{lane}{name_of(kind)}", without_arguments(function), inline=inline
            ) if lane != "async" else app.add_route(f"/async{name_of(kind)}", function)
    app.add_route("/echo", echo, methods=["POST", "PUT"])
    app.add_route("/size", size_of, methods=["POST"])
    app.add_route("/sum", sum_of, methods=["POST"])
    app.add_route("/number/{n:int}", lambda n: n)

    @app.error(418)
    def teapot(status: int):
        return {"short and stout": status}

    app.add_route("/teapot", fail(HttpError(418)))
    with app.start() as server:
        yield server.url


def without_arguments(function):
    def handler():
        return function()

    return handler


def same(url, *args, **kwargs):
    """Ask both ways: the answer, checked to be the same but for the date and the framing."""
    answers = [ask(url, *args, **kwargs) for ask in (ask_http1, ask_http2)]
    one, two = answers
    for answer in answers:
        if answer.complete:
            assert answer.get("date") is not None
        framing = {"date", "transfer-encoding", "connection"}
        answer.headers = [field for field in answer.headers if field[0] not in framing]
    assert one.complete == two.complete
    if one.complete:
        assert one.status == two.status
        assert sorted(one.headers) == sorted(two.headers)
        assert one.body == two.body
    return two


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", [*RESULTS, *MADE])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_results(url, method, kind, lane):
    answer = same(url, method, f"/{lane}{name_of(kind)}")

    if kind in BROKEN_OFF and method == "GET":
        assert not answer.complete
        return
    # A piece that is none, or too much of it, HEAD never comes to know of.
    assert answer.complete or kind in BROKEN_OFF
    if method == "HEAD":
        assert answer.body == b""
    elif kind in RESULTS and isinstance(RESULTS[kind], str):
        assert answer.body == RESULTS[kind].encode()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/missing", 404),
        ("HEAD", "/missing", 404),
        ("POST", "/missing", 404),
        ("GET", "/echo", 405),
        ("DELETE", "/echo", 405),
        ("BREW", "/echo", 405),
        ("OPTIONS", "/echo", 204),
        ("GET", "/%zz", 400),
        ("GET", "/number/7", 200),
        ("GET", "/number/x", 404),
        ("GET", "/teapot", 418),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json"])
def test_routing_and_errors(url, method, path, status, accept):
    answer = same(url, method, path, [("accept", accept)])

    assert answer.complete
    assert answer.status == status


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 300_000])
def test_bodies(url, size):
    body = bytes(range(256)) * (size // 256 + 1)

    assert same(url, "POST", "/echo", body=body[:size]).body == body[:size]
    assert same(url, "POST", "/size", body=body[:size]).body == b"%d" % size


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"x":1,"y":2}', 200), (b'{"x":1}', 400), (b"{", 400), (b"", 400), (b"\xff", 400)],
)
def test_typed_bodies(url, body, status):
    fields = [("content-type", "application/json")]

    assert same(url, "POST", "/sum", fields, body).status == status


def test_a_body_over_the_limit(url):
    """Refused by its head alone, before any of it is sent."""
    one = ask_http1(url, "POST", "/echo", [("content-length", "16777217")])
    with H2Client(url) as client:
        fields = client.head("POST", "/echo", ("content-length", "16777217"))
        two = client.answer(client.open(fields, end=False))

    assert one.status == two.status == 413
    assert one.body == two.body


def test_a_target_over_the_limit(url):
    assert same(url, "GET", "/" + "a" * 8_192).status == 414


def test_an_unknown_expectation(url):
    assert same(url, "POST", "/echo", [("expect", "x")], b"hello").status == 417
