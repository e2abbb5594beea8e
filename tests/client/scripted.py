"""A server that says on each connection what it was told to, however wrong that is."""

from __future__ import annotations

import json
import socket
import struct
import threading
from email.parser import BytesParser
from typing import Any, NamedTuple

TICKET = "/-/t/tk_1"
HOLD = object()
"""In a script: keep the connection open until the end, without a word."""

RESET = object()
"""In a script: break the connection, so that what was sent may be lost."""


class Request(NamedTuple):
    method: str
    target: str
    headers: Any
    body: bytes


class Scripted:
    """Answers the first connection with the first of the answers, and so on; then refuses.

    An answer is bytes, or a tuple of bytes, `HOLD` and `RESET`; the end of the
    connection is the end of the answer.
    """

    def __init__(self, *answers, ssl_context=None):
        self._ssl_context = ssl_context
        self._answers = [each if isinstance(each, tuple) else (each,) for each in answers]
        self._held = []
        self.requests = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        if not answers:  # refuse from now on
            self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:  # all has been said, and it is closed
            pass
        self._thread.join(10)
        assert not self._thread.is_alive()
        for each in self._held:
            each.close()

    @property
    def url(self):
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}"

    def _serve(self):
        with self._listener:
            for steps in self._answers:
                try:
                    client, _ = self._listener.accept()
                except OSError:  # the end of the test
                    return
                try:
                    self._answer(client, steps)
                except OSError:  # the client has gone
                    client.close()

    def _answer(self, client, steps):
        if self._ssl_context is not None:
            client = self._ssl_context.wrap_socket(client, server_side=True)
        with client.makefile("rb") as file:
            self.requests.append(read_request(file))
        for step in steps:
            if step is HOLD:
                self._held.append(client)
                return
            if step is RESET:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                client.sendall(step)
        client.close()


def read_request(file):
    method, target, _ = file.readline().decode().split()
    lines = []
    while (line := file.readline()).strip():
        lines.append(line)
    headers = BytesParser().parsebytes(b"".join(lines))
    return Request(method, target, headers, file.read(int(headers.get("content-length", 0))))


def answer(status, body=b"", length=None, **fields):
    """An answer as bytes; `length` is what it says of its body."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    head = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body) if length is None else length}"]
    head += [f"{name}: {value}" for name, value in named.items()]
    return "\r\n".join([*head, "", ""]).encode() + body


def document(rev, state="working", **members):
    """The document of a ticket, as JSON."""
    told = {"ticket": "tk_1", "state": state, "progress": None, "rev": rev, "position": None}
    return json_of({**told, **members})


def json_of(value):
    return json.dumps(value).encode()


def json_answer(status, body, **fields):
    return answer(status, body, content_type="application/json", **fields)


def ticket(rev=1):
    """The answer that leads to the ticket."""
    return json_answer(202, document(rev, "waiting"), location=TICKET)


def events(*documents, more=b""):
    """A stream of events, each a name and a document, that ends as if cut."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    told = [b"event: %s\ndata: %s\n\n" % (name.encode(), data) for name, data in documents]
    return head + b"".join(told) + more
