"""Header fields as an author meets them: text, names in any case, several values to a name."""

from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from typing import Any, Protocol

from tarry.message.heads import MAX_KEPT_HEADS, Field, InvalidField, ResponseHead

HeaderSource = Mapping[str, str] | Iterable[tuple[str, str]]
"""What headers are made from; of another `Headers` every field is taken, repeats too."""


_Decoded = tuple[str, str, str]
"""A field: its name in lower case and as it came, and its value."""


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
    def from_fields(cls, fields: Iterable[Field]) -> "Headers":
        """Decode parsed fields; bytes beyond ASCII become latin-1 (RFC 9110 section 5.5)."""
        headers = cls.__new__(cls)
        headers._fields = _decoded(fields)
        return headers

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
        fields = self._fields
        for place, field in enumerate(fields):
            if field[0] == wanted:
                later = (field for field in fields[place + 1 :] if field[0] != wanted)
                fields[place:] = [(wanted, name, value), *later]
                return
        fields.append((wanted, name, value))

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


class FieldSource(Protocol):
    """Parsed fields that can be looked up one by one, by lower-case name."""

    def get(self, name: bytes, /) -> bytes | None: ...
    def __iter__(self) -> Iterator[Field]: ...


class LazyHeaders(Headers):
    """Header fields that are decoded when looking one up, or adding one, does not do.

    Most who ask want one field, which the source finds by itself, and most who
    change something add one.  `added` are those added so far; once more was done
    than that, all fields are `decoded`.
    """

    __slots__ = ("_source", "added", "decoded")

    def __init__(self, source: FieldSource) -> None:
        self._source = source
        self.added: tuple[_Decoded, ...] = ()
        self.decoded: list[_Decoded] | None = None

    @property
    def _fields(self) -> list[_Decoded]:
        if self.decoded is None:
            self.decoded = [*_decoded(self._source), *self.added]
        return self.decoded

    @_fields.setter
    def _fields(self, fields: list[_Decoded]) -> None:
        self.decoded = fields

    def __getitem__(self, name: str) -> str:
        value: str | None = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def get(self, name: str, default: Any = None, /) -> Any:
        """The first value of a field, or `default`."""
        if self.decoded is None and name.isascii():
            value = self._source.get(name.lower().encode())
            if value is not None:
                return value.decode("latin-1")
            if not self.added:
                return default
        found = self.getall(name)
        return found[0] if found else default

    def __setitem__(self, name: str, value: str) -> None:
        key = name.lower()
        if self.decoded is None and key.isascii() and self._source.get(key.encode()) is None:
            added = self.added
            if not added:
                self.added = ((key, name, value),)
                return
            if all(each[0] != key for each in added):
                self.added = (*added, (key, name, value))
                return
        super().__setitem__(name, value)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def add(self, name: str, value: str) -> None:
        """Append a field and keep those of the same name."""
        if self.decoded is None:
            self.added = (*self.added, (name.lower(), name, value))
        else:
            super().add(name, value)

    def added_to(self, head: ResponseHead) -> ResponseHead:
        """A head with the fields that were added.

        It keeps the first few of these, as what filters add is often the same:
        encoding them each time would cost 2 µs.

        Raises:
            InvalidField: one that cannot be sent.
        """
        added = self.added
        if not added:
            return head
        try:
            extended = head.kept.get(added)
        except TypeError:  # not hashable: a value that is no text, which is told below
            extended = None
        if extended is None:
            extended = head.extended(self.added_fields())
            if len(head.kept) < MAX_KEPT_HEADS:
                head.kept[added] = extended
        return extended

    def added_fields(self) -> list[Field]:
        """The fields that were added, in latin-1; raises what `to_fields` does."""
        return [(_encode(name, name), _encode(name, value)) for _, name, value in self.added]


def _decoded(fields: Iterable[Field]) -> list[_Decoded]:
    texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
    return [(name.lower(), name, value) for name, value in texts]


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
