"""Files over real sockets, on HTTP/1.1 and HTTP/2, with either way of sending them."""

from __future__ import annotations

import os

import pytest

from tarry import App
from tarry.app.responses import SendFile
from tests.both.clients import H2Client, ask_http1, ask_http2
from tests.wire import Wire

SIZE = 8_000_000
"""More than the sockets of Linux hold."""

CLIENTS = pytest.mark.parametrize("ask", [ask_http1, ask_http2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "big.bin").write_bytes(os.urandom(1_000_000) * (SIZE // 1_000_000))
    (folder / "small.txt").write_bytes(b"0123456789")
    (folder / "empty.js").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def url(folder):
    app = App()

    @app.get("/files/{name}")
    def file(name: str):
        return folder / name

    @app.get("/async/{name}")
    async def async_file(name: str):
        return SendFile(folder / name, max_age_s=60)

    @app.get("/open/{name}", inline=True)
    def open_file(name: str):
        return (folder / name).open("rb")

    with app.start(port=0, access_log=False) as server:
        yield server.url


@CLIENTS
@pytest.mark.parametrize("lane", ["files", "async", "open"])
@pytest.mark.parametrize("name", ["big.bin", "small.txt", "empty.js"])
def test_a_file_comes_whole(folder, url, ask, lane, name):
    content = (folder / name).read_bytes()
    answer = ask(url, path=f"/{lane}/{name}")
    head = ask(url, "HEAD", path=f"/{lane}/{name}")

    assert answer.complete
    assert answer.status == head.status == 200
    assert answer.body == content
    assert head.body == b""
    assert answer.get("content-length") == head.get("content-length") == str(len(content))
    assert answer.get("content-type") == head.get("content-type")
    assert answer.get("etag") == head.get("etag")


@CLIENTS
@pytest.mark.parametrize(("first", "last"), [(0, 0), (1, 500_000), (SIZE - 1, SIZE - 1)])
def test_a_range_is_a_slice(folder, url, ask, first, last):
    answer = ask(url, path="/files/big.bin", fields=[("range", f"bytes={first}-{last}")])

    assert answer.status == 206
    assert answer.get("content-range") == f"bytes {first}-{last}/{SIZE}"
    assert answer.body == (folder / "big.bin").read_bytes()[first : last + 1]


@CLIENTS
def test_several_ranges_have_the_length_that_was_announced(folder, url, ask):
    content = (folder / "big.bin").read_bytes()
    answer = ask(url, path="/files/big.bin", fields=[("range", "bytes=0-99999,200000-499999,-1")])

    assert answer.status == 206
    assert answer.get("content-length") == str(len(answer.body))
    for piece in (content[:100_000], content[200_000:500_000], content[-1:]):
        assert b"\r\n\r\n" + piece + b"\r\n--" in answer.body


@CLIENTS
@pytest.mark.parametrize(
    ("path", "field", "status"),
    [
        ("/files/big.bin", ("if-none-match", "*"), 304),
        ("/files/big.bin", ("if-match", '"x"'), 412),
        ("/files/big.bin", ("range", f"bytes={SIZE}-"), 416),
        ("/files/missing", ("range", "bytes=0-"), 404),
        ("/files/..", ("range", "bytes=0-"), 404),
    ],
)
def test_without_the_file(url, ask, path, field, status):
    answer = ask(url, path=path, fields=[field])

    assert answer.complete
    assert answer.status == status


def test_a_connection_serves_files_and_refusals_one_after_the_other(folder, url):
    asked = ["files/big.bin", "files/missing", "files/small.txt", "async/big.bin", "files/empty.js"]
    with Wire(url) as wire:
        for path in asked:
            wire.send(f"GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            reply = wire.read()
            name = folder / path.partition("/")[2]
            assert reply.status == (200 if name.exists() else 404)
            assert not name.exists() or reply.body == name.read_bytes()


def test_http10_gets_the_file_and_the_end_of_the_connection(folder, url):
    with Wire(url) as wire:
        wire.send(b"GET /files/big.bin HTTP/1.0\r\n\r\n")

        assert wire.read().body == (folder / "big.bin").read_bytes()
        assert wire.is_closed()


def test_files_share_an_http2_connection(folder, url):
    with H2Client(url) as client:
        streams = [client.open(client.head(path="/files/big.bin")) for _ in range(3)]

        for stream_id in streams:
            assert client.answer(stream_id).body == (folder / "big.bin").read_bytes()


def test_a_file_that_is_cut_resets_its_stream_only(tmp_path, folder, url):
    path = folder / "cut.bin"
    path.write_bytes(bytes(SIZE))
    with H2Client(url, window=1000) as client:
        stream_id = client.open(client.head(path="/files/cut.bin"))
        while not client.answers[stream_id].body:
            client.take()
        os.truncate(path, 500_000)
        client.keep_window = True
        client.h2.increment_flow_control_window(SIZE)
        client.h2.increment_flow_control_window(SIZE, stream_id)
        client.flush()
        answer = client.answer(stream_id)
        assert answer.reset_code == 2  # INTERNAL_ERROR
        assert len(answer.body) <= 500_000

        small = client.answer(client.open(client.head(path="/files/small.txt")))
        assert small.body == b"0123456789"


def test_a_half_closed_client_gets_a_small_file(url):
    with Wire(url) as wire:
        wire.send(b"GET /files/small.txt HTTP/1.1\r\nhost: a\r\n\r\n")
        wire.half_close()

        assert wire.read().body == b"0123456789"
