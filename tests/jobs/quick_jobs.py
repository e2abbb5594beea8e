"""Jobs for quick_server's clients, some of which end when a test says so."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

from tarry import Body, Header, Html, HttpError, Response
from tarry.jobs.job import Job, JobCancelled

WAIT_S = 10.0
"""How long a test waits for a job before it fails."""


class Gate:
    """Holds jobs until a test lets them go; tells who has come and who was cancelled."""

    def __init__(self):
        self.close()

    def close(self):
        """Hold who comes from now on, and forget who came before."""
        self.begun = SimpleQueue()
        self.cancelled = SimpleQueue()
        self._opened = threading.Event()

    def open(self):
        """Let all go who are there, and who come."""
        self._opened.set()

    def wait(self, name, job):
        """Called by a job: return when it may go on."""
        self.begun.put(name)
        try:
            while not self._opened.wait(0.01):
                job.check()
        except JobCancelled:
            self.cancelled.put(name)
            raise


GATE = Gate()


def post(client, path, **message):
    """What is replied to a message."""
    return client.post(path, json=message)


def started(client, path, **payload):
    """The token of a job that was begun and does not end by itself."""
    told = post(client, path, action="start", payload=payload).json()
    assert (told["done"], told["result"], told["continue"]) == (False, None, True)
    return told["token"]


def started_while_time_stands(client, path, **payload):
    """As `started`, for a client with a clock that jumps, which jumps as far as is needed."""
    pending = client.begin("POST", path, json={"action": "start", "payload": payload})
    GATE.begun.get(timeout=WAIT_S)
    while not pending.done:
        client.advance(0.1)
    return pending.reply().json()["token"]


def finished(client, path, token):
    """The reply that has the result of a job; asked for until it is there."""
    while True:
        told = post(client, path, action="get", token=token).json()
        if told["done"]:
            return told
        assert told["continue"]


def held(job: Job, name: str = "held") -> dict[str, str]:
    GATE.wait(name, job)
    return {"name": name}


def add(a: int, b: int = 1) -> int:
    return a + b


def nothing() -> None:
    return None


def text() -> str:
    return 'a "text" – 1'


def page() -> Html:
    return Html("<p>hello")


def number() -> Response:
    return Response(b"[1]", headers={"content-type": "application/json; charset=utf-8"})


def echo(value: str) -> str:
    return value


def data() -> bytes:
    return b"\x00"


def file(job: Job) -> Path:
    path = job.folder / "result.txt"
    path.write_text("in a file")
    return path


def broken() -> None:
    raise ValueError("nobody shall see this")


def refused() -> None:
    raise HttpError(409, "there is one already")


def refused_late(job: Job) -> None:
    GATE.wait("refused_late", job)
    raise HttpError(418, "a teapot")


def absent() -> tuple[int, str]:
    return 404, "nothing of the kind"


@dataclass
class Point:
    x: int
    y: int = 0


def point(point: Point) -> list[int]:
    return [point.x, point.y]


def members(args: dict) -> list[str]:
    return sorted(args)


def body(value: Annotated[list[int], Body()]) -> int:
    return sum(value)


def raw(value: Annotated[bytes, Body()]) -> str:
    return value.decode()


def several(a: int, point: Point, options: dict, note: str | None, untyped) -> list:
    return [a, point.x, options, note, untyped]


def scaled(point: Point, factor: int) -> int:
    return point.x * factor


def at(number: int, kind: str = "none") -> list:
    return [number, kind]


def of(number: int, point: Point) -> list[int]:
    return [number, point.x]


def known(who: Annotated[str, Header("x-who")], a: int = 0) -> list:
    return [who, a]


@dataclass
class Tenant:
    """What a binder of the application makes."""

    name: str


def owned(tenant: Tenant, a: int) -> list:
    return [tenant.name, a]
