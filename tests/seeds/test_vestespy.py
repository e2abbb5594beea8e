"""What VestesPy promised, one test for each row of its acceptance table.

Its two loops, select and epoll, are asyncio's own and uvloop here; all rows hold with both.
"""

from __future__ import annotations

import json
import queue

import pytest

from tarry import App, HttpError, Request, Response, Stream, Upload
from tarry.message.heads import ResponseHead
from tests.seeds.lanes import both_lanes, in_lane, message, reply_to, served
from tests.server.serving import Serving
from tests.wire import TIMEOUT_S, Wire


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request):
    """The name of a loop."""
    return request.param


@pytest.fixture
def serve(loop):
    """`with serve(app) as url:`, with either loop."""
    return lambda app: served(app, loop=loop)


def echo_app(lane, heard=None):
    """Answers with the pieces of the body, as its listeners got them; `heard` hears of each."""
    app = App()
    heard = queue.SimpleQueue() if heard is None else heard

    def on_request(request: Request):
        chunks = []

        def on_data(chunk):
            chunks.append(chunk)
            heard.put(chunk)

        def on_end(response):
            heard.put("end")
            response.body = b"".join(chunks)

        request.on("data", in_lane(lane, on_data))
        request.on("end", in_lane(lane, on_end))

    app.on("request", in_lane(lane, on_request))
    app.route("/", methods="GET, POST")(in_lane(lane, empty_response))
    return app, heard


def empty_response(response: Response):
    """The response of the request, which listeners to the body fill."""
    return response


def everything(heard):
    return [heard.get_nowait() for _ in range(heard.qsize())]


# ── data and end ──────────────────────────────────────────────────────────────────────────


@both_lanes
def test_hello(serve, lane):
    app = App()

    def on_end(response):
        response.body = "TEST"

    app.on("request", in_lane(lane, lambda request: request.on("end", in_lane(lane, on_end))))
    app.get("/")(in_lane(lane, empty_response))

    with serve(app) as url:
        reply = reply_to(url, "/")
    assert (reply.status, reply.get("content-length"), reply.body) == (200, "4", b"TEST")


@both_lanes
@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_a_body_in_several_packets_is_data_then_one_end(serve, lane, framing):
    """Each packet is heard before the next is sent; VestesPy knew no chunked bodies."""
    app, heard = echo_app(lane)
    packets = [b"one", b"\r\n\r\n", b"\x00\xff" * 3]
    head = {
        "content-length": f"content-length: {sum(map(len, packets))}",
        "chunked": "transfer-encoding: chunked",
    }[framing]

    with serve(app) as url, Wire(url) as wire:
        wire.send(message("/", head, method="POST"))
        for packet in packets:
            chunk = b"%x\r\n%b\r\n" % (len(packet), packet)
            wire.send(packet if framing == "content-length" else chunk)
            assert heard.get(timeout=TIMEOUT_S) == packet
        if framing == "chunked":
            wire.send(b"0\r\n\r\n")
        reply = wire.read()
        wire.send(message("/"))
        after = wire.read()

    assert reply.body == b"".join(packets)
    assert everything(heard) == ["end", "end"]
    assert after.body == b""


