"""Heads: fields in any case, targets split once, answers that cannot break their message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.message.heads import (
    CONNECTION_FIELDS,
    Fields,
    InvalidField,
    PlainRequestHead,
    ResponseHead,
    check_field,
)

FIELDS = [(b"Host", b"a"), (b"Cookie", b"a=1"), (b"cookie", b"b=2")]


def test_fields_match_in_any_case_and_keep_their_order():
    fields = Fields(iter(FIELDS))

    assert fields.get(b"cookie") == fields.get(b"COOKIE") == b"a=1"
    assert fields.getall(b"Cookie") == [b"a=1", b"b=2"]
    assert list(fields) == FIELDS
    assert len(fields) == 3


def test_absent_fields():
    fields = Fields()

    assert fields.get(b"cookie") is None
    assert fields.getall(b"cookie") == []
    assert list(fields) == []
    assert len(fields) == 0


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a?b=c", b"/a", b"b=c"),
        (b"/a?", b"/a", b""),
        (b"/a?b?c", b"/a", b"b?c"),
        (b"/%3Fa?b", b"/%3Fa", b"b"),
        (b"*", b"*", b""),
    ],
)
def test_a_target_is_split_at_the_first_question_mark(target, path, query):
    head = PlainRequestHead(b"GET", target, Fields())

    assert [head.target, head.path, head.query] == [target, path, query]


def test_a_plain_head_is_http_1_1_without_a_body_unless_told():
    head = PlainRequestHead(b"GET", b"/", Fields(FIELDS))
    other = PlainRequestHead(
        b"POST", b"/", Fields(), http_version=b"2", stream_id=3, end_stream=False,
        expect_continue=True,
    )  # fmt: skip

    assert [head.method, head.headers.get(b"host")] == [b"GET", b"a"]
    assert [head.http_version, head.stream_id] == [b"1.1", 0]
    assert [head.end_stream, head.expect_continue] == [True, False]
    assert [other.http_version, other.stream_id] == [b"2", 3]
    assert [other.end_stream, other.expect_continue] == [False, True]


@pytest.mark.parametrize("status", [200, 204, 304, 404, 599])
def test_a_status_is_final(status):
    assert ResponseHead(status).status == status


@pytest.mark.parametrize("status", [-1, 0, 99, 100, 101, 199, 600, 999])
def test_other_statuses_are_refused(status):
    with pytest.raises(ValueError, match="between 200 and 599"):
        ResponseHead(status)


def test_response_names_become_lower_case():
    head = ResponseHead(200, [(b"Content-Type", b"text/html"), (b"X-A", b"1"), (b"x-a", b"2")])

    assert head.fields == ((b"content-type", b"text/html"), (b"x-a", b"1"), (b"x-a", b"2"))
    assert head.get(b"x-a") == b"1"
    assert head.get(b"x-b") is None


def test_content_length_is_kept_as_a_number():
    head = ResponseHead(200, [(b"Content-Length", b"012"), (b"x-a", b"1")])

    assert head.length == 12
    assert head.fields == ((b"x-a", b"1"),)
    assert ResponseHead(200).length is None


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"+1", b"1.5", b"1 2", b"1,1", b" 1", b"0x1"])
def test_content_length_has_to_be_a_number(value):
    with pytest.raises(InvalidField, match="content-length"):
        ResponseHead(200, [(b"content-length", value)])


@pytest.mark.parametrize(
    ("status", "fields", "plain"),
    [(200, [], True), (404, [(b"a", b"b")], True), (204, [], False), (304, [], False),
     (200, [(b"content-length", b"0")], False)],
)  # fmt: skip
def test_a_plain_head_has_a_body_of_any_length(status, fields, plain):
    assert ResponseHead(status, fields).plain is plain


@pytest.mark.parametrize(("status", "without"), [(200, False), (204, True), (304, True)])
def test_some_statuses_have_no_body(status, without):
    assert ResponseHead(status).without_body is without


@pytest.mark.parametrize("name", [*CONNECTION_FIELDS, b"Connection", b"TRANSFER-ENCODING"])
def test_rfc9110_7_6_1_fields_of_the_connection_are_the_servers(name):
    with pytest.raises(InvalidField, match=f"{name.decode().lower()} is set by the server"):
        ResponseHead(200, [(name, b"x")])


NO_TOKENS = [b"", b" ", b"a b", b"a:", b":status", b"a\n", b"a\r", b"a\0", b"a\t", b"(a)", b"\xe9"]


@pytest.mark.parametrize("name", [*NO_TOKENS, b"a" * 10_000 + b"\n"])
def test_rfc9110_5_1_a_name_is_a_token(name):
    with pytest.raises(InvalidField, match="is not a token") as caught:
        ResponseHead(200, [(name, b"1")])

    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("control", [n for n in range(256) if (n < 32 and n != 9) or n == 127])
def test_rfc9110_5_5_a_value_has_no_controls(control):
    with pytest.raises(InvalidField, match="x-a has a control") as caught:
        ResponseHead(200, [(b"X-A", b"secret" + bytes([control]) + b"x")])

    assert "secret" not in str(caught.value)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_a_field_that_passes_stays_one_line(name, value):
    try:
        check_field(name, value)
    except InvalidField:
        return
    line = name + b": " + value

    assert not set(line) & set(b"\r\n\0")
    assert line.partition(b":")[0] == name
