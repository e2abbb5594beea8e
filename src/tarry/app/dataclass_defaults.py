"""Gives decoded dataclasses the defaults that the decoder leaves to their class.

msgspec (0.22) sets a field that is absent from the input only where it has to:
a plain default of a dataclass without slots stays an attribute of the class,
and such a field is then missing when the object is encoded again.
"""

import dataclasses
import typing
from collections.abc import Iterable
from typing import Any

import msgspec


def fill_defaults(value: Any) -> None:
    """Set absent defaults on a dataclass and on all that it holds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = getattr(value, "__dict__", None)
        for field in dataclasses.fields(value):
            if held is not None and field.name not in held:
                held[field.name] = field.default
            fill_defaults(getattr(value, field.name))
    elif isinstance(value, msgspec.Struct):
        _fill_all(getattr(value, name) for name in value.__struct_fields__)
    elif isinstance(value, dict):
        _fill_all(value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        _fill_all(value)


def _fill_all(values: Iterable[Any]) -> None:
    for value in values:
        fill_defaults(value)


def holds_dataclasses(annotation: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Whether a value of a type can be a dataclass or hold one."""
    if dataclasses.is_dataclass(annotation):
        return True
    parts = typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        if annotation in seen:
            return False
        parts = tuple(field.type for field in msgspec.structs.fields(annotation))
        seen |= {annotation}
    return any(holds_dataclasses(part, seen) for part in parts)
