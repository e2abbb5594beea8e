"""Raw HTTP/1.1 over a real socket, for tests that look at bytes."""

import socket
from dataclasses import dataclass, field

TIMEOUT_S = 10.0
"""How long a test waits for bytes before it fails; no test passes by waiting this long."""


@dataclass
class Reply:
    """One response as it came."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def get(self, name: str) -> str | None:
        """The first value of a field; names match in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def closes(self) -> bool:
        """Whether the response says that the connection ends."""
        return (self.get("connection") or "").lower() == "close"


class Wire:
    """A client connection that sends what it is told and reads responses one by one."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT_S)
        self._received = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.socket.sendall(data)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)

    def read(self, method: str = "GET") -> Reply:
        """The next response; fails if the connection ends before it is complete."""
        head = self.until(b"\r\n\r\n").decode("latin-1")
        line, *rest = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = [tuple(part.strip() for part in text.split(":", 1)) for text in rest]
        reply = Reply(int(line.split(" ")[1]), headers)  # type: ignore[arg-type]  # because of split
        if 100 <= reply.status < 200:
            return reply
        if method == "HEAD" or reply.status in (204, 304):
            return reply
        if (reply.get("transfer-encoding") or "").lower() == "chunked":
            reply.body = self._chunks()
        elif (length := reply.get("content-length")) is not None:
            reply.body = self._exactly(int(length))
        else:
            reply.body = self.rest()
        return reply

    def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        while data := self._receive():
            self._received += data
        received, self._received = self._received, b""
        return received

    def is_closed(self) -> bool:
        """Wait until the server ends the connection; false if it sends something instead."""
        return not self._received and not self._receive()

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def _fill(self) -> None:
        data = self._receive()
        if not data:
            raise EOFError(f"the connection ended after {self._received!r}")
        self._received += data

    def until(self, end: bytes) -> bytes:
        """What comes up to `end`, which is part of it."""
        while end not in self._received:
            self._fill()
        at = self._received.index(end) + len(end)
        return self._take(at)

    def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            self._fill()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            body += self._exactly(size)
            self._exactly(2)
        self.until(b"\r\n")
        return body


def ask(url: str, data: bytes) -> tuple[Reply, bool]:
    """Send `data` on a fresh connection: the response, and whether the server then closed."""
    with Wire(url) as wire:
        wire.send(data)
        reply = wire.read(data.split(b" ", 1)[0].decode("latin-1"))
        return reply, reply.closes and wire.is_closed()
