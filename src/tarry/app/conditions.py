"""Narrowing: what a request has to have, beside path and method, to be for a route.

An expression is about the values of one name, among the parameters or the
header fields of a request:

    a        is there
    !a       is not there
    a=b      one of its values is b
    a!=b     is there, and none of its values is b
    a^=b     one of its values begins with b

Names of header fields match in any case; all else is compared exactly, so that
`content-type^=text/` does not hold for `Text/Plain`.  Everything after the
operator is the value, spaces included.

A new operator is a row in `_OPERATORS`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from tarry.message.heads import check_field

Place = Literal["params", "headers"]
Rule = Literal["all", "any"]


class ConditionError(ValueError):
    """An expression that means nothing, with its text and the reason."""


class Facts(Protocol):
    """What conditions ask about a request; `None` if the name is not there."""

    def parameter(self, name: str, /) -> list[str] | None:
        """All values of a parameter."""

    def header(self, name: bytes, /) -> list[str] | None:
        """All values of a header field, whose name is in lower case."""


# ---- what authors write ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Combination:
    """Expressions of which all or any have to hold; made by `all_of` and `any_of`."""

    rule: Rule
    members: "Sequence[Expressions]"


Expressions: TypeAlias = str | Combination | Sequence["Expressions"]
"""One expression, a list or tuple of which all have to hold, or what combines them."""


def all_of(*expressions: Expressions) -> Combination:
    """Have a request meet all of the expressions."""
    return Combination("all", expressions)


def any_of(*expressions: Expressions) -> Combination:
    """Have a request meet at least one of the expressions."""
    return Combination("any", expressions)


def parse_conditions(
    params: Expressions | None = None, headers: Expressions | None = None
) -> "Conditions | None":
    """What a request has to meet; `None` if there are no expressions.

    Raises:
        ConditionError: an expression that means nothing, or a combination of none.
    """
    given: tuple[tuple[Place, Expressions | None], ...] = (("params", params), ("headers", headers))
    members = [
        _member(place, expressions)
        for place, expressions in given
        if expressions not in (None, [], ())
    ]
    return _all(members) if members else None


# ---- what they mean ----------------------------------------------------------------------


_OPERATORS: Final[Mapping[str, Callable[[Sequence[str], str], bool]]] = {
    "": lambda values, _: bool(values),
    "!": lambda values, _: not values,
    "=": lambda values, wanted: wanted in values,
    "!=": lambda values, wanted: bool(values) and wanted not in values,
    "^=": lambda values, wanted: any(value.startswith(wanted) for value in values),
}
"""Whether an expression holds for the values of its name."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression about the values of one name."""

    place: Place
    name: str
    operator: str
    value: str

    @property
    def count(self) -> int:
        """Itself."""
        return 1

    def matches(self, facts: Facts) -> bool:
        """Whether a request meets it."""
        if self.place == "params":
            values = facts.parameter(self.name)
        else:
            values = facts.header(self.name.encode("ascii"))
        return _OPERATORS[self.operator](values or (), self.value)

    @property
    def needs_parameters(self) -> bool:
        """Whether it asks for parameters."""
        return self.place == "params"

    def __str__(self) -> str:
        return (
            f"!{self.name}" if self.operator == "!" else f"{self.name}{self.operator}{self.value}"
        )


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Two or more of which at least one has to hold, all about one place."""

    place: Place
    members: "tuple[Expression | Conditions, ...]"

    @property
    def count(self) -> int:
        """How many expressions hold at least."""
        return min(member.count for member in self.members)

    @property
    def needs_parameters(self) -> bool:
        """Whether it asks for parameters."""
        return self.place == "params"

    def matches(self, facts: Facts) -> bool:
        """Whether a request meets one of them."""
        return any(member.matches(facts) for member in self.members)

    def __str__(self) -> str:
        return f"any of ({', '.join(_nested(member) for member in self.members)})"


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything that a request has to meet.

    Equal if they are written with the same expressions in the same
    combination; order, repetition and needless nesting do not count.  `a & b`
    is both.  `count` is how many expressions hold at least when all is met:
    routes with more are tried first.
    """

    members: tuple[Expression | Alternatives, ...]

    @property
    def count(self) -> int:
        """How many expressions hold at least."""
        return sum(member.count for member in self.members)

    @property
    def needs_parameters(self) -> bool:
        """Whether any of it asks for parameters, so that a form has to be read before."""
        return any(member.needs_parameters for member in self.members)

    def matches(self, facts: Facts) -> bool:
        """Whether a request meets them."""
        return all(member.matches(facts) for member in self.members)

    def __and__(self, other: "Conditions") -> "Conditions":
        return _all((self, other))

    def __str__(self) -> str:
        places = dict.fromkeys(member.place for member in self.members)
        return "; ".join(f"{place} {', '.join(self._texts(place))}" for place in places)

    def _texts(self, place: Place) -> list[str]:
        return [str(member) for member in self.members if member.place == place]


