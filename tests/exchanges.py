"""An exchange without a server: the test is the client and looks at the answer."""

from __future__ import annotations

import asyncio

from tarry.exchange import ClientGone, Exchange
from tarry.message.heads import Fields, LengthError, PlainRequestHead


class RawApplication:
    """What every application needs besides `handle`; nothing of it does anything."""

    async def startup(self):
        pass

    def drain(self):
        pass

    def hurry(self):
        pass

    async def shutdown(self):
        pass


class Recorded(Exchange):
    """Writes down the answer; `take` is a client that reads, `leave` one that goes.

    `room_bytes` may be under way before a writer has to wait.
    """

    client = "192.0.2.7"
    scheme = "http"

    def __init__(
        self,
        method="GET",
        target="/",
        headers=(),
        *,
        body=False,
        expects=False,
        room_bytes=None,
        version=b"1.1",
    ):
        fields = Fields([(name.lower().encode(), value.encode()) for name, value in headers])
        head = PlainRequestHead(
            method.encode(),
            target.encode(),
            fields,
            http_version=version,
            end_stream=not body,
            expect_continue=expects,
        )
        super().__init__(None, head)
        self.answer_head = None
        self.pieces = []
        self.aborted = False
        self.asked_for_body = self.resumed = 0
        self._room_bytes = room_bytes
        self._waiters = []
        self.complete = asyncio.Event()

    @property
    def answer(self):
        return b"".join(self.pieces)

    def respond(self, head, body):
        if self.started:
            raise RuntimeError("this request has been answered already")
        if head.length is not None and head.length != len(body):
            raise LengthError("another length was announced")
        self.start(head)
        self.pieces.append(body)
        self.end()

    def start(self, head):
        self.answer_head = head
        self.started = True
        self.status = head.status
        self.sent_bytes = 0

    def send(self, data):
        self.pieces.append(data)
        if self._room_bytes is not None:
            self._room_bytes -= len(data)

    async def drained(self):
        while self._room_bytes is not None and self._room_bytes <= 0 and not self.gone:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        if self.gone:
            raise ClientGone("the client left")

    def end(self):
        self.answered = True
        self.complete.set()

    def abort(self):
        self.aborted = self.answered = True
        self.complete.set()

    def ask_for_body(self):
        self.asked_for_body += 1

    def resume_body(self):
        self.resumed += 1

    # ---- the client's side -----------------------------------------------------------

    def take(self, size):
        """Read so many bytes more."""
        self._room_bytes += size
        self._wake()

    def leave(self):
        """Close the connection."""
        self.lose()
        self._wake()

    def _wake(self):
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set_result(None)


async def turns(count=20):
    """Let everything on the loop run that can run."""
    for _ in range(count):
        await asyncio.sleep(0)
