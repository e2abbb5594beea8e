"""An exchange without a server, for tests of what is above the seam."""

import asyncio
from collections.abc import Iterable

from tarry.exchange import ClientGone, Exchange
from tarry.message.headers import Headers, HeaderSource
from tarry.message.heads import Fields, LengthError, PlainRequestHead, ResponseHead
from tarry.testing.replies import Reply


class MemoryExchange(Exchange):
    """A request made of its parts, and the answer as it is given.

    `data` is the body, whole or in pieces; with `open_body` it goes on: feed
    `exchange.body` yourself, as a server does.  `full` is the switch for
    back-pressure: while it is set, `drained` waits.  `lose()` is the client
    that leaves.  `reply` is the answer so far; `aborted` says that it was
    broken off, `asked_for_body` that a body with `Expect: 100-continue` is
    wanted, `resumed` how often a reader that was behind has caught up.
    """

    __slots__ = ("_client", "_full", "_left", "_reply_head", "_room", "_scheme", "_sent",
                 "aborted", "asked_for_body", "resumed")  # fmt: skip

    def __init__(
        self,
        method: str = "GET",
        target: str = "/",
        headers: HeaderSource = (),
        data: bytes | Iterable[bytes] = b"",
        *,
        open_body: bool = False,
        client: str = "127.0.0.1",
        scheme: str = "http",
        http_version: str = "1.1",
    ) -> None:
        pieces = [data] if isinstance(data, bytes) else list(data)
        fields = Headers([("host", "tarry.test")])
        fields.update(headers)
        head = PlainRequestHead(
            method.encode("ascii"),
            target.encode("ascii"),
            Fields(fields.to_fields()),
            http_version=http_version.encode("ascii"),
            end_stream=not open_body and not any(pieces),
            expect_continue=fields.get("expect", "").lower() == "100-continue",
        )
        super().__init__(None, head)
        self._client, self._scheme = client, scheme
        self._sent: list[bytes] = []
        self._reply_head: ResponseHead | None = None
        self._left: int | None = None
        self._room = asyncio.Event()
        self._full = self.aborted = self.asked_for_body = False
        self.resumed = 0
        if self.body is not None:
            for piece in filter(None, pieces):
                self.body.feed(piece)
            if not open_body:
                self.body.finish([])

    @property
    def client(self) -> str:
        """Address of the peer, `""` where it has none."""
        return self._client

    @property
    def scheme(self) -> str:
        """`"http"` or `"https"`."""
        return self._scheme

    @property
    def full(self) -> bool:
        """Whether the client takes nothing at the moment; set it to stop and to go on."""
        return self._full

    @full.setter
    def full(self, full: bool) -> None:
        self._full = full
        self._room.set()

    @property
    def reply(self) -> Reply:
        """The answer as far as it was given; see also `answered`.

        Raises:
            RuntimeError: it has not begun.
        """
        head = self._reply_head
        if head is None:
            raise RuntimeError("this request has no answer yet")
        fields = list(head.fields)
        if head.length is not None and not head.without_body:
            fields.append((b"content-length", b"%d" % head.length))
        return Reply(head.status, Headers.from_fields(Fields(fields)), b"".join(self._sent))

    # ---- the answer -------------------------------------------------------------------

    def respond(self, head: ResponseHead, body: bytes) -> None:
        """Give the whole answer.

        Raises:
            LengthError: the head announced another length; nothing was sent.
        """
        length, without_body = head.length, self._has_no_body(head)
        if length is not None and length != len(body) and not without_body:
            raise LengthError(f"content-length is {length}, the body has {len(body)} bytes")
        self.start(head)
        self.send(body)
        self.answered = True

    def start(self, head: ResponseHead) -> None:
        """Begin an answer whose body follows."""
        if self.started:
            raise RuntimeError("this request has been answered already")
        self.started = True
        self.status = head.status
        self.sent_bytes = 0
        self._reply_head = head
        self._left = None if self._has_no_body(head) else head.length

    def send(self, data: bytes) -> None:
        """Take a piece of the body; without effect for HEAD and the like.

        Raises:
            LengthError: more bytes than the head announced.
        """
        if self._reply_head is None or self._has_no_body(self._reply_head):
            return
        if self._left is not None:
            if len(data) > self._left:
                over = len(data) - self._left
                raise LengthError(f"the body is {over} bytes longer than announced")
            self._left -= len(data)
        self._sent.append(data)
        self.sent_bytes += len(data)

    def _has_no_body(self, head: ResponseHead) -> bool:
        return head.without_body or self.head.method == b"HEAD"

    async def drained(self) -> None:
        """Wait while `full`.

        Raises:
            ClientGone: the client left instead.
        """
        while self._full and not self.gone:
            self._room.clear()
            await self._room.wait()
        if self.gone:
            raise ClientGone("the client left")

    def end(self) -> None:
        """End the body.

        Raises:
            LengthError: fewer bytes than the head announced.
        """
        if self._left:
            raise LengthError(f"the body is {self._left} bytes shorter than announced")
        self.answered = True

    def abort(self) -> None:
        """Break the answer off."""
        self.aborted = self.answered = True

    # ---- the request's body and the client -----------------------------------------------

    def ask_for_body(self) -> None:
        """The body is about to be read."""
        self.asked_for_body = True

    def resume_body(self) -> None:
        """The reader has caught up."""
        self.resumed += 1

    def lose(self) -> None:
        """The client leaves: readers, writers and whoever listens hear of it."""
        super().lose()
        self._room.set()
