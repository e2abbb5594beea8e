"""Pipelined requests over a real socket: answered in order, and held back within bounds."""

from __future__ import annotations

import asyncio
import random
import threading
import time

import pytest

from tarry import App, Request
from tests.wire import TIMEOUT_S, Wire

LARGE = b"x" * 100_000


class Gates:
    """Handlers wait here until the test lets them go, in whatever order it likes."""

    def __init__(self):
        self.opened = set()
        self.waiting = {}
        self.loop = None
        self.lock = threading.Lock()

    async def wait(self, number):
        with self.lock:
            if number in self.opened:
                return
            self.loop = asyncio.get_running_loop()
            self.waiting[number] = self.loop.create_future()
        await self.waiting[number]

    def open(self, number):
        with self.lock:
            self.opened.add(number)
            future = self.waiting.get(number)
        if future is not None:
            self.loop.call_soon_threadsafe(future.set_result, None)


class Counts:
    def __init__(self):
        self.handled = 0
        self.most_held = 0


@pytest.fixture
def served():
    """A server with handlers of all lanes; `gates` decides when they answer."""
    app = App()
    gates = Gates()
    counts = Counts()
    events = [threading.Event() for _ in range(100)]

    @app.get("/async/{n:int}")
    async def wait_on_the_loop(n: int):
        await gates.wait(n)
        return n

    @app.get("/thread/{n:int}")
    def wait_in_a_thread(n: int):
        events[n].wait()
        return n

    @app.get("/inline/{n:int}", inline=True)
    def answer_at_once(n: int):
        return n

    @app.post("/body/{n:int}")
    async def wait_with_body(n: int, request: Request):
        body = await request.body()
        await gates.wait(n)
        return f"{n} {len(body)}"

    @app.get("/large", inline=True)
    def large():
        counts.handled += 1
        return LARGE

    @app.get("/large-async")
    async def large_async():
        counts.handled += 1
        return LARGE

    def open_gate(n):
        events[n].set()
        gates.open(n)

    with app.start(access_log=False) as server:
        yield server, open_gate, counts
        for n in range(len(events)):
            open_gate(n)


def get(path):
    return b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode()


@pytest.mark.parametrize("seed", range(20))
def test_answers_keep_their_order_whatever_the_order_in_which_handlers_end(served, seed):
    server, open_gate, _ = served
    dice = random.Random(seed)
    kinds = [dice.choice(["async", "thread", "inline", "body"]) for _ in range(40)]
    data = b""
    for n, kind in enumerate(kinds):
        body = b"x" * dice.randrange(1, 2_000)
        if kind == "body":
            data += b"POST /body/%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (
                n, len(body), body,
            )  # fmt: skip
        else:
            data += get(f"/{kind}/{n}")
    order = list(range(40))
    dice.shuffle(order)
    with Wire(server.url) as wire:
        at = 0
        while at < len(data):
            size = dice.randrange(1, 3_000)
            wire.send(data[at : at + size])
            at += size
            if order:
                open_gate(order.pop())
        for n in order:
            open_gate(n)
        bodies = [wire.read().body for _ in kinds]

    assert [int(body.split()[0]) for body in bodies] == list(range(40))


def test_ten_thousand_requests_behind_one_that_waits(served):
    """What the server holds is bounded: reading pauses until the first one is answered."""
    server, open_gate, _ = served
    with Wire(server.url) as wire:
        writer = threading.Thread(target=wire.send, args=(many(10_000),))
        writer.start()
        connection = held_by(server)
        assert connection.engine.held_bytes <= 64 * 1024 + 256 * 1024
        open_gate(0)
        for n in range(10_000):
            assert wire.read().body == b"%d" % n
        writer.join()


def many(count):
    """One request that waits, then many with a field that makes them fill all buffers."""
    padding = b"X: " + b"y" * 1_000
    rest = (
        b"GET /inline/%d HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % (n, padding) for n in range(1, count)
    )
    return get("/async/0") + b"".join(rest)


def held_by(server):
    """The one connection, once the server has stopped to read from it."""
    connections = server._worker._service.connections
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        for connection in list(connections):
            if connection._reading_paused:
                return connection
    raise AssertionError("the server reads on and on")


@pytest.mark.parametrize("path", ["/large", "/large-async"])
def test_answers_that_nobody_reads_are_not_made(served, path):
    """Small requests for large answers: the server stops when the client does not read."""
    server, _, counts = served
    with Wire(server.url) as wire:
        wire.send(get(path) * 1_000)
        connection = held_by(server)
        unsent = connection._transport.get_write_buffer_size()
        assert unsent <= 10 * len(LARGE)
        assert counts.handled < 200

        for _ in range(1_000):
            assert wire.read().body == LARGE
    assert counts.handled == 1_000


@pytest.mark.parametrize("path", ["/large"])
def test_answers_that_nobody_reads_are_not_made_for_separate_segments_either(served, path):
    server, _, counts = served
    with Wire(server.url) as wire:
        for _ in range(1_000):
            wire.send(get(path))
        connection = held_by(server)
        assert connection._transport.get_write_buffer_size() <= 10 * len(LARGE)

        for _ in range(1_000):
            assert wire.read().body == LARGE
    assert counts.handled == 1_000
