"""What is measured: one row per kind of work, with its request, its answer and its goal."""

from dataclasses import dataclass
from typing import Any, Literal

YARDSTICK = "canned"
"""The contender that costs are given as a multiple of."""

TEXT = "Hello, World!"
USER = {"id": 42, "verbose": True, "name": "Ada"}
ITEM = {"name": "lamp", "price": 9.5, "tags": ["desk", "brass"]}

Tool = Literal["wrk", "h2load", "idle", "upload", "parked"]
UNITS: dict[Tool, str] = {
    "idle": "bytes/connection",
    "upload": "CPU µs/MiB",
    "parked": "bytes/request",
}


@dataclass(frozen=True)
class Row:
    """One line of work that every contender does in the same way.

    `goal` is the highest cost that Tarry may have, as a multiple of the canned
    reply measured in the same round; `None` where no goal is set.  `beside` is
    another contender that Tarry is compared with in the same round, `most_beside`
    the highest multiple of its cost, or of its time for an upload.
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
    filters: Literal["", "inline", "async"] = ""
    """The kind of the three filters around the handler, if there are any."""
    plain_row: str = ""
    """The row without filters, for whoever is measured without them beside."""
    beside: str = ""
    most_beside: float | None = None
    most_memory_growth_mib: float | None = None
    """How far an upload may raise the resident memory of Tarry, at its peak."""
    is_form: bool = False
    most_cost: float | None = None
    """The highest cost that Tarry may have, in the unit of the row."""

    @property
    def unit(self) -> str:
        """The unit of this row's costs."""
        return UNITS.get(self.tool, "CPU µs/request")


UNFILTERED = "tarry-unfiltered"
"""Tarry without filters, measured in the same rounds as Tarry with them."""


def upload_row(name: str, title: str, path: str, *, is_form: bool = False) -> Row:
    """A row of an upload, with the goals that are the same for all of them."""
    return Row(
        name,
        title,
        path,
        None,
        tool="upload",
        beside="nginx",
        most_beside=2.0,
        most_memory_growth_mib=30.0,
        is_form=is_form,
    )


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
    Row(
        "typed-get-filters",
        "as typed-get-inline, with three inline filters",
        "/users/42?verbose=1",
        USER,
        4.5,
        filters="inline",
        plain_row="typed-get-inline",
        beside=UNFILTERED,
        most_beside=1.5,
    ),
    Row(
        "typed-get-filters-async",
        "as typed-get-inline, with three async filters",
        "/users/42?verbose=1",
        USER,
        filters="async",
        plain_row="typed-get-inline",
        beside=UNFILTERED,
    ),
    Row(
        "post-json-filters",
        "as post-json, with three inline filters",
        "/items",
        {"id": 1, **ITEM},
        6.0,
        post=ITEM,
        filters="inline",
        plain_row="post-json",
        beside=UNFILTERED,
        most_beside=1.5,
    ),
    Row("http2", "HTTP/2 GET / as text, 16 connections x 8 streams", "/", TEXT, 1.6, "h2load"),
    Row("idle-memory", "memory of an idle connection after one answer", "/", TEXT, tool="idle"),
    Row(
        "parked-returned",
        "memory of a request that waits, the wait returned",
        "/parked-returned",
        None,
        tool="parked",
        most_cost=3500.0,
    ),
    Row(
        "parked-yielded",
        "memory of a request that waits, the wait yielded",
        "/parked-yielded",
        None,
        tool="parked",
        most_cost=3500.0,
    ),
    Row(
        "parked-awaited",
        "memory of a request that waits, the wait awaited; wake one, wake 10 000 at once",
        "/parked-awaited",
        None,
        tool="parked",
        most_cost=5000.0,
    ),
    upload_row("upload-stream", "PUT to disk, async def with request.stream()", "/stream"),
    upload_row("upload-file", "PUT to disk, def with request.file", "/file"),
    upload_row("upload-form", "multipart form, def with Upload.save", "/form", is_form=True),
)
