"""Options of a job are looked at when it is registered, not when it is first ordered."""

from __future__ import annotations

import pytest

from tarry import App, Job, Upload
from tarry.app.route_options import RegistrationError
from tarry.jobs.options import job_options


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"limit": "3"}, "limit is a whole number, not '3'"),
        ({"limit": True}, "limit is a whole number, not True"),
        ({"limit": 0}, "limit is 1 or more, not 0"),
        ({"retries": "2"}, "retries is a whole number, not '2'"),
        ({"retries": 1.5, "timeout": 3}, "retries is a whole number, not 1.5"),
        ({"retries": None}, "retries is a whole number, not None"),
        ({"retries": -1}, "retries is 0 to 1000, not -1"),
        ({"retries": 1001}, "retries is 0 to 1000, not 1001"),
        ({"retries": 10**9}, "retries is 0 to 1000, not 1000000000"),
        ({"key": "name"}, "key is True or a function of the arguments, not 'name'"),
        ({"key": False}, "key is True or a function of the arguments, not False"),
        ({"slot": 3}, "slot is a name or a function of the arguments, not 3"),
    ],
)
def test_what_an_option_cannot_be_is_said_with_its_name(given, says):
    with pytest.raises(RegistrationError) as raised:
        job_options(**given)

    assert str(raised.value) == says


def test_options_that_say_nothing():
    assert job_options(limit=None, key=None, slot=None) == job_options()


@pytest.mark.parametrize("name", ["key", "slot"])
@pytest.mark.parametrize(
    "function",
    [lambda name, size, job: name, lambda name, *, size: name, lambda *, size: size, str],
)
def test_a_function_of_other_arguments_is_refused(name, function):
    with pytest.raises(RegistrationError, match=f"{name} is a function of the job's arguments"):
        register({name: function})


@pytest.mark.parametrize(
    "function", [lambda: 1, lambda name: name, lambda name, size=1, *rest, more=2: name]
)
def test_a_function_of_fewer_arguments_is_possible(function):
    register({"key": function, "slot": function})


def register(options):
    def draw(name: str, size: int, job: Job):
        """Nothing."""

    App(store="memory").job(**options)(draw)


@pytest.mark.parametrize("kind", [Upload, Upload | None, list[Upload]])
def test_uploads_need_a_key_of_the_author(kind):
    def draw(name: str, file: kind):
        """Nothing."""

    draw.__annotations__["file"] = kind

    with pytest.raises(RegistrationError, match="which the upload 'file' is not; give a function"):
        App(store="memory").job(key=True)(draw)
    App(store="memory").job(key=lambda name: name)(draw)


@pytest.mark.parametrize("number", [0, -1, "1000", 1.5])
def test_how_many_may_wait_is_looked_at_when_the_application_is_made(number):
    with pytest.raises(ValueError, match="max_queued_jobs is a whole number from 1 on"):
        App(store="memory", max_queued_jobs=number)
