"""Header fields as an author meets them: text, names in any case, several values to a name."""

from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from typing import Any

from tarry.message.heads import FieldBlock, InvalidField

HeaderSource = Mapping[str, str] | Iterable[tuple[str, str]]
"""What headers are made from; of another `Headers` every field is taken, repeats too."""


class Headers(MutableMapping[str, str]):
    """Fields in the order and spelling they came in; names match in any case.

    A name can occur several times (RFC 9110 section 5.3).  `[]` and `get` give
    its first value, `getall` every one.  Iteration, `keys()` and `len()` count
    each name once; `items()` and `values()` give *every* field, repeats too.
    `add` appends a field; assignment replaces all fields of a name, and `del`,
    `pop` and `popitem` remove them all.

    Two are equal when they have the same names with the same values in the
    same order; the order of different names and their spelling do not count.
    """

    __slots__ = ("_fields",)

    def __init__(self, source: HeaderSource = ()) -> None:
        pairs = source.items() if isinstance(source, Mapping) else source
        self._fields = [(name.lower(), name, value) for name, value in pairs]

    @classmethod
    def from_fields(cls, block: FieldBlock) -> "Headers":
        """Decode a parsed block; bytes beyond ASCII become latin-1 (RFC 9110 section 5.5)."""
        return cls((name.decode("latin-1"), value.decode("latin-1")) for name, value in block)

    def to_fields(self) -> list[tuple[bytes, bytes]]:
        """Every field in latin-1, for `ResponseHead`, which checks for CR, LF and NUL.

        Raises:
            InvalidField: a name or value that is not latin-1, or no text at all.
        """
        return [(_encode(name, name), _encode(name, value)) for _, name, value in self._fields]

    def getall(self, name: str) -> list[str]:
        """Every value of a name in order, `[]` for an absent one."""
        wanted = name.lower()
        return [value for key, _, value in self._fields if key == wanted]

    def joined(self, name: str) -> str | None:
        """All values of a list field as one, joined by ", " (RFC 9110 section 5.3), or `None`.

        Not for Set-Cookie, whose values have commas of their own.
        """
        values = self.getall(name)
        return ", ".join(values) if values else None

    def add(self, name: str, value: str) -> None:
        """Append a field and keep those of the same name."""
        self._fields.append((name.lower(), name, value))

    def __getitem__(self, name: str) -> str:
        wanted = name.lower()
        for key, _, value in self._fields:
            if key == wanted:
                return value
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        wanted = name.lower()
        place = next((at for at, field in enumerate(self._fields) if field[0] == wanted), None)
        if place is None:
            self.add(name, value)
        else:
            later = (field for field in self._fields[place + 1 :] if field[0] != wanted)
            self._fields[place:] = [(wanted, name, value), *later]

    def __delitem__(self, name: str) -> None:
        wanted = name.lower()
        kept = [field for field in self._fields if field[0] != wanted]
        if len(kept) == len(self._fields):
            raise KeyError(name)
        self._fields = kept

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        wanted = name.lower()
        return any(key == wanted for key, _, _ in self._fields)

    def __iter__(self) -> Iterator[str]:
        names: dict[str, str] = {}
        for key, name, _ in self._fields:
            names.setdefault(key, name)
        return iter(names.values())

    def __len__(self) -> int:
        return len({key for key, _, _ in self._fields})

    def items(self) -> ItemsView[str, str]:
        """Every field as (name, value), in order and with repeats."""
        return _Items(self)

    def values(self) -> ValuesView[str]:
        """The value of every field, in order and with repeats."""
        return _Values(self)

    def update(  # type: ignore[override]  # because the inherited overloads are no union
        self, source: HeaderSource = (), /, **fields: str
    ) -> None:
        """Replace each name that is given by all its fields there, repeats too."""
        given = Headers([*Headers(source).items(), *fields.items()])
        replaced = {key for key, _, _ in given._fields}
        kept = [field for field in self._fields if field[0] not in replaced]
        self._fields = kept + given._fields

    def clear(self) -> None:
        """Remove every field."""
        self._fields = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and _by_name(self) == _by_name(other)

    def __repr__(self) -> str:
        return f"Headers({list(self.items())!r})"


class _Items(ItemsView[str, str]):
    """The pairs of headers; the inherited view knows one value per name only."""

    def __init__(self, headers: Headers) -> None:
        super().__init__(headers)
        self._headers = headers

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for _, name, value in self._headers._fields)

    def __len__(self) -> int:
        return len(self._headers._fields)

    def __contains__(self, item: object) -> bool:
        return any(item == pair for pair in self)


class _Values(ValuesView[str]):
    """The values of headers, as many as there are fields."""

    def __init__(self, headers: Headers) -> None:
        super().__init__(headers)
        self._headers = headers

    def __iter__(self) -> Iterator[str]:
        return (value for _, _, value in self._headers._fields)

    def __len__(self) -> int:
        return len(self._headers._fields)

    def __contains__(self, value: object) -> bool:
        return any(value == each for each in self)


def _by_name(fields: Mapping[Any, Any]) -> dict[Any, list[Any]]:
    names: dict[Any, list[Any]] = {}
    for name, value in fields.items():
        names.setdefault(name.lower() if isinstance(name, str) else name, []).append(value)
    return names


def _encode(name: str, text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidField(f"header {name[:40]!a} has a character outside latin-1") from None
    except AttributeError:
        given = type(text).__name__
        raise InvalidField(f"header {name[:40]!a} needs a str, not {given}") from None
