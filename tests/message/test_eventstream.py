"""Server-sent events: what is written is read again, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.message.eventstream import (
    EventStreamDecoder,
    EventTooLarge,
    MessageEvent,
    check_event,
    encode_event,
    last_event_id,
)
from tarry.message.headers import Headers
from tarry.message.heads import Fields

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=20)


def read(data, cut=None, **options):
    """The events in some bytes, fed in pieces of `cut` bytes."""
    decoder = EventStreamDecoder(**options)
    cut = cut or len(data) or 1
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    return [event for piece in pieces for event in decoder.feed(piece)]


CUTS = pytest.mark.parametrize("cut", [None, 1, 2, 3, 7])


# ── writing ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "encoded"),
    [
        ({"data": "x"}, b"data: x\n\n"),
        ({"data": ""}, b"data: \n\n"),
        ({"data": " x"}, b"data:  x\n\n"),
        ({"data": "a\nb"}, b"data: a\ndata: b\n\n"),
        ({"data": "a\rb\r\nc\n"}, b"data: a\ndata: b\ndata: c\ndata: \n\n"),
        ({"data": "\n\n"}, b"data: \ndata: \ndata: \n\n"),
        ({"data": "a\x0b\x0c\x1c\x85\u2028b"}, "data: a\x0b\x0c\x1c\x85\u2028b\n\n".encode()),
        ({"data": "Grüße"}, "data: Grüße\n\n".encode()),
        ({"data": "x", "event": "tick"}, b"event: tick\ndata: x\n\n"),
        ({"data": "x", "id": "7"}, b"id: 7\ndata: x\n\n"),
        ({"data": "x", "id": ""}, b"id: \ndata: x\n\n"),
        ({"data": "x", "retry_ms": 0}, b"retry: 0\ndata: x\n\n"),
        ({"data": None, "retry_ms": 1500}, b"retry: 1500\n\n"),
        ({"data": None, "comment": "ping"}, b": ping\n\n"),
        ({"data": None, "comment": "a\nb"}, b": a\n: b\n\n"),
        (
            {"data": "x", "event": "e", "id": "7", "retry_ms": 5, "comment": "c"},
            b": c\nevent: e\nid: 7\nretry: 5\ndata: x\n\n",
        ),
    ],
)
def test_an_event_is_fields_and_an_empty_line(arguments, encoded):
    assert encode_event(**arguments) == encoded


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("value", ["a\nb", "a\rb", "\r\n", "a\n\ndata: forged", "a\0b"])
def test_a_field_of_one_line_cannot_forge_another(field, value):
    with pytest.raises(ValueError, match=f"the {field} of an event has a line break or NUL"):
        encode_event("x", **{field: value})


@pytest.mark.parametrize("retry_ms", [-1, 1.5, True, "5"])
def test_a_retry_is_a_whole_number(retry_ms):
    with pytest.raises(ValueError, match="whole number of milliseconds"):
        check_event(None, None, retry_ms)


@given(TEXT, NAMES, NAMES)
@settings(max_examples=200)
def test_what_is_written_is_read_again(data, event, id):
    encoded = encode_event(data, event=event, id=id, comment=data)
    lines = data.replace("\r\n", "\n").replace("\r", "\n")

    for cut in (None, 1):
        assert read(encoded, cut) == [MessageEvent(lines, event or "message", id)]


# ── reading ───────────────────────────────────────────────────────────────────────────────


@CUTS
@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: x\n\n", [("x", "message", "")]),
        (b"data: x\r\n\r\n", [("x", "message", "")]),
        (b"data: x\r\r", [("x", "message", "")]),
        (b"data: x\r\n\ndata: y\n\r\n", [("x", "message", ""), ("y", "message", "")]),
        (b"data:x\ndata:  y\n\n", [("x\n y", "message", "")]),
        (b"data\n\ndata\ndata\n\n", [("", "message", ""), ("\n", "message", "")]),
        (b": ping\n\n:\n\ndata: x\n\n", [("x", "message", "")]),
        (b"event: a\ndata: x\n\ndata: y\n\n", [("x", "a", ""), ("y", "message", "")]),
        (b"event: a\n\ndata: x\n\n", [("x", "message", "")]),
        (b"id: 1\ndata: x\n\ndata: y\n\n", [("x", "message", "1"), ("y", "message", "1")]),
        (b"id: 1\ndata: x\n\nid\ndata: y\n\n", [("x", "message", "1"), ("y", "message", "")]),
        (b"id: a\0b\ndata: x\n\n", [("x", "message", "")]),
        (b"DATA: x\n data: y\ndata : z\n\n", []),
        (b"\xef\xbb\xbfdata: x\n\n", [("x", "message", "")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n", []),
        (b"data: \xef\xbb\xbfx\n\n", [("\ufeffx", "message", "")]),
        (b"data: \xff\xc3\n\n", [("\ufffd\ufffd", "message", "")]),
        (b"data: a:b: c\n\n", [("a:b: c", "message", "")]),
        (b"data: x\n", []),
        (b"data: x\n\ndata: lost", [("x", "message", "")]),
    ],
)
def test_streams_are_read_as_browsers_read_them(cut, stream, events):
    assert read(stream, cut) == [MessageEvent(*event) for event in events]


def test_an_event_is_there_with_the_cr_that_ends_it():
    decoder = EventStreamDecoder()

    assert decoder.feed(b"data: x\r\r") == [MessageEvent("x")]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\ndata: y\n\n") == [MessageEvent("y")]


@pytest.mark.parametrize(
    ("value", "retry_ms"),
    [(b"10", 10), (b"0", 0), (b"999999999", 999999999), (b"1000000000", None), (b"9" * 9999, None),
     (b"", None), (b"-1", None), (b"1.5", None), ("²".encode(), None), (b" 10", None)],
)  # fmt: skip
def test_only_digits_are_a_retry(value, retry_ms):
    decoder = EventStreamDecoder()
    decoder.feed(b"retry: " + value + b"\n\n")

    assert decoder.retry_ms == retry_ms


def test_the_last_id_counts_when_its_event_has_ended():
    decoder = EventStreamDecoder()
    decoder.feed(b"id: 1\n\nid: 2\ndata: x\n")

    assert decoder.last_event_id == "1"
    decoder.feed(b"\n")
    assert decoder.last_event_id == "2"


@CUTS
@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (b"data: 345678\n\n", b"data: 3456789\n\n"),
        (b"data:\ndata:\n\n", b"data:\ndata:\ndata:\n\n"),
        (b": 3456789012\n\ndata: x\n\n", b": 34567890123\n\n"),
        (b"data: 3\n: 3456789012\n\n", b"data: 3\nevent: 8901234"),
    ],
)
def test_an_event_has_a_limit(cut, within, beyond):
    assert len(read(within, cut, max_event_bytes=13)) == 1
    with pytest.raises(EventTooLarge, match="13 bytes"):
        read(beyond, cut, max_event_bytes=13)


def test_events_before_one_that_is_too_large_come_first():
    decoder = EventStreamDecoder(max_event_bytes=13)

    assert decoder.feed(b"data: x\n\ndata: y\n\n" + b":" * 14) == [
        MessageEvent("x"),
        MessageEvent("y"),
    ]
    for more in (b"", b"\n\ndata: z\n\n"):
        with pytest.raises(EventTooLarge):
            decoder.feed(more)


def test_a_long_event_in_small_pieces_takes_linear_time():
    decoder = EventStreamDecoder()
    decoder.feed(b"data: ")
    for _ in range(500_000):
        decoder.feed(b"x")

    assert decoder.feed(b"\n\n") == [MessageEvent("x" * 500_000)]


@given(st.lists(st.sampled_from([b"data", b"id", b"event", b":", b" ", b"\r", b"\n", b"\xff"])))
@settings(max_examples=200)
def test_how_bytes_are_cut_makes_no_difference(parts):
    stream = b"".join(parts)

    assert read(stream) == read(stream, 1) == read(stream, 3)


# ── coming back ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "id"),
    [
        ([], None),
        ([(b"last-event-id", b"")], None),
        ([(b"last-event-id", b"7")], "7"),
        ([(b"Last-Event-ID", "Grüße".encode())], "Grüße"),
        ([(b"last-event-id", b"\xff")], "\ufffd"),
    ],
)
def test_the_last_id_comes_back_in_a_header(fields, id):
    assert last_event_id(Headers.from_fields(Fields(fields))) == id
