"""Where parameters are looked up by name: query, headers, cookies, and the path.

A new place is a row in `PLACES`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from tarry.app.convert import ConversionError, Converter, ValuesConverter
from tarry.app.errors import HttpError
from tarry.exchange import Exchange
from tarry.message import target
from tarry.message.cookies import CookiesTooLarge, parse_cookies
from tarry.message.heads import check_field


class Values(Protocol):
    """Values by name in one place of one request."""

    def get(self, key: Any, /) -> list[str] | None: ...


class _HeaderValues:
    __slots__ = ("_fields",)

    def __init__(self, exchange: Exchange) -> None:
        self._fields = exchange.head.headers

    def get(self, key: bytes, /) -> list[str] | None:
        return [value.decode("latin-1") for value in self._fields.getall(key)] or None


_NO_VALUES: Final[dict[str, list[str]]] = {}


def _query_values(exchange: Exchange) -> dict[str, list[str]]:
    raw = exchange.head.query
    if not raw:
        return _NO_VALUES
    try:
        return target.parse_query(raw)
    except target.InvalidTarget as error:
        raise HttpError(400, f"bad query: {error}") from error


def _cookie_values(exchange: Exchange) -> dict[str, list[str]]:
    return {name: [value] for name, value in read_cookies(exchange).items()}


def read_cookies(exchange: Exchange) -> dict[str, str]:
    try:
        return parse_cookies(exchange.head.headers.getall(b"cookie"))
    except CookiesTooLarge as error:
        raise HttpError(431, str(error)) from error


def _header_key(name: str) -> bytes:
    key = name.lower().encode("ascii")
    check_field(key, b"")
    return key


class Place(NamedTuple):
    """How to open a place for one request, and what its names are looked up by."""

    open: Callable[[Exchange], Values]
    default_name: Callable[[str], str]
    key: Callable[[str], Any]


PLACES: Final[Mapping[str, Place]] = {
    "query": Place(_query_values, str, str),
    "header": Place(_HeaderValues, lambda name: name.replace("_", "-"), _header_key),
    "cookie": Place(_cookie_values, str, str),
}


class Field(NamedTuple):
    """An argument that is looked up by name in a place, and how its text is read."""

    argument: str
    name: str
    key: Any
    convert: ValuesConverter
    required: bool


class PathField(NamedTuple):
    """An argument that is a path parameter, and where its value stands among them."""

    argument: str
    name: str
    position: int
    convert: Converter


def fill(arguments: dict[str, Any], fields: tuple[Field, ...], values: Values) -> None:
    for argument, _, key, convert, required in fields:
        found = values.get(key)
        if found is not None:
            arguments[argument] = convert(found)
        elif required:
            raise ConversionError("is missing")
