"""What all tests of attacks need: requests in one line, and the check of a refusal."""

from __future__ import annotations

from tests.wire import ask

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def get(target=b"/", *fields, host=b"Host: a"):
    lines = b"".join(b"%b\r\n" % field for field in (host, *fields) if field)
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (target, lines)


def post(*fields, body=b""):
    lines = b"".join(b"%b\r\n" % field for field in fields)
    return b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n%b" % (lines, body)


def chunked(body):
    return post(b"Transfer-Encoding: chunked", body=body)


def refused(url, data, *statuses):
    """Send `data`: one whole answer with one of these statuses, then the connection ends."""
    reply, closed = ask(url, data)
    assert reply.status in (statuses or (400,))
    assert closed
    return reply


def sent_until_answered(wire, piece, most):
    """Send a piece again and again until an answer comes: the answer, and how much was sent."""
    wire.socket.setblocking(False)
    sent = 0
    try:
        while sent < most:
            try:
                sent += wire.socket.send(piece)
            except BlockingIOError:
                pass
            except ConnectionError:
                break
            if data := received(wire):
                wire._received += data
                break
    finally:
        wire.socket.settimeout(10)
    return wire.read(), sent


def received(wire):
    try:
        return wire.socket.recv(65536)
    except BlockingIOError:
        return b""
