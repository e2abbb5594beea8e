"""A client that has jobs done over HTTP, in the way of Tarry or in that of quick_server."""

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
from typing import Any

from benchmarks.jobs_figures import JOBS, JobsSample, figures
from benchmarks.processes import Server, ServerFailed, cpu_seconds

CONNECTIONS = 16
TIMEOUT_SECONDS = 20.0
POLL_SECONDS = 0.5
"""How long quick_server's own client waits before it asks for the first time."""

Add = Callable[[HTTPConnection, int, int], int]
"""Has two numbers added by a job."""


def posted(connection: HTTPConnection, document: Any) -> Any:
    """What is answered to a document."""
    headers = {"content-type": "application/json", "connection": "keep-alive"}
    connection.request("POST", "/add", json.dumps(document), headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise ServerFailed(f"wrong answer: status {answer.status}")
    return json.loads(body)


def add_by_post(connection: HTTPConnection, a: int, b: int) -> int:
    """In the way of Tarry: the answer is the result."""
    connection.request("POST", f"/add?a={a}&b={b}", headers={"content-length": "0"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise ServerFailed(f"wrong answer: status {answer.status}")
    return int(body)


def add_by_protocol(connection: HTTPConnection, a: int, b: int) -> int:
    """In the way of quick_server: begin, then ask until it is done."""
    told = posted(connection, {"action": "start", "payload": {"a": a, "b": b}})
    while not told["done"]:
        time.sleep(POLL_SECONDS)
        told = posted(connection, {"action": "get", "token": told["token"]})
    return int(json.loads(told["result"]))


def served_sample(server: Server, add: Add) -> JobsSample:
    """The figures of a server.

    Raises:
        ServerFailed: an answer was missing or wrong.
    """
    try:
        return asyncio.run(_sample(server, add))
    except (OSError, HTTPException) as error:
        raise ServerFailed(f"a job broke off: {error!r}") from error


async def _sample(server: Server, add: Add) -> JobsSample:
    def share(connection: HTTPConnection, first: int) -> None:
        for number in range(first, JOBS, CONNECTIONS):
            if add(connection, number, 1) != number + 1:
                raise ServerFailed("wrong sum")

    with ExitStack() as stack:
        connections = [connected(server, stack) for _ in range(CONNECTIONS)]
        for connection in connections:  # which also warms the server up
            add(connection, 0, 1)
        cpu_before, begin = cpu_seconds(server.pid), time.perf_counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(share, connections, range(CONNECTIONS)))
        elapsed_seconds = time.perf_counter() - begin
        used_cpu_seconds = cpu_seconds(server.pid) - cpu_before

        async def timed(number: int) -> float:
            begin = time.perf_counter()
            add(connections[0], number, 1)
            return time.perf_counter() - begin

        return await figures(timed, elapsed_seconds, used_cpu_seconds)


def connected(server: Server, stack: ExitStack) -> HTTPConnection:
    """A connection, one after the other: some servers have few places for those that come."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    stack.callback(connection.close)
    connection.connect()
    return connection