@both_lanes
@pytest.mark.parametrize("size", [1, 65_536, 300_000])
def test_chunks_concatenated_are_the_body(serve, lane, size):
    app, heard = echo_app(lane)
    body = (bytes(range(256)) * (size // 256 + 1))[:size]

    with serve(app) as url:
        reply = reply_to(url, "/", method="POST", body=body)

    assert reply.body == body
    *chunks, end = everything(heard)
    assert (b"".join(chunks), end) == (body, "end")


@both_lanes
def test_a_get_without_a_body_has_an_end(serve, lane):
    """VestesPy told `data` once with nothing before; here there is none."""
    app, heard = echo_app(lane)

    with serve(app) as url:
        assert reply_to(url, "/").body == b""
    assert everything(heard) == ["end"]


# ── routes ────────────────────────────────────────────────────────────────────────────────


@both_lanes
def test_a_dispatcher_with_a_parameter(serve, lane):
    """`/test/:id` is `/test/{id}` here, and takes any text of a segment."""
    app = App()
    app.get("/test/{id}", name="test")(in_lane(lane, lambda id: f"ID: {id}"))

    with serve(app) as url:
        assert reply_to(url, "/test/Ab1").body == b"ID: Ab1"
        assert reply_to(url, "/test/a-b%20c").body == b"ID: a-b c"
        assert reply_to(url, "/test/").status == 404
        assert reply_to(url, app.url_for("test", id="Ab1")).body == b"ID: Ab1"


@both_lanes
def test_a_regexp_route(serve, lane):
    app = App()
    app.get(regexp=r"/test/(?P<id>[0-9A-Za-z]+)")(in_lane(lane, lambda id: f"ID: {id}"))

    with serve(app) as url:
        assert reply_to(url, "/test/Ab1").body == b"ID: Ab1"
        assert reply_to(url, "/test/a-b").status == 404


def test_the_404_page(serve):
    with serve(App()) as url:
        page = reply_to(url, "/nothing", "accept: text/html")
        problem = reply_to(url, "/nothing")

    assert page.status == problem.status == 404
    assert page.body.startswith(b"<!doctype html>")
    assert b"Not Found" in page.body
    assert json.loads(problem.body)["title"] == "Not Found"


# ── answers ───────────────────────────────────────────────────────────────────────────────


def raw_body(url, path="/"):
    """Head and body of an answer as they stand on the wire."""
    with Wire(url) as wire:
        wire.send(message(path, "connection: close"))
        head, _, body = wire.rest().partition(b"\r\n\r\n")
    return head.lower().split(b"\r\n"), body


@both_lanes
@pytest.mark.parametrize("pieces", [["a", b"bc"], ["", "a", b"", b"bc", ""]])
def test_chunked_bytes_on_the_wire(serve, lane, pieces):
    """An empty piece ended VestesPy's answer; here it is left out."""
    app = App()
    app.add_route("/", in_lane(lane, lambda: Stream(iter(pieces))))

    with serve(app) as url:
        head, body = raw_body(url)
    assert b"transfer-encoding: chunked" in head
    assert body == b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"


@both_lanes
def test_a_stream_of_known_length(serve, lane):
    app = App()
    app.add_route("/", in_lane(lane, lambda: Stream(["abcde", b"fg"], length=7)))

    with serve(app) as url:
        head, body = raw_body(url)
    assert b"content-length: 7" in head
    assert body == b"abcdefg"


@both_lanes
@pytest.mark.parametrize("pieces", [["abcdef", "gh"], ["abc", b"def"]], ids=["over", "under"])
def test_a_stream_of_another_length_is_broken_off(serve, lane, pieces, caplog):
    """VestesPy cut what was too much; here the client sees that the answer is no good."""
    app = App()
    app.add_route("/", in_lane(lane, lambda: Stream(pieces, length=7)))

    with serve(app) as url:
        head, body = raw_body(url)
    assert b"content-length: 7" in head
    assert body == b"abcdef"
    assert "LengthError" in caplog.text


@both_lanes
def test_a_handler_cannot_answer_twice(serve, lane, caplog):
    """An answer is what is returned, so that there is one; a tuple with two bodies is none."""
    app = App()
    app.add_route("/", in_lane(lane, lambda: ("one", "two")))
    app.add_route("/next", in_lane(lane, lambda: "next"))

    with serve(app) as url, Wire(url) as wire:
        wire.send(message("/"))
        assert wire.read().status == 500
        wire.send(message("/next"))
        assert wire.read().body == b"next"
    assert "a tuple with 2 bodies; one is possible" in caplog.text


def test_a_second_answer_to_an_exchange_raises(loop):
    """At the seam between server and application, where an answer is a call."""
    head = ResponseHead(200, [(b"content-type", b"text/plain")])
    raised = []

    def twice(exchange):
        exchange.respond(head, b"one")
        for again in (lambda: exchange.respond(head, b"two"), lambda: exchange.start(head)):
            try:
                again()
            except RuntimeError as error:
                raised.append(str(error))

    with Serving(twice, loop=loop) as server, Wire(server.url) as wire:
        for _ in range(2):
            wire.send(message("/"))
            assert wire.read().body == b"one"
    assert raised == ["this request has been answered already"] * 4


# ── errors ────────────────────────────────────────────────────────────────────────────────


def failing_app(lane):
    app = App()

    def forbidden():
        raise HttpError(403, "no")

    def bug():
        raise KeyError("a secret")

    app.add_route("/forbidden", in_lane(lane, forbidden))
    app.add_route("/bug", in_lane(lane, bug))
    app.add_route("/", in_lane(lane, lambda: "still there"))
    return app


@both_lanes
def test_an_http_error_is_the_answer(serve, lane):
    """As a problem document that says `no`; VestesPy closed the connection."""
    with serve(failing_app(lane)) as url:
        reply = reply_to(url, "/forbidden")
    assert reply.status == 403
    assert json.loads(reply.body)["detail"] == "no"


@both_lanes
def test_an_exception_is_a_500_that_tells_nothing(serve, lane, caplog):
    with serve(failing_app(lane)) as url, Wire(url) as wire:
        wire.send(message("/bug"))
        reply = wire.read()
        wire.send(message("/"))
        assert wire.read().body == b"still there"

    assert reply.status == 500
    assert b"secret" not in reply.body
    assert "a secret" in caplog.text


@both_lanes
def test_an_unknown_method_has_a_reply(serve, lane):
    """405 where there is something, 404 where there is nothing; VestesPy: 400 and no body."""
    with serve(failing_app(lane)) as url:
        reply = reply_to(url, "/", method="FOO")
        missing = reply_to(url, "/nothing", method="FOO")

    assert (reply.status, reply.get("allow")) == (405, "GET, HEAD, OPTIONS")
    assert json.loads(reply.body)["title"] == "Method Not Allowed"
    assert missing.status == 404


# ── the event emitter ─────────────────────────────────────────────────────────────────────


@both_lanes
@pytest.mark.parametrize("name", ["request", "data", "end"])
def test_stop_keeps_an_event_from_later_handlers(serve, lane, name):
    called = []

    def first(event):
        called.append((event.name, "first"))
        event.stop()

    with serve(listening_app(lane, name, first, lambda: called.append("second"))) as url:
        assert reply_to(url, "/", method="POST", body=b"x").body == b"answered"
    assert called == [(name, "first")]


@both_lanes
@pytest.mark.parametrize("name", ["request", "data", "end"])
def test_a_handler_that_raises_is_reported_and_the_next_runs(serve, lane, name, caplog):
    called = []

    def first():
        raise LookupError("a mistake")

    with serve(listening_app(lane, name, first, lambda: called.append("second"))) as url:
        assert reply_to(url, "/", method="POST", body=b"x").body == b"answered"

    assert called == ["second"]
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert f"the event '{name}'" in record.getMessage()
    assert record.exc_info[1].args == ("a mistake",)


@both_lanes
def test_handlers_of_one_event_hand_on_data(serve, lane):
    called = []

    def first(event, request):
        event.set("path", request.path)

    def second(event):
        called.append((event.get("path"), event.get("other", "nothing")))

    with serve(listening_app(lane, "end", first, second)) as url:
        reply_to(url, "/", method="POST", body=b"x")
    assert called == [("/", "nothing")]


def listening_app(lane, name, *functions):
    """An application or its requests have these handlers for an event."""
    app = App()
    functions = [in_lane(lane, function) for function in functions]

    def register(request: Request):
        for function in functions:
            request.on(name, function)

    if name == "request":
        for function in functions:
            app.on(name, function)
    else:
        app.on("request", in_lane(lane, register))
    app.post("/")(in_lane(lane, lambda: "answered"))
    return app


@both_lanes
def test_off(serve, lane):
    called, heard = [], queue.SimpleQueue()
    app = App()

    def once(chunk, request):
        request.off("data", once_in_lane)
        heard.put(chunk)

    once_in_lane = in_lane(lane, once)

    def register(request: Request):
        request.on("data", once_in_lane)
        request.on("end", in_lane(lane, lambda: called.append("end")))
        return "answered"

    app.on("request", in_lane(lane, lambda: called.append("kept")))
    gone = app.on("request", in_lane(lane, lambda: called.append("gone")))
    app.off("request", gone)
    app.post("/")(in_lane(lane, register))

    with serve(app) as url, Wire(url) as wire:
        wire.send(message("/", "content-length: 2", method="POST") + b"a")
        assert heard.get(timeout=TIMEOUT_S) == b"a"
        wire.send(b"b")
        assert wire.read().body == b"answered"
    assert called == ["kept", "end"]
    assert everything(heard) == []


# ── uploads ───────────────────────────────────────────────────────────────────────────────

MULTIPART = (
    b'--xx\r\ncontent-disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--xx\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    + bytes(range(256)) * 400
    + b"\r\n--xx--\r\n"
)


@both_lanes
def test_a_multipart_upload_streams(serve, lane):
    """Its bytes are heard as they come, and the form is there in the end."""
    heard = queue.SimpleQueue()
    app = App()

    def on_request(request: Request):
        request.on("data", in_lane(lane, lambda chunk: heard.put(chunk)))
        request.on("end", in_lane(lane, lambda: heard.put("end")))

    def upload(note: str, file: Upload):
        content = file.read()
        return {"note": note, "name": file.filename, "right": content == bytes(range(256)) * 400}

    app.on("request", in_lane(lane, on_request))
    app.post("/")(in_lane(lane, upload))
    head = [f"content-length: {len(MULTIPART)}", "content-type: multipart/form-data; boundary=xx"]

    with serve(app) as url, Wire(url) as wire:
        wire.send(message("/", *head, method="POST") + MULTIPART[:100])
        first = heard.get(timeout=TIMEOUT_S)
        wire.send(MULTIPART[100:])
        reply = wire.read()

    *rest, end = everything(heard)
    assert (first + b"".join(rest), end) == (MULTIPART, "end")
    assert json.loads(reply.body) == {"note": "hello", "name": "a.bin", "right": True}
