"""Annotations taken apart: unions, names for types, and the types that a type is made of."""

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NewType

import msgspec

from tarry.app.pydantic_models import is_model


def union_members(annotation: Any) -> tuple[Any, ...]:
    """The types that a union is made of, or the one type."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def named_type(annotation: Any) -> Any:
    """The type behind a `NewType` or a `type` statement, `None` for other annotations."""
    if isinstance(annotation, NewType):
        return annotation.__supertype__
    return annotation.__value__ if type(annotation).__name__ == "TypeAliasType" else None


def plain_type(annotation: Any) -> Any:
    """The type without the names it was given and without `Annotated`."""
    while True:
        if typing.get_origin(annotation) is Annotated:
            annotation = typing.get_args(annotation)[0]
        elif (named := named_type(annotation)) is not None:
            annotation = named
        else:
            return annotation


def alternatives(annotation: Any) -> list[Any]:
    """The plain types that a value can have, `None` among them, through all names and unions."""
    found: list[Any] = []
    for member in union_members(plain_type(annotation)):
        plain = plain_type(member)
        found += alternatives(plain) if len(union_members(plain)) > 1 else [plain]
    return found


def is_record(kind: Any) -> bool:
    """Whether a class has fields that msgspec knows: Struct, dataclass, TypedDict or attrs."""
    return isinstance(kind, type) and (
        is_struct(kind)
        or is_typed_dict(kind)
        or dataclasses.is_dataclass(kind)
        or hasattr(kind, "__attrs_attrs__")
    )


def is_struct(kind: Any) -> bool:
    """Whether a class is a Struct of msgspec."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def is_typed_dict(kind: Any) -> bool:
    """Whether a class is a TypedDict, be it from `typing` or from `typing_extensions`."""
    return isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__required_keys__")


def types_within(annotation: Any) -> Iterator[Any]:
    """The type itself and all that a value of it can hold, with the fields of records.

    The fields of Pydantic's models are left to Pydantic.

    Raises:
        NameError: a field's annotation has a name that is unknown in its module.
    """
    seen = set()  # classes and names, through which a type can hold itself
    waiting = [annotation]
    while waiting:
        each = waiting.pop()
        plain = each if named_type(each) is None else named_type(each)
        origin = typing.get_origin(plain) or plain
        if is_record(origin) or plain is not each:
            if each in seen:
                continue
            seen.add(each)
        yield origin
        waiting += _parts(plain, origin)


def _parts(plain: Any, origin: Any) -> list[Any]:
    if origin is Literal:
        return []
    parts = list(typing.get_args(plain))
    if origin is Annotated:
        return parts[:1]
    # What is in a model Pydantic sees to, and finds names that are local where it was defined.
    if is_record(origin) and not is_model(origin):
        parts += typing.get_type_hints(origin, include_extras=True).values()
    return parts
