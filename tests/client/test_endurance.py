from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tarry.client import RequestFailed, endurance
from tests.client.scripted import TICKET, Scripted, events, json_answer, ticket

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""Of 127.0.0.1, signed by itself, with its key; made by openssl for these tests."""

BUSY = json_answer(503, b'{"detail": "full"}', retry_after=1)


def away(ask, steps, **options):
    with Scripted(*steps) as scripted, pytest.raises(RequestFailed) as caught:
        ask(scripted.url, **options)
    return caught.value


def test_pauses_double_up_to_half_a_minute_and_are_never_all_the_same(ask):
    away(ask, [ticket()], away="10m")

    most = [
        min(endurance.MIN_PAUSE_S * 2**n, endurance.MAX_PAUSE_S) for n in range(len(ask.pauses))
    ]
    assert all(m / 2 <= pause <= m for pause, m in zip(ask.pauses, most, strict=True))
    assert len(set(ask.pauses)) == len(ask.pauses)
    assert most[-1] == endurance.MAX_PAUSE_S


def test_a_server_that_never_was_in_reach_is_given_up_after_ten_seconds(ask):
    error = away(ask, [])

    assert (error.state, error.status, error.ticket) == ("unreachable", 0, None)
    assert endurance.FIRST_CONTACT_S <= sum(ask.pauses) < 3 * endurance.FIRST_CONTACT_S


def test_a_server_that_was_there_is_given_up_after_the_time_that_was_given(ask):
    error = away(ask, [ticket()], away="5m")

    assert error.state == "unreachable"
    assert error.ticket.endswith(TICKET)
    assert 300 <= sum(ask.pauses) < 300 + endurance.MAX_PAUSE_S


def test_a_server_without_room_is_asked_again_when_it_says(ask):
    later = json_answer(503, b"{}", retry_after=12)
    with Scripted(later, json_answer(200, b"1")) as scripted:
        assert ask(scripted.url, {}) == 1
    assert ask.pauses == [12]


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e9", "٣", "soon"])
def test_a_retry_after_that_is_no_number_of_seconds_is_any_pause(ask, value):
    said = b"HTTP/1.1 503 No\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n" % value.encode()
    with Scripted(said, json_answer(200, b"1")) as scripted:
        assert ask(scripted.url) == 1
    assert ask.pauses[0] <= endurance.MIN_PAUSE_S


def test_no_server_makes_a_pause_longer_than_half_a_minute(ask):
    later = json_answer(503, b"{}", retry_after=86400)
    with Scripted(later, json_answer(200, b"1")) as scripted:
        assert ask(scripted.url) == 1
    assert ask.pauses == [endurance.MAX_PAUSE_S]


def test_a_server_that_is_busy_for_too_long_is_told_as_it_told_it(ask):
    error = away(ask, [BUSY] * 20, away=5)

    assert (error.status, error.state) == (503, "failed")
    assert str(error) == "full"


def test_the_time_away_counts_anew_when_the_server_was_heard(ask):
    cuts = [events(("progress", b'{"state": "working", "rev": %d}' % rev)) for rev in range(2, 40)]
    done = events(("done", b'{"state": "done", "rev": 99, "value": 1}'))
    with Scripted(ticket(), *cuts, done) as scripted:
        assert ask(scripted.url, away=2) == 1
    assert sum(ask.pauses) > 2 * 2


@pytest.mark.parametrize(
    "final", [json_answer(503, b'{"detail": "no"}'), json_answer(500, b"{}", retry_after=1)]
)
def test_an_error_that_does_not_pass_is_not_asked_for_again(ask, final):
    away(ask, [final])
    assert ask.pauses == []


def test_an_outage_is_told_once_and_a_single_failure_is_none(ask, caplog):
    with Scripted(ticket(), b"", events(("done", b'{"value": 1}'))) as scripted:
        ask(scripted.url)
    assert caplog.messages == []

    away(ask, [ticket()])
    [message] = caplog.messages
    assert "cannot be reached" in message
    assert "tk_" not in message


def test_no_pause_is_longer_than_the_time_that_is_left(ask):
    later = json_answer(503, b"{}", retry_after=20)
    with Scripted(*[later] * 3) as scripted, pytest.raises(TimeoutError):
        ask(scripted.url, timeout=25)
    assert ask.pauses == [20, 5]


# ---- TLS -------------------------------------------------------------------------------------


@pytest.fixture
def secure():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with Scripted(json_answer(200, b"1"), ssl_context=context) as scripted:
        yield scripted


def test_a_certificate_that_nobody_vouches_for_is_an_error_at_once(ask, secure):
    with pytest.raises(RequestFailed, match="certificate verify failed") as caught:
        ask(secure.url)

    assert caught.value.state == "unreachable"
    assert ask.pauses == []
    assert secure.requests == []


def test_a_context_of_the_caller_says_whom_to_trust(ask, secure):
    context = ssl.create_default_context(cafile=CERTIFICATE)

    assert ask(secure.url, ssl_context=context) == 1
