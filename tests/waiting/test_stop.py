"""A stop hands parked clients over: tickets that the next server honours, and within seconds."""

from __future__ import annotations

import contextlib
import json
import resource
import selectors
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from tarry.client import Desk
from tarry.testing import SocketClient

PARKED = 10_000
SPARE_FILES = 500
STOP_S = 10
TIMEOUT_S = 30.0

SERVER = """
    import sys
    from tarry import App

    app = App(store=sys.argv[1])

    @app.get("/count", inline=True)
    def count():
        return str(len(app._waiting.parking.holds))

    def park(kind, number):
        return app.park(int, durable=True, key=f"{kind}:{number}")

    @app.get("/durable/{number}", inline=True)
    def durable(number: int):
        return park("durable", number)

    @app.get("/awaited/{number}")
    async def awaited(number: int):
        return {"awaited": await park("awaited", number)}

    @app.get("/yielded/{number}")
    def yielded(number: int):
        return {"yielded": (yield park("yielded", number))}

    @app.get("/default/{number}", inline=True)
    def default(number: int):
        return app.park(int, default=-1)

    @app.get("/plain/{number}", inline=True)
    def plain(number: int):
        return app.park(int)

    print("ready", flush=True)
    app.run(port=int(sys.argv[2]), access_log=False)
"""

KINDS = {"durable": 202, "awaited": 202, "yielded": 202, "default": 200, "plain": 503}
"""How a client is handed over that waits at a path."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield min(PARKED, hard - SPARE_FILES)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def serving(address, port):
    command = [sys.executable, "-c", textwrap.dedent(SERVER), address, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            server.stdout.readline()
            yield server
        finally:
            server.kill()


def connected(port):
    """A connection to a server that may have to begin to listen yet."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), TIMEOUT_S)


def receive_all(clients):
    """What each client gets until its connection ends."""
    received = {client: [] for client in clients}
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(TIMEOUT_S)
            assert ready, "some were neither answered nor left"
            for key, _ in ready:
                data = key.fileobj.recv(65536)
                received[key.fileobj].append(data)
                if not data:
                    selector.unregister(key.fileobj)
    return [b"".join(received[client]) for client in clients]


def wait_until_parked(port, count):
    with SocketClient(f"http://127.0.0.1:{port}") as client:
        while int(client.get("/count").text) < count:
            pass


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The answers to as many clients as may be, of each kind, when their server was told to end."""
    address = f"sqlite:{tmp_path_factory.mktemp('stop') / 'state.db'}"
    port = free_port()
    with many_files() as count, contextlib.ExitStack() as stack, serving(address, port) as server:
        asked = [(kind, number) for kind in KINDS for number in range(count // len(KINDS))]
        clients = []
        for kind, number in asked:
            client = stack.enter_context(connected(port))
            client.sendall(f"GET /{kind}/{number} HTTP/1.1\r\nHost: tarry.test\r\n\r\n".encode())
            clients.append(client)
        wait_until_parked(port, len(clients))
        server.send_signal(signal.SIGTERM)
        answers = receive_all(clients)
        status = server.wait(timeout=STOP_S)
    return address, port, status, list(zip(asked, answers, strict=True))


def test_all_clients_are_handed_over(stopped):
    *_, status, answers = stopped

    assert status == 0
    for (kind, _), answer in answers:
        assert answer.startswith(f"HTTP/1.1 {KINDS[kind]} ".encode()), (kind, answer)
        assert (b"\r\nretry-after: " in answer) == (KINDS[kind] != 200)
        if kind == "default":
            assert answer.endswith(b"\r\n\r\n-1")


ASKED = 100
"""Of how many tickets of each kind the next server is asked for the value."""


def test_the_tickets_work_at_the_next_server(stopped):
    address, port, _, answers = stopped
    tickets = [
        (kind, number, json.loads(answer.partition(b"\r\n\r\n")[2]))
        for (kind, number), answer in answers
        if KINDS[kind] == 202
    ]
    with serving(address, port), Desk(address) as desk:
        connected(port).close()
        kept = {each.ticket for each in desk.waits("waiting")}
        assert {ticket["ticket"] for _, _, ticket in tickets} <= kept

        with SocketClient(f"http://127.0.0.1:{port}") as client:
            for kind, number, ticket in tickets:
                if number < ASKED:
                    assert desk.wake(f"{kind}:{number}", number)
                    reply = client.get(ticket["links"]["result"])
                    assert (reply.status, reply.json()) == (200, number)
