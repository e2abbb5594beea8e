"""What a fuzzer is made of: where its inputs come from, and what has to hold for each."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

MAX_INPUT_BYTES = 65_536

Grammar = Mapping[bytes, Sequence[bytes]]
"""Alternatives for each name; `<name>` in an alternative is expanded, `start` is where it begins."""

_REFERENCE = re.compile(rb"<([a-z-]+)>")
_MAX_DEPTH = 12


class Target(NamedTuple):
    """One thing that reads what a client sends.

    `check` takes any bytes and raises if a promise is broken; it has no other
    source of chance than `chance(data)`, so that an input fails again.
    `pieces` are put into inputs beside what the grammar and the seeds have.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    grammar: Grammar | None = None
    pieces: Sequence[bytes] = ()


class Broken(Exception):
    """A promise is broken."""


def expect(holds: object, what: str, *about: object) -> None:
    """Raise if something does not hold; an `assert` would be gone under `python -O`."""
    if not holds:
        raise Broken(": ".join([what, *map(repr, about)])[:2000])


def chance(data: bytes) -> random.Random:
    """Random numbers that are the same for the same input."""
    return random.Random(data)


def cut(data: bytes) -> list[bytes]:
    """The input in pieces: one byte each for a short one now and then, else a few cuts."""
    numbers = chance(data)
    if len(data) < 2000 and numbers.random() < 0.3:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted(numbers.randint(0, len(data)) for _ in range(numbers.randint(1, 6)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def expand(
    grammar: Grammar, numbers: random.Random, name: bytes = b"start", depth: int = 0
) -> bytes:
    """A text of the grammar; deep inside, the first alternative is taken, which should end."""
    alternatives = grammar[name]
    chosen = alternatives[0] if depth > _MAX_DEPTH else numbers.choice(alternatives)
    return _REFERENCE.sub(
        lambda match: (
            expand(grammar, numbers, match[1], depth + 1) if match[1] in grammar else match[0]
        ),
        chosen,
    )
