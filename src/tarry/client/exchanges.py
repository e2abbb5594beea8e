"""One request and its answer, over a connection of their own, with Python's own HTTP client."""

import contextlib
import copy
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader
from typing import Any, Final, NamedTuple, cast
from urllib.parse import SplitResult, quote, urlsplit

from tarry.client.endurance import MAX_SILENCE_S, Endurance
from tarry.client.failures import RequestFailed, TryAgain, failure_of_answer
from tarry.version import VERSION

CONNECT_S: Final = 10.0
"""How long the connection may take, with its handshake."""

MAX_DOCUMENT_BYTES: Final = 1024 * 1024
"""What is read of a document or an error; theirs is a fraction of that."""

PIECE_BYTES: Final = 64 * 1024

TEMPORARY: Final = frozenset({429, 502, 503, 504})
"""What servers, and what stands before them, say while they are full, away or starting."""

_URL_SAFE: Final = "!#$%&'()*+,/:;=?@[]~"
_JSON: Final = re.compile(r"[/+]json", re.ASCII)
_HOST: Final = re.compile(r"[^\s\x00-\x1f\x7f]+")
_RETRY_AFTER: Final = re.compile("[0-9]{1,9}")
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A server whose machine is gone sends no word of it; it is noticed after a minute."""


class _Asked(NamedTuple):
    """What a request was sent with: its connection, and how long nothing may come on it."""

    method: str
    url: str
    connection: HTTPConnection
    sock: socket.socket
    silence_s: float
    endurance: Endurance

    def set_patience(self) -> None:
        """Let the socket wait as long as may be; raises RequestTimeout if that is over."""
        self.sock.settimeout(self.endurance.left_s(self.silence_s))


class Answer:
    """The answer to a request: its head, and its body as it comes; close it."""

    def __init__(self, asked: "_Asked", response: HTTPResponse) -> None:
        self._asked = asked
        self._response = response
        self.url = asked.url
        self.status = response.status
        self.headers: Message = response.headers

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *error: object) -> None:
        self._response.close()
        self._asked.connection.close()

    @property
    def content_type(self) -> str:
        """The media type, in lower case and without parameters; empty if it is not said."""
        return self.headers.get_content_type() if "content-type" in self.headers else ""

    @property
    def is_head(self) -> bool:
        """Whether the request was HEAD, whose answer has no body."""
        return self._asked.method == "HEAD"

    @property
    def is_json(self) -> bool:
        """Whether it says that it is JSON."""
        return _JSON.search(self.content_type) is not None

    def heard(self) -> None:
        """What came was of use: the server is not away."""
        self._asked.endurance.heard()

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes.

        Raises:
            TryAgain: it broke off, or nothing came for longer than was allowed.
            RequestTimeout: the deadline has passed.
        """
        while piece := self._piece():
            yield piece

    def _piece(self) -> bytes:
        self._asked.set_patience()
        with broken_is_try_again(self.url):
            piece = self._response.read1(PIECE_BYTES)
        if not piece and self._response.length:
            raise TryAgain(_unreachable(self.url, "the answer broke off"))
        return piece

    def document(self) -> dict[str, Any]:
        """The body, which is a JSON object.

        Raises:
            TryAgain: it is none, or broke off; something on the way may have answered.
        """
        body = bytearray()
        for piece in self.pieces():
            body += piece
            if len(body) > MAX_DOCUMENT_BYTES:
                body.clear()  # an object it may be, but no document
                break
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(body)
            if isinstance(document, dict):
                return document
        text = f"an answer to {origin_text(self.url)} is no JSON object of 1 MiB at most"
        raise TryAgain(RequestFailed(text, status=self.status))

    def check(self) -> None:
        """Return if the answer is no error.

        Raises:
            TryAgain: it is one that passes.
            RequestFailed: it is another, or leads elsewhere.
        """
        if 200 <= self.status < 300:
            return
        problem = None
        if self.is_json:
            with contextlib.suppress(TryAgain):
                problem = self.document()
        failure = failure_of_answer(self.status, self._response.reason, problem)
        retry_after = self.headers.get("retry-after")
        # What stands in for a server while it is away speaks no JSON.
        is_passing = retry_after is not None or problem is None or self.status == 429
        if self.status not in TEMPORARY or not is_passing:
            raise failure
        # It may be a date as well; the pauses grow by themselves.
        match = _RETRY_AFTER.fullmatch(retry_after or "")
        retry_s = float(match[0]) if match is not None else 0.0
        raise TryAgain(failure, retry_s=retry_s, may_have_arrived=retry_after is None)


