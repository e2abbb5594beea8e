"""Open files as results: sent from where they stand, read in threads, closed afterwards."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import tempfile
import threading
import zipfile
from dataclasses import dataclass

import pytest

from tarry.app.fileobjects import stream_of
from tarry.app.results import answer_for
from tarry.app.streaming import send_stream
from tarry.exchange import FILE_READ_BYTES, ClientGone
from tarry.testing import Client
from tests.app.serving import serving
from tests.exchanges import Recorded, turns

WAIT_S = 10.0
CONTENT = os.urandom(FILE_READ_BYTES + 10)


def ask(make, method="GET"):
    made = []

    def handler():
        made.append(make())
        return made[-1]

    with Client(serving(handler)) as client:
        reply = client.request(method, "/")
    return reply, made[0]


def closes(file):
    """Whether a file gets closed; with a known length the client has all of it before that."""
    for thread in threading.enumerate():
        if thread.name == "tarry-handler":
            thread.join(WAIT_S)
    return file.closed


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


class Reader:
    """The least that is a file."""

    def __init__(self, *pieces):
        self.pieces = [*pieces, b""]
        self.closed = False

    def read(self, size=-1):
        return self.pieces.pop(0)

    def close(self):
        self.closed = True


def temporary():
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 — because the answer closes it
    file.write(CONTENT)
    file.seek(0)
    return file


def zipped(path):
    with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "file")
    with zipfile.ZipFile(path.with_suffix(".zip")) as archive:
        return archive.open("file")


def gzipped(path):
    with gzip.open(path.with_suffix(".gz"), "wb") as file:
        file.write(CONTENT)
    return gzip.open(path.with_suffix(".gz"))


KINDS = {
    "buffered": (lambda path: path.open("rb"), True),
    "raw": (lambda path: path.open("rb", buffering=0), True),
    "writable": (lambda path: path.open("r+b"), True),
    "in memory": (lambda path: io.BytesIO(CONTENT), True),
    "temporary": (lambda path: temporary(), True),
    "zipped": (zipped, False),
    "gzipped": (gzipped, False),
    "with read alone": (lambda path: Reader(CONTENT[:7], CONTENT[7:]), False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_binary_file_is_sent_and_closed(path, kind):
    make, known = KINDS[kind]
    reply, file = ask(lambda: make(path))

    assert reply.status == 200
    assert reply.body == CONTENT
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers.get("content-length") == (str(len(CONTENT)) if known else None)
    assert closes(file)


@pytest.mark.parametrize("make", [lambda path: path.open(), lambda path: io.StringIO("grüß\n")])
def test_a_text_file_is_sent_as_text(path, make):
    path.write_text("grüß\n", encoding="utf-8")
    reply, file = ask(lambda: make(path))

    assert reply.body == "grüß\n".encode()
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert closes(file)


def test_a_file_is_sent_from_where_it_stands(path):
    def make():
        file = path.open("rb")
        file.seek(100)
        return file

    reply, _ = ask(make)

    assert reply.body == CONTENT[100:]
    assert reply.headers["content-length"] == str(len(CONTENT) - 100)


def test_a_file_that_stands_behind_its_end_is_empty():
    file = io.BytesIO(b"abc")
    file.seek(5)

    assert stream_of(file).length == 0


def test_head_reads_nothing_and_closes(path):
    reply, file = ask(lambda: path.open("rb"), "HEAD")

    assert reply.headers["content-length"] == str(len(CONTENT))
    assert closes(file)


def test_a_pipe_has_no_length():
    read_end, write_end = os.pipe()
    os.write(write_end, b"content")
    os.close(write_end)
    reply, file = ask(lambda: os.fdopen(read_end, "rb"))

    assert reply.body == b"content"
    assert "content-length" not in reply.headers
    assert closes(file)


def test_it_is_read_in_threads():
    threads = []

    class Noting(Reader):
        def read(self, size=-1):
            threads.append(threading.current_thread().name)
            return super().read(size)

    ask(lambda: Noting(b"x"))

    assert set(threads) == {"tarry-handler"}


def test_it_is_closed_when_the_client_leaves():
    async def test():
        file = Reader(b"x", b"y")
        exchange = Recorded(room_bytes=1)
        sending = asyncio.create_task(send_stream(exchange, stream_of(file)))
        while not exchange.pieces:
            await asyncio.sleep(0)
        await turns()
        exchange.leave()
        with pytest.raises(ClientGone):
            await sending
        assert file.closed

    asyncio.run(asyncio.wait_for(test(), WAIT_S))


def test_what_read_gives_must_be_text_or_bytes(caplog):
    reply = None
    with Client(serving(lambda: Reader(3))) as client, pytest.raises(ConnectionError):
        reply = client.get("/")

    assert reply is None
    assert "a stream gave a int" in caplog.text


def test_a_record_with_a_method_read_is_json():
    @dataclass
    class Book:
        title: str

        def read(self):
            raise AssertionError

    assert answer_for(Book("x"))[1] == b'{"title":"x"}'


def test_something_that_answers_for_others_is_a_file_only_if_it_can_be_read():
    class Proxy:
        def __getattr__(self, name):
            raise AttributeError(name)

    with pytest.raises(TypeError, match="no JSON"):
        answer_for(Proxy())
