"""No answer is lost: a server is killed while requests wait and others wake them."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import textwrap
from urllib.parse import urlsplit

import pytest

from tarry.client import Desk
from tarry.testing import SocketClient

WAITS = 500
WOKEN_BEFORE = 150
"""How many are woken for certain when the server is killed."""

WOKEN = 400
"""How many the waker wakes in all."""

SERVER = """
    import asyncio, sys
    from tarry import App

    app = App(store=sys.argv[1])

    @app.get("/{number}")
    async def park(number: int):
        wait = await app.park(int, durable=True, timeout="1h").shared()
        print(wait.token, wait.ticket, number, flush=True)
        return wait

    @app.post("/wake/{token}")
    async def wake(token: str, value: int):
        return await app.wake(token, value)

    with app.start(access_log=False) as server:
        print(server.url, flush=True)
        sys.stdin.read()
"""

WAKER = """
    import sys
    from tarry.client import Desk

    with Desk(sys.argv[1]) as desk:
        for line in sys.stdin:
            token, number = line.split()
            print(desk.wake(token, int(number)), flush=True)
"""


@contextlib.contextmanager
def process(code, *arguments):
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def parked(server):
    """Connections of clients that wait for their answers, and token, ticket and number of each."""
    url = urlsplit(server.stdout.readline().strip())
    with contextlib.ExitStack() as stack:
        for number in range(WAITS):
            client = stack.enter_context(socket.create_connection((url.hostname, url.port)))
            client.sendall(f"GET /{number} HTTP/1.1\r\nHost: tarry.test\r\n\r\n".encode())
        yield [server.stdout.readline().split() for _ in range(WAITS)]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """The store of a server that was killed among wakes; all its waits, and how many were woken."""
    address = f"sqlite:{tmp_path_factory.mktemp('crash') / 'state.db'}"
    with process(SERVER, address) as server, parked(server) as waits:
        with process(WAKER, address) as waker:
            waker.stdin.writelines(f"{token} {number}\n" for token, _, number in waits[:WOKEN])
            waker.stdin.flush()
            firsts = [waker.stdout.readline() for _ in range(WOKEN_BEFORE)]
            server.kill()
            waker.stdin.close()
            firsts += waker.stdout.readlines()
        server.wait()
    assert firsts == ["True\n"] * WOKEN  # the waker did not even notice
    return address, waits


def test_every_woken_ticket_has_its_value_after_the_crash(crashed):
    address, waits = crashed
    with Desk(address) as desk:
        values = [desk.wait(ticket, 0) for _, ticket, _ in waits[:WOKEN]]

    assert values == [int(number) for *_, number in waits[:WOKEN]]


def test_the_others_wait_on_and_a_new_server_wakes_them(crashed):
    address, waits = crashed
    with process(SERVER, address) as server, Desk(address) as desk:
        assert {desk.find(ticket).state for _, ticket, _ in waits[WOKEN:]} == {"waiting"}
        with SocketClient(server.stdout.readline().strip()) as client:
            for token, ticket, number in waits[WOKEN:]:
                assert json.loads(client.post(f"/wake/{token}?value={number}").body) is True
                assert desk.wait(ticket, 0) == int(number)
            for _, ticket, number in waits[:WOKEN]:
                assert json.loads(client.get(f"/-/t/{ticket}/result").body) == int(number)
            # What was woken before the crash stays so.
            for token, _, _ in waits[:3]:
                assert json.loads(client.post(f"/wake/{token}?value=0").body) is False
