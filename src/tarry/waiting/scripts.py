"""The browser's side of waiting: its script in three forms, served below the internal prefix.

`waits.js` and `worker.js` are modules of their own, for who works on them; a
page gets them as one, with one request.
"""

import functools
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tarry.app.dispatch import Dispatcher
from tarry.app.request import Request
from tarry.app.responses import Response
from tarry.app.route_options import Registration, RegistrationError, RouteOptions
from tarry.message.conditional import evaluate

FOLDER: Final = Path(__file__).with_name("browser")
PARTS: Final = ("waits.js", "worker.js")
MODULE: Final = "tarry.js"
CLASSIC: Final = "tarry.classic.js"
TYPES: Final = "tarry.d.ts"

_TYPE_OF: Final = {
    MODULE: "text/javascript; charset=utf-8",
    CLASSIC: "text/javascript; charset=utf-8",
    TYPES: "text/plain; charset=utf-8",  # nobody has registered one for TypeScript
}

_IMPORT: Final = re.compile(rb"^import .*\n+", re.MULTILINE)
_EXPORT: Final = re.compile(rb"^export .*\n", re.MULTILINE)


def script(name: str) -> bytes:
    """The source of one form.

    The module is its parts without what they import from one another; the last
    part exports what pages get.  The classic script is the module within a
    function that returns, as `tarry`, what the module exports.
    """
    if name == TYPES:
        return FOLDER.joinpath(name).read_bytes()
    *parts, last = (_IMPORT.sub(b"", FOLDER.joinpath(part).read_bytes()) for part in PARTS)
    module = b"".join([*(_EXPORT.sub(b"", part) for part in parts), last])
    if name == MODULE:
        return module
    body = module.replace(b"\nexport {", b"\nreturn {")
    return b'var tarry = (() => {\n"use strict"\n' + body + b"})()\n"


@functools.cache
def _answer(name: str) -> tuple[bytes, str]:
    """Source and entity tag, read when somebody asks for the first time."""
    source = script(name)
    return source, f'"{hashlib.sha256(source).hexdigest()[:16]}"'


def register(dispatcher: Dispatcher, prefix: str) -> None:
    """Add the addresses of the script to those of an application."""
    for name in _TYPE_OF:
        options = RouteOptions(methods=("GET",), inline=True)
        dispatcher.add(Registration(f"{prefix}/{name}", None, handler(name), options, MODULE))


def check_path(path: Any) -> None:
    """Refuse what is no path of a script.

    Raises:
        RegistrationError: no text, one that does not end as scripts do, or one with parameters.
    """
    if not isinstance(path, str) or not path.endswith((".js", ".mjs")):
        raise RegistrationError(
            f"link_worker_js takes the path of a script, such as '/js/worker.js', not {path!r}"
        )
    if {"{", "}", "*"} & {*path}:
        raise RegistrationError(f"a script has one path, without parameters, not {path!r}")


def handler(name: str) -> Callable[[Request], Response]:
    """A handler that answers with one form of the script."""

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
