"""Everything together: bytes over a real socket to an application with every kind of handler."""

from __future__ import annotations

import atexit
import functools
import logging
import socket
import tempfile
from pathlib import Path

from fuzz.application import make_app
from fuzz.engines import CHUNKED, HEAD, KEY, masked
from fuzz.target import Target, expect

TIMEOUT_S = 10.0
"""How long an answer may take."""


class Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it with its traceback."""
        self.lines.append(self.format(record))


@functools.cache
def _server() -> tuple[tuple[str, int], Errors]:
    """The address of a server that runs until the end of the process, and its errors."""
    folder = tempfile.TemporaryDirectory()
    errors = Errors()
    for name in ("tarry", "asyncio"):
        logging.getLogger(name).addHandler(errors)
    handle = make_app(Path(folder.name)).start(access_log=False)

    def stop() -> None:
        handle.stop()
        folder.cleanup()

    atexit.register(stop)
    host, _, port = handle.url.removeprefix("http://").rpartition(":")
    return (host, int(port)), errors


def ask(address: tuple[str, int], data: bytes) -> bytes:
    """All that the server sends for these bytes, up to the end of the connection."""
    received = b""
    with socket.create_connection(address, timeout=TIMEOUT_S) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                received += piece
        except (BrokenPipeError, ConnectionResetError):
            pass  # it had heard enough
    return received


def check_application(data: bytes) -> None:
    """No answer is 500, nothing is logged as an error, and the server goes on."""
    address, errors = _server()
    received = ask(address, data)
    expect(received[:9] in (b"", b"HTTP/1.1 ") or b"\0\0" in received[:9], "no HTTP", received)
    expect(b"HTTP/1.1 500 " not in received, "500", received)
    expect(ask(address, HEAD).endswith(b"\r\n\r\nhere"), "it does not go on")
    lines, errors.lines = errors.lines, []
    expect(not lines, "logged", *lines)


def _post(path: bytes, content_type: bytes, body: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
    return head % (path, content_type, len(body), body)


MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\na\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="b"\r\n\r\nc\r\n--x--\r\n'
)
UPGRADE = (
    b"GET /socket/1?times=2 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % KEY
)
PATHS = (b"/", b"/query?b=1&d=true", b"/many?a=1&b=red", b"/page?size=5", b"/fields", b"/about?x",
         b"/int/1", b"/str/a%20b?early", b"/path/a/b", b"/two/1/2/end", b"/re/2026-x", b"/stream",
         b"/events", b"/file", b"/file/small.txt", b"/narrow?kind=a", b"/shop/1?colours=red",
         b"/connection?retries=1", b"/answer/tuple", b"/refuse/404", b"/date/2026-11-21/red",
         b"/nothing", b"/generator", b"/stream-async?length=1", b"/narrow/1", b"/cookie")  # fmt: skip

TARGETS = (
    Target("application", check_application,
           (*(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in PATHS),
            _post(b"/json/model", b"application/json", b'{"name": "a", "price": "1.5"}'),
            _post(b"/json/data", b"application/json", b'{"name": "a", "inner": {"name": "b"}}'),
            _post(b"/form", b"application/x-www-form-urlencoded", b"name=a&tag=1&age=2"),
            _post(b"/upload", b"multipart/form-data; boundary=x", MULTIPART),
            _post(b"/form-data", b"multipart/form-data; boundary=x", MULTIPART),
            _post(b"/request/stream", b"text/plain", b"body"), _post(b"/narrow", b"text/plain", b"x"),
            _post(b"/file-like", b"text/plain", b"body"), _post(b"/heard", b"a/b", b"body"),
            CHUNKED.replace(b"/c", b"/api/x") + b"5\r\nhello\r\n0\r\n\r\n" + HEAD,
            UPGRADE + masked(0x81, b"hello") + masked(0x88, b"\x03\xe8")),
           {b"start": (b"<request>", b"<request><start>"),
            b"request": (b"GET <path> HTTP/1.1\r\nHost: a\r\n<fields>\r\n",
                         b"<method> <path> HTTP/1.1\r\nHost: a\r\n<fields>\r\n",
                         b"<method> <path> HTTP/1.1\r\nHost: a\r\n<fields><body>"),
            b"method": (b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"BREW"),
            b"path": (*PATHS, b"/json/struct", b"/json/any", b"/raw", b"/request/form", b"/upload",
                      b"/request/json", b"/login", b"/small-form", b"/upload-async", b"/stream-async"),
            b"fields": (b"", b"<field>\r\n<fields>"),
            b"field": (b"Range: bytes=0-4,9-", b"Accept: text/html", b"Accept-Encoding: gzip",
                       b"If-None-Match: *", b"Cookie: n=1; session=a", b"X-Token: body",
                       b"X-Tenant: none", b"Expect: 100-continue", b"Connection: close",
                       b"Content-Encoding: gzip", b"Content-Type: text/plain"),
            b"body": (b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 0\r\n\r\n",
                      b"Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"name\": \"ab\"}",
                      b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\nname=a",
                      b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")}),
)  # fmt: skip
