"""What Homor promised, one test for each row of its acceptance table.

TLS is not here: it comes with the rest of the server.  How long something may
wait (`/hang/10/Hello`) is shown by who is answered before whom, not by clocks.
"""

from __future__ import annotations

import contextlib
import threading

import pytest

from tarry import App, Headers, Request, RouteError
from tests.seeds.lanes import (
    WaitingRoom,
    add_waiting_route,
    both_lanes,
    in_lane,
    message,
    reply_to,
    served,
)
from tests.wire import Wire

SUSPENDED = 44
"""Requests that wait at once; Homor had 30 workers and promised more than that."""


def in_thread(function, *arguments, **named):
    """Call a function in a thread that has nothing to do with the server."""
    thread = threading.Thread(target=function, args=arguments, kwargs=named)
    thread.start()
    thread.join()


# ── echo ──────────────────────────────────────────────────────────────────────────────────


def echo_app(lane):
    app = App()

    def echo(request: Request, headers: Headers, p1: str, p2: str, x: str, note: str = ""):
        return (
            f"method: {request.method}\nargs: x={x}\ndata: note={note}\n"
            f"request_headers: {headers['x-who']}\nurl_params: {p1} {p2}"
        )

    app.route("/test/{p1}/{p2}/aaa", methods="GET, POST")(in_lane(lane, echo))
    return app


@both_lanes
def test_echo_of_method_arguments_headers_and_url_parameters(lane):
    with served(echo_app(lane)) as url:
        reply = reply_to(url, "/test/one/two/aaa?x=1", "x-who: me")

    assert reply.status == 200
    assert reply.body.decode().splitlines() == [
        "method: GET", "args: x=1", "data: note=", "request_headers: me", "url_params: one two",
    ]  # fmt: skip


@both_lanes
def test_echo_of_data(lane):
    """Homor handed on what was sent; here texts arrive decoded."""
    with served(echo_app(lane)) as url:
        form = "content-type: application/x-www-form-urlencoded"
        reply = reply_to(
            url, "/test/o%20e/two/aaa?x=1", "x-who: me", form, method="POST", body=b"note=a+b%21"
        )

    assert reply.body.decode().splitlines() == [
        "method: POST", "args: x=1", "data: note=a b!", "request_headers: me",
        "url_params: o e two",
    ]  # fmt: skip


# ── suspend and resume ────────────────────────────────────────────────────────────────────


@both_lanes
def test_suspended_requests_are_answered_apart_and_other_urls_meanwhile(lane):
    """`/hang/10/Hello` and `/hang/15/World`, asked together: each has its own end."""
    room = WaitingRoom()
    app = App(max_threads=1)
    add_waiting_route(app, lane, "/hang/{name}", room)
    app.add_route("/", in_lane(lane, lambda: "home"))

    with served(app) as url, Wire(url) as hello, Wire(url) as world:
        for wire, name in [(world, "World"), (hello, "Hello")]:
            wire.send(message(f"/hang/{name}"))
            assert room.until_entered() == name
        in_thread(room.wake, "Hello, after 10", name="Hello")
        assert hello.read().body == b"Hello, after 10"
        assert reply_to(url, "/").body == b"home"
        in_thread(room.wake, "World, after 15", name="World")
        assert world.read().body == b"World, after 15"


@both_lanes
def test_more_suspended_requests_than_workers(lane):
    room = WaitingRoom()
    app = App(max_threads=4)
    add_waiting_route(app, lane, "/hang/{name}", room)
    app.add_route("/", in_lane(lane, lambda: "home"))

    with served(app) as url, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(url)) for _ in range(SUSPENDED)]
        for number, wire in enumerate(wires):
            wire.send(message(f"/hang/{number}"))
        assert {room.until_entered() for _ in wires} == {str(each) for each in range(SUSPENDED)}
        assert reply_to(url, "/").body == b"home"
        for number in reversed(range(SUSPENDED)):
            room.wake(f"answer {number}", name=str(number))

        assert [wire.read().body.decode() for wire in wires] == [
            f"answer {number}" for number in range(SUSPENDED)
        ]


