"""Feeds engines with the same bytes in different pieces and notes what they report."""

from __future__ import annotations

from tarry.message.heads import ResponseHead
from tarry.protocol.engine import Reading, Stamp
from tarry.protocol.errors import PeerError
from tarry.protocol.events import Data, EndOfBody, SwitchToHTTP2
from tarry.protocol.http1 import HeadParser, HTTP1Engine
from tarry.protocol.limits import Limits

STAMP = Stamp(b"Fri, 20 Nov 2026 20:00:00 GMT")
OK = ResponseHead(200, [(b"content-type", b"text/plain")])
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def new_engine(**limits):
    return HTTP1Engine(Limits(**limits), HeadParser())


def post(body, *fields):
    lines = b"".join(b"%b\r\n" % field for field in fields)
    return b"POST / HTTP/1.1\r\nhost: a\r\n%bcontent-length: %d\r\n\r\n%b" % (
        lines,
        len(body),
        body,
    )


def chunked(body, version=b"1.1", head=b"POST / HTTP/%b\r\nhost: a\r\n"):
    return (head % version) + b"transfer-encoding: chunked\r\n\r\n" + body


class Notes:
    """What an engine reported: heads, whole bodies with trailers, at most one error."""

    def __init__(self, engine, answer=True):
        self.engine = engine
        self.answer = answer
        self.told = []
        self.body = b""
        self.error = None
        self.sent = b""

    def feed(self, data):
        """Take bytes, answer each complete request, and stop at the first error."""
        if self.error is not None:
            return
        try:
            event = self.engine.receive_data(data)
            while event is not None:
                self.note(event)
                if self.answer and self.engine.reading is Reading.NOTHING:
                    self.engine.respond(0, OK, b"ok", STAMP)
                event = self.engine.next_event()
        except PeerError as error:
            self.error = error
            self.told.append(("error", error.status))
            self.engine.refuse(error.stream_id, ResponseHead(error.status), b"", STAMP)
        self.sent += self.engine.data_to_send()

    def note(self, event):
        if isinstance(event, Data):
            self.body += event.data
        elif isinstance(event, EndOfBody):
            self.told.append(("body", self.body + event.data, event.trailers))
            self.body = b""
        elif isinstance(event, SwitchToHTTP2):
            self.told.append(("http/2",))
        else:
            head = (event.method, event.target, event.path, event.query, event.http_version)
            self.told.append(("head", *head, list(event.headers), event.end_stream))


def notes_of(pieces, *, answer=True, **limits):
    """What an engine reports for bytes that come in these pieces."""
    notes = Notes(new_engine(**limits), answer)
    for piece in pieces:
        notes.feed(piece)
    return notes


def told_in_every_way(data, **limits):
    """What an engine reports, checked to be the same for all bytes at once, for one after
    another, and for all but the last one to three.
    """
    whole = notes_of([data], **limits).told
    assert notes_of([data[at : at + 1] for at in range(len(data))], **limits).told == whole
    for size in (1, 2, 3, 4):
        assert notes_of([data[:-size], data[-size:]], **limits).told == whole
        assert notes_of([data[:size], data[size:]], **limits).told == whole
    if whole and whole[-1][0] not in ("error", "http/2"):
        followed = notes_of([data + GET], **limits).told
        assert followed[: len(whole)] == whole
    return whole
