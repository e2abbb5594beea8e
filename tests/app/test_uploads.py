"""Uploads as handlers use them, and names that are safe whatever a client sends."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.app.spool import Spool, UploadClosed
from tarry.app.uploads import MAX_FILENAME_BYTES, Upload, safe_filename
from tarry.message.headers import Headers
from tarry.message.multipart import PartHead


def upload(content=b"content", filename="photo.png", content_type="image/png", **options):
    spool = Spool()
    spool.add(content)
    spool.finish()
    headers = Headers([("Content-Disposition", "form-data"), ("X-Y", "1")])
    return Upload(PartHead("file", filename, content_type, headers), spool, **options)


def test_an_upload_shows_what_was_sent():
    sent = upload(filename="C:\\photos\\me.png")

    assert sent.filename == "me.png"
    assert sent.client_filename == "C:\\photos\\me.png"
    assert sent.content_type == "image/png"
    assert sent.headers["x-y"] == "1"
    assert sent.size_bytes == 7
    assert sent.in_memory
    assert sent.file.read() == sent.read() == b"content"
    assert repr(sent) == "<Upload 'me.png' 'image/png' 7 bytes>"


def test_without_a_content_type_it_is_bytes():
    assert upload(content_type=None).content_type == "application/octet-stream"


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_save_returns_the_path(tmp_path, kind):
    path = upload().save(kind(tmp_path / "saved"))

    assert path == tmp_path / "saved"
    assert path.read_bytes() == b"content"
    with pytest.raises(FileExistsError):
        upload().save(path)
    assert upload(b"new").save(path, overwrite=True).read_bytes() == b"new"


def test_coroutines_read_and_save_in_a_thread(tmp_path):
    threads = []

    async def in_thread(function, *arguments):
        def call():
            threads.append(threading.current_thread())
            return function(*arguments)

        return await asyncio.to_thread(call)

    async def run(sent):
        path = await sent.save_async(tmp_path / "saved")
        with pytest.raises(FileExistsError):
            await sent.save_async(path)
        await sent.save_async(path, overwrite=True)
        return await sent.read_async(), path.read_bytes()

    assert asyncio.run(run(upload(in_thread=in_thread))) == (b"content", b"content")
    assert len(threads) == 4
    assert threading.main_thread() not in threads
    (tmp_path / "saved").unlink()
    assert asyncio.run(run(upload())) == (b"content", b"content")


def test_after_its_request_an_upload_says_what_to_do():
    sent = upload()
    sent.close()

    for use in (lambda: sent.file, sent.read, lambda: asyncio.run(sent.read_async())):
        with pytest.raises(UploadClosed, match="read or save it before its request ends"):
            use()
    assert sent.size_bytes == 7


@pytest.mark.parametrize(
    ("sent", "safe"),
    [
        ("photo.png", "photo.png"),
        ("中文 é.txt", "中文 é.txt"),
        ("a+b (1) [x] 'y' & #~.tar.gz", "a+b (1) [x] 'y' & #~.tar.gz"),
        (".bashrc", ".bashrc"),
        # CVE-2021-28658, CVE-2021-31542, CVE-2026-24486.
        ("../x", "x"),
        ("/etc/x", "x"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\x", "x"),
        ("C:\\x", "x"),
        ("C:x", "x"),
        ("C:", "upload"),
        ("a/b\\c/d", "d"),
        ("\\\\server\\share\\x", "x"),
        ("..%2fx", "..%2fx"),
        ("x/", "upload"),
        ("", "upload"),
        (".", "upload"),
        ("..", "upload"),
        ("...", "upload"),
        (" . ", "upload"),
        ("/", "upload"),
        ("x.php\0.jpg", "x.php_.jpg"),
        ("a\r\nb\x1b[2J\x7f\x9b", "a__b_[2J__"),
        ("photo\u202egnp.exe", "photo_gnp.exe"),
        ("a\u2028b", "a_b"),
        ("file.txt:stream", "file.txt_stream"),
        ('a<b>c"d|e?f*g', "a_b_c_d_e_f_g"),
        (" name.txt. ", "name.txt"),
    ],
)
def test_a_filename_is_a_base_name_of_safe_characters(sent, safe):
    assert safe_filename(sent) == safe
    assert upload(filename=sent).filename == safe


@pytest.mark.parametrize(
    ("sent", "safe"),
    [
        ("n" * 255, "n" * 255),
        ("n" * 256, "n" * 255),
        ("n" * 300 + ".jpeg", "n" * 250 + ".jpeg"),
        ("é" * 200 + ".jpg", "é" * 125 + ".jpg"),
        ("a." + "s" * 300, "a." + "s" * 253),
        ("n" * 254 + " " + "n", "n" * 254),
    ],
)
def test_a_long_filename_keeps_its_suffix(sent, safe):
    assert safe_filename(sent) == safe


@settings(max_examples=200)
@given(st.text(st.sampled_from("ab./\\:\0\n \u202eé中*") | st.characters(), max_size=300))
def test_whatever_is_sent_the_filename_names_a_file_in_this_directory(sent):
    safe = safe_filename(sent)

    assert safe not in {"", ".", ".."}
    assert not set(safe) & set("/\\:\0\r\n\x7f")
    assert len(safe.encode()) <= MAX_FILENAME_BYTES
    assert safe_filename(safe) == safe
