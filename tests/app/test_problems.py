"""The form of an error: a problem document (RFC 9457), or a page for who prefers HTML."""

from __future__ import annotations

import json

import pytest

from tarry.app.errors import BadParameters, HttpError
from tarry.app.pages import CONTENT_SECURITY_POLICY
from tarry.app.problems import problem_answer
from tests.exchanges import Recorded

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


def answer(error, *accept):
    return problem_answer(Recorded(headers=[("Accept", value) for value in accept]), error)


@pytest.mark.parametrize(
    "accept",
    [
        [],
        [""],
        ["*/*"],
        ["application/json"],
        ["application/problem+json"],
        ["application/*"],
        ["image/png"],
        ["text/html;q=0"],
        ["text/html;q=0.5, application/json"],
        ["this is no media range"],
    ],
)
def test_programs_get_a_document(accept):
    head, body = answer(HttpError(404, "no note 7"), *accept)

    assert head.status == 404
    assert head.get(b"content-type") == b"application/problem+json"
    assert head.get(b"vary") == b"accept"
    assert json.loads(body) == {"status": 404, "title": "Not Found", "detail": "no note 7"}


@pytest.mark.parametrize(
    "accept",
    [
        [BROWSER],
        ["text/html"],
        ["text/*"],
        ["application/json;q=0.5, text/html"],
        ["application/json;q=0.5", "text/html"],
    ],
)
def test_browsers_get_a_page(accept):
    head, body = answer(HttpError(404, "no note 7"), *accept)

    assert head.status == 404
    assert head.get(b"content-type") == b"text/html; charset=utf-8"
    assert head.get(b"content-security-policy") == CONTENT_SECURITY_POLICY.encode()
    assert head.get(b"x-content-type-options") == b"nosniff"
    assert head.get(b"vary") == b"accept"
    assert b"no note 7" in body


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_the_headers_of_an_error_go_out(accept):
    head, _ = answer(HttpError(401, headers={"WWW-Authenticate": "Basic"}), accept)

    assert head.get(b"www-authenticate") == b"Basic"


FAULTS = [{"name": "<a>", "in": "query", "reason": "is missing"}]


def test_a_document_holds_every_bad_parameter():
    _, body = answer(BadParameters(FAULTS))

    assert json.loads(body)["errors"] == FAULTS


def test_a_page_holds_every_bad_parameter():
    _, body = answer(BadParameters(FAULTS), "text/html")

    assert b"<td>&lt;a&gt;</td><td>query</td><td>is missing</td>" in body


def circle():
    members = {}
    members["members"] = members
    return members


@pytest.mark.parametrize("extra", [{"a": object()}, {"a": "\ud800"}, circle()])
def test_an_error_that_cannot_be_told_is_told_without_what_cannot(extra, caplog):
    head, body = answer(HttpError(409, "taken", extra=extra))

    assert head.status == 409
    assert json.loads(body) == {"status": 409, "title": "Conflict"}
    assert "that is no JSON" in caplog.text


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_any_text_can_be_told(accept):
    head, _ = answer(HttpError(404, "a \ud800 b"), accept)

    assert head.status == 404
