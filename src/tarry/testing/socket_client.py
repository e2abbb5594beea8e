"""A client for tests that speaks to a server over a real socket."""

from dataclasses import replace
from http.client import HTTPConnection, HTTPException, IncompleteRead
from select import select
from socket import socket
from typing import Unpack
from urllib.parse import urlsplit

from tarry.message.headers import Headers
from tarry.testing.async_client import TIMEOUT_S
from tarry.testing.cookies import CookieKeeper
from tarry.testing.replies import IncompleteAnswer, Reply
from tarry.testing.requests import Methods, OutgoingRequest, RequestOptions, outgoing


class SocketClient(Methods[Reply]):
    """As `Client`, for a server that runs at a URL: `with SocketClient(handle.url) as client:`.

    It sends the same bytes, but over HTTP/1.1 and one TCP connection, which is
    kept while the server keeps it.
    """

    def __init__(
        self, url: str, *, keep_cookies: bool = False, timeout_s: float = TIMEOUT_S
    ) -> None:
        address = urlsplit(url)
        if address.scheme != "http" or address.hostname is None:
            raise ValueError(f"the URL must be http://host:port, not {url!r}")
        self._host = address.netloc
        self._connection = HTTPConnection(address.hostname, address.port, timeout=timeout_s)
        self._cookies = CookieKeeper(url.rstrip("/")) if keep_cookies else None

    def __enter__(self) -> "SocketClient":
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def request(self, method: str, path: str, **options: Unpack[RequestOptions]) -> Reply:
        """Send a request and wait for its reply; `path` has the query too.

        Raises:
            IncompleteAnswer: the server broke the answer off.
            TimeoutError: no bytes in time.
            OSError: nobody listens there.
            ValueError: a request that cannot be sent.
        """
        kept = self._cookies.header_for(path) if self._cookies is not None else None
        request = outgoing(method, path, self._host, options, kept)
        try:
            reply = self._ask(request)
        except BaseException:
            # What is left of an answer must not be read as the next one.
            self._connection.close()
            raise
        if self._cookies is not None:
            self._cookies.keep(path, reply.headers)
        return reply

    def _ask(self, request: OutgoingRequest) -> Reply:
        connection = self._connection
        if connection.sock is not None and _is_dropped(connection.sock):
            connection.close()
        if connection.sock is None:
            connection.connect()
        # A server drops only so much of a body that nobody reads, and may then close.
        keep = request.has_length
        try:
            self._send(request)
        except ConnectionError:
            keep = False
        try:
            return _reply(connection, request.name)
        finally:
            if not keep:
                connection.close()

    def _send(self, request: OutgoingRequest) -> None:
        connection = self._connection
        connection.putrequest(
            request.method, request.target, skip_host=True, skip_accept_encoding=True
        )
        for name, value in request.fields:
            connection.putheader(name.decode("latin-1"), value)
        if not request.has_length:
            connection.putheader("transfer-encoding", "chunked")
        connection.endheaders(request.pieces, encode_chunked=not request.has_length)


def _is_dropped(connection: socket) -> bool:
    """Whether the server has closed: between two answers nothing else can come from it."""
    readable, _, _ = select([connection], [], [], 0)
    return bool(readable)


def _reply(connection: HTTPConnection, name: str) -> Reply:
    head = None
    try:
        response = connection.getresponse()
        head = Reply(response.status, Headers(response.getheaders()))
        return replace(head, body=response.read())
    except (HTTPException, ConnectionError) as error:
        if head is not None and isinstance(error, IncompleteRead):
            head = replace(head, body=error.partial)
        raise IncompleteAnswer(name, head) from error
