"""An application with durable waits of several types, a clock that jumps, and ways to ask it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

from tarry import App
from tarry.message.eventstream import EventStreamDecoder
from tarry.testing import JumpingClock

ASYNC = {"prefer": "respond-async"}
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
STREAM = {"accept": "text/event-stream"}


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Decision:
    ok: bool
    reason: str = ""
    amount: Decimal | None = None
    size: Literal["small", "large"] = "small"


@dataclass
class Nested:
    decision: Decision


KINDS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "list": list[int],
    "color": Color,
    "decision": Decision,
    "nested": Nested,
    "none": type(None),
    "any": object,
}


def shown(value: Decision, info):
    return {"shown": value.reason, "path": info.path}


def broken(value):
    raise RuntimeError("no answer can be made of this")


@dataclass
class Desk:
    """The application, its clock, and the newest wait."""

    clock: JumpingClock = field(default_factory=JumpingClock)
    waits: list[Any] = field(default_factory=list)

    def __post_init__(self):
        self.app = app = App(store="memory", base_url="https://example.org")
        app.clock = self.clock

        @app.get("/park/{kind}", inline=True)
        @app.post("/park/{kind}", inline=True)
        def park(kind: str, then: str = "", owner: str = ""):
            options = {"then": {"shown": shown, "broken": broken}[then]} if then else {}
            options |= {"owner": owner} if owner else {}
            wait = app.park(KINDS[kind], durable=True, timeout="8h", **options)
            self.waits.append(wait)
            return wait

    @property
    def wait(self):
        return self.waits[-1]

    @property
    def parking(self):
        return self.app._waiting.parking

    async def parked(self, client, kind="str", query="", **headers):
        """Park and take the ticket; its document."""
        reply = await client.post(f"/park/{kind}{query}", headers=ASYNC | headers)
        assert reply.status == 202
        return reply.json()

    async def waiting(self, count=1):
        """Until so many requests follow records."""
        while len(self.parking.holds) < count:
            await asyncio.sleep(0)

    async def quiet(self):
        """Until all that can go on without news has done so."""
        await self.waiting()
        for _ in range(50):
            await asyncio.sleep(0)

    def pass_time(self, seconds):
        self.clock.advance(seconds)
        self.parking.tick()


def path_of(url):
    return url.removeprefix("https://example.org")


def events_of(reply):
    return [
        (each.id, each.event, json.loads(each.data))
        for each in EventStreamDecoder().feed(reply.body)
    ]
