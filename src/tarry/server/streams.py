"""The exchange of one request on a connection: answers go to its engine."""

from tarry.descriptors import Descriptor
from tarry.exchange import ClientGone, Exchange, InThread, WebSocketHandshake
from tarry.message.heads import ResponseHead
from tarry.message.websockets import WebSocketOptions
from tarry.server.sendfile import send_by_kernel
from tarry.server.service import CLIENT_LEFT


class Stream(Exchange):
    """One request on a connection, which is its `carrier`.

    On HTTP/2 several are open at once, on HTTP/1.1 one.  An answer that is
    given while the connection takes bytes in leaves with the others.
    """

    __slots__ = ()

    @property
    def client(self) -> str:
        """Address of the peer, `""` where it has none."""
        return str(self.carrier.client)

    @property
    def scheme(self) -> str:
        """`"http"`."""
        return "http"

    def respond(self, head: ResponseHead, body: bytes) -> None:
        """Give the whole answer; a client that only half-closed still gets it.

        Raises:
            LengthError: the head announced another length; nothing was sent.
        """
        if self.started and self._is_refused():
            return
        connection = self.carrier
        service = connection.service
        if not connection.lost:
            connection.engine.respond(self.head.stream_id, head, body, service.stamp)
        self.started = self.answered = True
        if service.access_log is not None:
            self.status = head.status
            self.sent_bytes = len(body)
        if connection.open or not connection.corked:
            connection.answered(self)

    def is_receiving(self) -> bool:
        """Whether more of the request's body is to come."""
        return self.body is not None and not self.body.ended

    def _is_refused(self) -> bool:
        """Whether the server had to answer itself; an author's second answer is a bug."""
        if not self.gone:
            raise RuntimeError("this request has been answered already")
        return True

    def start(self, head: ResponseHead) -> None:
        """Send the head of an answer whose body follows by `write`."""
        if self.started and self._is_refused():
            return
        self.started = True
        self.status = head.status
        self.sent_bytes = 0
        connection = self.carrier
        if not connection.lost:
            connection.engine.start(self.head.stream_id, head, connection.service.stamp)
            connection.flush()

    def send(self, data: bytes) -> None:
        """Send a piece of the body without waiting.

        Raises:
            LengthError: more bytes than the head announced.
        """
        connection = self.carrier
        if not connection.lost:
            connection.engine.send(self.head.stream_id, data)
            self.sent_bytes += len(data)
            connection.flush()

    async def send_file(
        self, file: Descriptor, offset: int, count: int, in_thread: InThread
    ) -> None:
        """Send `count` bytes of an open file from `offset` on, at the pace of the client.

        The kernel copies them to the socket where it can.

        Raises:
            ClientGone: nobody reads any more.
            LengthError: the file ends before that, or the head announced less.
            OSError: the file cannot be read.
        """
        sent = await send_by_kernel(self, file, offset, count, in_thread)
        await super().send_file(file, offset + sent, count - sent, in_thread)

    async def drained(self) -> None:
        """Wait until the client has taken enough of the answer.

        Raises:
            ClientGone: it left instead.
        """
        connection = self.carrier
        while not connection.lost and not self.gone and connection.is_full(self):
            await connection.wait_for_room()
        if connection.lost or self.gone:
            raise ClientGone("the client left")

    def end(self) -> None:
        """End the body.

        Raises:
            LengthError: fewer bytes than the head announced.
        """
        if not self.answered:
            connection = self.carrier
            if not connection.lost:
                connection.engine.end(self.head.stream_id)
            self.answered = True
            connection.answered(self)

    def abort(self) -> None:
        """Break off a started answer so that the client sees that it is incomplete."""
        if not self.answered:
            connection = self.carrier
            if not self.started:
                self.status, self.sent_bytes = CLIENT_LEFT, 0
            if not connection.lost:
                connection.engine.abort(self.head.stream_id)
            self.answered = True
            connection.answered(self)

    def park(self) -> None:
        """Nothing runs for the request from now on; its time is no longer that of its run."""
        if not self.is_parked:
            self.is_parked = True
            self.carrier.rest()
            self.carrier.service.parked(self)

    def resume(self) -> None:
        """The request runs again."""
        if self.is_parked:
            self.is_parked = False
            self.carrier.service.resumed(self)

    def websocket(self, options: WebSocketOptions) -> WebSocketHandshake:
        """Take the request as one for a WebSocket; nothing is sent before `accept`.

        Raises:
            HandshakeError: it is none, or not a good one, or the server is stopping.
        """
        from tarry.server.handshakes import Handshake  # here, since most servers never need it

        return Handshake(self, options)

    def ask_for_body(self) -> None:
        """The body is about to be read: answer `Expect: 100-continue`."""
        connection = self.carrier
        if self.head.expect_continue and not connection.lost:
            connection.engine.continue_(self.head.stream_id)
            connection.flush()

    def resume_body(self) -> None:
        """The reader has caught up: go on receiving."""
        self.carrier.resume_reading()
