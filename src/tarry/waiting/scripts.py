"""The browser's side of waiting: its script in three forms, served below the internal prefix."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tarry.app.dispatch import Dispatcher
from tarry.app.request import Request
from tarry.app.responses import Response
from tarry.app.route_options import Registration, RouteOptions
from tarry.message.conditional import evaluate

FOLDER: Final = Path(__file__).with_name("browser")
MODULE: Final = "tarry.js"
CLASSIC: Final = "tarry.classic.js"
TYPES: Final = "tarry.d.ts"

_TYPE_OF: Final = {
    MODULE: "text/javascript; charset=utf-8",
    CLASSIC: "text/javascript; charset=utf-8",
    TYPES: "text/plain; charset=utf-8",  # nobody has registered one for TypeScript
}


def script(name: str) -> bytes:
    """The source of one form.

    The classic script is the module within a function that returns, as
    `tarry`, what the module exports; the module has one `export`, at its end.
    """
    if name != CLASSIC:
        return FOLDER.joinpath(name).read_bytes()
    module = script(MODULE).replace(b"\nexport {", b"\nreturn {")
    return b'var tarry = (() => {\n"use strict"\n' + module + b"})()\n"


@functools.cache
def _answer(name: str) -> tuple[bytes, str]:
    """Source and entity tag, read when somebody asks for the first time."""
    source = script(name)
    return source, f'"{hashlib.sha256(source).hexdigest()[:16]}"'


def register(dispatcher: Dispatcher, prefix: str) -> None:
    """Add the addresses of the script to those of an application."""
    for name in _TYPE_OF:
        options = RouteOptions(methods=("GET",), inline=True)
        dispatcher.add(Registration(f"{prefix}/{name}", None, _handler(name), options, MODULE))


def _handler(name: str) -> Callable[[Request], Response]:
    def show(request: Request) -> Response:
        source, etag = _answer(name)
        headers = {
            # Asked for again at each use, so that it is always as old as the server.
            "cache-control": "no-cache",
            "etag": etag,
        }
        head = request.exchange.head
        outcome = evaluate(head.method, head.headers, etag, None)
        if outcome != "send":
            return Response(None, outcome, headers)
        kind = {"content-type": _TYPE_OF[name], "x-content-type-options": "nosniff"}
        return Response(source, 200, headers | kind)

    return show
