"""Where parameters are looked up by name: query, headers, cookies, forms, and the path.

A new place is a row in `PLACES`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from tarry.app.convert import Converter, ValuesConverter
from tarry.app.errors import HttpError
from tarry.app.faults import ConversionError
from tarry.exchange import Exchange
from tarry.message import target
from tarry.message.cookies import CookiesTooLarge, parse_cookies
from tarry.message.heads import check_field


class Values(Protocol):
    """Values by name in one place of one request: texts, or uploaded files."""

    def get(self, key: Any, /) -> list[Any] | None: ...


class _HeaderValues:
    __slots__ = ("_fields",)

    def __init__(self, exchange: Exchange) -> None:
        self._fields = exchange.head.headers

    def get(self, key: bytes, /) -> list[str] | None:
        return [value.decode("latin-1") for value in self._fields.getall(key)] or None


class _QueryAndForm:
    """What the query does not have may be in the form."""

    __slots__ = ("_form", "_query")

    def __init__(self, query: Values, form: Values) -> None:
        self._query = query
        self._form = form

    def get(self, key: str, /) -> list[str] | None:
        return self._query.get(key) or self._form.get(key)


_NO_VALUES: Final[dict[str, list[Any]]] = {}


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


def _form_values(exchange: Exchange) -> Values:
    form = exchange.context.form_read if exchange.context is not None else None
    return _NO_VALUES if form is None else form.fields


def _file_values(exchange: Exchange) -> Values:
    form = exchange.context.form_read if exchange.context is not None else None
    return _NO_VALUES if form is None else form.files


def _parameter_values(exchange: Exchange) -> Values:
    query = _query_values(exchange)
    if exchange.context is None or exchange.context.form_read is None:
        return query
    return _QueryAndForm(query, exchange.context.form_read.fields)


def _header_key(name: str) -> bytes:
    key = name.lower().encode("ascii")
    check_field(key, b"")
    return key


class Place(NamedTuple):
    """How to open a place for one request, and what its names are looked up by.

    `label` is what a client is told, `needs_form` says that a form has to be
    read before, if there is one.
    """

    open: Callable[[Exchange], Values]
    default_name: Callable[[str], str]
    key: Callable[[str], Any]
    label: str
    needs_form: bool = False


PLACES: Final[Mapping[str, Place]] = {
    "query": Place(_query_values, str, str, "query"),
    "query or form": Place(_parameter_values, str, str, "query or form", needs_form=True),
    "header": Place(_HeaderValues, lambda name: name.replace("_", "-"), _header_key, "header"),
    "cookie": Place(_cookie_values, str, str, "cookie"),
    "form": Place(_form_values, str, str, "form", needs_form=True),
    "file": Place(_file_values, str, str, "form", needs_form=True),
}


class Field(NamedTuple):
    """An argument that is looked up by name in a place, and how its text is read."""

    argument: str
    name: str
    key: Any
    convert: ValuesConverter
    required: bool

    def fill(self, arguments: dict[str, Any], values: Values) -> None:
        found = values.get(self.key)
        if found is not None:
            arguments[self.argument] = self.convert(found)
        elif self.required:
            raise ConversionError("is missing")


class Record(NamedTuple):
    """An argument that is made of several values of a place, each a field of its type."""

    argument: str
    name: str
    read: Callable[[Values], Any]

    def fill(self, arguments: dict[str, Any], values: Values) -> None:
        record = self.read(values)
        if record is not None:  # otherwise it has a default
            arguments[self.argument] = record


class PathField(NamedTuple):
    """An argument that is a path parameter, and where its value stands among them."""

    argument: str
    name: str
    position: int
    convert: Converter


def fill(arguments: dict[str, Any], fields: tuple[Field, ...], values: Values) -> None:
    # `Field.fill` written out: each typed request comes this way.
    for argument, _, key, convert, required in fields:
        found = values.get(key)
        if found is not None:
            arguments[argument] = convert(found)
        elif required:
            raise ConversionError("is missing")
