"""WebSocket frames made and read by hand, and a peer that sends what it is told."""

from __future__ import annotations

import base64
import struct

from tests.wire import Wire

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455 section 1.3."""

MASK = b"\x37\xfa\x21\x3d"


def frame(kind, payload=b"", *, fin=True, rsv=0, masked=True, length=None):
    """One frame of a client; `length` announces another size than that of the payload."""
    size = len(payload) if length is None else length
    first = (0x80 if fin else 0) | rsv << 4 | kind
    bit = 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))


def text(content, **options):
    return frame(TEXT, content.encode(), **options)


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def fragments(kind, *payloads):
    """A message in as many frames."""
    last = len(payloads) - 1
    return b"".join(
        frame(CONT if at else kind, payload, fin=at == last) for at, payload in enumerate(payloads)
    )


def read_frame(data):
    """The first frame of a server in `data` and what follows it; `None` if it is not whole."""
    if len(data) < 2:
        return None
    assert not data[1] & 0x80, "a server masks nothing"
    size, at = data[1] & 0x7F, 2
    if size >= 126:
        end = 4 if size == 126 else 10
        if len(data) < end:
            return None
        size, at = int.from_bytes(data[2:end], "big"), end
    if len(data) < at + size:
        return None
    first = data[0]
    return (first & 0x0F, bool(first & 0x80), data[at : at + size]), data[at + size :]


def read_frames(data):
    """All frames of a server: kind, whether it is the last of its message, payload."""
    frames = []
    while data:
        got, data = read_frame(data)
        frames.append(got)
    return frames


def close_code(payload):
    return int.from_bytes(payload[:2], "big") if payload else None


def request(target="/", *fields, method="GET", version="1.1", **named):
    """A handshake; `named` fields replace the usual ones, `None` leaves one out."""
    usual = {
        "host": "a",
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec_websocket_key": KEY,
        "sec_websocket_version": "13",
    }
    lines = [
        f"{name.replace('_', '-')}: {value}"
        for name, value in {**usual, **named}.items()
        if value is not None
    ]
    head = "\r\n".join([f"{method} {target} HTTP/{version}", *lines, *fields, "", ""])
    return head.encode("latin-1")


def random_key():
    return base64.b64encode(bytes(range(16))).decode()


class Peer(Wire):
    """A client whose WebSocket is open, unless the server refuses it."""

    def __init__(self, url, target="/", *fields, tail=b"", **named):
        super().__init__(url)
        self.send(request(target, *fields, **named) + tail)
        self.reply = self.read()
        assert self.reply.status == 101, self.reply

    def read_frame(self):
        while (got := read_frame(self._received)) is None:
            self._fill()
        read, self._received = got
        return read

    def read_text(self):
        kind, fin, payload = self.read_frame()
        assert (kind, fin) == (TEXT, True), (kind, fin, payload)
        return payload.decode()

    def read_close(self):
        """The code of the close frame that comes next, and that the connection ends then."""
        kind, _, payload = self.read_frame()
        assert kind == CLOSE, (kind, payload)
        assert self.is_closed()
        return close_code(payload)