class _WholeLines:
    """Lines of a head: one that the end of the connection cut off is an error."""

    def __init__(self, file: BufferedReader) -> None:
        self._readline = file.readline

    def readline(self, limit: int) -> bytes:
        """The next line, with its end."""
        line = self._readline(limit)
        if not line.endswith(b"\n") and len(line) < limit:
            raise ConnectionResetError("the connection ended before the answer")
        return line


class _Response(HTTPResponse):
    """A response whose head is whole; that of Python takes any end of a connection for its end."""

    def begin(self) -> None:
        """Read the head."""
        file = self.fp
        # Only lines are read in there.
        self.fp = cast("BufferedReader", _WholeLines(file))
        try:
            super().begin()
        finally:
            self.fp = file


class Server:
    """Where requests go: one origin, which alone gets the headers of the caller."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        ssl_context: ssl.SSLContext | None,
        endurance: Endurance,
    ) -> None:
        """Raises ValueError for a URL to which nothing can be sent."""
        self._origin = _origin(url)
        self._headers = {"user-agent": f"tarry/{VERSION}", **headers}
        self._ssl_context = ssl_context
        self._endurance = endurance

    def within(self, endurance: Endurance) -> "Server":
        """The same server, with other limits of time."""
        server = copy.copy(self)
        server._endurance = endurance
        return server

    def has(self, url: str) -> bool:
        """Whether a URL is one of this server."""
        try:
            return _origin(url) == self._origin
        except ValueError:
            return False

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        body: bytes | None = None,
        silence_s: float = MAX_SILENCE_S,
    ) -> Answer:
        """Send a request; the head of its answer is there.

        From then on nothing may be missing for more than `silence_s` seconds.

        Raises:
            TryAgain: the connection could not be made, or broke.
            RequestFailed: the certificate of the server is not to be trusted.
            RequestTimeout: the deadline has passed.
        """
        connection = self._connection()
        connection.response_class = _Response
        try:
            self._connect(connection, url)
            _keep_alive(connection.sock)
            asked = _Asked(method, url, connection, connection.sock, silence_s, self._endurance)
            asked.set_patience()
            with broken_is_try_again(url):
                # A server that refuses a body answers, and closes, before it has read it.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.request(method, _target(url), body, {**self._headers, **headers})
                return Answer(asked, connection.getresponse())
        except BaseException:
            connection.close()
            raise

    def _connection(self) -> HTTPConnection:
        scheme, host, port = self._origin
        timeout_s = self._endurance.left_s(CONNECT_S)
        if scheme == "http":
            return HTTPConnection(host, port, timeout=timeout_s)
        context = self._ssl_context or ssl.create_default_context()
        return HTTPSConnection(host, port, timeout=timeout_s, context=context)

    def _connect(self, connection: HTTPConnection, url: str) -> None:
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise _unreachable(url, error) from error
        except OSError as error:
            raise TryAgain(_unreachable(url, error), may_have_arrived=False) from error
        self._endurance.reached()


def origin_text(url: str) -> str:
    """The origin of a URL, for messages; paths may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@contextlib.contextmanager
def broken_is_try_again(url: str) -> Iterator[None]:
    """Whatever goes wrong with a connection is a `TryAgain`."""
    try:
        yield
    except TimeoutError as error:
        raise TryAgain(_unreachable(url, "nothing comes"), is_silence=True) from error
    except (OSError, HTTPException) as error:
        raise TryAgain(_unreachable(url, error)) from error


def _unreachable(url: str, why: object) -> RequestFailed:
    text = str(why) or type(why).__name__
    return RequestFailed(f"{origin_text(url)} cannot be reached: {text}", state="unreachable")


def _origin(url: str) -> tuple[str, str, int]:
    parts: SplitResult = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    if port is None or not _HOST.fullmatch(parts.hostname or "") or "@" in parts.netloc:
        raise ValueError(f"a URL is http://… or https://…, without a user, not {url!r}")
    return parts.scheme, parts.hostname or "", port


def _target(url: str) -> str:
    """What stands in the request line, percent-encoded where that was left out."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe=_URL_SAFE)


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not on each system
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