@both_lanes
@pytest.mark.parametrize("waker", ["another request", "a thread"])
def test_cross_request_resume(lane, waker):
    """`put_resp` with text, headers and status; the phrase of a status is not for authors here.

    It says nothing to clients (RFC 9112 section 4), and HTTP/2 has none.
    """
    room = WaitingRoom()
    app = App()
    add_waiting_route(app, lane, "/test/{name}", room)

    def put_response(name: str):
        parts = {"body": "Hello, world!", "status": 203, "headers": {"Server": "Python"}}
        room.wake(parts, name=name)
        return "put"

    app.post("/put/{name}")(in_lane(lane, put_response))

    with served(app) as url, Wire(url) as waiting:
        waiting.send(message("/test/ZIM7KASD22SD"))
        assert room.until_entered() == "ZIM7KASD22SD"
        if waker == "a thread":
            in_thread(put_response, "ZIM7KASD22SD")
        else:
            assert reply_to(url, "/put/ZIM7KASD22SD", method="POST").body == b"put"
        reply = waiting.read()

    assert (reply.status, reply.body) == (203, b"Hello, world!")
    assert [value for name, value in reply.headers if name.lower() == "server"] == ["Python"]


@both_lanes
def test_a_connection_can_be_used_again_after_it_was_resumed(lane):
    """Homor closed it; a connection is kept here, also by who has waited on it."""
    room = WaitingRoom()
    app = App()
    add_waiting_route(app, lane, "/hang/{name}", room)

    with served(app) as url, Wire(url) as wire:
        for text in ("one", "two"):
            wire.send(message("/hang/x"))
            room.until_entered()
            room.wake(text)
            assert wire.read().body == text.encode()


# ── routes ────────────────────────────────────────────────────────────────────────────────


@both_lanes
def test_the_immediate_path(lane):
    """What is there already is the answer at once, on a route where others wait."""
    room = WaitingRoom()
    room.put("here already", name="ada")
    app = App()
    add_waiting_route(app, lane, "/next/{name}", room)

    with served(app) as url, Wire(url) as waiting:
        waiting.send(message("/next/bob"))
        assert room.until_entered() == "bob"
        assert reply_to(url, "/next/ada").body == b"here already"
        room.wake("for bob")
        assert waiting.read().body == b"for bob"


@both_lanes
def test_an_unregistered_url_gets_the_404_page_with_status_404(lane):
    """Homor forwarded to the route `/404` and left the status at 200."""
    app = App()
    app.add_route("/hang/{seconds}", in_lane(lane, lambda seconds: seconds))
    app.error(404)(in_lane(lane, lambda request: f"Just 404: {request.path}"))

    with served(app) as url:
        for path in ("/nothing", "/hang", "/hang/1/2", "/404"):
            reply = reply_to(url, path)
            assert (reply.status, reply.body.decode()) == (404, f"Just 404: {path}")


def test_an_unregistered_url_without_a_404_page():
    """Homor's worker died and the client got nothing."""
    with served(App()) as url, Wire(url) as wire:
        for _ in range(2):
            wire.send(message("/nothing"))
            assert wire.read().status == 404


def test_the_site_map_shows_segments_and_parameters():
    app = App()
    app.add_route("/a/{b}/c", lambda b: b)
    app.add_route("/a/{b}/d", lambda b: b, methods=["GET", "POST"])

    assert [line[:11].rstrip() for line in app.site_map().splitlines()] == [
        "/",
        "└─ a",
        "   └─ {b}",
        "      ├─ c",
        "      └─ d",
    ]


def test_a_conflict_at_registration_names_both_places():
    app = App()

    def first(p):
        return p

    def second(q):
        return q

    app.add_route("/a/{p}", first)
    with pytest.raises(RouteError) as caught:
        app.add_route("/a/{q}", second)

    for function in (first, second):
        line = function.__code__.co_firstlineno
        assert f"{function.__qualname__} ({__file__}:{line})" in str(caught.value)


@both_lanes
def test_what_overlaps_has_a_defined_precedence(lane):
    """Homor refused `/a/b/x` beside `/a/<p>/y`; here the static segment comes first."""
    app = App()
    app.add_route("/a/{p}/y", in_lane(lane, lambda p: f"parameter {p}"))
    app.add_route("/a/b/x", in_lane(lane, lambda: "static"))

    with served(app) as url:
        assert reply_to(url, "/a/b/x").body == b"static"
        assert reply_to(url, "/a/b/y").body == b"parameter b"
        assert reply_to(url, "/a/c/y").body == b"parameter c"
        assert reply_to(url, "/a/c/x").status == 404


@both_lanes
def test_functions_are_registered_without_a_decorator(lane):
    app = App()
    function = in_lane(lane, lambda: "served")

    assert app.get("/f")(function) is function
    app.add_route("/g", function)
    app.add_route("/h", function, methods=["PUT"])

    with served(app) as url:
        assert reply_to(url, "/f").body == b"served"
        assert reply_to(url, "/g").body == b"served"
        assert reply_to(url, "/h", method="PUT").body == b"served"
        assert reply_to(url, "/h").status == 405
