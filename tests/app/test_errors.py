"""Errors that are answers: what they hold and what they refuse at once."""

from __future__ import annotations

import pytest

from tarry.app.errors import BadParameters, HttpError
from tarry.message.heads import InvalidField


@pytest.mark.parametrize(
    ("error", "document"),
    [
        (HttpError(404), {"status": 404, "title": "Not Found"}),
        (
            HttpError(413, "too big"),
            {"status": 413, "title": "Content Too Large", "detail": "too big"},
        ),
        (HttpError(599), {"status": 599, "title": "Server Error"}),
        (
            HttpError(409, extra={"holder": "a"}),
            {"status": 409, "title": "Conflict", "holder": "a"},
        ),
        (HttpError(400, extra={"title": "Own"}), {"status": 400, "title": "Own"}),
    ],
)
def test_problem_documents(error, document):
    assert error.problem() == document


@pytest.mark.parametrize("status", [-1, 0, 100, 200, 302, 399, 600, 1000])
def test_only_error_statuses(status):
    with pytest.raises(ValueError, match=f"between 400 and 599, not {status}"):
        HttpError(status)


@pytest.mark.parametrize(
    "headers",
    [
        {"WWW-Authenticate": "Basic"},
        [("WWW-Authenticate", "Basic")],
        [(b"WWW-Authenticate", b"Basic")],
    ],
)
def test_headers_as_text_or_raw(headers):
    ((name, value),) = HttpError(401, headers=headers).headers

    assert (name.lower(), value) == (b"www-authenticate", b"Basic")


@pytest.mark.parametrize(
    "headers",
    [
        {"x": "a\r\nb"},
        [(b"x", b"a\nb")],
        [(b"x y", b"a")],
        {"x": "€"},
        {"x": 1},
        [(b"x", "a")],
        {"Connection": "close"},
    ],
)
def test_headers_that_would_break_the_answer_are_refused_where_the_error_is_made(headers):
    with pytest.raises(InvalidField):
        HttpError(400, headers=headers)


def test_extra_is_a_copy():
    extra = {"a": 1}
    error = HttpError(400, extra=extra)
    extra["a"] = 2

    assert error.problem()["a"] == 1


def test_texts_for_logs():
    assert str(HttpError(404)) == "404 Not Found"
    assert str(HttpError(404, "no note 7")) == "404 Not Found: no note 7"


@pytest.mark.parametrize(
    ("names", "detail"), [(["a"], "bad parameter: a"), (["a", "b"], "bad parameters: a, b")]
)
def test_every_bad_parameter_is_named(names, detail):
    faults = [{"name": name, "in": "query", "reason": "is missing"} for name in names]
    error = BadParameters(faults)

    assert error.status == 400
    assert error.problem()["detail"] == detail
    assert error.problem()["errors"] == faults
