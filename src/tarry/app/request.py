"""The request as an author sees it: a view of the exchange, made when asked for."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from tarry.app.errors import HttpError
from tarry.exchange import Exchange
from tarry.message import cookies, target
from tarry.message.headers import Headers


class Request:
    """The request that a handler answers; everything is decoded at first use."""

    __slots__ = ("_body", "_cookies", "_headers", "_query", "exchange")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._body: bytes | None = None
        self._cookies: dict[str, str] | None = None
        self._headers: Headers | None = None
        self._query: dict[str, list[str]] | None = None

    @property
    def method(self) -> str:
        """The method in capitals, such as `"GET"`."""
        return self.exchange.head.method.decode("ascii")

    @property
    def path(self) -> str:
        """The path, each segment percent-decoded; `"%2F"` shows as "/" here."""
        return "/" + "/".join(target.decode_path(self.exchange.head.path))

    @property
    def raw_path(self) -> str:
        """The path as it came, not decoded."""
        return self.exchange.head.path.decode("ascii")

    @property
    def query_string(self) -> str:
        """What follows the first "?", not decoded."""
        return self.exchange.head.query.decode("ascii")

    @property
    def query(self) -> dict[str, list[str]]:
        """Query parameters: each name with all its values."""
        if self._query is None:
            self._query = target.parse_query(self.exchange.head.query)
        return self._query

    @property
    def headers(self) -> Headers:
        """Header fields; names match in any case."""
        if self._headers is None:
            self._headers = Headers.from_fields(self.exchange.head.headers)
        return self._headers

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies by name."""
        if self._cookies is None:
            self._cookies = cookies.parse_cookies(self.exchange.head.headers.getall(b"cookie"))
        return self._cookies

    @property
    def http_version(self) -> str:
        """`"1.0"`, `"1.1"` or `"2"`."""
        return self.exchange.head.http_version.decode("ascii")

    @property
    def scheme(self) -> str:
        """`"http"` or `"https"`."""
        return self.exchange.scheme

    @property
    def host(self) -> str:
        """The host and port the client asked for, checked; `""` if it named none (HTTP/1.0)."""
        return (self.exchange.head.headers.get(b"host") or b"").decode("ascii")

    @property
    def url(self) -> str:
        """The whole URL, built from the checked parts."""
        return f"{self.scheme}://{self.host}{self.exchange.head.target.decode('ascii')}"

    @property
    def client(self) -> str:
        """Address of the peer, `""` where it has none."""
        return self.exchange.client

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self.exchange.gone

    async def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece, as it comes.

        Raises:
            ClientGone: the client left before the end.
        """
        if self._body is not None:
            if self._body:
                yield self._body
        elif self.exchange.body is not None:
            while piece := await self.exchange.body.read():
                yield piece

    async def body(self) -> bytes:
        """The whole body, `b""` if there is none; can be read again.

        Raises:
            ClientGone: the client left before the end.
        """
        if self._body is None:
            self._body = b"".join([piece async for piece in self.stream()])
        return self._body

    async def json(self) -> Any:
        """The body decoded from JSON.

        Raises:
            HttpError: 400, with the position, for malformed JSON.
        """
        try:
            return msgspec.json.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HttpError(400, f"malformed JSON: {error}") from error
