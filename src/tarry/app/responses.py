"""What a handler may return when a plain value does not say enough."""

from collections.abc import AsyncIterable, Iterable
from datetime import datetime
from typing import Any, Literal

from tarry.message.cookies import SetCookie, delete_cookie
from tarry.message.headers import Headers, HeaderSource


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

    __slots__ = ("content_type", "headers", "length", "pieces", "status")

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
        self.pieces = pieces
        self.status = status
        self.content_type = content_type
        self.headers = Headers(headers)
        self.length = length
