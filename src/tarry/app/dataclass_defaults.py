"""Gives decoded dataclasses the defaults that the decoder leaves to their class.

msgspec (0.22) sets a field that is absent from the input only where it has to:
a plain default of a dataclass without slots stays an attribute of the class,
and such a field is then missing when the object is encoded again.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import msgspec

from tarry.app.annotations import types_within


def fill_defaults(value: Any) -> None:
    """Set absent defaults on a dataclass and on all that it holds."""
    for _ in each_within(value):
        continue


def each_within(value: Any) -> Iterator[Any]:
    """A decoded value and all that it holds, with the defaults of dataclasses set."""
    waiting = [value]
    seen = set()  # a `__post_init__` can let records hold one another
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, dict):
            waiting += each.values()
            waiting += [key for key in each if type(key) is not str]
        elif isinstance(each, list | tuple | set | frozenset):
            waiting += each
        elif (fields := _fields(each)) and id(each) not in seen:
            seen.add(id(each))
            waiting += [getattr(each, name, None) for name in fields]


def _fields(value: Any) -> list[str]:
    """The names of a record's fields, after its defaults were set; none for other values."""
    if isinstance(value, msgspec.Struct):
        return list(value.__struct_fields__)
    if attributes := getattr(type(value), "__attrs_attrs__", ()):
        return [attribute.name for attribute in attributes]
    if isinstance(value, type) or not dataclasses.is_dataclass(value):
        return []
    held = getattr(value, "__dict__", None)
    fields = dataclasses.fields(value)
    for field in fields:
        if held is not None and field.default is not dataclasses.MISSING:
            held.setdefault(field.name, field.default)
    return [field.name for field in fields]


def holds_dataclasses(annotation: Any) -> bool:
    """Whether a value of a type can be a dataclass or hold one.

    Raises:
        NameError: a field's annotation has a name that is unknown in its module.
    """
    return any(map(dataclasses.is_dataclass, types_within(annotation)))
