"""Content-Disposition of parts: what browsers and other programs send, and what nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.message.disposition import parse_form_data
from tarry.message.forms import InvalidForm


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ('name="a"', ("a", None)),
        ("name=a", ("a", None)),
        ('name=""', ("", None)),
        ('name="a"; filename="b.txt"', ("a", "b.txt")),
        ('filename="b.txt"; name="a"', ("a", "b.txt")),
        ('NAME="a";FileName=b.txt ; ', ("a", "b.txt")),
        ('name="a"; filename=""', ("a", "")),
        ('name="中文text"; filename="é€.txt"', ("中文text", "é€.txt")),
        # HTML: only quotes and line breaks are encoded.
        ('name="a%22b%0D%0Ac"; filename="%22x%22.txt"', ('a"b\r\nc', '"x".txt')),
        ('name="100%25"; filename="a%2Fb"', ("100%25", "a%2Fb")),
        (r'name="a\b"; filename="C:\Users\x\photo.jpg"', (r"a\b", r"C:\Users\x\photo.jpg")),
        (r'name="a"; filename="ends\"', ("a", "ends\\")),
        (r'filename="ends\"; name="a"', ("a", "ends\\")),
        (r'name="a"; filename="\\server\share\f"', ("a", r"\\server\share\f")),
        # RFC 9110: backslashes before quotes.
        (r'name="a"; filename="say \"hi\" \\o.txt"', ("a", r'say "hi" \o.txt')),
        (r'name="a"; filename="x\"; y"', ("a", 'x"; y')),
        ('name="a"; filename="b; name=c.txt"', ("a", "b; name=c.txt")),
        # RFC 8187.
        ("name=a; filename*=UTF-8''%e2%82%ac%20rates", ("a", "€ rates")),
        ("name=a; filename*=utf-8'en'%C2%A3.txt; filename=x", ("a", "£.txt")),
        ("filename=x; filename*=UTF-8''%C2%A3; name=a", ("a", "£")),
        ("name=a; filename*=\"UTF-8''b%20c\"", ("a", "b c")),
        ("name=a; filename*=UTF-8''", ("a", "")),
        ('name="a"; size=17; creation-date="x"', ("a", None)),
    ],
)
def test_name_and_filename_are_read_as_they_were_meant(parameters, expected):
    assert parse_form_data(f"form-data; {parameters}") == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "form-data",
        "form-data;",
        "attachment; name=a",
        "form-data2; name=a",
        "form-data name=a",
        'form-data; filename="a"',
        "form-data; name",
        "form-data; name=",
        "form-data; name=é",
        "form-data; name=a b",
        'form-data; name="a',
        'form-data; name="a"b',
        'form-data; name="a"; x',
        'form-data; name="a";; filename=b',
        "form-data; name=a; name=b",
        "form-data; name=a; NAME=a",
        "form-data; name=a; filename=b; filename=c",
        "form-data; name=a; filename*=UTF-8''b; filename*=UTF-8''c",
        # RFC 2231 continuations, and stars elsewhere.
        "form-data; name=a; filename*0=b; filename*1=c",
        "form-data; name=a; filename*0*=UTF-8''b",
        "form-data; name*=UTF-8''a",
        "form-data; name=a; filename*=b",
        "form-data; name=a; filename*=UTF-8'b",
        "form-data; name=a; filename*=iso-8859-1''%A3",
        "form-data; name=a; filename*=''b",
        "form-data; name=a; filename*=UTF-8''%zz",
        "form-data; name=a; filename*=UTF-8''%ff",
        "form-data; name=a; filename*=UTF-8''a%00b",
        "form-data; name=a; filename*=\"UTF-8''é\"",
    ],
)
def test_what_can_be_read_in_two_ways_or_none_is_refused(value):
    with pytest.raises(InvalidForm):
        parse_form_data(value)


@pytest.mark.parametrize(
    "tail", ['; a="\\', '; a="\\"', ";", "; ", '"', "; a=b", '; a="b\\\\"', "\\", "; a "]
)
def test_a_megabyte_takes_linear_time(tail):
    with pytest.raises(InvalidForm):
        parse_form_data("form-data; name=a" + tail * (1_000_000 // len(tail)) + "\x01")


@settings(max_examples=200)
@given(st.text(st.characters(exclude_characters='"\\\r\n', codec="utf-8")), st.text('a"\\% \r\n;2'))
def test_what_a_browser_sends_comes_back(name, filename):
    def quoted(text):
        return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")

    hidden = ("%22", "%0D", "%0A")
    if any(each in text for each in hidden for text in (name, filename)):
        return  # the encoding cannot tell these from what they stand for
    parsed = parse_form_data(f'form-data; name="{quoted(name)}"; filename="{quoted(filename)}"')

    assert parsed == (name, filename)
