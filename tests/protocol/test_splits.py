"""An engine reports the same, however the bytes are cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.protocol.http1 import PREFACE_HEAD
from tests.protocol.feeding import notes_of, told_in_every_way
from tests.protocol.streams import MALFORMED, VALID


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


CUTS = st.lists(st.integers(0, 2**16), max_size=8)


@pytest.mark.parametrize("name", VALID)
def test_a_valid_request_whole_byte_by_byte_and_with_others_around_it(name):
    told = told_in_every_way(VALID[name])

    assert told[0][0] == "head"
    assert told[0][-1] is (len(told) == 1)
    assert told_in_every_way(VALID["get"] + VALID[name].removeprefix(b"\r\n"))[1:] == told


@pytest.mark.parametrize("name", [name for name in MALFORMED if len(MALFORMED[name][1]) < 1000])
def test_a_malformed_request_whole_and_byte_by_byte(name):
    status, data = MALFORMED[name]

    assert told_in_every_way(data)[-1] == ("error", status)


@given(st.lists(st.sampled_from(sorted(VALID)), min_size=1, max_size=5), CUTS)
def test_any_split_of_pipelined_requests(names, places):
    data = b"".join(VALID[name] for name in names)

    assert notes_of(cut(data, places)).told == notes_of([data]).told


@given(st.sampled_from(sorted(VALID)), st.sampled_from(sorted(MALFORMED)), CUTS)
def test_any_split_before_and_in_a_malformed_request(valid, malformed, places):
    status, bad = MALFORMED[malformed]
    told = notes_of(cut(VALID[valid] + bad, places)).told

    assert told[0][0] == "head"
    assert told[-1] == ("error", status)


@given(st.sampled_from(sorted(VALID)), st.integers(0, 2**16), st.integers(0, 255), CUTS)
def test_any_split_of_a_request_with_one_wrong_byte(name, place, byte, places):
    data = bytearray(VALID[name])
    data[place % len(data)] = byte
    whole = notes_of([bytes(data)])
    parts = notes_of(cut(bytes(data), places))
    # A part may tell sooner that nothing can come of it, never anything else.
    common = min(len(whole.told), len(parts.told))

    assert parts.told[:common] == whole.told[:common]
    if whole.error is not None:
        assert parts.error is not None


@pytest.mark.parametrize("fault", [b":OST /", b"POST /\x00", b"POST \xff"])
def test_a_known_coding_is_not_blamed_for_another_fault(fault):
    data = VALID["chunked"].replace(b"POST /", fault, 1)

    assert told_in_every_way(data)[-1] == ("error", 400)


@given(CUTS)
def test_any_split_of_the_http2_preface(places):
    data = PREFACE_HEAD + b"SM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    notes = notes_of(cut(data, places))

    assert notes.told[0] == ("http/2",)


def test_the_preface_is_one_only_at_the_beginning():
    assert notes_of([VALID["get"] + PREFACE_HEAD]).told[-1] == ("error", 400)
