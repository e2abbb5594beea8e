"""Every limit at its value and one beyond, at once and byte by byte."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tarry.protocol.errors import PeerError
from tarry.protocol.limits import Limits
from tests.protocol.feeding import chunked, new_engine, notes_of, told_in_every_way

LONGEST_HEAD = b"GET / HTTP/1.1\r\nhost: a\r\nx: %b\r\n\r\n"


def head_of(size):
    """A head of so many bytes in as few fields as may be."""
    more = (size - 50) // 10_000
    head = LONGEST_HEAD.replace(b"x: ", (b"y: " + b"z" * 9_995 + b"\r\n") * more + b"x: ")
    return head % (b"y" * (size - len(head) + 2))


def field_line(size):
    return b"GET / HTTP/1.1\r\nhost: a\r\nx: %b\r\n\r\n" % (b"y" * (size - 3))


def target(size):
    return b"GET /%b HTTP/1.1\r\nhost: a\r\n\r\n" % (b"t" * (size - 1))


def with_fields(count):
    return b"GET / HTTP/1.1\r\nhost: a\r\n%b\r\n" % (b"x: y\r\n" * (count - 1))


def chunk_line(size):
    return chunked(b"1;%b\r\nx\r\n0\r\n\r\n" % (b"a" * (size - 4)))


def trailer_bytes(size):
    return chunked(b"0\r\nx: %b\r\n\r\n" % (b"y" * (size - 7)))


TABLE = {
    "max_head_bytes": (431, head_of, (60, 500, 20_000, 65_532)),
    "max_field_line_bytes": (431, field_line, (20, 500, 16_383)),
    "max_fields": (431, with_fields, (1, 10, 99, 100)),
    "max_target_bytes": (414, target, (1, 500, 8_192, 16_000)),
    "max_chunk_line_bytes": (400, chunk_line, (5, 256)),
    "max_trailer_bytes": (431, trailer_bytes, (10, 8_192)),
}
CASES = [(name, size) for name, row in TABLE.items() for size in row[2]]


@pytest.mark.parametrize(("name", "size"), CASES)
def test_at_the_limit_and_one_beyond(name, size):
    status, make, _ = TABLE[name]
    limits = {name: size}

    assert notes_of([make(size)], **limits).error is None
    assert notes_of([make(size + 1)], **limits).error.status == status
    small = size < 1000
    if small:
        assert told_in_every_way(make(size), **limits)[-1][0] in ("head", "body")
        assert told_in_every_way(make(size + 1), **limits)[-1] == ("error", status)


@pytest.mark.parametrize(("name", "size"), CASES)
def test_a_limit_holds_for_later_requests_of_a_known_host_too(name, size):
    status, make, _ = TABLE[name]
    first = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" if size > 30 else b""

    assert notes_of([first, make(size + 1)], **{name: size}).error.status == status


def taken_until_refused(engine, piece):
    """How many bytes an engine takes, and the status with which it refuses more."""
    taken = 0
    while taken < 1_000_000:
        try:
            engine.receive_data(piece)
        except PeerError as error:
            return taken, error.status
        taken += len(piece)
    return taken, None


@pytest.mark.parametrize(
    ("endless", "most"),
    [
        (b"GET /", 8_192 + 100),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: ", 65_532 + 100),
        (b"A", 8_192 + 100),
    ],
)
def test_a_line_without_end_is_cut_at_the_limit(endless, most):
    engine = new_engine()
    engine.receive_data(endless)
    taken, status = taken_until_refused(engine, b"a" * 100)

    assert status in (414, 431)
    assert len(endless) + taken <= most


def test_a_head_byte_by_byte_costs_as_much_as_it_is_long(monkeypatch):
    """Counts the bytes that the check of unfinished heads looks at."""
    from tarry.protocol import http1_heads

    looked_at = 0

    class Counting:
        def search(self, raw, start=0):
            nonlocal looked_at
            looked_at += len(raw) - start

    monkeypatch.setattr(http1_heads, "_BARE_LINE_END", Counting())
    data = LONGEST_HEAD % (b"y" * 16_000)
    notes_of([data[at : at + 1] for at in range(len(data))])

    assert looked_at < 10 * len(data)


@pytest.mark.parametrize("field", fields(Limits), ids=lambda field: field.name)
def test_a_limit_must_be_at_least_one(field):
    with pytest.raises(ValueError, match=f"{field.name} must be at least 1"):
        Limits(**{field.name: 0})


@pytest.mark.parametrize(
    ("name", "most"),
    [("max_head_bytes", 65_532), ("max_field_line_bytes", 16_383), ("max_target_bytes", 16_000),
     ("max_fields", 100)],
)  # fmt: skip
def test_no_limit_beyond_what_the_parser_can_hold(name, most):
    assert getattr(Limits(**{name: most}), name) == most
    with pytest.raises(ValueError, match=f"at most {most}"):
        Limits(**{name: most + 1})


def test_every_limit_is_tested():
    elsewhere = {
        "max_drain_bytes", "max_pipelined_bytes", "max_resets", "max_streams_per_connection"
    }  # fmt: skip

    assert {field.name for field in fields(Limits)} == set(TABLE) | elsewhere
