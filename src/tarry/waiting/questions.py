"""What a wait asks a person for: the controls of a form, and the value that its fields make."""

import types
import typing
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal, NamedTuple

from tarry.app.annotations import alternatives, plain_type
from tarry.app.bodies import is_body_type
from tarry.app.convert import NoConversion, is_collection, values_converter_for
from tarry.app.faults import ConversionError
from tarry.app.forms import FormData
from tarry.app.json_texts import json_reader
from tarry.app.models import record_reader
from tarry.waiting.values import BadValue, ValueType

VALUE: Final = "value"
"""The field that has the value, if it is not a record with fields of its own."""

Kind = Literal["text", "integer", "number", "date", "checkbox", "choice", "json"]


class Control(NamedTuple):
    """One thing to fill in; `choices` are the texts to choose from."""

    name: str
    kind: Kind
    is_required: bool = True
    choices: tuple[str, ...] = ()


class MalformedValue(ValueError):
    """What came is no JSON at all; the text says where."""


_KINDS: Final[Mapping[Any, Kind]] = {
    bool: "checkbox",
    int: "integer",
    float: "number",
    Decimal: "number",
    date: "date",
}
"""Types with a control of their own; others that text can become are written as text."""

_read_any: Final = json_reader(Any)


class Question:
    """What is asked for: a value of a type, or of any type if that is not known here.

    `controls` is empty where there is only to say that it happened, and
    `is_yes_or_no` says that there are two buttons instead.
    """

    __slots__ = ("_read", "_type", "controls", "is_yes_or_no")

    def __init__(self, type: ValueType | None) -> None:
        annotation = Any if type is None else type.annotation
        self._type = type
        self.is_yes_or_no = alternatives(annotation) == [bool]
        self.controls: tuple[Control, ...] = (Control(VALUE, "json", is_required=False),)
        self._read: Callable[[FormData], Any] = self._read_json_field
        if annotation is Any:
            return
        if alternatives(annotation) == [types.NoneType]:
            self.controls, self._read = (), lambda _: None
            return
        try:
            self.controls, self._read = _asked(annotation)
        except NoConversion:
            self.controls = (Control(VALUE, "json"),)

    def read_json(self, text: bytes) -> Any:
        """The value from JSON; without any text it is null.

        Raises:
            MalformedValue: it is no JSON.
            BadValue: it is not what is asked for.
        """
        try:
            value = _read_any(text or b"null")
        except ConversionError as error:
            raise MalformedValue(f"the value {error}") from None
        return value if self._type is None else self._type.read(text or b"null")

    def read_form(self, form: FormData) -> Any:
        """The value from the fields of a form; raises what `read_json` does."""
        try:
            value = self._read(form)
        except ConversionError as error:
            raise BadValue(f"the answer {error}") from None
        return value if self._type is None else self._type.check(value)

    def _read_json_field(self, form: FormData) -> Any:
        return self.read_json(form.get(VALUE, "").strip().encode())


def _asked(annotation: Any) -> tuple[tuple[Control, ...], Callable[[FormData], Any]]:
    """Controls for a type, and how its value is read from their fields.

    Raises:
        NoConversion: no texts can become a value of it.
    """
    if any(map(is_collection, alternatives(annotation))):
        raise NoConversion("several values are written as JSON")
    if not is_body_type(annotation):
        control = _control(VALUE, annotation, is_required=True)
        convert = values_converter_for(annotation)
        return (control,), lambda form: convert(_given(form))
    reader = record_reader(annotation)
    (kind,) = (each for each in alternatives(annotation) if each is not types.NoneType)
    hints = typing.get_type_hints(typing.get_origin(kind) or kind, include_extras=True)
    controls = tuple(
        _control(field.name, hints.get(field.key, str), is_required=field.required)
        for field in reader.fields
    )
    may_be_empty = {each.name for each in controls if not each.is_required and each.kind != "text"}

    def read(form: FormData) -> Any:
        # What is left empty in a form is sent as an empty text.
        filled = {
            name: texts
            for name, texts in form.fields.items()
            if name not in may_be_empty or any(texts)
        }
        return reader.read(filled)

    return controls, read


def _given(form: FormData) -> list[str]:
    values = form.getall(VALUE)
    if not values:
        raise ConversionError("is missing")
    return values


def _control(name: str, annotation: Any, *, is_required: bool) -> Control:
    kinds = [each for each in alternatives(annotation) if each is not types.NoneType]
    is_required = is_required and len(kinds) == len(alternatives(annotation))
    plain = plain_type(kinds[0]) if len(kinds) == 1 else None
    if typing.get_origin(plain) is Literal:
        return Control(name, "choice", is_required, tuple(map(str, typing.get_args(plain))))
    if isinstance(plain, type) and issubclass(plain, Enum):
        return Control(name, "choice", is_required, tuple(str(each.value) for each in plain))
    return Control(name, _KINDS.get(plain, "text"), is_required)
