"""Options of waits as authors give them."""

from __future__ import annotations

import pytest

from tarry.waiting.options import (
    DURABLE,
    EPHEMERAL,
    NO_DEFAULT,
    wait_options,
)


def test_what_is_not_given_depends_on_durable():
    assert wait_options() is EPHEMERAL
    assert (EPHEMERAL.timeout_s, EPHEMERAL.abandon, EPHEMERAL.durable) == (60.0, "cancel", False)
    assert wait_options(durable=True) == DURABLE
    assert (DURABLE.timeout_s, DURABLE.abandon, DURABLE.keep_s) == (86400.0, "keep", 3600.0)
    assert wait_options(durable=False) == EPHEMERAL
    assert {EPHEMERAL.hold_s, DURABLE.hold_s} == {25.0}


def test_durations_are_seconds_or_texts():
    options = wait_options(timeout="2m", hold=1.5, keep="1h", abandon="90s")

    assert (options.timeout_s, options.hold_s, options.keep_s) == (120.0, 1.5, 3600.0)
    assert options.abandon == 90.0


def test_none_is_a_default():
    assert wait_options(default=None).default is None
    assert wait_options(timeout=1).default is NO_DEFAULT
    assert repr(NO_DEFAULT) == "no default"


@pytest.mark.parametrize("abandon", ["keep", "cancel"])
def test_words_for_abandon(abandon):
    assert wait_options(abandon=abandon).abandon == abandon


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"on_drain": "stop"}, ValueError),
        ({"abandon": "leave"}, ValueError),
        ({"timeout": "soon"}, ValueError),
        ({"timout": 3}, TypeError),
    ],
)
def test_what_cannot_be_is_refused(given, error):
    with pytest.raises(error):
        wait_options(**given)
