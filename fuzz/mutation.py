"""Inputs made of others: bytes changed, pieces repeated, moved, left out and mixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from fuzz.target import MAX_INPUT_BYTES, Target, expand

ODD_PIECES = (
    b"\x00", b"\r\n", b"\n", b"\r", b" ", b"\t", b"%", b"%00", b"%2f", b"%zz", b'"', b"\\", b";",
    b",", b"=", b"&", b"+", b"-1", b"0", b"00", b"9" * 20, b"9" * 400, b"1e999", b"NaN", b"\x7f",
    b"\x80", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xef\xbb\xbf", b"../",
    b"[", b"{", b"(", b"<", b"*", b"\xd9\xa1", b"'", b":", b"/", b"?", b"#", b"\x0b", b"\x85",
)  # fmt: skip

Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]


def _span(data: bytes, numbers: Random) -> tuple[int, int]:
    start = numbers.randint(0, len(data))
    longest = numbers.choice((1, 4, 32, len(data)))
    return start, min(len(data), start + numbers.randint(0, longest))


def _change_byte(data: bytes, numbers: Random, pieces: Sequence[bytes]) -> bytes:
    at = numbers.randint(0, len(data))
    return data[:at] + bytes([numbers.randrange(256)]) + data[at + 1 :]


def _flip_bit(data: bytes, numbers: Random, pieces: Sequence[bytes]) -> bytes:
    at = numbers.randrange(len(data) or 1)
    return (
        data[:at]
        + bytes([(data[at : at + 1] or b"\0")[0] ^ 1 << numbers.randrange(8)])
        + data[at + 1 :]
    )


def _insert(data: bytes, numbers: Random, pieces: Sequence[bytes]) -> bytes:
    at = numbers.randint(0, len(data))
    return data[:at] + numbers.choice(pieces) + data[at:]


def _replace(data: bytes, numbers: Random, pieces: Sequence[bytes]) -> bytes:
    start, end = _span(data, numbers)
    return data[:start] + numbers.choice(pieces) + data[end:]


def _remove(data: bytes, numbers: Random, pieces: Sequence[bytes]) -> bytes:
    start, end = _span(data, numbers)
    return data[:start] + data[end:]


def _double(data: bytes, numbers: Random, pieces: Sequence[bytes]) -> bytes:
    start, end = _span(data, numbers)
    return data[:end] + data[start:]


def _move(data: bytes, numbers: Random, pieces: Sequence[bytes]) -> bytes:
    start, end = _span(data, numbers)
    rest = data[:start] + data[end:]
    at = numbers.randint(0, len(rest))
    return rest[:at] + data[start:end] + rest[at:]


def _cut_off(data: bytes, numbers: Random, pieces: Sequence[bytes]) -> bytes:
    return data[: numbers.randint(0, len(data))]


def _repeat(data: bytes, numbers: Random, pieces: Sequence[bytes]) -> bytes:
    """Many times the same: what takes more than linear time shows here."""
    start, end = _span(data, numbers)
    piece = data[start:end] or numbers.choice(pieces)
    room = MAX_INPUT_BYTES - len(data)
    times = min(room // len(piece) if piece else 0, numbers.choice((3, 100, 1000, MAX_INPUT_BYTES)))
    return data[:end] + piece * times + data[end:]


_MUTATIONS: Sequence[Mutation] = (
    _change_byte, _change_byte, _flip_bit, _insert, _insert, _replace, _remove, _double, _move, _cut_off,
)  # fmt: skip

REPEATED = 0.01
"""How many inputs have a piece that is repeated; they are long, so that they take most time."""


def new_input(target: Target, numbers: Random) -> bytes:
    """The next input for a target: of the grammar, a seed, or a mixture, a little changed."""
    data = _beginning(target, numbers)
    if numbers.random() < 0.2:
        start, end = _span(other := _beginning(target, numbers), numbers)
        at = numbers.randint(0, len(data))
        data = data[:at] + other[start:end] + data[at:]
    pieces = (*ODD_PIECES, *target.pieces)
    for _ in range(numbers.choice((0, 1, 1, 2, 3, 8))):
        data = numbers.choice(_MUTATIONS)(data, numbers, pieces)
    if numbers.random() < REPEATED:
        data = _repeat(data, numbers, pieces)
    return data[:MAX_INPUT_BYTES]


def _beginning(target: Target, numbers: Random) -> bytes:
    if target.grammar is not None and numbers.random() < 0.5:
        return expand(target.grammar, numbers)
    return numbers.choice(target.seeds)
