from __future__ import annotations

import pytest

from tarry.message.websockets import WebSocketOptions, check_close, check_ping


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999])
def test_codes_that_may_be_sent(code):
    check_close(code, "")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1])
def test_codes_that_stand_for_something_else_are_refused(code):
    with pytest.raises(ValueError, match="close code"):
        check_close(code, "")


def test_a_reason_has_at_most_123_bytes_of_utf_8():
    check_close(1000, "x" * 123)
    check_close(1000, "é" * 61)
    with pytest.raises(ValueError, match="123 bytes"):
        check_close(1000, "x" * 124)
    with pytest.raises(ValueError, match="123 bytes"):
        check_close(1000, "é" * 62)


def test_a_ping_has_at_most_125_bytes():
    check_ping(b"x" * 125)
    with pytest.raises(ValueError, match="125 bytes"):
        check_ping(b"x" * 126)


@pytest.mark.parametrize(
    "options",
    [
        {"subprotocols": ("a b",)},
        {"subprotocols": ("",)},
        {"subprotocols": ("chät",)},
        {"max_message_bytes": 0},
        {"max_fragments": 0},
        {"max_queued_messages": 0},
        {"ping_interval_s": 0},
        {"close_timeout_s": float("nan")},
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options)).removesuffix("s")):
        WebSocketOptions(**options)
