"""Which functions can be jobs, and what is known of them."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest

from tarry import Body, Query, Request, Upload
from tarry.app.params import SignatureError
from tarry.app.route_options import RegistrationError
from tarry.jobs.callables import found_function, job_function
from tarry.jobs.job import Job
from tarry.jobs.orders import Order, argument, read_arguments


@dataclass
class Plan:
    steps: int


def plain(
    plan: Plan,
    data: bytes,
    file: Upload,
    files: list[Upload],
    untyped,
    job: Job,
    marked: Annotated[int, Query("m")] = 1,
):
    """All that an argument can be."""


def without_job():
    """Nothing."""


async def on_the_loop(job: Job):
    """Nothing."""


def generator():
    yield 1


async def async_generator():
    yield 1


def two_jobs(first: Job, second: Job):
    """Nothing."""


def of_request(request: Request):
    """Nothing."""


def positional(a, /):
    """Nothing."""


nameless = lambda: None  # noqa: E731 — because one is to be refused


def nested():
    def inner():
        """Nothing."""

    return inner


class Holder:
    def method(self):
        """Nothing."""

    @staticmethod
    def static():
        """Nothing."""

    def __call__(self):
        """Nothing."""


def test_all_is_known_of_a_function():
    known = job_function(plain)

    assert known.name == f"{__name__}:plain"
    assert known.function is plain
    assert known.annotations == {
        "plan": Plan,
        "data": bytes,
        "file": Upload,
        "files": list[Upload],
        "untyped": Any,
        "marked": int,
    }
    assert known.job_argument == "job"
    assert not known.is_async


@dataclass
class Sized:
    size: Annotated[int, msgspec.Meta(ge=1)]
    name: str | None = None


def composed(
    several: list[str | int],
    bounded: Annotated[int, msgspec.Meta(ge=1)],
    sized: Annotated[Sized | None, Body],
):
    """Takes types that are made of others."""


def test_types_that_are_made_of_others_are_kept():
    known = job_function(composed)

    assert known.annotations["several"] == list[str | int]
    assert known.annotations["bounded"] == Annotated[int, msgspec.Meta(ge=1)]
    assert known.annotations["sized"] == Sized | None


def test_an_async_def_without_job():
    assert job_function(on_the_loop).is_async
    assert job_function(without_job).job_argument is None


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (nameless, "lambda"),
        (Holder().method, "no plain function"),
        (Holder(), "no plain function"),
        (Holder, "no plain function"),
        (Holder.method, "within a class"),
        (Holder.static, "within a class"),
        (functools.partial(plain), "no plain function"),
        (generator, "yields"),
        (async_generator, "yields"),
        (two_jobs, "first and second"),
        (of_request, "argument 'request' .* not kept as JSON"),
    ],
)
def test_refused_with_a_way_out(function, reason):
    with pytest.raises(RegistrationError, match=reason):
        job_function(function)


def test_a_function_within_a_function_is_not_found_by_other_processes():
    assert job_function(nested()).name.endswith("nested.<locals>.inner")
    with pytest.raises(RegistrationError, match="top of its module"):
        job_function(nested(), is_found=True)


def optional(
    number: int | None, content: bytes | None, file: Upload | None, files: list[Upload] | None
) -> None:
    """Takes what may be missing."""


def test_what_may_be_none_is_kept_as_what_it_is_else():
    annotations = job_function(optional).annotations

    assert annotations == {
        "number": int | None,
        "content": bytes,
        "file": Upload,
        "files": list[Upload],
    }
    for name, annotation in annotations.items():
        order = Order("job", {name: argument(annotation, None)})
        assert read_arguments(order, annotations) == {name: None}


def test_positional_arguments_are_refused_as_for_handlers():
    with pytest.raises(SignatureError, match="positional-only"):
        job_function(positional)


def test_a_function_that_its_name_leads_to_is_found():
    job_function(plain).check_found()


def test_a_function_that_a_decorator_has_replaced_is_not_found(monkeypatch):
    known = job_function(plain)
    monkeypatch.setattr(sys.modules[__name__], "plain", functools.wraps(plain)(lambda: None))

    with pytest.raises(RegistrationError, match=f"{__name__}:plain is something else there"):
        known.check_found()


def test_a_module_without_a_name_of_its_own_is_loaded_from_its_file(tmp_path):
    file = tmp_path / "app.py"
    file.write_text("def render(size: int): return size")
    try:
        found = found_function("_tarry_app_of_a_test", str(file), "render")
        assert found.annotations == {"size": int}
        assert found_function("_tarry_app_of_a_test", str(file), "render").function(2) == 2
    finally:
        del sys.modules["_tarry_app_of_a_test"]


def test_a_module_that_does_not_load_is_tried_again(tmp_path):
    file = tmp_path / "app.py"
    file.write_text("import nothing_of_this_name")

    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
            found_function("_tarry_app_of_a_test", str(file), "render")


def test_a_function_that_is_no_more():
    with pytest.raises(ImportError, match="no function gone in"):
        found_function(__name__, __file__, "gone")
