"""What is measured: one row per kind of work, with its request, its answer and its goal."""

from dataclasses import dataclass
from typing import Any, Literal

YARDSTICK = "canned"
"""The contender that costs are given as a multiple of."""

TEXT = "Hello, World!"
USER = {"id": 42, "verbose": True, "name": "Ada"}
ITEM = {"name": "lamp", "price": 9.5, "tags": ["desk", "brass"]}

Tool = Literal["wrk", "h2load", "idle"]


@dataclass(frozen=True)
class Row:
    """One line of work that every contender does in the same way.

    `goal` is the highest cost that Tarry may have, as a multiple of the canned
    reply measured in the same round; `None` where no goal is set.
    """

    name: str
    title: str
    path: str
    answer: Any
    """The expected body: a `str` for text, anything else is compared as JSON."""
    goal: float | None = None
    tool: Tool = "wrk"
    post: Any = None
    """The JSON document to POST; `None` means GET."""

    @property
    def unit(self) -> str:
        """The unit of this row's costs."""
        return "bytes/connection" if self.tool == "idle" else "CPU µs/request"


ROWS = (
    Row("text-inline", "GET / as text, function called on the loop", "/", TEXT, 1.7),
    Row("text-async", "GET /async as text, async def", "/async", TEXT, 2.3),
    Row("text-threads", "GET /threads as text, def in the thread pool", "/threads", TEXT, 3.2),
    Row(
        "typed-get-inline",
        "GET /users/42?verbose=1, typed, JSON, function called on the loop",
        "/users/42?verbose=1",
        USER,
        3.0,
    ),
    Row(
        "typed-get-async",
        "GET /async/users/42?verbose=1, typed, JSON, async def",
        "/async/users/42?verbose=1",
        USER,
        3.7,
    ),
    Row(
        "post-json",
        "POST /items, JSON checked against a type, JSON",
        "/items",
        {"id": 1, **ITEM},
        4.0,
        post=ITEM,
    ),
    Row("http2", "HTTP/2 GET / as text, 16 connections x 8 streams", "/", TEXT, 1.6, "h2load"),
    Row("idle-memory", "memory of an idle connection after one answer", "/", TEXT, tool="idle"),
)
