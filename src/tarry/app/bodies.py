"""Bodies as arguments: raw, or JSON checked against a type."""

import dataclasses
import re
import typing
from typing import Annotated, Any, Final, Protocol

import msgspec

from tarry.app.convert import ConversionError, reason_of, union_members
from tarry.app.dataclass_defaults import fill_defaults, holds_dataclasses
from tarry.app.errors import HttpError
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
    """The body decoded and checked against a type."""

    __slots__ = ("_decode", "_lacks_defaults", "_required", "argument")

    def __init__(self, argument: str, annotation: Any, required: bool) -> None:
        self.argument = argument
        self._decode = msgspec.json.Decoder(annotation).decode
        self._lacks_defaults = holds_dataclasses(annotation)
        self._required = required

    def fill(self, arguments: dict[str, Any], exchange: Exchange, body: bytes | None) -> None:
        if body:
            _check_json(exchange)
            arguments[self.argument] = self._decoded(body)
        elif self._required:
            raise ConversionError("is missing")

    def _decoded(self, body: bytes) -> Any:
        try:
            # msgspec skips members that the type does not have, and their bytes with them.
            if not body.isascii():
                body.decode()
            value = self._decode(body)
        except msgspec.ValidationError as error:
            raise ConversionError(reason_of(error)) from None
        except msgspec.DecodeError as error:
            raise ConversionError(f"is malformed JSON{_position(error)}") from None
        except UnicodeDecodeError as error:
            reason = f"is malformed JSON at byte {error.start}: not UTF-8"
            raise ConversionError(reason) from None
        except RecursionError:
            raise ConversionError("is nested too deeply") from None
        if self._lacks_defaults:
            fill_defaults(value)
        return value


def _check_json(exchange: Exchange) -> None:
    # Else a form on a foreign page could send JSON as text/plain without a preflight request.
    content_type = exchange.head.headers.get(b"content-type")
    if content_type == b"application/json":  # so say most; it saves them a closer look
        return
    if content_type is None or not mediatypes.is_json(content_type.decode("latin-1")):
        # RFC 9110 section 15.5.16: Accept says what would have been taken.
        raise HttpError(
            415,
            "the body has to be application/json",
            headers=[(b"accept", b"application/json")],
        )


_POSITION: Final = re.compile(r"\(byte ([0-9]{1,19})\)\Z")


def _position(error: msgspec.DecodeError) -> str:
    match = _POSITION.search(str(error))
    return f" at byte {match[1]}" if match else ""


def is_body_type(annotation: Any) -> bool:
    """Whether a type is a record: Struct, dataclass, TypedDict or attrs, or a union with one."""
    if typing.get_origin(annotation) is Annotated:
        return is_body_type(typing.get_args(annotation)[0])
    return any(_is_record(typing.get_origin(each) or each) for each in union_members(annotation))


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (
        issubclass(kind, msgspec.Struct)
        or dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
        or hasattr(kind, "__attrs_attrs__")
    )
