"""Every way to set a header, and to lead a client elsewhere: nothing breaks out of its line.

What would is answered by a 500 without the header, and the connection lives on.
`test_responses.py` has the plain ways.
"""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tarry import (
    App,
    Events,
    Headers,
    HttpError,
    Redirect,
    Request,
    Response,
    SendFile,
    ServerEvent,
    Stream,
    WebSocket,
)
from tests.security.attacks import get
from tests.wire import Wire, ask

BREAKING = ["\r\nset-cookie: a=b", "\r", "\n", "\x0b", "\x1b[31m", "\x7f", "\r\n\r\n<html>", "é€"]
"""NUL is refused in the query already."""

BREAKING_NAMES = [*BREAKING, " ", ":", "(", ""]

SHAKE = (
    b"Upgrade: websocket",
    b"Connection: upgrade",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    b"Sec-WebSocket-Version: 13",
)


def pieces():
    yield "leaked"


def file_of(**options):
    return SendFile(__file__, **options)


def injected(request: Request, name: str, value: str):
    request.response.headers[name] = value
    return "leaked"


def injected_into_stream(request: Request, name: str, value: str):
    request.response.headers.add(name, value)
    return Stream(pieces())


def injected_into_file(request: Request, name: str, value: str):
    request.response.headers.add(name, value)
    return file_of()


def response(name: str, value: str):
    return Response("leaked", headers=[(name, value)])


def stream(name: str, value: str):
    return Stream(pieces(), headers={name: value})


async def async_stream(name: str, value: str):
    async def async_pieces():
        yield "leaked"

    return Stream(async_pieces(), headers={name: value})


def amended_stream(name: str, value: str):
    return Stream(pieces()).amended(201, [(name, value)])


def stream_in_tuple(name: str, value: str):
    return Headers({name: value}), Stream(pieces())


def generator_in_tuple(name: str, value: str):
    return Headers({name: value}), pieces()


def events(name: str, value: str):
    return Events(["leaked"], headers={name: value})


def send_file(name: str, value: str):
    return file_of(headers={name: value})


def amended_file(name: str, value: str):
    return file_of().amended(201, [(name, value)])


def file_in_tuple(name: str, value: str):
    return 201, Headers({name: value}), file_of()


def error(name: str, value: str):
    raise HttpError(418, "leaked", headers={name: value})


def told(name: str, value: str):
    raise LookupError(name, value)


def by_filter(name: str, value: str):
    return "leaked"


async def socket(socket: WebSocket):
    await socket.send("leaked")


FUNCTIONS = [
    injected, injected_into_stream, injected_into_file, response, stream, async_stream,
    amended_stream, stream_in_tuple, generator_in_tuple, events, send_file, amended_file,
    file_in_tuple, error, told,
]  # fmt: skip
FILTERED = ["inline", "thread", "async", "around", "replacing", "files", "streams", "socket"]


def add_filters(app):
    def change(request, answer):
        query = {name: values[0] for name, values in request.query.items()}
        answer.headers.add(query["name"], query["value"])

    @app.filter("/filtered/inline", inline=True)
    def inline(request):
        answer = yield
        change(request, answer)

    @app.filter("/filtered/thread")
    def thread(request):
        answer = yield
        change(request, answer)

    @app.filter("/filtered/async")
    async def from_async_generator(request):
        answer = yield
        change(request, answer)

    @app.filter("/filtered/around")
    async def around(request, next):
        answer = await next(request)
        change(request, answer)
        return answer

    @app.filter("/filtered/replacing")
    def replacing(request):
        yield
        [name], [value] = request.query["name"], request.query["value"]
        return Headers({name: value}), "leaked"

    @app.filter(regexp="/filtered/(files|streams|socket)", inline=True)
    def lasting(request):
        answer = yield
        change(request, answer)

    for name, function in {"files": file_of, "streams": lambda: Stream(pieces())}.items():
        app.get(f"/filtered/{name}")(function)
    for name in FILTERED[:5]:
        app.get(f"/filtered/{name}")(by_filter)
    app.websocket("/filtered/socket")(socket)


@pytest.fixture(scope="module")
def url():
    app = App()
    for function in FUNCTIONS:
        app.get(f"/{function.__name__}")(function)

    @app.error(LookupError)
    def tell(error):
        name, value = error.args
        return Headers({name: value}), "leaked"

    @app.get("/download")
    def download(name: str):
        return file_of(download=name)

    @app.get("/content-type")
    def content_type(value: str, kind: str):
        if kind == "file":
            return file_of(content_type=value)
        return Stream(pieces(), content_type=value)

    @app.get("/redirect")
    def redirect(to: str, external: bool = False):
        return Redirect(to, external=external)

    @app.get("/event")
    def event(data: str = "", event: str | None = None, id: str | None = None):
        return Events([ServerEvent(data, event=event, id=id)])

    app.get("/here", inline=True)(lambda: "here")
    add_filters(app)
    with app.start() as server:
        yield server.url


def asked(url, path, **query):
    """The answer; the connection lives on after it, if there was a whole one."""
    fields = SHAKE if path.endswith("socket") else ()
    with Wire(url) as wire:
        wire.send(get(f"{path}?{urlencode(query)}".encode(), *fields))
        reply = wire.read()
        if reply.status != 101:
            wire.send(get(b"/here"))
            assert wire.read().body == b"here"
        return reply


