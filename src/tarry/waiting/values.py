"""The values of waits: checked against their type before they settle anything, kept as JSON."""

import functools
from typing import Any, Final

from tarry.app.faults import ConversionError
from tarry.app.json_texts import json_reader
from tarry.app.results import to_json

_SAME_IN_JSON: Final = frozenset({str, int, bool, type(None)})
"""Types whose values come back from JSON as they were, so that they need not go there."""


class BadValue(ValueError):
    """A value that does not fit the type of a wait; the wait goes on.  The text says why."""


class ValueType:
    """The type of a wait's value."""

    __slots__ = ("_read", "annotation")

    def __init__(self, annotation: Any) -> None:
        """Prepare to read values of a type.

        Raises:
            TypeError: it does not come from JSON.
        """
        self.annotation = annotation
        self._read = json_reader(annotation)

    @property
    def name(self) -> str:
        """The type for people, such as `Decision` or `list[int]`."""
        return getattr(self.annotation, "__name__", None) or str(self.annotation)

    def read(self, data: bytes) -> Any:
        """A value from JSON.

        Raises:
            BadValue: it is no JSON or does not fit.
        """
        try:
            return self._read(data)
        except ConversionError as error:
            raise BadValue(f"the value {error}; {self.name} is waited for") from None

    def check(self, value: Any) -> Any:
        """A value as who waits will see it: of the type, whatever it was made of.

        Raises:
            BadValue: it does not fit.
        """
        if type(value) is self.annotation and type(value) in _SAME_IN_JSON:
            return value
        return self.read(self.write(value))

    def write(self, value: Any) -> bytes:
        """A value as JSON.

        Raises:
            BadValue: it has no form in JSON.
        """
        try:
            return to_json(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise BadValue(f"the value has no form in JSON: {error}") from None


@functools.cache
def value_type(annotation: Any) -> ValueType:
    """The `ValueType` of an annotation; raises what that does."""
    return ValueType(annotation)
