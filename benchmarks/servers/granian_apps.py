"""granian with one worker and one thread: `PORT rsgi`, `PORT asgi` or `PORT wsgi`."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.servers import port_argument
from benchmarks.servers.asgi_text import app as asgi

__all__ = ["asgi", "rsgi", "wsgi"]

MAX_CONNECTIONS = 100_000
"""Idle connections count too; beyond the default of 1024 granian would accept no more."""
TEXT_HEADER = ("content-type", "text/plain; charset=utf-8")


async def rsgi(scope: Any, protocol: Any) -> None:
    """Answer every request with the 13 bytes, by granian's own interface."""
    protocol.response_str(200, [TEXT_HEADER], "Hello, World!")


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer every request with the 13 bytes, from a thread."""
    start_response("200 OK", [TEXT_HEADER])
    return [b"Hello, World!"]


if __name__ == "__main__":
    from granian import Granian
    from granian.constants import Interfaces, Loops

    interface = Interfaces(sys.argv[2])
    Granian(
        f"benchmarks.servers.granian_apps:{interface.value}",
        address="127.0.0.1",
        port=port_argument(),
        interface=interface,
        workers=1,
        runtime_threads=1,
        backpressure=MAX_CONNECTIONS,
        loop=Loops.uvloop,
        websockets=False,
        log_access=False,
        log_level="warning",  # type: ignore[arg-type]  # an enum of strings
    ).serve()
