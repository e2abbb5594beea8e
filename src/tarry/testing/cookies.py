"""Cookies that a test client keeps from one request to the next, as a browser does."""

from email.message import Message
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import cast
from urllib.request import Request

from tarry.message.headers import Headers


class _Received:
    """An answer as the cookie jar wants it."""

    def __init__(self, headers: Headers) -> None:
        self._message = Message()
        for value in headers.getall("set-cookie"):
            self._message["set-cookie"] = value

    def info(self) -> Message:
        return self._message


class CookieKeeper:
    """A browser's cookies for one site; path, age and Secure count as RFC 6265 says."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._jar = CookieJar()

    def header_for(self, path: str) -> str | None:
        """The value of the Cookie field for a path, or `None`."""
        request = self._request(path)
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie")

    def keep(self, path: str, headers: Headers) -> None:
        """Take the cookies of an answer."""
        received = cast("HTTPResponse", _Received(headers))
        self._jar.extract_cookies(received, self._request(path))

    def _request(self, path: str) -> Request:
        return Request(self._base_url + path)  # noqa: S310 — it is never opened
