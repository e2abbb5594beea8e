"""What a handler may return when a plain value does not say enough."""

import os
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from tarry.message.cookies import SetCookie, delete_cookie
from tarry.message.eventstream import check_event, encode_event
from tarry.message.headers import Headers, HeaderSource
from tarry.message.status import WITHOUT_BODY

PING_S: Final = 15.0
"""WHATWG HTML section 9.2.7 advises a comment every 15 seconds or so; nginx gives up after 60."""

_to_json: Final = msgspec.json.Encoder().encode


class Html(str):
    """Text that is HTML.  Nothing else is ever sent as HTML."""

    __slots__ = ()


class Response:
    """An answer with everything said: body, status, headers, cookies.

    `body` is anything that a handler may return, converted in the same way;
    `headers` add to what its type brings, and replace its content type.
    """

    __slots__ = ("body", "cookies", "headers", "status")

    def __init__(self, body: Any = None, status: int = 200, headers: HeaderSource = ()) -> None:
        self.body = body
        self.status = status
        self.headers = Headers(headers)
        self.cookies: list[SetCookie] = []

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age_s: int | None = None,
        expires: datetime | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        http_only: bool = True,
        same_site: Literal["Lax", "Strict", "None"] | None = "Lax",
    ) -> None:
        """Have the client keep a cookie; hidden from scripts unless told otherwise.

        Raises:
            InvalidField: a name or value that a cookie cannot hold, or a
                combination of attributes that browsers refuse.
        """
        cookie = SetCookie(
            name,
            value,
            max_age_s=max_age_s,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            http_only=http_only,
            same_site=same_site,
        )
        cookie.encode()
        self.cookies.append(cookie)

    def delete_cookie(self, name: str, path: str = "/", domain: str | None = None) -> None:
        """Have the client forget a cookie that was set with the same path and domain."""
        self.cookies.append(delete_cookie(name, path, domain))


class Redirect(Response):
    """Send the client elsewhere; 302 by default.

    `url` is a path on this site unless `external=True`, so that a target
    taken from a request cannot lead to a foreign host.

    Raises:
        ValueError: another status than 301, 302, 303, 307 or 308; a URL that
            leaves the site, or has control characters.
    """

    __slots__ = ()

    def __init__(self, url: str, status: int = 302, *, external: bool = False) -> None:
        if status not in (301, 302, 303, 307, 308):
            raise ValueError(f"{status} is not a redirect; use 301, 302, 303, 307 or 308")
        if any(ord(character) < 33 or ord(character) == 127 for character in url):
            raise ValueError("a URL has no spaces or control characters")
        if not external and not _stays_here(url):
            raise ValueError(
                'this URL may lead to another host, for it does not begin with one "/"; '
                "say external=True if that is meant"
            )
        super().__init__(None, status, {"location": quote_url(url)})


def _stays_here(url: str) -> bool:
    """Whether browsers take it for a path of this site; they read a backslash as "/"."""
    return url.startswith("/") and not url.startswith("//") and "\\" not in url


def quote_url(url: str) -> str:
    """The URL with everything that is not ASCII percent-encoded; the rest stays."""
    return "".join(
        character if character.isascii() else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in url
    )


