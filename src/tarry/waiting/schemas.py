"""JSON Schemas of the types that are waited for, so that any process can check a value.

A type is code of the process that waits; its schema is kept beside the
records.  A checking type is made from it again that takes all that fits the
schema.  What no such type can say, as of types that hold themselves or unions
of several objects, is `Any` there, and checked in the end by who waits.
"""

import functools
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal, NamedTuple, Union
from uuid import UUID

import msgspec

from tarry.app import pydantic_models
from tarry.app.annotations import types_within
from tarry.waiting.values import ValueType, value_type


class Schema(NamedTuple):
    """A JSON Schema as it is kept: the name, which is made from the text, and the text."""

    name: str
    text: bytes


@functools.cache
def schema_of(annotation: Any) -> Schema | None:
    """The schema of a type; `None` if it takes everything, or has none."""
    try:
        if any(map(pydantic_models.is_model, types_within(annotation))):
            schema = pydantic_models.json_schema(annotation)
        else:
            # Types that msgspec does not know, such as IP addresses, take anything here.
            schema = msgspec.json.schema(annotation, schema_hook=lambda kind: {"title": str(kind)})
    except TypeError:
        return None
    if not schema:
        return None
    text = msgspec.json.encode(schema)
    return Schema(blake2b(text, digest_size=12).hexdigest(), text)


@functools.lru_cache(maxsize=1000)
def type_of_schema(text: bytes) -> ValueType:
    """The type whose values fit a schema, as far as it can be told."""
    try:
        schema = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return value_type(Any)
    definitions = schema.get("$defs", {}) if isinstance(schema, dict) else {}
    return value_type(_Types(definitions).of(schema))


_BOUNDS: Final[Mapping[str, Mapping[str, str]]] = {
    "number": {
        "minimum": "ge",
        "maximum": "le",
        "exclusiveMinimum": "gt",
        "exclusiveMaximum": "lt",
        "multipleOf": "multiple_of",
    },
    "string": {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"},
    "array": {"minItems": "min_length", "maxItems": "max_length"},
    "object": {"minProperties": "min_length", "maxProperties": "max_length"},
}
"""What bounds are called, in JSON Schema and in msgspec."""

_SCALARS: Final[Mapping[str, Any]] = {
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": None,
    "string": str,
}

_FORMATS: Final[Mapping[str, Any]] = {
    "date-time": datetime,
    "date": date,
    "time": time,
    "duration": timedelta,
    "uuid": UUID,
    "decimal": Decimal,
}


class _Types:
    """Makes types from a schema with these definitions."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._under_way: set[str] = set()

    def of(self, schema: Any) -> Any:
        """The type of a schema, or of a part of one."""
        if not isinstance(schema, dict):
            return Any
        kind = self._find(schema)
        return kind if _is_possible(kind) else Any

    def _find(self, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            return self._referred(schema["$ref"])
        if "enum" in schema:
            return Literal[tuple(schema["enum"])] if schema["enum"] else Any
        if "const" in schema:
            return Literal[schema["const"]]
        members = schema.get("anyOf") or schema.get("oneOf")
        if members:
            return self._one_of([self.of(each) for each in members])
        if schema.get("type") == "object":
            return self._object(schema)
        if schema.get("type") == "array":
            return _bounded(self._array(schema), "array", schema)
        return _scalar(schema)

    def _referred(self, reference: str) -> Any:
        name = reference.removeprefix("#/$defs/")
        if name in self._under_way:
            return Any  # it holds itself
        self._under_way.add(name)
        try:
            return self.of(self._definitions.get(name))
        finally:
            self._under_way.remove(name)

    def _one_of(self, kinds: list[Any]) -> Any:
        return Any if Any in kinds else Union[tuple(kinds)]  # noqa: UP007 — their number is not known

    def _array(self, schema: dict[str, Any]) -> Any:
        first = schema.get("prefixItems")
        if first is None:
            return list.__class_getitem__(self.of(schema.get("items")))
        if len(first) == schema.get("minItems") == schema.get("maxItems"):
            return tuple.__class_getitem__(tuple(self.of(each) for each in first))
        return list[Any]

    def _object(self, schema: dict[str, Any]) -> Any:
        properties, others = schema.get("properties"), schema.get("additionalProperties")
        if not properties:
            kind = dict.__class_getitem__((str, self.of(others)))
            return _bounded(kind, "object", schema)
        fields: list[Any] = []
        for number, (name, inner) in enumerate(properties.items()):
            field = (f"field_{number}", self.of(inner))
            fields.append(field if name in schema.get("required", ()) else (*field, None))
        try:
            return msgspec.defstruct(
                schema.get("title", "object"),
                fields,
                kw_only=True,
                rename={f"field_{number}": name for number, name in enumerate(properties)},
                forbid_unknown_fields=others is False,
            )
        except (TypeError, ValueError):  # a name that no field can have
            return dict[str, Any]


def _scalar(schema: dict[str, Any]) -> Any:
    word = schema.get("type")
    if not isinstance(word, str) or word not in _SCALARS:
        return Any
    if word == "string" and schema.get("contentEncoding") == "base64":
        return bytes
    if word == "string" and schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    return _bounded(_SCALARS[word], "number" if word == "integer" else word, schema)


def _bounded(kind: Any, word: str, schema: dict[str, Any]) -> Any:
    """A type with the bounds of a schema, if it has some that can be said."""
    names = _BOUNDS.get(word, {})
    bounds = {name: schema[key] for key, name in names.items() if key in schema}
    if not bounds:
        return kind
    try:
        re.compile(bounds.get("pattern", ""))
        bounded = Annotated[kind, msgspec.Meta(**bounds)]
    except (TypeError, ValueError, re.error):
        return kind
    return bounded if _is_possible(bounded) else kind


def _is_possible(kind: Any) -> bool:
    """Whether values of a type can be read from JSON."""
    try:
        msgspec.json.Decoder(kind)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
