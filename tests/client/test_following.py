from __future__ import annotations

import pytest

from tarry.client import RequestFailed, following
from tests.client.scripted import (
    HOLD,
    RESET,
    TICKET,
    Scripted,
    answer,
    document,
    events,
    json_answer,
    ticket,
)

DONE = ("done", document(9, "done", value="there"))
RESULT = f"{TICKET}/result"


def told(rev):
    return ("progress", document(rev))


def to_result(location=RESULT):
    return answer(303, location=location)


def asked_for(scripted):
    """How each request for the ticket asked: for events after a revision, or for other news."""
    return [
        (each.headers["last-event-id"], None)
        if each.headers["accept"] == "text/event-stream"
        else (None, each.headers["if-none-match"])
        for each in scripted.requests
        if each.target == TICKET
    ]


def stream(rev):
    return (str(rev), None)


def look(rev):
    return (None, f'"{rev}"')


# ---- events ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(0, len(events(told(2), DONE)), 7))
def test_a_stream_that_is_cut_anywhere_goes_on_behind_the_last_event(ask, cut):
    whole = events(told(2), DONE)
    with Scripted(ticket(), whole[:cut], events(told(3), DONE)) as scripted:
        assert ask(scripted.url) == "there"

    heard = 2 if told(2)[1] + b"\n\n" in whole[:cut] else 1
    assert asked_for(scripted) == [stream(1), stream(heard)]
    assert [each.rev for each in ask.news] == list(dict.fromkeys([1, heard, 3]))
    assert len(ask.pauses) == 1


def test_a_stream_that_is_reset_goes_on(ask):
    with Scripted(ticket(), (events(told(2)), RESET), events(DONE)) as scripted:
        assert ask(scripted.url) == "there"


def test_events_may_come_byte_by_byte(ask):
    whole = events(told(2), DONE)
    with Scripted(ticket(), tuple(bytes([each]) for each in whole)) as scripted:
        assert ask(scripted.url) == "there"
    assert [each.rev for each in ask.news] == [1, 2]


def test_an_event_that_was_told_is_not_told_again(ask):
    with Scripted(ticket(), events(told(2), told(2)), events(told(2), DONE)) as scripted:
        ask(scripted.url)
    assert [each.rev for each in ask.news] == [1, 2]


def test_after_a_gap_the_state_of_now_is_told_even_if_it_is_older(ask):
    """As after a server whose store was put back from a backup."""
    with Scripted(ticket(7), events(("gap", document(3)), DONE)) as scripted:
        ask(scripted.url)
    assert [each.rev for each in ask.news] == [7, 3]


def test_a_stream_that_the_server_ends_is_opened_again_when_the_server_says(ask):
    with Scripted(ticket(), events(told(2), more=b"retry: 20000\n\n"), events(DONE)) as scripted:
        ask(scripted.url)
    assert ask.pauses == [20]


def test_a_value_that_did_not_come_with_the_event_is_fetched(ask):
    done = ("done", document(9, "done"))
    with Scripted(ticket(), events(done), json_answer(200, b"[1]")) as scripted:
        assert ask(scripted.url) == [1]
    assert scripted.requests[-1].target == RESULT


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired", "gone"])
def test_an_event_that_ends_the_ticket_otherwise_is_an_error(ask, state):
    with Scripted(ticket(), events((state, document(9, state)))) as scripted:
        with pytest.raises(RequestFailed, match=state) as caught:
            ask(scripted.url)
        assert caught.value.state == state
        assert caught.value.ticket == scripted.url + TICKET


# ---- held requests ---------------------------------------------------------------------------


def test_after_two_streams_without_a_word_the_ticket_is_asked_for_by_held_requests(ask):
    steps = [ticket(), b"", RESET, json_answer(200, document(4)), answer(304), to_result()]
    with Scripted(*steps, json_answer(200, b'"there"')) as scripted:
        assert ask(scripted.url) == "there"

    assert asked_for(scripted) == [stream(1), stream(1), look(1), look(4), look(4)]
    assert {each.headers["prefer"] for each in scripted.requests[3:6]} == {"wait=25"}
    assert [each.rev for each in ask.news] == [1, 4]


def test_requests_that_are_not_held_come_at_a_calm_pace(ask):
    """Something on the way may answer them itself, or the server is about to stop."""
    steps = [ticket(), answer(204), *[answer(304)] * 3, json_answer(200, document(2)), to_result()]
    with Scripted(*steps, json_answer(200, b"1")) as scripted:
        assert ask(scripted.url) == 1
    assert ask.pauses == [following.POLL_PAUSE_S] * 3 + [following.MIN_PAUSE_S]


