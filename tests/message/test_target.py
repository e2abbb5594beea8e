"""Request targets: decoded in exactly one way or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.message.target import (
    InvalidTarget,
    TooManyFields,
    decode_path,
    decode_segment,
    parse_query,
    quote_segment,
    split_absolute,
    valid_authority,
)

PIECES = st.lists(
    st.sampled_from([b"%", b"%2", b"%4f", b"%C3", b"%00", b"/", b"a", b"&", b"=", b"+", b";"])
    | st.binary(max_size=3)
).map(b"".join)
"""Bytes that come close to a target."""

UNDECODABLE = [
    (b"%", "two hexadecimal"),
    (b"%4", "two hexadecimal"),
    (b"a%4/b", "two hexadecimal"),
    (b"%zz", "two hexadecimal"),
    (b"%0x", "two hexadecimal"),
    (b"%+4", "two hexadecimal"),
    (b"% 4", "two hexadecimal"),
    (b"%%41", "two hexadecimal"),
    (b"%u0041", "two hexadecimal"),
    (b"%00", "NUL"),
    (b"\x00", "NUL"),
    (b"a%41\x00", "NUL"),
    (b"%ff", "UTF-8"),
    (b"%C3", "UTF-8"),
    (b"%c0%af", "UTF-8"),  # overlong "/"
    (b"%e0%80%af", "UTF-8"),  # overlong "/"
    (b"%ed%a0%80", "UTF-8"),  # surrogate
    (b"%f4%90%80%80", "UTF-8"),  # beyond U+10FFFF
    (b"\xc3\xa9", "outside ASCII"),
    (b"%41\xff", "outside ASCII"),
]


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        (b"/", [""]),
        (b"/a", ["a"]),
        (b"/a/b", ["a", "b"]),
        (b"/a/", ["a", ""]),
        (b"//a", ["", "a"]),
        (b"/a%2Fb/c", ["a/b", "c"]),
        (b"/a%2fb", ["a/b"]),
        (b"/caf%C3%A9/%e2%82%ac", ["café", "€"]),
        (b"/%252e", ["%2e"]),
        (b"/../%2e%2E/.", ["..", "..", "."]),
        (b"/a+b;c=d", ["a+b;c=d"]),
        (b"/%20%7f%0a", [" \x7f\n"]),
    ],
)
def test_a_path_is_split_before_it_is_decoded(raw, segments):
    assert decode_path(raw) == segments


@pytest.mark.parametrize("raw", [b"", b"*", b"a", b"%2F", b"a/b", b"http://a/", b"\\a"])
def test_a_path_begins_with_a_slash(raw):
    with pytest.raises(InvalidTarget, match="begin"):
        decode_path(raw)


@pytest.mark.parametrize(("raw", "reason"), UNDECODABLE)
def test_what_does_not_decode_is_refused_everywhere(raw, reason):
    with pytest.raises(InvalidTarget, match=reason):
        decode_path(b"/a/" + raw)
    with pytest.raises(InvalidTarget, match=reason):
        decode_segment(raw)
    with pytest.raises(InvalidTarget, match=reason):
        parse_query(b"a=" + raw)
    with pytest.raises(InvalidTarget, match=reason):
        parse_query(raw + b"=a")


def test_a_reason_does_not_repeat_the_target():
    with pytest.raises(InvalidTarget) as caught:
        decode_path(b"/secret%zz")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"", {}),
        (b"verbose=1", {"verbose": ["1"]}),
        (b"a=1&b=2", {"a": ["1"], "b": ["2"]}),
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        (b"a=1;b=2", {"a": ["1;b=2"]}),
        (b"a", {"a": [""]}),
        (b"a=", {"a": [""]}),
        (b"a&a=&a=1", {"a": ["", "", "1"]}),
        (b"a=b=c", {"a": ["b=c"]}),
        (b"=a", {"": ["a"]}),
        (b"=", {"": [""]}),
        (b"&&a=1&&", {"a": ["1"]}),
        (b"a=x+y&b+c", {"a": ["x y"], "b c": [""]}),
        (b"a=x+y&b+c=%2B", {"a": ["x y"], "b c": ["+"]}),
        (b"a%26b=%3D%20%26", {"a&b": ["= &"]}),
        (b"n%C3%A4me=%e2%82%ac", {"näme": ["€"]}),
        (b"a=1?b#c", {"a": ["1?b#c"]}),
    ],
)
def test_a_query_gives_each_name_its_values(raw, fields):
    assert parse_query(raw) == fields


@pytest.mark.parametrize("field", [b"a", b"a=1", b"a=%20", b"a=+"])
def test_a_query_has_at_most_max_fields(field):
    assert parse_query(b"&".join([field] * 3), max_fields=3)["a"][2:]
    with pytest.raises(TooManyFields, match="more than 3 fields"):
        parse_query(b"&".join([field] * 4), max_fields=3)


def test_a_thousand_fields_are_allowed_by_default():
    raw = b"&".join(b"f%d=1" % number for number in range(1000))

    assert len(parse_query(raw)) == 1000
    with pytest.raises(TooManyFields):
        parse_query(raw + b"&a=1")


def test_empty_pieces_do_not_count():
    assert parse_query(b"&" * 100_000 + b"a=1", max_fields=1) == {"a": ["1"]}


@pytest.mark.parametrize(
    "raw",
    [b"%", b"%41", b"%zz", b"/", b"a", b"%2", b"\xff", b"&", b"=", b"+", b"%c3", b"%C3%A9"],
)
def test_a_megabyte_takes_linear_time(raw):
    long = raw * (1_000_000 // len(raw))
    for parse in (lambda: decode_path(b"/" + long), lambda: parse_query(long, 10**6)):
        try:
            parse()
        except InvalidTarget:
            continue


@given(PIECES)
def test_a_path_decodes_or_is_refused(raw):
    try:
        segments = decode_path(b"/" + raw)
    except InvalidTarget:
        return
    assert len(segments) == raw.count(b"/") + 1
    assert not any("\0" in segment for segment in segments)
    assert [decode_segment(segment) for segment in raw.split(b"/")] == segments


@given(PIECES)
def test_a_query_decodes_or_is_refused(raw):
    try:
        fields = parse_query(raw, max_fields=5)
    except InvalidTarget:
        return
    assert sum(map(len, fields.values())) == sum(map(bool, raw.split(b"&"))) <= 5


@given(st.text())
def test_a_quoted_segment_decodes_to_the_text(text):
    try:
        quoted = quote_segment(text)
    except InvalidTarget:
        assert text in {".", ".."} or "\0" in text or any("\ud800" <= c <= "\udfff" for c in text)
        return
    assert decode_path(f"/{quoted}".encode("ascii")) == [text]


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("", ""), ("a b", "a%20b"), ("a/b", "a%2Fb"), ("é", "%C3%A9"), ("~a-b_c.d", "~a-b_c.d"),
     ("?#%&+", "%3F%23%25%26%2B"), ("...", "...")],
)  # fmt: skip
def test_a_segment_is_quoted(text, quoted):
    assert quote_segment(text) == quoted


@pytest.mark.parametrize(
    ("text", "reason"),
    [(".", r"'\.' cannot be"), ("..", r"'\.\.' cannot be"), ("a\0b", "NUL"), ("\ud800", "surr")],
)
def test_what_would_not_arrive_is_not_quoted(text, reason):
    with pytest.raises(InvalidTarget, match=reason):
        quote_segment(text)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (b"http://a/b?c", (b"http", b"a", b"/b?c")),
        (b"https://a:8443/b", (b"https", b"a:8443", b"/b")),
        (b"HTTP://A.b/", (b"http", b"A.b", b"/")),
        (b"http://a", (b"http", b"a", b"/")),
        (b"http://a?b/c", (b"http", b"a", b"/?b/c")),
        (b"http://[::1]:80//x", (b"http", b"[::1]:80", b"//x")),
        (b"http://a/@b:c", (b"http", b"a", b"/@b:c")),
        (b"http://a/http://b/", (b"http", b"a", b"/http://b/")),
    ],
)
def test_rfc9112_3_2_2_an_absolute_target_has_three_parts(target, parts):
    assert split_absolute(target) == parts


@pytest.mark.parametrize(
    "target",
    [
        b"", b"/", b"*", b"a:80", b"http:", b"http:/a", b"http:a", b"//a/b", b"ftp://a/",
        b"ws://a/", b"httpx://a/", b" http://a/", b"http://", b"http:///b", b"http://?b",
        b"http://:80/", b"http://u@a/", b"http://u:p@a/", b"http://a:/", b"http://a:x/",
        b"http://a/#b", b"http://a#b", b"http://a,b/", b"http://a b/", b"http://a\\b/",
        b"http://a%2f/", b"http://\xc3\xa9/", b"http://[::1/", b"http://a\n/",
    ],
)  # fmt: skip
def test_other_absolute_targets_are_refused(target):
    with pytest.raises(InvalidTarget):
        split_absolute(target)


@given(st.lists(st.sampled_from([b"http", b"://", b"a", b"?", b"/", b"#", b"@", b":"])))
def test_an_absolute_target_splits_or_is_refused(pieces):
    target = b"".join(pieces)
    try:
        scheme, authority, rest = split_absolute(target)
    except InvalidTarget:
        return
    assert valid_authority(authority)
    assert target in {scheme + b"://" + authority + end for end in (rest, rest[1:])}
    assert rest.startswith(b"/")


@pytest.mark.parametrize(
    "value",
    [
        b"a", b"localhost", b"example.com", b"EXAMPLE.com.", b"a_b-c.d~e", b"127.0.0.1", b"1",
        b"a:0", b"a:80", b"a:65535", b"a:00080", b"[::1]", b"[::]:8000", b"[2001:DB8::1]",
        b"[::ffff:127.0.0.1]", b"a" * 255, b"a" * 252 + b":80",
    ],
)  # fmt: skip
def test_rfc9110_7_2_authorities(value):
    assert valid_authority(value)


@pytest.mark.parametrize(
    "value",
    [
        b"", b":", b":80", b"a:", b"a:65536", b"a:99999", b"a:000080", b"a:-1", b"a:+1", b"a:8o",
        b"a:80:80", b"u@a", b"u:p@a", b"a/", b"a/b", b"a?b", b"a#b", b"a b", b" a", b"a ", b"a\t",
        b"a,b", b"a, a", b"a;b", b"a%41", b"\xc3\xa9", b"a\n", b"a\x00", b"a\\b", b"a!b", b"(a)",
        b"[]", b"[a]", b"[::1", b"::1", b"::1]", b"[::1]a", b"[::1]:", b"[::1]:65536", b"[:::]",
        b"[1::2::3]", b"[::1%eth0]", b"[v1.a]", b"[127.0.0.1]", b"[::ffff:1.2.3.256]",
        b"[12345::]", b"a" * 256, b"a" * 253 + b":80",
    ],
)  # fmt: skip
def test_no_authorities(value):
    assert not valid_authority(value)


@pytest.mark.parametrize("piece", [b"a", b".", b":", b"[", b"1:", b"[:", b"a:1", b"-."])
def test_a_long_authority_takes_linear_time(piece):
    assert not valid_authority(piece * 1_000_000)
    assert not valid_authority(b"[" + piece * 1_000_000 + b"]")


@given(st.binary(max_size=20) | st.text("[]:1fa.@/", max_size=20).map(str.encode))
def test_an_authority_is_valid_or_not(value):
    if valid_authority(value):
        assert not set(value) & set(b"@/?#, \\%\0\r\n\t")
