"""Settings that cannot work are refused at once, and the message says what would."""

import pytest

from tarry.server.settings import LOG_FIELDS, ServerSettings


@pytest.mark.parametrize(
    "line_format", ["%(statsu)d", "%(client)", "%d", "%(status)q", "%(client)s %(nobody)s"]
)
def test_a_log_format_that_does_not_work(line_format):
    with pytest.raises(ValueError, match="its fields are client, method"):
        ServerSettings(access_log_format=line_format)


def test_every_field_can_be_logged():
    ServerSettings(access_log_format=" ".join(f"%({name})s" for name in LOG_FIELDS))


def test_limits_that_are_none():
    with pytest.raises(ValueError, match=r"limits must be tarry\.Limits"):
        ServerSettings(limits={})
