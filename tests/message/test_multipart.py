"""Multipart bodies: parts come out whole however the bytes come in, and limits hold."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.message.forms import FormTooLarge, InvalidForm
from tarry.message.multipart import (
    END_OF_PART,
    MAX_HEADERS_PER_PART,
    MultipartReader,
    PartHead,
    decode_text,
)

BOUNDARY = b"----FormBoundary7MA4YWxk"
SIZES = [1, 2, 3, 7, 64, 10**9]


def part(content=b"", disposition='name="f"', **headers):
    lines = {"Content-Disposition": f"form-data; {disposition}"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + content


def body(*parts, start=b"", end=b"\r\n", boundary=BOUNDARY):
    delimiter = b"--" + boundary
    opened = b"".join(delimiter + b"\r\n" + each + b"\r\n" for each in parts)
    return start + opened + delimiter + b"--" + end


def new_reader(boundary=BOUNDARY, max_parts=10, max_part_head_bytes=1024):
    return MultipartReader(boundary, max_parts=max_parts, max_part_head_bytes=max_part_head_bytes)


def read(raw, size=10**9, **options):
    """(head, content) of each part, from pieces of `size`."""
    reader = new_reader(**options)
    parts = []
    for start in range(0, len(raw), size):
        for event in reader.receive_data(raw[start : start + size]):
            if isinstance(event, PartHead):
                parts.append((event, []))
            elif event is not END_OF_PART:
                assert event
                parts[-1][1].append(event)
            else:
                head, pieces = parts.pop()
                parts.append((head, b"".join(pieces)))
    reader.finish()
    return parts


def refused(raw, error, match, **options):
    for size in SIZES:
        with pytest.raises(error, match=match):
            read(raw, size, **options)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("start", [b"", b"\r\n"])
@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n", b"\n"])
def test_parts_come_out_whole_in_pieces_of_any_size(size, start, end):
    tricky = b"\r\n--\r\n----FormBoundary7MA4YWx\r\r\n--" + BOUNDARY[:-1] + b"\r\n"
    raw = body(
        part(b"plain"),
        part(tricky, 'name="g"; filename="x.bin"', Content_Type="image/png", X_Y="1 "),
        part(b""),
        start=start,
        end=end,
    )

    (first, plain), (second, binary), (_, empty) = read(raw, size)

    assert (first.name, first.filename, first.content_type, plain) == ("f", None, None, b"plain")
    assert (second.name, second.filename, second.content_type) == ("g", "x.bin", "image/png")
    assert second.headers["x-y"] == "1"
    assert (binary, empty) == (tricky, b"")


@settings(max_examples=200)
@given(
    st.lists(
        st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"b", b"x", b"\r\n--"])).map(b"".join),
        max_size=4,
    ),
    st.integers(1, 9),
)
def test_any_content_without_its_boundary_comes_through(contents, size):
    boundary = b"bo"
    contents = [each for each in contents if b"\r\n--bo" not in b"\r\n" + each]

    raw = body(*map(part, contents), boundary=boundary)

    assert [content for _, content in read(raw, size, boundary=boundary)] == contents


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from([b"--b", b"--", b"\r\n", b"\r", b"\n", b":", b" ", b"\0", b"\xff", b"a=",
                         b"Content-Disposition: form-data; name=a", b"Content-Length: 3",
                         b"Content-Type: text/plain", b"--b--", b"\r\n--b\r\n"])
    ).map(b"".join),
    st.integers(1, 9),
)  # fmt: skip
def test_garbage_is_refused_or_read_the_same_in_any_pieces(raw, size):
    def outcome(size):
        try:
            return [(head.name, content) for head, content in read(raw, size, boundary=b"b")]
        except (InvalidForm, FormTooLarge):
            return "refused"

    assert outcome(size) == outcome(10**9)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("raw", [b"--" + BOUNDARY + b"--", body(), body(start=b"\r\n")])
def test_a_form_may_be_empty(raw, size):
    assert read(raw, size) == []


@pytest.mark.parametrize("kept_bytes", range(len(body(part(b"12345"), end=b""))))
def test_a_truncated_body_is_refused(kept_bytes):
    with pytest.raises(InvalidForm):
        read(body(part(b"12345"))[:kept_bytes])


@pytest.mark.parametrize(
    "start",
    [b"x", b"\n", b"\r", b"\r\n\r\n", b"\r\nx\r\n", b"-", b"preamble\r\n", b"--" + b"x" * 30],
)
def test_text_before_the_first_boundary_is_refused(start):
    refused(body(part(), start=start), InvalidForm, "does not begin with its boundary")


def test_a_megabyte_of_preamble_is_refused_with_its_first_byte():
    """CVE-2026-40347."""
    with pytest.raises(InvalidForm, match="begin"):
        new_reader().receive_data(b"p")


@pytest.mark.parametrize(
    "end", [b"x", b" ", b"-", b"\r\nx", b"\r\n" * 500_000 + b"x", b"\r\n--" + BOUNDARY + b"--"]
)
def test_text_after_the_last_boundary_is_refused(end):
    raw = body(part(), end=end)
    for size in (len(raw) - 1, 10**9) if len(raw) > 10_000 else SIZES:
        with pytest.raises(InvalidForm, match="goes on after its last boundary"):
            read(raw, size)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"\r\n", "Missing Content-Disposition"),
        (b"Content-Type: text/plain\r\n\r\n", "Missing Content-Disposition"),
        (b"Content-Disposition: attachment; name=a\r\n\r\n", "Wrong type"),
        (b'Content-Disposition: form-data; filename="a"\r\n\r\n', "name"),
        (b"Content-Disposition: form-data; name=a\n\r\n", "control character|line break"),
        (b"Content-Disposition: form-data; name=a\rb\r\n\r\n", "control character"),
        (b'Content-Disposition: form-data; name="\0"\r\n\r\n', "control character"),
        (b'Content-Disposition: form-data; name="\xff"\r\n\r\n', "decode"),
        (b"Content-Disposition: form-data;\r\n name=a\r\n\r\n", "continuation"),
        (b"Content-Disposition\r\n\r\n", "Malformed"),
        (part(content_disposition="form-data; name=b"), "header twice"),
        (part(Content_Type="text/plain", content_type="text/html"), "header twice"),
        (part(Content_Type="multipart/mixed; boundary=inner"), "multipart body of its own"),
        (part(Content_Type="Multipart/Related"), "multipart body of its own"),
        (part(Content_Transfer_Encoding="base64"), "Content-Transfer-Encoding"),
        (part(Content_Transfer_Encoding="quoted-printable"), "Content-Transfer-Encoding"),
        (part(Content_Length="+5"), "Content-Length"),
        (part(Content_Length="-1"), "Content-Length"),
        (part(Content_Length="1_0"), "Content-Length"),
        (part(Content_Length="\uff15"), "Content-Length"),
        (part(Content_Length="9" * 900), "Content-Length|length"),
        (part(b"1234", Content_Length="5"), "Content-Length"),
        (part(b"123456", Content_Length="5"), "Content-Length"),
        (part(disposition="name=a; filename*0=b"), "star"),
    ],
)
def test_a_part_that_is_none_of_a_form_is_refused(head, reason):
    refused(body(head), (InvalidForm, FormTooLarge), reason)


@pytest.mark.parametrize("encoding", ["7bit", "8BIT", "binary"])
def test_an_encoding_that_changes_nothing_and_a_right_length_are_fine(encoding):
    raw = body(part(b"12345", Content_Transfer_Encoding=encoding, Content_Length="5"))

    assert read(raw)[0][1] == b"12345"


@pytest.mark.parametrize("space", [b"\n", b"\x0b", b"\x0c", b"\x1c", b"\xc2\x85", b"\xc2\xa0"])
def test_white_space_is_no_part_of_a_header_name(space):
    """Another program on the way would take the header for one that it does not know."""
    head = b"Content-Disposition: form-data; name=a\r\n\r\n"

    refused(body(space + head), InvalidForm, "header")
    refused(body(head.replace(b":", space + b":")), InvalidForm, "header")
    refused(body(head.replace(b":", b" :")), InvalidForm, "header")


def test_charset_is_an_ordinary_field():
    raw = body(part(b"iso-8859-1", 'name="_charset_"'), part("é".encode()))

    (first, charset), (second, text) = read(raw)

    assert (first.name, charset) == ("_charset_", b"iso-8859-1")
    assert decode_text(second, text) == "é"


def test_a_boundary_has_to_be_followed_by_a_line_break():
    refused(body(part(b"a\r\n--" + BOUNDARY + b"x")), InvalidForm, "after boundary")


@pytest.mark.parametrize("length", [1, 70, 256])
@pytest.mark.parametrize("size", [1, 100])
def test_boundaries_of_any_allowed_length_work(length, size):
    raw = body(part(b"content"), boundary=b"b" * length)

    assert read(raw, size, boundary=b"b" * length)[0][1] == b"content"


@pytest.mark.parametrize("line", [b"", b"Content-Disposition: form-data; name=a\r\n"])
def test_the_last_boundary_cannot_stand_in_the_head_of_a_part(line):
    raw = b"--" + BOUNDARY + b"\r\n" + line + b"--" + BOUNDARY + b"--"
    for end in (b"", b"\r\n", b": x\r\n\r\n"):
        refused(raw + end, InvalidForm, "end of multipart stream|after its last boundary")


def test_a_reason_does_not_repeat_the_body():
    with pytest.raises(InvalidForm) as caught:
        read(body(b"Content-Disposition: form-data; name=secret\xff\r\n\r\n"))

    assert "secret" not in str(caught.value)


# ---- limits ------------------------------------------------------------------------------


def test_a_form_has_at_most_max_parts():
    assert len(read(body(*[part()] * 3), max_parts=3)) == 3
    refused(body(*[part()] * 4), FormTooLarge, "count", max_parts=3)


def test_a_part_has_at_most_max_part_head_bytes():
    fixed_bytes = len(part(X="", disposition="name=a")) - 2
    exactly = part(X="x" * (200 - fixed_bytes), disposition="name=a")
    for size in SIZES:
        assert read(body(exactly), size, max_part_head_bytes=200)
    refused(body(exactly), FormTooLarge, "199 bytes|length", max_part_head_bytes=199)
    beyond_ascii = part(X="é" * (100 - fixed_bytes // 2), disposition="name=a")
    refused(body(beyond_ascii), FormTooLarge, "bytes|length", max_part_head_bytes=190)


def test_a_part_has_at_most_eight_headers():
    more = {f"X_{number}": "1" for number in range(MAX_HEADERS_PER_PART - 1)}

    assert len(read(body(part(**more)))[0][0].headers) == MAX_HEADERS_PER_PART
    refused(body(part(Y="1", **more)), FormTooLarge, "count")


def test_a_head_without_an_end_is_refused_at_the_limit():
    reader = new_reader(max_part_head_bytes=1000)
    reader.receive_data(b"--" + BOUNDARY + b"\r\n")
    for _ in range(1000):
        assert reader.receive_data(b"x") == []

    with pytest.raises(FormTooLarge):
        reader.receive_data(b"x")


def test_the_library_never_sees_an_endless_line():
    reader = new_reader()
    with pytest.raises(InvalidForm):
        reader.receive_data(b"--" + BOUNDARY + b"x" * 10**6)


# ---- work and memory ---------------------------------------------------------------------

HARD_TO_SEARCH = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n-",
    b"-",
    b"\r\n--" + BOUNDARY[:-1],
    b"\r\n--" + BOUNDARY[:-1] + b"\r",
    BOUNDARY,
    b"x",
]


@pytest.mark.parametrize("unit", HARD_TO_SEARCH)
@pytest.mark.parametrize(
    ("size", "total_bytes"), [(1, 50_000), (100, 2_000_000), (65536, 32 << 20)]
)
def test_content_that_looks_like_a_boundary_takes_linear_time(unit, size, total_bytes):
    """CVE-2023-46136, CVE-2024-30251, CVE-2025-67726: quadratic readers would take hours."""
    reader = new_reader()
    reader.receive_data(b"--" + BOUNDARY + b"\r\n" + part())
    content = unit * (total_bytes // len(unit))
    got_bytes = 0
    for start in range(0, len(content), size):
        got_bytes += sum(map(len, reader.receive_data(content[start : start + size])))

    assert len(content) - len(BOUNDARY) - 4 <= got_bytes <= len(content)


def test_endless_content_is_never_held():
    """CVE-2022-23833."""
    reader = new_reader()
    reader.receive_data(b"--" + BOUNDARY + b"\r\n" + part())
    tracemalloc.start()
    try:
        for _ in range(1000):
            reader.receive_data(b"\r\n--" * 4096)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held_bytes < 64 * 1024
    with pytest.raises(InvalidForm, match="ends before its last boundary"):
        reader.finish()


# ---- text --------------------------------------------------------------------------------


def text_part(content_type=None):
    headers = {} if content_type is None else {"Content_Type": content_type}
    return read(body(part(**headers)))[0][0]


@pytest.mark.parametrize(
    ("content_type", "raw", "text"),
    [
        (None, "é中".encode(), "é中"),
        ("text/plain", b"a\r\nb", "a\r\nb"),
        ("text/plain; charset=UTF-8", "é".encode(), "é"),
        ('text/plain; charset="utf8"', "é".encode(), "é"),
        ("text/plain; charset=US-ASCII", b"a", "a"),
        ("text/plain; charset=ISO-8859-1", b"\xe9", "é"),
        ("nonsense", b"a", "a"),
    ],
)
def test_text_is_utf8_unless_it_says_latin1(content_type, raw, text):
    assert decode_text(text_part(content_type), raw) == text
    assert decode_text(text_part(content_type), bytearray(raw)) == text


@pytest.mark.parametrize(
    ("content_type", "raw"),
    [
        (None, b"\xe9"),
        (None, b"\xed\xa0\x80"),
        (None, b"a\0b"),
        ("text/plain; charset=utf-16", b"ab"),
        ("text/plain; charset=utf-7", b"+AGE-"),
        ("text/plain; charset=undefined", b"a"),
    ],
)
def test_what_is_no_text_is_refused(content_type, raw):
    with pytest.raises(InvalidForm):
        decode_text(text_part(content_type), raw)
