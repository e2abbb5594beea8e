"""Forms: what a Content-Type announces, and urlencoded bodies."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.message.forms import (
    MAX_BOUNDARY_BYTES,
    FormTooLarge,
    FormType,
    InvalidForm,
    UnsupportedForm,
    UrlencodedReader,
    form_type,
    parse_urlencoded,
)

URLENCODED = FormType("urlencoded", b"")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/x-www-form-urlencoded", URLENCODED),
        ("Application/X-WWW-Form-Urlencoded ; charset=UTF-8", URLENCODED),
        ('application/x-www-form-urlencoded; charset="utf8"', URLENCODED),
        ("multipart/form-data; boundary=abc", FormType("multipart", b"abc")),
        ('multipart/form-data; boundary="a b:c=/?"', FormType("multipart", b"a b:c=/?")),
        ("MULTIPART/form-data;charset=utf-8;BOUNDARY=X", FormType("multipart", b"X")),
        ("", None),
        ("application/json", None),
        ("text/plain; charset=latin-1", None),
        ("multipart/mixed; boundary=abc", None),
    ],
)
def test_a_content_type_announces_a_kind_of_form_or_none(content_type, expected):
    assert form_type(content_type) == expected


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary=" "',
        'multipart/form-data; boundary="a "',
        'multipart/form-data; boundary="a\tb"',
        "multipart/form-data; boundary=a; boundary=b",
        'multipart/form-data; boundary="é"',
        'multipart/form-data; boundary="a',
        "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary=a\r\nx",
        "application/x-www-form-urlencoded; charset",
        "form",
    ],
)
def test_a_malformed_type_or_boundary_is_refused(content_type):
    with pytest.raises(InvalidForm):
        form_type(content_type)


def test_a_boundary_has_at_most_256_bytes():
    longest = "b" * MAX_BOUNDARY_BYTES

    assert form_type(f"multipart/form-data; boundary={longest}").boundary == longest.encode()
    with pytest.raises(InvalidForm, match="256"):
        form_type(f"multipart/form-data; boundary={longest}b")


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "utf-7", "x", '""'])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_charset_is_415(kind, charset):
    with pytest.raises(UnsupportedForm) as caught:
        form_type(f"{kind}; boundary=b; charset={charset}")

    assert caught.value.status == 415


@pytest.mark.parametrize(
    "tail", ["; a=" + '"\\' * 300_000, "; " * 400_000 + "x", '; a="' + "b" * 700_000, " " * 10**6]
)
def test_a_megabyte_of_content_type_takes_linear_time(tail):
    """CVE-2024-24762."""
    with pytest.raises(InvalidForm):
        form_type("application/x-www-form-urlencoded" + tail + "\n")


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"", {}),
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        (b"a=&b", {"a": [""], "b": [""]}),
        (b"a=1;b=2", {"a": ["1;b=2"]}),  # CVE-2020-28473
        (b"a=x+y%2Bz", {"a": ["x y+z"]}),
        (b"n%C3%A4me=%e2%82%ac", {"näme": ["€"]}),
        ("näme=€ und+é".encode(), {"näme": ["€ und é"]}),
        ("中文=文%E4%B8%AD".encode(), {"中文": ["文中"]}),
        (b"a=1\r\n", {"a": ["1\r\n"]}),
    ],
)
def test_an_urlencoded_body_gives_each_name_its_values(raw, fields):
    assert parse_urlencoded(raw) == fields


@pytest.mark.parametrize(
    "raw", [b"a=%", b"a=%4", b"%zz", b"a=%00", b"a=\0", b"a=%ff", b"a=\xff", b"a=\xc3", b"a=%c0%af"]
)
def test_what_does_not_decode_is_refused(raw):
    with pytest.raises(InvalidForm, match="does not decode"):
        parse_urlencoded(raw)


def test_a_form_has_at_most_max_fields():
    assert len(parse_urlencoded(b"&".join(b"f%d=1" % n for n in range(1000)))) == 1000
    with pytest.raises(FormTooLarge, match="more than 1000 fields"):
        parse_urlencoded(b"&".join(b"f%d=1" % n for n in range(1001)))
    with pytest.raises(FormTooLarge, match="more than 2 fields"):
        parse_urlencoded(b"a&a&a", max_fields=2)


@pytest.mark.parametrize(
    "raw", [b"%", b"%41", b"%zz", b"a", b"&", b"=", b"+", b"\xff", b"\xc3\xa9"]
)
def test_a_megabyte_takes_linear_time(raw):
    with contextlib.suppress(InvalidForm):
        parse_urlencoded(raw * (1_000_000 // len(raw)), max_fields=10**6)


def reader(max_fields=3, max_bytes=100):
    return UrlencodedReader(max_fields=max_fields, max_bytes=max_bytes)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_body_is_read_in_pieces_of_any_size(size):
    body = b"a=%C3%A9&&b&a=\xc3\xa9+2&"
    collected = reader()
    for start in range(0, len(body), size):
        collected.receive_data(body[start : start + size])
        collected.receive_data(b"")

    assert collected.size_bytes == len(body)
    assert collected.finish() == {"a": ["é", "é 2"], "b": [""]}


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_the_field_too_many_is_refused_as_it_begins(size):
    collected = reader(max_fields=2)
    body = b"&a=1&&bc&"
    for start in range(0, len(body), size):
        collected.receive_data(body[start : start + size])

    with pytest.raises(FormTooLarge, match="more than 2 fields"):
        collected.receive_data(b"d")


def test_the_byte_too_many_is_refused():
    collected = reader(max_bytes=5)
    collected.receive_data(b"a=1")
    collected.receive_data(b"23")

    with pytest.raises(FormTooLarge, match="larger than 5 bytes"):
        collected.receive_data(b"4")


@settings(max_examples=200)
@given(st.lists(st.sampled_from([b"a", b"&", b"=", b"%41", b"\xc3\xa9", b"&&", b""]), max_size=12))
def test_in_pieces_as_many_fields_count_as_in_one(pieces):
    whole = parse_urlencoded(b"".join(pieces))
    count = sum(map(len, whole.values()))
    collected = reader(max_fields=max(count, 1))
    for piece in pieces:
        collected.receive_data(piece)

    assert collected.finish() == whole
    if count:
        with pytest.raises(FormTooLarge):
            collected.receive_data(b"&x")
