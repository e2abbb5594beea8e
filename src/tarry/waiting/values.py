"""The values of waits: checked against their type before they settle anything, kept as JSON."""

import functools
import threading
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
        annotation = self.annotation
        return annotation.__name__ if isinstance(annotation, type) else str(annotation)

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
        is_same = type(value) is self.annotation and type(value) in _SAME_IN_JSON
        # Other text may have half a surrogate pair, which cannot be sent.
        if is_same and (type(value) is not str or value.isascii()):
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


MAX_KNOWN_TYPES: Final = 10_000


class KnownTypes:
    """The types of the waits that this process has made, the newest of them, by their ids."""

    __slots__ = ("_lock", "_types")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._types: dict[str, ValueType] = {}

    def keep(self, id: str, type: ValueType) -> None:
        """Remember a type; from any thread."""
        with self._lock:
            self._types[id] = type
            if len(self._types) > MAX_KNOWN_TYPES:
                del self._types[next(iter(self._types))]

    def get(self, id: str) -> ValueType | None:
        """The type of a wait, `None` if it is not known here."""
        return self._types.get(id)


@functools.cache
def value_type(annotation: Any) -> ValueType:
    """The `ValueType` of an annotation; raises what that does."""
    return ValueType(annotation)