@pytest.mark.parametrize("other", [answer(204), json_answer(200, b"{}"), answer(200, b"<p>hello")])
def test_where_no_events_come_they_are_not_asked_for_again(ask, other):
    with Scripted(ticket(), other, to_result(), json_answer(200, b"1")) as scripted:
        assert ask(scripted.url) == 1
    assert asked_for(scripted) == [stream(1), look(1)]
    assert ask.pauses == []


def test_a_stream_on_which_even_pings_are_missing_is_given_up(ask, monkeypatch):
    """A proxy keeps what it should pass on."""
    monkeypatch.setattr(following, "SILENCE_S", 0.05)
    with Scripted(ticket(), (events(), HOLD), to_result(), json_answer(200, b"1")) as scripted:
        assert ask(scripted.url) == 1
    assert asked_for(scripted) == [stream(1), look(1)]


def test_a_held_request_that_is_never_answered_is_asked_again(ask, monkeypatch):
    monkeypatch.setattr(following, "SILENCE_S", 0.05)
    with Scripted(
        ticket(), answer(204), (HOLD,), answer(304), events(DONE)
    ) as scripted:  # fmt: skip
        assert ask(scripted.url) == "there"
    assert asked_for(scripted) == [stream(1), look(1), look(1), stream(1)]


def test_when_the_server_was_away_events_are_asked_for_once_more(ask):
    steps = [ticket(), b"", b"", b"", answer(304), events(told(2), DONE)]
    with Scripted(*steps) as scripted:
        assert ask(scripted.url) == "there"
    assert asked_for(scripted) == [stream(1), stream(1), look(1), look(1), stream(1)]


def test_where_streams_always_break_they_are_not_asked_for_between_held_requests(ask):
    steps = [ticket(), b"", b"", *[answer(304)] * 3, to_result(), json_answer(200, b"1")]
    with Scripted(*steps) as scripted:
        assert ask(scripted.url) == 1
    assert asked_for(scripted) == [stream(1)] * 2 + [look(1)] * 4


def test_an_answer_of_somebody_else_is_not_the_end(ask):
    """What stands in for the server while it is away, or a portal that wants a login."""
    odd = [
        answer(502, b"<p>bad gateway"),
        json_answer(503, b"{}", retry_after=7),
        json_answer(429, b"{}"),
        answer(200, b"<p>hello"),
        json_answer(200, b"[1]"),
        json_answer(200, b'{"state": "working"}'),
        json_answer(200, b'{"a": 1}', length=100),
    ]
    with Scripted(ticket(), answer(204), *odd, to_result(), json_answer(200, b"1")) as scripted:
        assert ask(scripted.url) == 1
    assert len(ask.pauses) == len(odd)
    assert ask.pauses[1] == 7


def test_an_event_that_is_no_document_is_not_the_end(ask):
    odd = [("progress", b"{"), ("progress", b"[1]"), ("done", b"1"), ("progress", b'{"rev": 2}')]
    for each in odd:
        with Scripted(ticket(), events(each), events(DONE)) as scripted:
            assert ask(scripted.url) == "there"


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_refusal_is_the_end(ask, status):
    for steps in ([], [answer(204)]):
        with Scripted(ticket(), *steps, json_answer(status, b'{"detail": "no"}')) as scripted:
            with pytest.raises(RequestFailed, match="no") as caught:
                ask(scripted.url)
            assert caught.value.status == status


def test_a_redirect_that_is_not_to_the_result_is_a_refusal(ask):
    with Scripted(ticket(), answer(204), to_result("/login")) as scripted:
        with pytest.raises(RequestFailed) as caught:
            ask(scripted.url)
        assert caught.value.status == 303


def test_a_document_tells_the_end_too(ask):
    failed = document(5, "failed", failure={"status": 402, "detail": "no money"})
    with Scripted(ticket(), answer(204), json_answer(200, failed)) as scripted:
        with pytest.raises(RequestFailed, match="no money") as caught:
            ask(scripted.url)
        assert (caught.value.status, caught.value.state) == (402, "failed")


def test_what_the_document_says_of_the_work_is_told(ask):
    more = {"progress": {"at": 3, "of": 4, "text": "mixing"}, "position": 2}
    with Scripted(ticket(), events(("progress", document(2, **more)), DONE)) as scripted:
        ask(scripted.url)

    news = ask.news[1]
    assert (news.at, news.of, news.text, news.position, news.rev) == (3, 4, "mixing", 2, 2)
    assert (news.state, news.fraction, news.url) == ("working", 0.75, scripted.url + TICKET)


@pytest.mark.parametrize(("at", "of", "fraction"), [(5, 4, 1), (-1, 4, 0), (1, 0, None)])
def test_a_fraction_is_one_of_a_whole(ask, at, of, fraction):
    more = {"progress": {"at": at, "of": of, "text": ""}}
    with Scripted(ticket(), events(("progress", document(2, **more)), DONE)) as scripted:
        ask(scripted.url)
    assert ask.news[1].fraction == fraction
