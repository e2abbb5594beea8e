"""What a test client sends, and the methods that all of them have."""

import string
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack
from urllib.parse import quote, urlencode

import msgspec

from tarry.message.headers import Headers, HeaderSource
from tarry.message.heads import Field, check_field

Data = bytes | str | Mapping[str, Any] | Iterable[bytes]
"""A body: as it is; a form from a mapping; or in pieces, sent without a length."""

Answer = TypeVar("Answer", covariant=True)

WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods with which clients send `content-length: 0` too (RFC 9110 section 8.6)."""


class RequestOptions(TypedDict, total=False):
    """What can be said about a request besides method and path.

    `json` is encoded with its content type, dataclasses and structs too;
    `data` is the body instead.  A field in `headers` replaces what the client
    would have sent.
    """

    headers: HeaderSource
    cookies: Mapping[str, str]
    json: Any
    data: Data


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request ready to be sent; without `has_length` its body has none announced."""

    method: str
    target: str
    fields: list[Field]
    pieces: Iterable[bytes]
    has_length: bool

    @property
    def name(self) -> str:
        """The request in a message for people."""
        return f"{self.method} {self.target}"


def outgoing(
    method: str, path: str, host: str, options: RequestOptions, kept_cookies: str | None = None
) -> OutgoingRequest:
    """Put a request together as a browser would: path quoted, length and type of the body told.

    Raises:
        TypeError: an option that there is not.
        ValueError: a path without "/" first, or both `json` and `data`.
        InvalidField: a method or a header that would break the message.
    """
    for unknown in options.keys() - RequestOptions.__annotations__.keys():
        known = ", ".join(RequestOptions.__annotations__)
        raise TypeError(f"a request has no option {unknown!r}; there are {known}")
    if not path.startswith("/") and path != "*":
        raise ValueError(f'the path must begin with "/", not {path!r}')
    content_type, body = _body(options)
    whole = isinstance(body, bytes)
    headers = Headers([("host", host)])
    if content_type is not None:
        headers["content-type"] = content_type
    if isinstance(body, bytes) and (body or method in WITH_BODY):
        headers["content-length"] = str(len(body))
    if (cookie := _cookie(options.get("cookies", {}), kept_cookies)) is not None:
        headers["cookie"] = cookie
    headers.update(options.get("headers", ()))
    pieces = [body] if isinstance(body, bytes) else body
    fields = headers.to_fields()
    # The method has the same characters as a field's name (RFC 9110 sections 5.1 and 9.1).
    for name, value in [(method.encode(), b""), *fields]:
        check_field(name, value)
    # A browser quotes what a request line cannot hold; what is quoted already stays.
    return OutgoingRequest(method, quote(path, string.punctuation), fields, pieces, whole)


def _body(options: RequestOptions) -> tuple[str | None, bytes | Iterable[bytes]]:
    data = options.get("data", b"")
    if "json" in options:
        if "data" in options:
            raise ValueError("a request has one body: give json or data, not both")
        return "application/json", msgspec.json.encode(options["json"])
    if isinstance(data, str):
        return "text/plain; charset=utf-8", data.encode()
    if isinstance(data, Mapping):
        return "application/x-www-form-urlencoded", urlencode(data, doseq=True).encode()
    return None, data


def _cookie(cookies: Mapping[str, str], kept: str | None) -> str | None:
    pairs = [f"{name}={value}" for name, value in cookies.items()]
    return "; ".join(pairs if kept is None else [*pairs, kept]) or None


class Methods(ABC, Generic[Answer]):
    """One method for each of HTTP; `Answer` is a reply, or a coroutine that gives one."""

    @abstractmethod
    def request(self, method: str, path: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a request and get its reply; `path` has the query too.

        Raises:
            IncompleteAnswer: the server broke the answer off.
            TimeoutError: no whole answer in time.
            ValueError: a request that cannot be sent.
        """

    def get(self, path: str, **options: Unpack[RequestOptions]) -> Answer:
        """See `request`."""
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Unpack[RequestOptions]) -> Answer:
        """See `request`."""
        return self.request("HEAD", path, **options)

    def post(self, path: str, **options: Unpack[RequestOptions]) -> Answer:
        """See `request`."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Unpack[RequestOptions]) -> Answer:
        """See `request`."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Unpack[RequestOptions]) -> Answer:
        """See `request`."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Unpack[RequestOptions]) -> Answer:
        """See `request`."""
        return self.request("DELETE", path, **options)

    def options(self, path: str, **options: Unpack[RequestOptions]) -> Answer:
        """See `request`."""
        return self.request("OPTIONS", path, **options)
