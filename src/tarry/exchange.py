"""The seam: one request and its answer, all that server and app share.

The server makes an `Exchange` for each request head and hands it to the
application's `handle`.  The application reads the body and gives the answer
through it and knows nothing else of sockets or protocols; the server knows
nothing else of routes and handlers.  Everything here runs on the event loop.
"""

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

from tarry.descriptors import Descriptor
from tarry.message.heads import Field, LengthError, RequestHead, ResponseHead
from tarry.message.websockets import Received, WebSocketOptions

BODY_HIGH_WATER_BYTES: Final = 64 * 1024
"""Unread body bytes at which the server stops reading from the client."""

FILE_READ_BYTES: Final = 256 * 1024
"""Bytes of a file that are read at once and held in memory until the client takes them."""

InThread = Callable[..., Awaitable[Any]]
"""Calls a function with arguments in a thread and returns its result."""

DEFAULT_MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Bytes of a body, without its transfer coding, that are read unless somebody asks for more."""


class ClientGone(Exception):
    """The client left: no more body comes, and nobody reads an answer."""


class BodyTooLarge(Exception):
    """The body has more than the `max_bytes` that are read; answer 413."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"the body is larger than {max_bytes} bytes")
        self.max_bytes = max_bytes


class Application(Protocol):
    """What a server serves."""

    def handle(self, exchange: "Exchange", /) -> None:
        """Answer an exchange, now or later; called as soon as its head is there."""

    async def startup(self) -> None:
        """Called on the loop that will serve, before the first connection."""

    def drain(self) -> None:
        """Called on the loop when the server begins to stop: what waits should answer soon.

        Connections are not shut yet; answers are still sent for `stop_timeout_s`.
        """

    def hurry(self) -> None:
        """Called on the loop when a server that stops is told so again: end what is under way."""

    async def shutdown(self) -> None:
        """Called after the last connection has closed."""


