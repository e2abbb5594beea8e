"""How an attempt has ended, whatever its function has raised."""

from __future__ import annotations

import pytest

from tarry import HttpError
from tarry.jobs.attempts import encode, performed
from tarry.waiting.records import FAILED, Failure


class Half(HttpError):
    """A class of an author that forgets what it is derived from."""

    def __init__(self):
        pass


class Silent(Exception):
    def __str__(self):
        raise ValueError("it says nothing")

    __repr__ = __str__


def raising(error):
    def function():
        raise error

    return performed(function)


@pytest.mark.parametrize(
    ("detail", "told"),
    [(None, ""), ("", ""), ({"a": 1}, "{'a': 1}"), (ValueError("no"), "no"), ("\udcff", "?")],
)
def test_the_detail_of_an_error_may_be_of_any_type(detail, told):
    ended = raising(HttpError(422, detail))

    assert ended.failure == Failure(422, told)
    assert encode(ended)


def test_a_500_that_is_meant_is_told_as_it_is():
    ended = raising(HttpError(500, "the camera is broken"))

    assert ended.failure == Failure(500, "the camera is broken")
    assert not ended.may_retry


@pytest.mark.parametrize("error", [Half(), Silent(), HttpError(422, Silent())])
def test_an_error_that_says_nothing_is_for_the_log(error):
    ended = raising(error)

    assert ended.state == FAILED
    assert ended.failure.status == 500
    assert type(error).__name__ in ended.report
    assert ended.may_retry
