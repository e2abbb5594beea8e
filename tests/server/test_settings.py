"""Settings: safe defaults, and a clear word about what makes no sense."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tarry.protocol.limits import Limits
from tarry.server.settings import ServerSettings

TIMEOUTS = [each.name for each in fields(ServerSettings) if each.name.endswith("_timeout_s")]


def test_nothing_is_public_by_chance():
    assert ServerSettings().host == "127.0.0.1"


def test_there_are_timeouts_for_everything_that_is_waited_for():
    assert {"head_timeout_s", "body_timeout_s", "idle_timeout_s", "send_timeout_s",
            "stop_timeout_s", "linger_timeout_s"} <= set(TIMEOUTS)  # fmt: skip


@pytest.mark.parametrize("port", [-1, 65536, 100_000])
def test_ports_that_are_none(port):
    with pytest.raises(ValueError, match=f"port must be between 0 and 65535, not {port}"):
        ServerSettings(port=port)


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_ports(port):
    assert ServerSettings(port=port).port == port


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_times_that_are_none(name, value):
    with pytest.raises(ValueError, match=f"{name} must be more than 0 seconds"):
        ServerSettings(**{name: value})


def test_settings_are_named_and_stay():
    with pytest.raises(TypeError):
        ServerSettings("127.0.0.1")
    with pytest.raises(AttributeError):
        ServerSettings().port = 1


def test_each_server_has_limits():
    assert ServerSettings().limits == Limits()