class RequestBody:
    """The body of one request, as far as it has come.

    Read it in one of two ways: `on_complete` for the whole body without a
    task, or `read` for the next piece from a coroutine.  `ended` says that
    all of it has come, and `trailers` are then known; `whole` is what
    `on_complete` gave away.  Set `max_bytes` before reading; a larger body is
    refused as soon as its length is known.
    """

    __slots__ = ("_arguments", "_callback", "_error", "_exchange", "_pieces", "_received_bytes",
                 "_refused", "_waiter", "_wanted", "buffered_bytes", "ended", "max_bytes",
                 "trailers", "whole")  # fmt: skip

    def __init__(self, exchange: "Exchange") -> None:
        # Forgotten at the end of the body: a cycle would be left to the garbage collector.
        self._exchange: Exchange | None = exchange
        self._pieces: list[bytes] = []
        self.ended = self._wanted = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._callback: Callable[..., None] | None = None
        self._refused: Callable[..., None] | None = None
        self._arguments: tuple[Any, ...] = ()
        self._received_bytes = self.buffered_bytes = 0
        self.max_bytes = DEFAULT_MAX_BODY_BYTES
        self.trailers: list[Field] | None = None
        self.whole: bytes | None = None

    @property
    def full(self) -> bool:
        """Whether the reader is so far behind that the client should wait."""
        return self._callback is None and self.buffered_bytes >= BODY_HIGH_WATER_BYTES

    def on_complete(
        self, callback: Callable[..., None], refused: Callable[..., None], *arguments: Any
    ) -> None:
        """Have `callback` called with the arguments and the whole body.

        If that will not come, `refused` gets the arguments and `BodyTooLarge` or
        `ClientGone` instead.
        """
        self._callback, self._refused, self._arguments = callback, refused, arguments
        if not self._wanted:
            self._want()
        if self._error is not None:
            self.fail(self._error)  # who asks so late hears of it, too
        elif self.ended:
            self._complete(self._take())
        elif self.buffered_bytes >= BODY_HIGH_WATER_BYTES and self._exchange is not None:
            self._exchange.resume_body()

    def _complete(self, whole: bytes) -> None:
        callback, arguments = self._callback, self._arguments
        # Forgotten first: they lead back here, and the next reader is another one.
        self._exchange = self._callback = self._refused = None
        self._arguments = ()
        self.whole = whole
        if callback is not None:
            callback(*arguments, whole)

    async def read(self) -> bytes:
        """The next piece of the body, `b""` at its end.

        Raises:
            BodyTooLarge: there is more than `max_bytes`.
            ClientGone: the client left before the end.
            RuntimeError: somebody else waits for the next piece already.
        """
        if self._waiter is not None:
            raise RuntimeError("two readers wait for one body; let one of them read it")
        if not self._wanted:
            self._want()
        while not self._pieces and not self.ended:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if type(self._error) is BodyTooLarge:
            raise self._error
        return self._take()

    async def read_all(self) -> bytes:
        """What is left of the body, in one piece; raises what `read` does.

        Who is cancelled loses nothing: it is read again by the next one.
        """
        pieces: list[bytes] = []
        try:
            while piece := await self.read():
                pieces.append(piece)
        except asyncio.CancelledError:
            self._pieces[:0] = pieces
            self.buffered_bytes += sum(map(len, pieces))
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def limit(self, max_bytes: int) -> None:
        """Change `max_bytes`, also when somebody has begun to read.

        Raises:
            BodyTooLarge: more than that has been read already.
        """
        self.max_bytes = max_bytes
        if self._wanted and self._received_bytes > max_bytes:
            raise BodyTooLarge(max_bytes)

    def _want(self) -> None:
        self._wanted = True
        exchange = self._exchange
        # The engine has checked that it is a number.
        announced = exchange and exchange.head.headers.get(b"content-length")
        if self._received_bytes > self.max_bytes or (announced and int(announced) > self.max_bytes):
            self.fail(BodyTooLarge(self.max_bytes))
        elif exchange is not None and exchange.head.expect_continue:
            exchange.ask_for_body()

    def _take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        was_full, self.buffered_bytes = self.full, 0
        if was_full and self._exchange is not None:
            self._exchange.resume_body()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def feed(self, data: bytes) -> None:
        """Called by the server with the next piece."""
        self._received_bytes += len(data)
        if self._received_bytes > self.max_bytes and self._wanted:
            self.fail(BodyTooLarge(self.max_bytes))
        elif self._error is None:
            self._pieces.append(data)
            self.buffered_bytes += len(data)
            self._wake()

    def finish(self, trailers: list[Field], data: bytes = b"") -> None:
        """Called by the server at the end of the body, with its last piece."""
        self.trailers = trailers
        if self._callback is not None and not self._pieces and len(data) <= self.max_bytes:
            # All at once, as most bodies come.
            self.ended = True
            self._received_bytes = len(data)
            self._complete(data)
            return
        if data:
            self.feed(data)
        self.ended = True
        self._exchange = None
        if self._callback is not None:
            self._complete(self._take())
        self._wake()

    def fail(self, error: Exception) -> None:
        """Called by the server when the rest will not come."""
        if not self.ended or type(error) is BodyTooLarge:
            self._error = error
        refused, arguments = self._refused, self._arguments
        self._exchange = self._callback = self._refused = None
        self._arguments = ()
        if type(error) is BodyTooLarge:
            self._pieces.clear()
            self.buffered_bytes = 0
        if refused is not None:
            refused(*arguments, error)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Exchange(ABC):
    """One request and its answer; a server makes one for each head.

    `body` is `None` for a request without one.  `started` says that the head
    of the answer went out, `answered` that all of it did, `gone` that the
    client left, `is_parked` that nothing runs for it.  Where the server logs,
    `arrived_s` is the monotonic time of the head, `parked_s` how long it was
    parked, and `status` and `sent_bytes` are those of the answer, once it
    started.  `context` and `task` belong to the application.
    """

    __slots__ = ("_on_gone", "answered", "arrived_s", "body", "carrier", "context", "gone",
                 "head", "is_parked", "parked_s", "sent_bytes", "started", "status",
                 "task")  # fmt: skip

    arrived_s: float
    context: Any
    parked_s: float
    sent_bytes: int
    status: int
    task: object

    def __init__(self, carrier: Any, head: RequestHead) -> None:
        self.carrier = carrier
        self.head = head
        self.context = None
        self.body = None if head.end_stream else RequestBody(self)
        self.started = self.answered = self.gone = self.is_parked = False
        # One callback as it is: most requests that wait have one, and there can be many of them.
        self._on_gone: list[Callable[[], None]] | Callable[[], None] | None = None

    @property
    @abstractmethod
    def client(self) -> str:
        """Address of the peer, `""` where it has none."""

    @property
    @abstractmethod
    def scheme(self) -> str:
        """`"http"` or `"https"`."""

    @abstractmethod
    def respond(self, head: ResponseHead, body: bytes) -> None:
        """Give the whole answer; a client that only half-closed still gets it.

        Raises:
            LengthError: the head announced another length; nothing was sent.
        """

    @abstractmethod
    def start(self, head: ResponseHead) -> None:
        """Send the head of an answer whose body follows by `write`."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send a piece of the body without waiting.

        Raises:
            LengthError: more bytes than the head announced.
        """

    @abstractmethod
    async def drained(self) -> None:
        """Wait until the client has taken enough of the answer.

        Raises:
            ClientGone: it left instead.
        """

    @abstractmethod
    def end(self) -> None:
        """End the body.

        Raises:
            LengthError: fewer bytes than the head announced.
        """

    @abstractmethod
    def abort(self) -> None:
        """Break off a started answer so that the client sees that it is incomplete."""

    @abstractmethod
    def ask_for_body(self) -> None:
        """The body is about to be read: answer `Expect: 100-continue`."""

    @abstractmethod
    def resume_body(self) -> None:
        """The reader has caught up: go on receiving."""

    def park(self) -> None:
        """Nothing runs for the request from now on: let go of what only a running one needs.

        Head and body stay readable.  Without effect on one that is parked already.
        """
        self.is_parked = True

    def resume(self) -> None:
        """The request runs again; called before its answer.  Without effect on one that runs."""
        self.is_parked = False

    def websocket(self, options: WebSocketOptions) -> "WebSocketHandshake":
        """Take the request as one for a WebSocket; nothing is sent before `accept`.

        Raises:
            HandshakeError: it is none, or not a good one, or comes at a bad time.
        """
        raise HandshakeError(501, "there are no WebSockets on this connection")

    async def write(self, data: bytes) -> None:
        """Send a piece of the body and wait until the client can take more.

        Raises:
            ClientGone: nobody reads any more.
            LengthError: more bytes than the head announced.
        """
        if self.gone:
            raise ClientGone("the client left")
        self.send(data)
        await self.drained()

    async def send_file(
        self, file: Descriptor, offset: int, count: int, in_thread: InThread
    ) -> None:
        """Send `count` bytes of an open file from `offset` on, at the pace of the client.

        Raises:
            ClientGone: nobody reads any more.
            LengthError: the file ends before that, or the head announced less.
            OSError: the file cannot be read.
        """
        while count:
            piece = await in_thread(file.use, os.pread, min(count, FILE_READ_BYTES), offset)
            if not piece:
                raise LengthError(f"the file is {count} bytes shorter than when it was opened")
            await self.write(piece)
            offset += len(piece)
            count -= len(piece)

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Have `callback` called once when the client leaves before the answer is complete."""
        if self.gone:
            callback()
        elif self._on_gone is None:
            self._on_gone = callback
        elif isinstance(self._on_gone, list):
            self._on_gone.append(callback)
        else:
            self._on_gone = [self._on_gone, callback]

    def off_gone(self, callback: Callable[[], None]) -> None:
        """No longer call it; without effect on one that is not there."""
        if isinstance(self._on_gone, list):
            if callback in self._on_gone:
                self._on_gone.remove(callback)
        elif self._on_gone == callback:
            self._on_gone = None

    def lose(self) -> None:
        """Called by the server when the client left; readers and waiters hear of it."""
        if self.gone:
            return
        self.gone = True
        if self.body is not None:
            self.body.fail(ClientGone("the client left"))
        callbacks, self._on_gone = self._on_gone, None
        if isinstance(callbacks, list):
            for callback in callbacks:
                callback()
        elif callbacks is not None:
            callbacks()


# ---- WebSocket -----------------------------------------------------------------------------


class HandshakeError(Exception):
    """A request is no good request for a WebSocket: answer `status`.

    `detail` is one sentence for the client; it repeats nothing of the request.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class WebSocketClosed(Exception):
    """A WebSocket has ended: nothing more comes, and nothing can be sent.

    `code` and `reason` are those of the close frame that came first, from
    whichever side; 1005 for one without a code, 1006 where there was none.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class WebSocketHandshake(Protocol):
    """A good request for a WebSocket, before its answer."""

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol both will speak, if there is one."""

    def accept(self, fields: Iterable[Field]) -> "WebSocketLink":
        """Answer 101 with these fields: from now on the connection is a WebSocket.

        Raises:
            ClientGone: the client has left meanwhile.
            InvalidField: a field that would break the message; nothing was sent.
        """


