"""Faulty priorities are found wherever a read begins or ends."""

import pytest

from tarry.protocol.priority import PREFACE_BYTES, PriorityGuard

PREFACE = b"P" * PREFACE_BYTES


def frame(kind, flags, stream_id, payload):
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big")
    return head + payload


def on(stream_id):
    return stream_id.to_bytes(4, "big") + b"\x10"


FINE = {
    "settings": frame(4, 0, 0, b""),
    "headers": frame(1, 4, 1, b"\x82" * 30),
    "a priority": frame(2, 0, 3, on(1)),
    "headers with priority": frame(1, 0x24, 5, on(3) + b"\x82"),
    "padded headers with priority": frame(1, 0x2C, 7, b"\x02" + on(5) + b"\x82\0\0"),
    "data that looks like a faulty priority": frame(0, 0, 1, frame(2, 0, 0, on(1))),
    "a large frame": frame(0, 0, 1, b"x" * 16_000),
}
FAULTY = {
    "on stream 0": frame(2, 0, 0, on(1)),
    "on itself": frame(2, 0, 3, on(3)),
    "on itself, exclusive": frame(2, 0, 3, on(0x8000_0003)),
    "headers on themselves": frame(1, 0x24, 5, on(5) + b"\x82"),
    "padded headers on themselves": frame(1, 0x2C, 5, b"\x02" + on(5) + b"\x82\0\0"),
}


def refuses(data, step):
    guard = PriorityGuard()
    return any(guard.refuses(data[at : at + step]) for at in range(0, len(data), step))


@pytest.mark.parametrize("step", [1, 2, 9, 10, 13, 24, 1000, 1_000_000])
@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_priority_is_refused(name, step):
    assert refuses(PREFACE + b"".join(FINE.values()) + FAULTY[name], step)


@pytest.mark.parametrize("step", [1, 2, 9, 10, 13, 24, 1000, 1_000_000])
def test_everything_else_passes(step):
    assert not refuses(PREFACE + b"".join(FINE.values()) * 2, step)


def test_a_priority_that_is_too_short_is_left_to_the_parser():
    assert not refuses(PREFACE + frame(2, 0, 3, b"\0\0") + FINE["settings"], 1000)