PATHS = [
    *(f"/{function.__name__}" for function in FUNCTIONS),
    *(f"/filtered/{name}" for name in FILTERED),
]


@pytest.mark.parametrize("path", PATHS)
def test_each_way_sets_a_header(url, path):
    reply = asked(url, path, name="x-injected", value="value")

    assert reply.get("x-injected") == "value"
    assert reply.status in (101, 200, 201, 418, 500)
    assert (reply.status == 500) == (path == "/told")


@pytest.mark.parametrize("path", PATHS)
def test_no_way_lets_a_header_break_out(url, path):
    for query in (
        *({"name": "x-injected", "value": f"a{bad}b"} for bad in BREAKING),
        *({"name": "x-injected", "value": bad} for bad in (" a", "a ", "\ta", "a\t")),
        *({"name": f"x-injected{bad}" if bad else "", "value": "a"} for bad in BREAKING_NAMES),
        {"name": "connection", "value": "upgrade"},
        {"name": "transfer-encoding", "value": "chunked"},
    ):
        reply = asked(url, path, **query)

        assert reply.status == 500, query
        assert b"leaked" not in reply.body
        for name in ("x-injected", "set-cookie", "", "transfer-encoding"):
            assert reply.get(name) is None


@pytest.mark.parametrize("kind", ["file", "stream"])
@pytest.mark.parametrize("bad", BREAKING)
def test_content_types(url, kind, bad):
    assert asked(url, "/content-type", kind=kind, value="a/b").get("content-type") == "a/b"

    reply = asked(url, "/content-type", kind=kind, value=f"a/b{bad}")
    assert reply.status == 500
    assert reply.get("set-cookie") is None


# ---- redirects -----------------------------------------------------------------------------

ELSEWHERE = [
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "\\/evil.example",
    "/\\/evil.example", "https://evil.example", "https:evil.example", "HTTPS:/evil.example", "evil",
    "javascript:alert(1)", "data:text/html,x", "?x", "#x", "", ".", "..//evil.example", "@evil",
    " //evil.example", "\t//evil.example", "/\t/evil.example", "/\n/evil.example",
    "/\r/evil.example", "/ /evil.example", "/a\\..\\..\\evil", "/\x0b/evil.example",
    "/\x7f/", "/x\r\nset-cookie: a=b",
]  # fmt: skip


@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_redirect_stays_here(url, target):
    reply = asked(url, "/redirect", to=target)

    assert reply.status == 500
    assert reply.get("location") is None
    assert reply.get("set-cookie") is None


@pytest.mark.parametrize(
    "target", ["/a\r\nb", "https://a/\r\nset-cookie: a=b", "https://a/\x1b", "a b"]
)
def test_a_redirect_elsewhere_cannot_break_out(url, target):
    assert asked(url, "/redirect", to=target, external="1").status == 500


def test_a_redirect_is_ascii(url):
    reply = asked(url, "/redirect", to="/é/\u2028//x?y=€#\xa0")

    assert reply.status == 302
    assert reply.get("location") == "/%C3%A9/%E2%80%A8//x?y=%E2%82%AC#%C2%A0"


# ---- downloads -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("a.txt", 'attachment; filename="a.txt"'),
        ('x"; filename=evil.exe', 'attachment; filename="x_; filename=evil.exe"'),
        ("a\r\nset-cookie: a=b", 'attachment; filename="a__set-cookie: a=b"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("..\\x.txt", 'attachment; filename="x.txt"'),
        ("a\x1b[2J\x7f", 'attachment; filename="a_[2J_"'),
        ("a%22b", 'attachment; filename="a_22b"'),
        ("/", 'attachment; filename="download"'),
    ],
)
def test_content_disposition_of_downloads(url, name, field):
    """RFC 6266: one name, whatever it is made of; `filename*` has it exactly, percent-encoded."""
    reply = asked(url, "/download", name=name)
    told = reply.get("content-disposition")

    assert reply.status == 200
    assert told.partition("; filename*=UTF-8''")[0] == field
    assert not set(told.partition("; filename*=")[2]) & set('"\\; \r\n')
    assert reply.get("set-cookie") is None


# ---- server-sent events --------------------------------------------------------------------


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("bad", ["\n", "\r", "\r\ndata: evil\r\n\r\n"])
def test_fields_of_an_event_cannot_make_another(url, field, bad):
    """Refused where the event is made, which is in the handler here: so it is a 500."""
    reply = asked(url, "/event", **{field: f"a{bad}b"})

    assert reply.status == 500
    assert b"evil" not in reply.body


@pytest.mark.parametrize("break_", ["\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", "\n\r"])
def test_data_of_an_event_is_data(url, break_):
    data = f"a{break_}event: evil{break_}id: evil{break_}data: evil"
    reply, _ = ask(url, get(f"/event?{urlencode({'data': data})}".encode()))
    lines = reply.body.decode().splitlines()

    assert reply.status == 200
    assert all(line.startswith("data:") or not line for line in lines)
    assert lines.count("") == 1