Member: TypeAlias = Expression | Alternatives | Conditions


def _nested(member: Expression | Conditions) -> str:
    if isinstance(member, Expression):
        return str(member)
    return f"all of ({', '.join(str(each) for each in member.members)})"


def _all(members: Iterable[Member]) -> Conditions:
    flat: set[Expression | Alternatives] = set()
    for member in members:
        flat.update(member.members if isinstance(member, Conditions) else (member,))
    return Conditions(tuple(sorted(flat, key=_order)))


def _any(place: Place, members: Iterable[Member]) -> Member:
    flat: set[Expression | Conditions] = set()
    for member in map(_alone, members):
        flat.update(member.members if isinstance(member, Alternatives) else (member,))
    if len(flat) == 1:
        return flat.pop()
    return Alternatives(place, tuple(sorted(flat, key=_order)))


def _alone(member: Member) -> Member:
    """What is the only one of its kind, without what would combine it."""
    if isinstance(member, Conditions) and len(member.members) == 1:
        return member.members[0]
    return member


def _order(member: Member) -> tuple[bool, str]:
    """Parameters before header fields, and then by text: so equal conditions look equal."""
    return not member.needs_parameters, str(member)


# ---- from the one to the other -----------------------------------------------------------


def _member(place: Place, given: object) -> Member:
    if isinstance(given, str):
        return _expression(place, given)
    if isinstance(given, list | tuple):
        given = Combination("all", given)
    if not isinstance(given, Combination):
        raise ConditionError(f"{given!r} is neither an expression nor several")
    if not given.members:
        raise ConditionError(f"{given.rule}_of() without expressions says nothing")
    members = [_member(place, each) for each in given.members]
    return _all(members) if given.rule == "all" else _any(place, members)


def _expression(place: Place, text: str) -> Expression:
    before, compares, value = text.partition("=")
    if compares:
        marked = before[-1:] in {"!", "^"}
        operator = before[-1] + "=" if marked else "="
        name = before[:-1] if marked else before
    else:
        operator, name = ("!", before[1:]) if before.startswith("!") else ("", before)
    reason = _fault(name, operator, value)
    if reason:
        raise ConditionError(f"{place} {text!r}: {reason}")
    return Expression(
        place, name if place == "params" else _field_name(name, value), operator, value
    )


def _fault(name: str, operator: str, value: str) -> str | None:
    if not name:
        return "there is no name"
    if name != name.strip():
        return "a space beside the name would be part of it"
    if name.startswith("!"):
        return f"'!' belongs before '=': {name[1:]}!={value}"
    if value.startswith("="):
        return "one '=' compares"
    if operator == "^=" and not value:
        return f"every value begins with nothing; write {name!r} for a name that is there"
    return None


def _field_name(name: str, value: str) -> str:
    """The name of a header field as it is looked up."""
    try:
        lowered = name.encode("ascii").lower()
        value.encode("ascii")
        check_field(lowered, b"")
    except ValueError as error:
        raise ConditionError(f"headers {name!r}: {error}") from error
    return lowered.decode("ascii")
