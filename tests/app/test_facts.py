"""Narrowing asks the query, the headers, and a form only where there is one to be read."""

from __future__ import annotations

import asyncio

import pytest

from tarry.app.conditions import parse_conditions
from tarry.app.errors import HttpError
from tarry.app.facts import FormNeeded, RequestFacts
from tarry.app.forms import FormLimits
from tarry.app.request import request_of
from tests.exchanges import Recorded

URLENCODED = ("content-type", "application/x-www-form-urlencoded; charset=utf-8")


def facts(*arguments, **named):
    return RequestFacts(Recorded(*arguments, **named))


def test_parameters_of_the_query():
    asked = facts(target="/?a=1&a=2&b")

    assert asked.parameter("a") == ["1", "2"]
    assert asked.parameter("b") == [""]
    assert asked.parameter("c") is None


def test_header_fields_in_any_case():
    asked = facts(headers=[("X-A", "1"), ("x-a", "2")])

    assert asked.header(b"x-a") == ["1", "2"]
    assert asked.header(b"x-b") is None


def test_a_query_that_does_not_decode_is_400():
    with pytest.raises(HttpError) as caught:
        facts(target="/?a=%zz").parameter("a")

    assert caught.value.status == 400


@pytest.mark.parametrize("content_type", [URLENCODED[1], "multipart/form-data; boundary=b"])
def test_a_form_has_to_be_read_before(content_type):
    asked = facts("POST", "/?a=1", [("content-type", content_type)], body=True)

    with pytest.raises(FormNeeded):
        asked.parameter("a")


@pytest.mark.parametrize(
    "named",
    [
        {"headers": [URLENCODED]},
        {"body": True},
        {"body": True, "headers": [("content-type", "application/json")]},
    ],
)
def test_without_a_form_the_query_is_enough(named):
    assert facts("POST", "/?a=1", **named).parameter("a") == ["1"]


def test_a_form_that_was_read_is_asked_after_the_query():
    async def run():
        exchange = Recorded("POST", "/?a=query", [URLENCODED], body=True)
        exchange.body.finish([], b"a=form&b=form")
        await request_of(exchange).reading.read_form(FormLimits(), asyncio.to_thread)
        asked = RequestFacts(exchange)
        return asked.parameter("a"), asked.parameter("b")

    assert asyncio.run(run()) == (["query"], ["form"])


def test_headers_alone_read_no_form():
    conditions = parse_conditions(headers="x-a=1")
    asked = facts("POST", "/", [URLENCODED, ("x-a", "1")], body=True)

    assert conditions.matches(asked)