class WebSocketLink(Protocol):
    """An open WebSocket, as the server carries it.

    All that sends raises `WebSocketClosed` when the socket has ended.
    """

    @property
    def close_code(self) -> int | None:
        """The code with which it ended, `None` as long as it is open."""

    @property
    def close_reason(self) -> str:
        """The reason given for the end."""

    async def receive(self) -> Received:
        """What came next; pings and pongs only if the options ask for them.

        Raises:
            WebSocketClosed: it has ended, and all that came before was taken.
            RuntimeError: another task receives at the same time.
        """

    def send(self, message: str | bytes, fragment_bytes: int | None = None) -> None:
        """Send a whole message without waiting."""

    def send_first(self, data: bytes, *, last: bool) -> None:
        """Send the first frame of a binary message without waiting."""

    def send_next(self, data: bytes, *, last: bool) -> None:
        """Send a further frame of a message without waiting."""

    async def drained(self) -> None:
        """Wait until the peer has taken enough of what was sent."""

    def ping(self, data: bytes) -> None:
        """Send a ping without waiting."""

    def close(self, code: int, reason: str) -> None:
        """Begin to close; without effect the second time.

        Raises:
            ValueError: a code or reason that cannot be sent.
        """

    async def ended(self) -> None:
        """Wait until the connection is no more; the server sees to it that it ends."""
