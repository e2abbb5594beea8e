"""What Snow promised, one test for each row of its acceptance table.

Order is shown by who is answered before whom, and how long a request may wait
by a clock that jumps.
"""

from __future__ import annotations

import queue
import select
import socket
import threading
from typing import Annotated

import pytest

from tarry import App, Body, Groups, Stream
from tarry.testing import JumpingClock
from tests.seeds.lanes import (
    WaitingRoom,
    add_waiting_route,
    both_lanes,
    in_lane,
    message,
    reply_to,
    served,
)
from tests.wire import TIMEOUT_S, Wire


def add_regexps(app, lane, *routes):
    """Register handlers for regular expressions, in this order."""
    for regexp, function in routes:
        app.get(regexp=regexp)(in_lane(lane, function))


# ── routes are regular expressions ────────────────────────────────────────────────────────


@both_lanes
def test_index_is_ok(lane):
    app = App()
    add_regexps(app, lane, (r"/index/", lambda: "OK"))

    with served(app) as url:
        assert reply_to(url, "/index/").body == b"OK"


@both_lanes
def test_the_first_matching_regexp_wins(lane):
    app = App()
    add_regexps(
        app,
        lane,
        (r"/user/[0-9]+", lambda: "digits"),
        (r"/user/(\w+)", lambda: "word"),
        (r"/.*", lambda: "anything"),
        (r"/user/never", lambda: "never"),
    )

    with served(app) as url:
        for path, text in [
            ("/user/12", b"digits"), ("/user/ada", b"word"), ("/user/never", b"word"),
            ("/user/a-b", b"anything"), ("/", b"anything"),
        ]:  # fmt: skip
            assert reply_to(url, path).body == text, path


@both_lanes
def test_a_regexp_is_for_the_whole_path_and_not_for_the_query(lane):
    """Snow matched the beginning of path and query together: `/index/` took `/index/more`."""
    app = App()
    add_regexps(app, lane, (r"/index/", lambda page="none": f"page {page}"))

    with served(app) as url:
        assert reply_to(url, "/index/?page=2").body == b"page 2"
        assert reply_to(url, "/index/more").status == 404
        assert reply_to(url, "/?/index/").status == 404


@both_lanes
def test_groups_of_a_regexp_are_arguments(lane):
    app = App()

    def numbered(groups: Groups, name: str):
        return f"{name} of {'+'.join(groups)}"

    add_regexps(app, lane, (r"/([a-z]+)/(?P<name>.+)", numbered))
    with served(app) as url:
        assert reply_to(url, "/files/a%20b/c").body == b"a b/c of files+a b/c"


@both_lanes
def test_unmatched_is_404_not_found(lane):
    """With its status; Snow sent nothing but the text."""
    app = App()
    add_regexps(app, lane, (r"/index/", lambda: "OK"))
    app.error(404)(in_lane(lane, lambda: "404 Not Found"))

    with served(app) as url:
        reply = reply_to(url, "/nothing")
    assert (reply.status, reply.body) == (404, b"404 Not Found")


# ── who waits holds up nobody ─────────────────────────────────────────────────────────────


@both_lanes
def test_home_is_answered_while_async_hangs(lane):
    room = WaitingRoom()
    app = App(max_threads=1)
    add_waiting_route(app, lane, "/async/{name}", room)
    add_regexps(app, lane, (r"/home/", lambda: "home"))

    with served(app) as url, Wire(url) as hanging:
        hanging.send(message("/async/x"))
        room.until_entered()
        assert reply_to(url, "/home/").body == b"home"
        room.wake("at last")
        assert hanging.read().body == b"at last"


@both_lanes
@pytest.mark.parametrize("waiting", [1, 3])
def test_stop_releases_req_first_come_first_served(lane, waiting):
    room = WaitingRoom()
    app = App(max_threads=1)
    add_waiting_route(app, lane, "/req/{name}", room)

    def stop(value: str):
        room.wake(value)
        return "stop"

    app.get("/stop/{value}")(in_lane(lane, stop))

    with served(app) as url:
        wires = [Wire(url) for _ in range(waiting)]
        for number, wire in enumerate(wires):
            wire.send(message(f"/req/{number}"))
            assert room.until_entered() == str(number)
        for number, wire in enumerate(wires):
            assert reply_to(url, f"/stop/done-{number}").body == b"stop"
            with wire:
                assert wire.read().body == f"done-{number}".encode()


@both_lanes
def test_async_ends_when_its_time_is_over(lane):
    """`TimeoutFuture(5)`: not after four seconds, when that of three has ended, but after five."""
    app = App()
    app.clock = clock = JumpingClock()
    entered = queue.SimpleQueue()

    def returned(seconds: int):
        entered.put(seconds)
        return app.park(str, timeout=seconds, default="time-out")

    async def awaited(seconds: int):
        return await returned(seconds)

    app.add_route("/async/{seconds}", awaited if lane == "async def" else returned)
    app.add_route("/home/", in_lane(lane, lambda: "home"))
    with served(app) as url, Wire(url) as longer, Wire(url) as shorter:
        longer.send(message("/async/5"))
        shorter.send(message("/async/3"))
        assert {entered.get(timeout=TIMEOUT_S) for _ in range(2)} == {3, 5}
        assert reply_to(url, "/home/").body == b"home"  # so both have come to wait
        clock.advance(4)
        assert shorter.read().body == b"time-out"
        assert reply_to(url, "/home/").body == b"home"
        assert not select.select([longer.socket], [], [], 0)[0]
        clock.advance(2)
        assert longer.read().body == b"time-out"


# ── one client's slowness is its own ──────────────────────────────────────────────────────


@both_lanes
@pytest.mark.parametrize("sent", ["half a head", "half a body"])
def test_a_client_that_sends_slowly_stops_nobody(lane, sent):
    app = App(max_threads=1)
    app.add_route("/body", in_lane(lane, whole_body), methods="POST")
    app.add_route("/home/", in_lane(lane, lambda: "home"))
    whole = message("/body", method="POST", body=b"slowly")
    half = whole.index(b"host") if sent == "half a head" else len(whole) - 3

    with served(app) as url, Wire(url) as slow:
        slow.send(whole[:half])
        for _ in range(3):
            assert reply_to(url, "/home/").body == b"home"
        slow.send(whole[half:])
        assert slow.read().body == b"slowly"


def whole_body(raw: Annotated[bytes, Body()]):
    return raw


PIECE = bytes(65536)
PIECES = 512
"""32 MiB in all, more than the buffers of a connection take."""


@both_lanes
def test_a_client_that_reads_slowly_stops_nobody(lane):
    app = App(max_threads=1)
    begun, made = threading.Event(), []

    def pieces():
        for _ in range(PIECES):
            made.append(1)
            begun.set()
            yield PIECE

    app.add_route("/large", in_lane(lane, lambda: Stream(pieces(), length=len(PIECE) * PIECES)))
    app.add_route("/home/", in_lane(lane, lambda: "home"))

    with served(app) as url, Wire(url) as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.send(message("/large", "connection: close"))
        assert begun.wait(TIMEOUT_S)
        for _ in range(3):
            assert reply_to(url, "/home/").body == b"home"
        assert len(made) < PIECES
        head = slow.socket.recv(65536)
        size = len(head.partition(b"\r\n\r\n")[2])
        while data := slow.socket.recv(1024 * 1024):
            size += len(data)

    assert size == len(PIECE) * PIECES
    assert len(made) == PIECES
