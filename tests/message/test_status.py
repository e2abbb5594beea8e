"""Status codes: a phrase for each, standard or not."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from tarry.message.status import WITHOUT_BODY, phrase


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "OK"),
        (201, "Created"),
        (304, "Not Modified"),
        (404, "Not Found"),
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (416, "Range Not Satisfiable"),
        (421, "Misdirected Request"),
        (431, "Request Header Fields Too Large"),
        (503, "Service Unavailable"),
    ],
)
def test_rfc9110_15_phrases(status, text):
    assert phrase(status) == text


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (199, "Informational"),
        (299, "Success"),
        (399, "Redirection"),
        (499, "Client Error"),
        (599, "Server Error"),
    ],
)
def test_an_unknown_status_has_the_name_of_its_class(status, text):
    assert phrase(status) == text


@pytest.mark.parametrize("status", range(100, 600))
def test_every_phrase_can_stand_in_a_status_line(status):
    text = phrase(status)

    assert text
    assert text.isascii()
    assert text.isprintable()


def test_rfc9112_6_3_statuses_that_end_with_their_head():
    assert {204, 304} == WITHOUT_BODY
    assert set(HTTPStatus) >= WITHOUT_BODY
