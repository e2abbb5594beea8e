"""Records made from texts by name: what a query or a form becomes.

Each field is read from the texts under its name as an argument of its type
would be.  A record in a record has no form there, and is refused when the
route is added; a `dict` is JSON text.
"""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from tarry.app import pydantic_models
from tarry.app.annotations import (
    alternatives,
    is_record,
    is_struct,
    is_typed_dict,
    types_within,
)
from tarry.app.convert import NoConversion, ValuesConverter, is_collection, values_converter_for
from tarry.app.faults import ConversionError, Fault, Faults, refusal


class Texts(Protocol):
    """All texts by name, such as those of a query or a form."""

    def get(self, name: str, /) -> list[str] | None: ...


class RecordField(NamedTuple):
    """A field under the name that clients use; `key` is what its record calls it.

    `as_text` hands texts over as they are, one or all of them as the type needs.
    """

    name: str
    key: str
    convert: ValuesConverter
    required: bool
    as_text: ValuesConverter


_Maker = Callable[[dict[str, Any], list[Fault]], Any]
"""Makes a record of its values, or raises the faults found so far and those of its own."""


class RecordReader:
    """Makes records of one type; `fields` tells from which names."""

    __slots__ = ("_make", "_optional", "fields")

    def __init__(self, fields: tuple[RecordField, ...], make: _Maker, optional: bool) -> None:
        self.fields = fields
        self._make = make
        self._optional = optional

    def read(self, values: Texts) -> Any:
        """The record; for `T | None` it is `None` if none of its names is there.

        Raises:
            Faults: naming every field that is missing or does not fit.  Checks
                of the class itself, such as `__post_init__`, are only asked
                when all fields are good; theirs is a fault without a name.
        """
        given: dict[str, Any] = {}
        faults = []
        for name, key, convert, required, as_text in self.fields:
            texts = values.get(name)
            if texts is not None:
                try:
                    given[key] = convert(texts)
                except ConversionError as error:
                    faults.append((name, str(error)))
                    given[key] = as_text(texts)
            elif required:
                faults.append((name, "is missing"))
        if self._optional and not any(values.get(field.name) for field in self.fields):
            return None
        return self._make(given, faults)


def record_reader(annotation: Any) -> RecordReader:
    """What reads records of a type, or of one that may be `None`, from texts.

    The type is a msgspec Struct, a dataclass, a TypedDict, an attrs class, or
    a model or a dataclass of Pydantic.  Fields have their names on the wire
    (`rename`, aliases); absent ones have their defaults; unknown names are
    ignored.  Fields of Pydantic that our conversions do not know, or that have
    a validator which runs before, are handed to Pydantic as text.

    Raises:
        NoConversion: another type, or a field that is not made from text.
    """
    kinds = [each for each in alternatives(annotation) if each is not types.NoneType]
    origin = typing.get_origin(kinds[0]) or kinds[0] if len(kinds) == 1 else None
    optional = types.NoneType in alternatives(annotation)
    for belongs, fields_of, maker_for in _KINDS:
        if belongs(origin):
            try:
                return RecordReader(tuple(fields_of(kinds[0])), maker_for(kinds[0]), optional)
            except NoConversion:
                raise
            except (TypeError, ValueError, NameError) as error:
                raise NoConversion(f"cannot be read from texts: {error}") from error
    raise NoConversion(f"has the type {annotation}, which is no record that texts can fill")


def _field(name: str, key: str, annotation: Any, required: bool) -> RecordField:
    try:
        convert = values_converter_for(annotation)
    except NoConversion as error:
        reason = f"is read from texts, but its field {name!r} {error}; send it in a JSON body"
        raise NoConversion(reason) from error
    return RecordField(name, key, convert, required, _as_text(annotation))


# ── Structs, dataclasses, attrs ───────────────────────────────────────────────────────────


def _struct_fields(kind: Any) -> Iterable[RecordField]:
    for field in msgspec.structs.fields(kind):
        yield _field(field.encode_name, field.name, field.type, field.required)


