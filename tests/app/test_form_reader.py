"""Reading forms: right in any pieces, refused at the limit, flat in memory, off the loop."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import tracemalloc
from pathlib import Path

import pytest

from tarry.app.errors import HttpError
from tarry.app.form_reader import read_form
from tarry.app.forms import FormLimits
from tarry.app.spool import SPOOL_BYTES, UploadClosed
from tarry.exchange import ClientGone

MULTIPART = "multipart/form-data; boundary=b"
URLENCODED = "application/x-www-form-urlencoded"
END = b"--b--\r\n"
LIMITS = FormLimits()


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def field(name, value=b""):
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + value + b"\r\n"


def file(name, content=b"", filename="x.bin"):
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


class Source:
    """Gives pieces one after the other and counts them; an exception among them is raised."""

    def __init__(self, pieces):
        self._pieces = iter(pieces)
        self.given = self.given_bytes = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        piece = next(self._pieces, None)
        if piece is None:
            raise StopAsyncIteration
        if isinstance(piece, BaseException):
            raise piece
        self.given += 1
        self.given_bytes += len(piece)
        return piece


def cut(raw, size):
    return Source(raw[start : start + size] for start in range(0, len(raw), size))


def read(source, content_type=MULTIPART, limits=LIMITS, in_thread=asyncio.to_thread):
    return asyncio.run(read_form(content_type, source, limits, in_thread))


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def refused(source, status, match, content_type=MULTIPART, limits=LIMITS):
    before = open_descriptors()
    with pytest.raises(HttpError) as caught:
        read(source, content_type, limits)
    assert caught.value.status == status
    assert match in caught.value.detail
    assert open_descriptors() == before
    return caught.value


def endless(start, piece):
    yield start
    while True:
        yield piece


# ---- what comes out ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 64, 10**6])
def test_a_multipart_form_is_read_in_any_pieces(size):
    raw = (
        field("a", b"1") + file("f", b"\x00\r\n--cin\xff", "ä.bin")
        + field("a", "é中".encode()) + file("f", b"", "empty") + field("_charset_", b"latin-1")
        + END
    )  # fmt: skip

    form = read(cut(raw, size))

    assert form.fields == {"a": ["1", "é中"], "_charset_": ["latin-1"]}
    first, second = form.files["f"]
    assert (first.filename, first.read()) == ("ä.bin", b"\x00\r\n--cin\xff")
    assert (second.filename, second.size_bytes, second.read()) == ("empty", 0, b"")
    form.close()


@pytest.mark.parametrize("size", [1, 2, 3, 10**6])
def test_an_urlencoded_form_is_read_in_any_pieces(size):
    form = read(cut(b"a=1&b=%C3%A9+x&a=&c", size), URLENCODED + "; charset=utf-8")

    assert form.fields == {"a": ["1", ""], "b": ["é x"], "c": [""]}
    assert form.files == {}


def test_an_empty_body_is_an_empty_urlencoded_form_but_no_multipart_form():
    assert read(Source([]), URLENCODED).fields == {}
    assert read(Source([END])).fields == {}
    refused(Source([]), 400, "ends before")


def test_chinese_names_are_files():
    raw = (
        b'--b\r\nContent-Disposition: form-data; name="\xe4\xb8\xad\xe6\x96\x87text"; '
        b"filename=\"??.txt\"; filename*=UTF-8''%E4%B8%AD%E6%96%87.txt\r\n\r\nx\r\n" + END
    )

    assert read(cut(raw, 7)).file("中文text").filename == "中文.txt"


def test_a_file_input_without_a_choice_is_not_there():
    form = read(Source([file("f", b"", "") + file("g", b"x", "") + file("f", b"y") + END]))

    assert [upload.read() for upload in form.files["f"]] == [b"y"]
    assert form.file("g").filename == "upload"
    assert read(Source([file("f", b"", "") + END])).files == {}


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain", "multipart/mixed"])
def test_what_is_no_form_is_415_and_says_what_would_be_taken(content_type):
    error = refused(Source([]), 415, "multipart/form-data", content_type)

    accept = b"application/x-www-form-urlencoded, multipart/form-data"
    assert error.headers == ((b"accept", accept),)


@pytest.mark.parametrize(
    ("content_type", "status", "reason"),
    [
        ("multipart/form-data", 400, "boundary"),
        ("multipart/form-data; boundary=" + "b" * 257, 400, "boundary"),
        ("multipart/form-data; boundary=a; boundary=b", 400, "Content-Type"),
        (URLENCODED + "; charset=latin-1", 415, "UTF-8"),
        (URLENCODED + "; charset=" + '"\\' * 500_000, 400, "Content-Type"),
    ],
)
def test_a_bad_content_type_is_refused_before_the_body_is_read(content_type, status, reason):
    source = Source([b"x"])
    refused(source, status, reason, content_type)

    assert source.given == 0


@pytest.mark.parametrize(
    "raw",
    [
        field("a", b"1"),
        file("f", b"x" * (SPOOL_BYTES + 1)),
        b"x" * 1_000_000 + field("a") + END,
        field("a") + END + b"x" * 1_000_000,
        field("a", b"\xff") + END,
        field("a", b"a\0b") + END,
        b"--b\r\n\r\n\r\n" + END,
        b"--b\r\nContent-Disposition: form-data\r\n\r\n\r\n" + END,
        file("f", b"x" * (SPOOL_BYTES + 1)) + b"--b\r\nbad\r\n\r\n" + END,
        b"\r" * 1_000_000,
    ],
)
@pytest.mark.parametrize("size", [1000, 10**9])
def test_a_malformed_body_is_400_and_its_files_are_closed(raw, size):
    refused(cut(raw, size), 400, "")


@pytest.mark.parametrize("raw", [b"a=%", b"a=%00", b"\xff=1"])
def test_a_malformed_urlencoded_body_is_400(raw):
    refused(Source([raw]), 400, "does not decode", URLENCODED)


# ---- limits: at it, and one beyond -------------------------------------------------------


def test_text_fields_are_counted():
    limits = FormLimits(max_fields=3)

    assert len(read(Source([field("a") * 3 + file("f") + END]), limits=limits).getall("a")) == 3
    refused(Source([field("a") * 4 + END]), 413, "more than 3 fields", limits=limits)
    assert len(read(Source([b"a&a&a"]), URLENCODED, limits).getall("a")) == 3
    refused(Source([b"a&a&a&a"]), 413, "more than 3 fields", URLENCODED, limits)


def test_files_are_counted():
    limits = FormLimits(max_files=2)
    choiceless = file("g", b"", "")

    assert len(read(Source([file("f") * 2 + field("a") + END]), limits=limits).files["f"]) == 2
    refused(Source([file("f") * 3 + END]), 413, "more than 2 files", limits=limits)
    refused(Source([choiceless * 3 + END]), 413, "more than 2 files", limits=limits)
    refused(Source([file("f") + END]), 413, "0 files", limits=FormLimits(max_files=0))


@pytest.mark.parametrize("size", [1, 4, 10**6])
def test_a_text_field_has_a_limit(size):
    limits = FormLimits(max_field_bytes=10)

    assert read(cut(field("a", b"x" * 10) + END, size), limits=limits)["a"] == "x" * 10
    refused(cut(field("a", b"x" * 11) + END, size), 413, "over 10 bytes", limits=limits)
    assert read(cut(b"a=%C3%A9&b=" + b"%41" * 10, size), URLENCODED, limits)["b"] == "A" * 10
    refused(cut(b"a=" + b"%C3%A9" * 6, size), 413, "over 10 bytes", URLENCODED, limits)


@pytest.mark.parametrize("size", [1, 4, 10**6])
def test_all_text_fields_together_have_a_limit_with_their_names(size):
    limits = FormLimits(max_memory_bytes=20)
    raw = field("ab", b"12345678") * 2

    assert len(read(cut(raw + END, size), limits=limits).getall("ab")) == 2
    refused(cut(raw + field("c") + END, size), 413, "together over 20 bytes", limits=limits)
    assert read(cut(b"a=" + b"x" * 18, size), URLENCODED, limits)["a"] == "x" * 18
    refused(cut(b"a=" + b"x" * 19, size), 413, "larger than 20 bytes", URLENCODED, limits)


@pytest.mark.parametrize("size", [1000, 10**9])
@pytest.mark.parametrize("most", [10_000, SPOOL_BYTES * 2])
def test_a_file_has_a_limit_if_one_is_set(size, most):
    limits = FormLimits(max_file_bytes=most)
    form = read(cut(file("f", b"x" * most) + END, size), limits=limits)

    assert form.file("f").size_bytes == most
    form.close()
    refused(cut(file("f", b"x" * (most + 1)) + END, size), 413, f"over {most}", limits=limits)


def test_the_head_of_a_part_has_a_limit():
    assert read(Source([field("n" * 7000) + END]))
    refused(Source([field("n" * 9000) + END]), 413, "head")


def test_a_hundred_thousand_parts_are_refused_after_the_first_thousand():
    """CVE-2023-25577, CVE-2023-30798, CVE-2023-24580."""
    source = Source(field(f"n{number}") for number in range(100_000))
    refused(source, 413, "more than 1000 fields")

    assert source.given == 1001


def test_a_hundred_thousand_files_are_refused_after_the_first_hundred():
    source = Source(file(f"n{number}") for number in range(100_000))
    refused(source, 413, "more than 100 files")

    assert source.given == 101


def test_a_hundred_thousand_urlencoded_keys_are_refused_after_the_first_thousand():
    source = Source(b"k%d=v&" % number for number in range(100_000))
    refused(source, 413, "more than 1000 fields", URLENCODED)

    assert source.given == 1001


@pytest.mark.parametrize(
    ("content_type", "start", "most_bytes"),
    [(MULTIPART, field("a")[:-2], LIMITS.max_field_bytes), (URLENCODED, b"a=", 4 << 20)],
)
def test_a_field_without_end_is_refused_at_the_limit(content_type, start, most_bytes):
    """CVE-2024-47874."""
    source = Source(endless(start, b"x" * 4096))
    refused(source, 413, "bytes", content_type)

    assert most_bytes < source.given_bytes <= most_bytes + 2 * 4096


# ---- disk --------------------------------------------------------------------------------


def test_disk_is_touched_in_threads_only_and_a_mebibyte_at_a_time():
    calls, main = [], threading.current_thread()

    async def in_thread(function, *arguments):
        def call():
            assert threading.current_thread() is not main
            calls.append(function.__name__)
            return function(*arguments)

        return await asyncio.to_thread(call)

    raw = file("small", b"x" * 1000) + file("large", b"y" * (SPOOL_BYTES * 4)) + END
    form = read(cut(raw, 65536), in_thread=in_thread)

    assert 4 <= len(calls) <= 5
    assert set(calls) == {"write_out"}
    assert form.file("small").in_memory
    assert not form.file("large").in_memory
    assert form.file("large").read() == b"y" * (SPOOL_BYTES * 4)
    form.close()


def test_small_files_go_to_disk_when_they_are_many():
    limits = FormLimits(max_memory_bytes=2500)
    contents = [bytes([number]) * 1000 for number in range(4)]
    raw = b"".join(file("f", content) for content in [*contents, b"x" * 500]) + END

    form = read(cut(raw, 700), limits=limits)

    assert [each.in_memory for each in form.files["f"]] == [True, True, False, False, True]
    assert [each.read() for each in form.files["f"]] == [*contents, b"x" * 500]
    form.close()


def test_64_mebibytes_are_uploaded_in_flat_memory():
    piece = os.urandom(65536)
    pieces = [file("f")[:-2], *[piece] * 1024, b"\r\n" + END]
    tracemalloc.start()
    try:
        form = read(Source(pieces))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert form.file("f").size_bytes == 64 << 20
    form.close()
    assert peak_bytes < 8 << 20


def test_a_disk_that_takes_nothing_is_the_servers_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    with pytest.raises(FileNotFoundError):
        read(cut(file("f", b"x" * (SPOOL_BYTES + 1)) + END, 10**6))


# ---- the client, or the server, gives up -------------------------------------------------


@pytest.mark.parametrize("size_bytes", [10, SPOOL_BYTES + 1, SPOOL_BYTES * 3])
def test_when_the_client_leaves_the_files_are_closed(size_bytes):
    before = open_descriptors()
    pieces = [file("f", b"x" * size_bytes), file("g", b"y" * size_bytes), ClientGone("gone")]

    with pytest.raises(ClientGone):
        read(Source(pieces))

    assert open_descriptors() == before


def test_when_it_is_cancelled_in_the_middle_of_a_write_the_files_are_closed():
    before = open_descriptors()
    held, go_on = threading.Event(), threading.Event()
    spools = []

    async def in_thread(function, *arguments):
        def call():
            if function.__name__ == "write_out":
                spools.append(function.__self__)
                held.set()
                assert go_on.wait(10)
            return function(*arguments)

        return await asyncio.to_thread(call)

    async def run():
        source = cut(file("f", b"x" * (SPOOL_BYTES + 1)), 10**6)
        task = asyncio.create_task(read_form(MULTIPART, source, LIMITS, in_thread))
        await asyncio.to_thread(held.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    asyncio.run(run())

    assert open_descriptors() == before
    with pytest.raises(UploadClosed):
        spools[0].read()
