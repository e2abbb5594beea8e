"""Bodies as arguments: raw, or JSON checked against a type."""

import typing
from typing import Any, Protocol

from tarry.app import pydantic_models
from tarry.app.annotations import alternatives, is_record
from tarry.app.errors import HttpError
from tarry.app.faults import ConversionError
from tarry.app.json_texts import json_reader
from tarry.exchange import Exchange
from tarry.message import mediatypes


class BodyReader(Protocol):
    """What makes an argument of the body."""

    argument: str

    def fill(self, arguments: dict[str, Any], exchange: Exchange, body: bytes | None) -> None: ...


class RawBody:
    """The bytes as they came; without a body a default if there is one, or none."""

    __slots__ = ("argument",)

    def __init__(self, argument: str) -> None:
        self.argument = argument

    def fill(self, arguments: dict[str, Any], exchange: Exchange, body: bytes | None) -> None:
        if body is not None:
            arguments[self.argument] = body
        else:
            arguments.setdefault(self.argument, b"")


class JsonBody:
    """The body decoded and checked against a type.

    `annotation` is anything that msgspec decodes, or Pydantic if one of its
    models is in it.

    Raises:
        TypeError: a type that does not come from JSON.
        NameError: a field's annotation has a name that is unknown in its module.
    """

    __slots__ = ("_read", "_required", "argument")

    def __init__(self, argument: str, annotation: Any, required: bool) -> None:
        self.argument = argument
        self._read = json_reader(annotation)
        self._required = required

    def fill(self, arguments: dict[str, Any], exchange: Exchange, body: bytes | None) -> None:
        """Put the value of the body among the arguments; nothing if there is no body.

        Raises:
            ConversionError: the body is missing, no JSON, or not of the type;
                `Faults` if it is known where.
            HttpError: 415 if the body does not say that it is JSON.
        """
        if body:
            check_content_type(exchange)
            arguments[self.argument] = self._read(body)
        elif self._required:
            raise ConversionError("is missing")


def check_content_type(exchange: Exchange) -> None:
    """Refuse a body that does not say it is JSON.

    Raises:
        HttpError: 415, naming what would be taken.
    """
    content_type = exchange.head.headers.get(b"content-type")
    # So say most; it saves them a closer look.
    if content_type == b"application/json":
        return
    # Else a form on a foreign page could send JSON as text/plain without a preflight request.
    if content_type is None or not mediatypes.is_json(content_type.decode("latin-1")):
        # RFC 9110 section 15.5.16: Accept says what would have been taken.
        raise HttpError(
            415,
            "the body has to be application/json",
            headers=[(b"accept", b"application/json")],
        )


def is_body_type(annotation: Any) -> bool:
    """Whether a type is a record, or a union with one.

    Records are msgspec Structs, dataclasses, TypedDicts, attrs classes, and
    models and dataclasses of Pydantic.
    """
    kinds = (typing.get_origin(each) or each for each in alternatives(annotation))
    return any(is_record(kind) or pydantic_models.is_model(kind) for kind in kinds)
