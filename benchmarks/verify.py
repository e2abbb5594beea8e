"""One request per server before it is measured, so that nobody is measured on errors."""

import http.client
import json
import subprocess
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.processes import Server, ServerFailed
from benchmarks.rows import ROWS, UNFILTERED, YARDSTICK, Row

TIMEOUT_SECONDS = 10.0
YARDSTICK_ROW = ROWS[0]
"""The canned reply answers nothing else, so it gets the load of this row in every row."""


def row_for(contender: Contender, row: Row) -> Row:
    """The row whose load this contender gets: its own, but for the yardstick and the like."""
    if contender.name == YARDSTICK and row.tool != "idle":
        return YARDSTICK_ROW
    if contender.name == UNFILTERED:
        return next(each for each in ROWS if each.name == row.plain_row)
    return row


def verify(server: Server, row: Row) -> None:
    """Ask for the row's answer once.

    Raises:
        ServerFailed: no answer, or not the one that the row expects.
    """
    body = http2_body(server, row) if row.tool == "h2load" else http1_body(server, row)
    if not is_expected(body, row.answer):
        raise ServerFailed(f"wrong answer: {body[:80]!r}")


def is_expected(body: bytes, expected: Any) -> bool:
    """Whether a body is the expected text, or JSON of the expected value."""
    if isinstance(expected, str):
        return body == expected.encode()
    try:
        return bool(json.loads(body) == expected)
    except ValueError:
        return False


def http1_body(server: Server, row: Row) -> bytes:
    """The body of a 2xx answer over HTTP/1.1."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    try:
        if row.post is None:
            connection.request("GET", row.path)
        else:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", row.path, json.dumps(row.post), headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise ServerFailed(f"no answer: {error!r}") from error
    finally:
        connection.close()
    if not 200 <= response.status < 300:
        raise ServerFailed(f"wrong answer: status {response.status}")
    return body


def http2_body(server: Server, row: Row) -> bytes:
    """The body of an answer over HTTP/2 by prior knowledge; h2load checks the status later."""
    command = ["nghttp", f"http://127.0.0.1:{server.port}{row.path}"]
    try:
        run = subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ServerFailed(f"no answer over HTTP/2 in {TIMEOUT_SECONDS:g} s") from error
    return run.stdout