def _class_fields(kind: Any) -> Iterable[RecordField]:
    """What the constructor takes, which for dataclasses may be an `InitVar` as well."""
    origin = typing.get_origin(kind) or kind
    hints = typing.get_type_hints(origin, include_extras=True)
    names = {each.alias: each.name for each in getattr(origin, "__attrs_attrs__", ())}
    for parameter in inspect.signature(origin).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        name = names.get(parameter.name, parameter.name)
        hint = hints.get(name, str)
        annotation = hint.type if isinstance(hint, dataclasses.InitVar) else hint
        yield _field(name, parameter.name, annotation, parameter.default is parameter.empty)


def _by_constructor(kind: Any) -> _Maker:
    return functools.partial(_constructed, typing.get_origin(kind) or kind)


def _constructed(kind: Any, given: dict[str, Any], faults: list[Fault]) -> Any:
    if faults:
        raise Faults(faults)
    try:
        return kind(**given)
    # The errors by which a class refuses its values, as in a JSON body.
    except (ValueError, TypeError) as error:
        raise Faults([("", refusal(str(error)))]) from None


# ── TypedDicts ────────────────────────────────────────────────────────────────────────────

_QUALIFIERS: Final = {"Required": True, "NotRequired": False, "ReadOnly": None}
"""By name, since `typing_extensions` has some of its own; whether one makes a member required."""


def _dict_fields(kind: Any) -> Iterable[RecordField]:
    origin = typing.get_origin(kind) or kind
    for name, hint in typing.get_type_hints(origin, include_extras=True).items():
        annotation, required = hint, None
        while (qualifier := _qualifier(annotation)) in _QUALIFIERS:
            required = _QUALIFIERS[qualifier] if required is None else required
            annotation = typing.get_args(annotation)[0]
        # What the class says is wrong where annotations are strings, so it is asked last.
        required = name in origin.__required_keys__ if required is None else required
        yield _field(name, name, annotation, required)


def _qualifier(annotation: Any) -> str:
    return getattr(typing.get_origin(annotation), "_name", "")


def _as_it_is(kind: Any) -> _Maker:
    return functools.partial(_constructed, dict)


# ── Pydantic ──────────────────────────────────────────────────────────────────────────────


def _model_fields(kind: Any) -> Iterable[RecordField]:
    for name, annotation, reads_text in pydantic_models.model_fields(kind):
        as_text = _as_text(annotation)
        convert = as_text if reads_text else _model_converter(name, annotation)
        # Which are required it says itself: one of several names can be enough.
        yield RecordField(name, name, convert, required=False, as_text=as_text)


def _model_converter(name: str, annotation: Any) -> ValuesConverter:
    try:
        return _field(name, name, annotation, required=False).convert
    except NoConversion:
        within = types_within(annotation)
        if any(is_record(each) or pydantic_models.is_model(each) for each in within):
            raise
        return _as_text(annotation)


def _as_text(annotation: Any) -> ValuesConverter:
    takes_all = any(map(is_collection, alternatives(annotation)))
    return list if takes_all else lambda texts: texts[0]


def _by_validation(kind: Any) -> _Maker:
    return functools.partial(_validated, pydantic_models.validator(kind))


def _validated(validate: Callable[[Any], Any], given: dict[str, Any], faults: list[Fault]) -> Any:
    try:
        value = validate(given)
    except Faults as error:
        # Of one field the first fault is told: what was no number need not be positive.
        told = tuple(f"{name}." for name, _ in faults)
        others = [each for each in error.faults if not f"{each[0]}.".startswith(told)]
        raise Faults(faults + others) from None
    if faults:
        raise Faults(faults)
    return value


class _Kind(NamedTuple):
    """Which classes belong to a kind of record, their fields, and how one is made."""

    belongs: Callable[[Any], bool]
    fields_of: Callable[[Any], Iterable[RecordField]]
    maker_for: Callable[[Any], _Maker]


_KINDS: Final = (
    _Kind(pydantic_models.is_model, _model_fields, _by_validation),
    _Kind(is_typed_dict, _dict_fields, _as_it_is),
    _Kind(is_struct, _struct_fields, _by_constructor),
    _Kind(is_record, _class_fields, _by_constructor),
)
"""The kinds of records; the last one takes dataclasses and attrs."""