class Stream:
    """An answer sent piece by piece, at the pace of the client.

    `pieces` is an iterable or async iterable of `str` or `bytes`; a plain one
    is read in a thread.  With `length` (bytes) the client learns the size, and
    giving more or less breaks the answer off; without one it ends when the
    pieces do.

    Raises:
        TypeError: `pieces` is a text itself, or cannot be iterated.
    """

    __slots__ = ("content_type", "headers", "length", "pieces", "source", "status")

    def __init__(
        self,
        pieces: Iterable[str | bytes] | AsyncIterable[str | bytes],
        *,
        status: int = 200,
        content_type: str = "text/plain; charset=utf-8",
        headers: HeaderSource = (),
        length: int | None = None,
    ) -> None:
        if isinstance(pieces, str | bytes | bytearray | memoryview):
            raise TypeError(f"a Stream takes pieces; return the {type(pieces).__name__} itself")
        if not isinstance(pieces, Iterable | AsyncIterable):
            raise TypeError(f"a Stream takes an iterable, not {type(pieces).__name__}")
        # As they were given: a filter may put others in their place that are made of them.
        self.pieces = self.source = pieces
        self.status = status
        self.content_type = content_type
        self.headers = Headers(headers)
        self.length = length

    def amended(self, status: int, headers: Iterable[tuple[str, str]]) -> "Stream":
        """The same pieces with another status, unless that is 200, and further headers.

        They take the place of those of the same name; cookies add up.
        """
        given = list(headers)
        names = {name.lower() for name, _ in given} - {"set-cookie"}
        kept = [field for field in self.headers.items() if field[0].lower() not in names]
        stream = Stream(
            self.pieces,
            status=self.status if status == 200 else status,
            content_type=self.content_type,
            headers=[*kept, *given],
            length=self.length,
        )
        stream.source = self.source
        return stream


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event; `data` that is no `str` goes out as JSON.

    `event` is the name under which a browser's `addEventListener` finds it.
    `id` comes back in `Last-Event-ID` when the client connects again, which it
    does `retry_ms` after it lost the connection.

    Raises:
        ValueError: a line break or NUL in `event` or `id`; a negative `retry_ms`.
    """

    data: Any
    event: str | None = None
    id: str | None = None
    retry_ms: int | None = None

    def __post_init__(self) -> None:
        check_event(self.event, self.id, self.retry_ms)

    def encode(self) -> bytes:
        """The event as it is sent.

        Raises:
            TypeError: `data` is bytes, or cannot be JSON.
            ValueError: a value within `data` cannot be JSON, or text has a lone surrogate.
        """
        if isinstance(self.data, bytes | bytearray | memoryview):
            raise TypeError("an event holds text: decode its data, or send base64")
        text = self.data if isinstance(self.data, str) else _to_json(self.data).decode()
        return encode_event(text, event=self.event, id=self.id, retry_ms=self.retry_ms)


class Events:
    """An answer of server-sent events, as `EventSource` in browsers reads them.

    `items` is an iterable or async iterable of texts, of values for JSON or of
    `ServerEvent`; a plain one is read in a thread.  It is closed when the
    client leaves.  After each `ping_s` seconds without an event a comment goes
    out, so that proxies keep the connection and a client that is no longer
    there is noticed; `None` sends none.  `retry_ms` is how long clients wait
    before they connect again.  Caches keep nothing of it, and nginx passes it
    on without buffering, unless `headers` say otherwise.

    Raises:
        TypeError: `items` is a text or mapping itself, or cannot be iterated.
        ValueError: `ping_s` is not above 0; a negative `retry_ms`.
    """

    __slots__ = ("headers", "items", "ping_s", "retry_ms")

    def __init__(
        self,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        ping_s: float | None = PING_S,
        headers: HeaderSource = (),
        retry_ms: int | None = None,
    ) -> None:
        whole = isinstance(items, str | bytes | bytearray | memoryview | Mapping)
        if whole or not isinstance(items, Iterable | AsyncIterable):
            raise TypeError(f"Events take an iterable of events, not {type(items).__name__}")
        if ping_s is not None and not 0 < ping_s < float("inf"):
            raise ValueError(f"ping_s is above 0 seconds, or None for no pings, not {ping_s!r}")
        check_event(None, None, retry_ms)
        self.items = items
        self.ping_s = ping_s
        self.headers = Headers(headers)
        self.headers.setdefault("cache-control", "no-store")
        self.headers.setdefault("x-accel-buffering", "no")
        self.retry_ms = retry_ms


class SendFile:
    """A file as the answer; can be made once and returned any number of times.

    The content type is that of the name unless one is given.  `download` has
    the browser save the file, under its own name or the one given.  With
    `max_age_s` (seconds) the client need not ask again meanwhile; `etag=False`
    sends no entity tag, for files whose date and size do not tell versions
    apart.  `headers` replace what would be sent under the same name.

    What is missing, no regular file or not readable becomes a 404 when it is
    sent.  `path` is not checked: a part of it that comes from a request can
    lead anywhere.

    Raises:
        ValueError: a status that has no body, or is none; a negative `max_age_s`.
        TypeError: `path` is no path.
    """

    __slots__ = ("content_type", "download", "etag", "headers", "max_age_s", "path", "status")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        content_type: str | None = None,
        download: bool | str = False,
        status: int = 200,
        headers: HeaderSource = (),
        max_age_s: int | None = None,
        etag: bool = True,
    ) -> None:
        if status in WITHOUT_BODY or not 200 <= status <= 599:
            raise ValueError(f"a file cannot be sent with status {status}")
        if max_age_s is not None and max_age_s < 0:
            raise ValueError(f"max_age_s is {max_age_s}; it counts seconds from now on")
        self.path = os.fsdecode(path)
        self.content_type = content_type
        self.download = download
        self.status = status
        self.headers = Headers(headers)
        self.max_age_s = max_age_s
        self.etag = etag

    def amended(self, status: int, headers: Iterable[tuple[str, str]]) -> "SendFile":
        """The same file with another status, unless that is 200, and further headers."""
        return SendFile(
            self.path,
            content_type=self.content_type,
            download=self.download,
            status=self.status if status == 200 else status,
            headers=[*self.headers.items(), *headers],
            max_age_s=self.max_age_s,
            etag=self.etag,
        )
