"""The answer with a file: fields, conditions, ranges."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

import pytest

from tarry.app.errors import HttpError
from tarry.app.files import answer_with, attachment
from tarry.app.responses import SendFile
from tarry.message.heads import Fields, InvalidField, PlainRequestHead

MODIFIED_NS = 784_111_777_250_000_000
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


def answer(file="notes.txt", method=b"GET", size=10, mtime_ns=MODIFIED_NS, **fields):
    file = SendFile(file) if isinstance(file, str) else file
    headers = Fields(
        (name.replace("_", "-").encode(), text.encode()) for name, text in fields.items()
    )
    info = os.stat_result((0o100644, 0, 0, 1, 0, 0, size, 0, 0, 0), {"st_mtime_ns": mtime_ns})
    return answer_with(file, info, PlainRequestHead(method, b"/", headers))


def etag(file="notes.txt", **state):
    return answer(file, **state).head.get(b"etag").decode()


def test_a_file_is_described():
    whole = answer()

    assert whole.head.status == 200
    assert whole.parts == [(0, 10)]
    assert whole.size_bytes == 10
    assert dict(whole.head.fields) == {
        b"content-type": b"text/plain; charset=utf-8",
        b"x-content-type-options": b"nosniff",
        b"etag": etag().encode(),
        b"last-modified": DATE,
        b"accept-ranges": b"bytes",
    }


def test_the_tag_tells_sizes_and_times_apart_to_the_nanosecond():
    tags = {etag(), etag(size=11), etag(mtime_ns=MODIFIED_NS + 1)}

    assert len(tags) == 3
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        (SendFile("a.txt", content_type="text/x-notes"), b"content-type", b"text/x-notes"),
        (SendFile("a.txt", headers={"Content-Type": "a/b"}), b"content-type", b"a/b"),
        (SendFile("a.txt", headers={"ETag": '"mine"'}), b"etag", b'"mine"'),
        (SendFile("a.txt", etag=False), b"etag", None),
        (SendFile("a.txt", max_age_s=0), b"cache-control", b"max-age=0"),
        (SendFile("a.txt", max_age_s=60), b"cache-control", b"max-age=60"),
        (SendFile("a.txt"), b"content-disposition", None),
        (SendFile("x/a", download=True), b"content-disposition", b'attachment; filename="a"'),
        (SendFile("a", download="b.txt"), b"content-disposition", b'attachment; filename="b.txt"'),
        (SendFile("a.txt", status=404), b"accept-ranges", None),
    ],
)  # fmt: skip
def test_an_author_can_say_otherwise(file, name, value):
    assert answer(file).head.get(name) == value


def test_headers_of_an_author_replace_those_of_the_file():
    fields = answer(SendFile("a", headers=[("X-A", "1"), ("x-a", "2")])).head.fields

    assert [value for name, value in fields if name == b"x-a"] == [b"1", b"2"]


@pytest.mark.parametrize("mtime_ns", [-(10**20), 10**21])
def test_a_time_that_no_date_can_hold_is_left_out(mtime_ns):
    assert answer(mtime_ns=mtime_ns).head.get(b"last-modified") is None
    assert answer(mtime_ns=mtime_ns).head.get(b"etag") is not None


def test_a_header_that_would_break_the_message_is_refused():
    with pytest.raises(InvalidField):
        answer(SendFile("a", headers={"x": "a\r\nb: c"}))
    with pytest.raises(InvalidField):
        answer(SendFile("a", content_type="text/plain\nx: y"))


# ── conditions ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    "condition", [{"if_none_match": etag()}, {"if_modified_since": DATE.decode()}]
)
def test_who_has_the_file_gets_304_without_what_describes_a_body(method, condition):
    file = SendFile("notes.txt", max_age_s=9, download=True, headers={"vary": "accept"})
    kept = answer(file, method, **condition)

    assert kept.head.status == 304
    assert kept.parts == []
    assert {name for name, _ in kept.head.fields} == {
        b"etag", b"last-modified", b"cache-control", b"vary"
    }  # fmt: skip


@pytest.mark.parametrize(
    "condition",
    [{"if_match": '"other"'}, {"if_unmodified_since": "Sun, 06 Nov 1994 08:49:36 GMT"}],
)
def test_who_means_another_version_gets_412(condition):
    with pytest.raises(HttpError) as raised:
        answer(**condition)
    assert raised.value.status == 412


def test_the_tag_of_an_author_is_the_one_that_counts():
    file = SendFile("a", headers={"etag": '"mine"'})

    assert answer(file, if_none_match='"mine"').head.status == 304
    assert answer(file, if_none_match=etag("a")).head.status == 200


@pytest.mark.parametrize(
    ("file", "method"),
    [
        (SendFile("a"), b"POST"),
        (SendFile("a", status=404), b"GET"),
        (SendFile("a", status=201), b"GET"),
    ],
)
def test_neither_conditions_nor_ranges_count_for_other_methods_and_statuses(file, method):
    whole = answer(file, method, if_none_match="*", if_match='"x"', range="bytes=99-")

    assert whole.head.status == file.status
    assert whole.parts == [(0, 10)]


# ── ranges ────────────────────────────────────────────────────────────────────────────────


def test_one_range():
    partial = answer(range="bytes=2-4")

    assert partial.head.status == 206
    assert partial.head.get(b"content-range") == b"bytes 2-4/10"
    assert partial.head.get(b"content-type") == b"text/plain; charset=utf-8"
    assert partial.head.get(b"etag") == etag().encode()
    assert partial.parts == [(2, 3)]


def test_several_ranges():
    partial = answer(range="bytes=0-1,5-9")
    content_type = partial.head.get(b"content-type")
    boundary = content_type.removeprefix(b"multipart/byteranges; boundary=")

    assert partial.head.status == 206
    assert partial.head.get(b"content-range") is None
    assert partial.parts == [
        b"--%b\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-range: bytes 0-1/10\r\n\r\n" % boundary,
        (0, 2),
        b"\r\n--%b\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-range: bytes 5-9/10\r\n\r\n" % boundary,
        (5, 5),
        b"\r\n--%b--\r\n" % boundary,
    ]
    assert answer(range="bytes=0-1,5-9").head.get(b"content-type") != content_type


def test_a_range_behind_the_end_says_where_the_end_is():
    with pytest.raises(HttpError) as raised:
        answer(range="bytes=10-")

    assert raised.value.status == 416
    assert (b"content-range", b"bytes */10") in raised.value.headers


@pytest.mark.parametrize(
    "fields",
    [
        {"range": "bytes=0-0", "if_range": '"other"'},
        {"range": "bytes=0-0", "if_range": "W/" + etag()},
        {"range": "bytes=0-0", "if_range": "Sun, 06 Nov 1994 08:49:38 GMT"},
        {"range": "bytes=99-", "if_range": '"other"'},
        {"range": "bytes=5-2"},
        {"range": "items=0-0"},
        {"range": "bytes=0-0,2-2,4-4,6-6,8-8,10-10", "size": 11},
        {"range": "bytes=0-0", "size": 0},
        {"range": "bytes=0-0", "method": b"HEAD"},
    ],
)
def test_the_whole_file_is_sent_where_a_range_does_not_count(fields):
    whole = answer(**fields)

    assert whole.head.status == 200
    assert whole.parts == [(0, fields.get("size", 10))]


@pytest.mark.parametrize("if_range", [etag(), DATE.decode()])
def test_a_range_of_the_version_that_the_client_has_is_sent(if_range):
    assert answer(range="bytes=0-0", if_range=if_range).head.status == 206


def test_conditions_come_before_ranges():
    assert answer(range="bytes=99-", if_none_match=etag()).head.status == 304


# ── names of downloads ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("notes.txt", "notes.txt"),
        ("my notes.txt", "my notes.txt"),
        ("Grüße €.txt", "Grüße €.txt"),
        ('a"b\\c', "c"),
        ('say "hi"', 'say "hi"'),
        ("50%25.txt", "50%25.txt"),
        ("a;b='c'", "a;b='c'"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\x.exe", "x.exe"),
        ("a\r\nx: y", "a__x: y"),
        ("a\x00b\x7fc\x85d", "a_b_c_d"),
        ("", "download"),
        ("folder/", "download"),
        ("\udcff.txt", "_.txt"),
    ],
)
def test_a_download_is_saved_under_its_name_without_folders(name, saved):
    value = attachment(name).decode("ascii")
    match = re.fullmatch(r"""attachment; filename="([^"\\%]+)"(; filename\*=UTF-8''(.+))?""", value)

    assert match is not None
    assert (unquote(match[3]) if match[3] else match[1]) == saved


def test_what_clients_disagree_about_is_not_in_the_plain_name():
    assert attachment('é"%41.txt') == (
        b"attachment; filename=\"___41.txt\"; filename*=UTF-8''%C3%A9%22%2541.txt"
    )
