"""Records: what may become of a wait, exhaustively."""

from __future__ import annotations

import itertools
import json

import pytest

from tarry.waiting import records
from tarry.waiting.records import (
    FINAL,
    MAX_EVENTS,
    MIN_KEEP_S,
    OPEN,
    TRANSITIONS,
    DamagedRecord,
    Early,
    Failure,
    Pointer,
    Progress,
    Record,
    RequestInfo,
    changed,
    decode_pointer,
    decode_record,
    encode,
    joined,
    left,
    with_deadline,
    with_event,
)

STATES = sorted(OPEN | FINAL)


def record(deadline_s=60.0, **fields):
    return Record("id", b"secret", created_s=0.0, deadline_s=deadline_s, keep_s=100.0, **fields)


LEADS_TO = {
    "start": {"waiting": "working"},
    "retry": {"working": "waiting"},
    "progress": dict.fromkeys(OPEN, "working"),
    "ask": dict.fromkeys(OPEN, "input"),
    "wake": dict.fromkeys(OPEN, "done"),
    "fail": dict.fromkeys(OPEN, "failed"),
    "cancel": dict.fromkeys(OPEN, "cancelled"),
    "expire": dict.fromkeys(OPEN, "expired"),
}


@pytest.mark.parametrize(("action", "state"), [*itertools.product(TRANSITIONS, STATES)])
def test_each_action_in_each_state(action, state):
    before = record(state=state)

    after = changed(before, action, 5.0)

    if state not in LEADS_TO[action]:
        assert after is None
    else:
        assert after.state == LEADS_TO[action][state]
        assert after.rev == before.rev + 1
        assert after.settled_s == (5.0 if after.is_settled else 0.0)


def test_every_state_is_open_or_final_and_can_be_reached():
    assert not OPEN & FINAL
    assert {leads_to for _, leads_to in TRANSITIONS.values()} | {"waiting"} == OPEN | FINAL


def test_fields_change_with_the_state():
    after = changed(record(), "fail", 1.0, failure=Failure(409, "no"))

    assert after.failure == Failure(409, "no")


def test_it_is_due_at_its_deadline_and_later_when_it_may_be_forgotten():
    assert record().due_s == 60.0
    assert changed(record(), "wake", 7.0, value=b"1").due_s == 107.0


def test_it_stays_long_enough_for_who_missed_the_news():
    short = Record("id", b"", created_s=0.0, deadline_s=60.0, keep_s=1.0)

    assert changed(short, "wake", 7.0).due_s == 7.0 + MIN_KEEP_S


def test_who_joins_puts_the_end_off_and_never_nearer():
    assert joined(record(), record(deadline_s=90.0)).deadline_s == 90.0
    assert joined(record(), record(deadline_s=30.0)).deadline_s == 60.0


def test_the_last_who_leaves_ends_it():
    two = joined(record(), record(deadline_s=60.0))
    one = left(two, "cancel", 5.0)

    assert one.state == "waiting"
    assert left(one, "cancel", 6.0).state == "cancelled"
    assert left(one, "expire", 6.0).state == "expired"
    assert left(left(one, "cancel", 6.0), "expire", 7.0) is None


def test_a_deadline_that_others_rely_on_only_moves_away():
    assert with_deadline(record(), 30.0).deadline_s == 30.0
    assert with_deadline(joined(record(), record(deadline_s=60.0)), 30.0) is None
    assert with_deadline(joined(record(), record(deadline_s=60.0)), 90.0).deadline_s == 90.0
    assert with_deadline(changed(record(), "wake", 1.0), 90.0) is None


def test_the_newest_progress_is_kept():
    one = record()
    for number in range(MAX_EVENTS + 1):
        one = changed(one, "progress", 0.0, progress=Progress(number))

    assert len(one.events) == MAX_EVENTS
    assert json.loads(one.events[0].data)["progress"]["at"] == 1
    assert json.loads(one.events[-1].data)["progress"]["at"] == MAX_EVENTS
    assert one.events[-1].rev == one.rev


def test_what_is_written_is_read_back():
    full = record(
        state="done",
        key="k",
        value=b"1",
        failure=Failure(500, "x"),
        progress=Progress(1, 2, "half"),
        request=RequestInfo("GET", "/", "a=1", "http://a"),
        then="module:function",
        waits=3,
    )
    full = with_event(full, "progress", b"{}")
    pointer = Pointer(early=Early(b"1", Failure(400, "y")))

    assert decode_record(encode(full)) == full
    assert decode_pointer(encode(pointer)) == pointer


@pytest.mark.parametrize("data", [b"", b"\xc1", encode(["id"]), encode({"id": 1}), encode(7)])
def test_what_is_no_record_is_said_to_be_none(data):
    with pytest.raises(DamagedRecord):
        decode_record(data)
    if data != encode(["id"]):
        with pytest.raises(DamagedRecord):
            decode_pointer(data)


def test_a_record_of_a_newer_version_with_more_fields_is_read():
    fields = records.msgspec.msgpack.decode(encode(record()))

    assert decode_record(encode([*fields, "new"])) == record()
