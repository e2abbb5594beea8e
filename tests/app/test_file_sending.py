"""Files as results, from the handler to the answer; with real files."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tarry.app import file_sending
from tarry.app.errors import HttpError
from tarry.app.file_sending import SMALL_BYTES, send_file
from tarry.app.responses import Response, SendFile, Stream
from tarry.exchange import FILE_READ_BYTES, ClientGone
from tarry.message.cookies import SetCookie
from tarry.message.headers import Headers
from tarry.message.heads import LengthError
from tarry.testing import AsyncClient, Client, MemoryExchange
from tests.app.serving import serving
from tests.exchanges import Recorded, turns

WAIT_S = 10.0


@pytest.fixture
def notes(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"0123456789")
    return path


@pytest.fixture
def big(tmp_path):
    """More than is read at once, with bytes that tell their place."""
    path = tmp_path / "big.bin"
    path.write_bytes(b"".join(b"%08d" % at for at in range(FILE_READ_BYTES // 8 * 2 + 1000)))
    return path


def run(test):
    asyncio.run(asyncio.wait_for(test(), WAIT_S))


def ask(result, method="GET", *, methods=("GET",), http2=False, **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    with Client(serving(lambda: result, methods=methods), http2=http2) as client:
        return client.request(method, "/", headers=fields)


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


# ── whole files ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES, SMALL_BYTES + 1, FILE_READ_BYTES * 2 + 1])
def test_a_path_is_sent_whole(tmp_path, size, http2):
    path = tmp_path / "data.csv"
    path.write_bytes(os.urandom(size))
    reply = ask(path, http2=http2)
    head = ask(path, "HEAD", http2=http2)

    assert reply.status == head.status == 200
    assert reply.body == path.read_bytes()
    assert head.body == b""
    assert reply.headers["content-length"] == str(size)
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["accept-ranges"] == "bytes"
    skipped = {"date"}
    assert set(reply.headers) == set(head.headers)
    assert all(reply.headers[name] == head.headers[name] for name in set(head.headers) - skipped)


def test_what_is_said_of_a_file_is_sent_with_it(notes):
    file = SendFile(str(notes), download="my.txt", max_age_s=60, headers={"x-a": "1"}, status=201)
    reply = ask(file)

    assert reply.status == 201
    assert reply.body == b"0123456789"
    assert reply.headers["cache-control"] == "max-age=60"
    assert reply.headers["content-disposition"] == 'attachment; filename="my.txt"'
    assert reply.headers["x-a"] == "1"


def test_a_file_can_be_the_body_of_a_response_and_of_a_tuple(notes):
    response = Response(notes, 203, {"content-type": "a/b"})
    response.set_cookie("name", "value")
    first = ask(response)
    second = ask((202, Headers({"x-a": "1"}), SetCookie("name", "value"), notes))

    assert (first.status, first.headers["content-type"]) == (203, "a/b")
    assert (second.status, second.headers["x-a"]) == (202, "1")
    for reply in (first, second):
        assert reply.body == b"0123456789"
        assert reply.headers["set-cookie"].startswith("name=value")


def test_one_sendfile_can_be_the_body_of_many_answers(notes):
    file = SendFile(notes)
    replies = [ask((Headers({"x-a": "1"}), file)) for _ in range(2)]

    assert [reply.headers.getall("x-a") for reply in replies] == [["1"], ["1"]]
    assert "x-a" not in ask(file).headers


@pytest.mark.parametrize(
    "arguments",
    [{"status": 204}, {"status": 304}, {"status": 199}, {"status": 600}, {"max_age_s": -1}],
)
def test_what_cannot_be_sent_with_a_file_is_refused_at_once(arguments):
    with pytest.raises(ValueError, match=r"a file|max_age_s"):
        SendFile("x", **arguments)


def test_something_else_is_no_path():
    with pytest.raises(TypeError):
        SendFile(3)


def test_a_changed_file_is_sent_as_it_is_now(notes):
    first = ask(notes)
    notes.write_bytes(b"something else")
    second = ask(notes, if_none_match=first.headers["etag"])

    assert second.status == 200
    assert second.body == b"something else"
    assert second.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize("http2", [False, True])
def test_a_client_that_has_the_file_gets_304(notes, http2):
    first = ask(SendFile(notes, max_age_s=5), http2=http2)
    for headers in (
        {"if_none_match": first.headers["etag"]},
        {"if_modified_since": first.headers["last-modified"]},
    ):
        reply = ask(SendFile(notes, max_age_s=5), http2=http2, **headers)

        assert (reply.status, reply.body) == (304, b"")
        assert reply.headers["etag"] == first.headers["etag"]
        assert reply.headers["cache-control"] == "max-age=5"
        assert "content-type" not in reply.headers


def test_a_post_gets_the_file_whatever_its_conditions_are(notes):
    reply = ask(notes, "POST", methods=("POST",), if_none_match="*", range="bytes=0-1")

    assert (reply.status, reply.body) == (200, b"0123456789")


# ── ranges ────────────────────────────────────────────────────────────────────────────────


def pieces_of(reply):
    """The pieces of a 206: position, content, and the size that it names."""
    if not reply.headers["content-type"].startswith("multipart/byteranges"):
        return [(reply.headers["content-range"], reply.body)]
    head = f"content-type: {reply.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + reply.body)
    assert not message.defects
    return [(part["content-range"], part.get_payload(decode=True)) for part in message.iter_parts()]


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize(
    "ranges", ["0-0", "5-", "-70000", "0-1,9-12,-1", "0-99999,200000-400000,-3", "1-524287"]
)
def test_the_pieces_are_slices_of_the_file(big, ranges, http2):
    content = big.read_bytes()
    reply = ask(big, range=f"bytes={ranges}", http2=http2)
    pieces = pieces_of(reply)

    assert reply.status == 206
    assert len(pieces) == len(ranges.split(","))
    assert int(reply.headers["content-length"]) == len(reply.body)
    for content_range, piece in pieces:
        first, last = content_range.removeprefix("bytes ").split("/")[0].split("-")
        assert content_range.endswith(f"/{len(content)}")
        assert piece == content[int(first) : int(last) + 1]


def test_a_range_behind_the_end_is_416_with_the_size(notes):
    reply = ask(notes, range="bytes=10-")

    assert reply.status == 416
    assert reply.headers["content-range"] == "bytes */10"
    assert reply.headers["content-type"] == "application/problem+json"


def test_another_version_is_412(notes):
    assert ask(notes, if_match='"x"').status == 412


RANGES = st.one_of(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    st.lists(st.from_regex(r"[0-9]{0,3}-[0-9]{0,3}", fullmatch=True), max_size=7).map(",".join),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(",".join(f"{at * 2}-{at * 2}" for at in range(3_000)))
@given(RANGES)
def test_any_range_is_answered_with_slices_or_with_the_whole(tmp_path, ranges):
    content = bytes(range(200))
    path = tmp_path / "file.bin"
    if not path.exists():
        path.write_bytes(content)
    exchange = MemoryExchange(headers={"range": f"bytes={ranges}"})
    try:
        asyncio.run(send_file(exchange, SendFile(path), asyncio.to_thread))
    except HttpError as refused:
        status = refused.status
    else:
        status = exchange.reply.status
    if status == 416:
        return
    if exchange.reply.status == 200:
        assert exchange.reply.body == content
        return
    assert exchange.reply.status == 206
    for content_range, piece in pieces_of(exchange.reply):
        first, last = content_range.removeprefix("bytes ").split("/")[0].split("-")
        assert piece == content[int(first) : int(last) + 1]
        assert piece


# ── what is no file ───────────────────────────────────────────────────────────────────────


def make_missing(folder):
    return folder / "missing"


def make_folder(folder):
    return folder


def make_link_to_folder(folder):
    (folder / "link").symlink_to(folder)
    return folder / "link"


def make_dangling_link(folder):
    (folder / "link").symlink_to(folder / "nowhere")
    return folder / "link"


def make_circle(folder):
    (folder / "link").symlink_to(folder / "link")
    return folder / "link"


def make_fifo(folder):
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def make_device(folder):
    return Path(os.devnull)


def make_below_file(folder):
    (folder / "file").write_bytes(b"")
    return folder / "file" / "below"


def make_long_name(folder):
    return folder / ("x" * 5000)


def make_nul(folder):
    return SendFile(f"{folder}/a\0b")


@pytest.mark.parametrize(
    "make",
    [make_missing, make_folder, make_link_to_folder, make_dangling_link, make_circle, make_fifo,
     make_device, make_below_file, make_long_name, make_nul],
)  # fmt: skip
def test_what_is_no_regular_file_is_404(tmp_path, caplog, make):
    path = make(tmp_path)
    before = open_descriptors()
    for method in ("GET", "HEAD"):
        assert ask(path, method).status == 404
    assert open_descriptors() == before
    assert not caplog.records


def test_a_socket_is_404(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # its whole path may be too long for a socket
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        assert ask(Path("socket")).status == 404


def test_a_link_to_a_file_is_that_file(tmp_path, notes):
    (tmp_path / "link.html").symlink_to(notes)

    assert ask(tmp_path / "link.html").body == b"0123456789"


def refusing(number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_file_that_may_not_be_read_is_404_and_in_the_log(notes, monkeypatch, caplog):
    # Root may read everything, so the system is not asked.
    monkeypatch.setattr(file_sending.os, "open", refusing(13))
    reply = ask(notes)

    assert reply.status == 404
    assert "no permission to read" in caplog.text
    assert notes.name not in reply.text


def test_a_server_without_descriptors_is_no_missing_file(notes, monkeypatch, caplog):
    monkeypatch.setattr(file_sending.os, "open", refusing(24))

    assert ask(notes).status == 500
    assert "OSError in the handler" in caplog.text


def test_the_author_can_answer_for_a_missing_file(notes):
    dispatcher = serving(lambda: notes.with_name("missing"))
    dispatcher.errors.add(404, lambda: notes)
    with Client(dispatcher) as client:
        reply = client.get("/", headers={"range": "bytes=0-1"})

    assert (reply.status, reply.body) == (404, b"0123456789")


@pytest.mark.parametrize("page", ["path", "tuple", "stream"])
def test_a_page_for_errors_that_fails_is_not_asked_for_again(tmp_path, caplog, page):
    def failing():
        yield from ()
        raise KeyError("page")

    pages = {
        "path": tmp_path / "404.html",
        "tuple": (200, tmp_path / "404.html"),
        "stream": Stream(failing(), headers={"x": "a\nb"}),
    }
    dispatcher = serving(lambda: tmp_path / "missing")
    dispatcher.errors.add(404, lambda: pages[page])
    dispatcher.errors.add(None, lambda: pages[page])
    with Client(dispatcher) as client:
        reply = client.get("/")

    assert reply.status == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert len(caplog.records) == 1


# ── while it is sent ──────────────────────────────────────────────────────────────────────


def test_a_slow_client_has_one_piece_in_memory(big):
    async def test():
        exchange = Recorded(room_bytes=1)
        sending = asyncio.create_task(send_file(exchange, SendFile(big), asyncio.to_thread))
        while not exchange.pieces:
            await asyncio.sleep(0)
        await turns()
        assert len(exchange.answer) == FILE_READ_BYTES
        exchange.take(10**9)
        await sending
        assert exchange.answer == big.read_bytes()

    run(test)


def test_a_file_that_is_cut_meanwhile_breaks_the_answer_off(big):
    async def test():
        before = open_descriptors()
        exchange = Recorded(room_bytes=1)
        sending = asyncio.create_task(send_file(exchange, SendFile(big), asyncio.to_thread))
        while not exchange.pieces:
            await asyncio.sleep(0)
        os.truncate(big, FILE_READ_BYTES + 5)
        exchange.take(10**9)
        with pytest.raises(LengthError, match="shorter"):
            await sending
        assert len(exchange.answer) == FILE_READ_BYTES + 5
        assert not exchange.answered
        assert open_descriptors() == before

    run(test)


def test_of_a_file_that_grows_meanwhile_what_was_announced_is_sent(big):
    async def test():
        content = big.read_bytes()
        exchange = Recorded(room_bytes=1)
        sending = asyncio.create_task(send_file(exchange, SendFile(big), asyncio.to_thread))
        while not exchange.pieces:
            await asyncio.sleep(0)
        with big.open("ab") as file:
            file.write(b"more")
        exchange.take(10**9)
        await sending
        assert exchange.answer == content
        assert exchange.answer_head.length == len(content)

    run(test)


def test_a_file_that_is_cut_while_a_small_one_is_read_is_no_answer(notes, monkeypatch):
    fstat = os.fstat

    def cut(number):
        info = fstat(number)
        os.truncate(notes, 3)
        return info

    monkeypatch.setattr(file_sending.os, "fstat", cut)

    assert ask(notes).status == 500


def test_the_file_is_closed_when_the_client_leaves(big):
    async def test():
        before = open_descriptors()
        exchange = Recorded(room_bytes=1)
        sending = asyncio.create_task(send_file(exchange, SendFile(big), asyncio.to_thread))
        while not exchange.pieces:
            await asyncio.sleep(0)
        exchange.leave()
        with pytest.raises(ClientGone):
            await sending
        assert open_descriptors() == before

    run(test)


def test_the_file_is_closed_when_the_task_is_cancelled(big):
    async def test():
        before = open_descriptors()
        exchange = Recorded(room_bytes=1)
        sending = asyncio.create_task(send_file(exchange, SendFile(big), asyncio.to_thread))
        while not exchange.pieces:
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert open_descriptors() == before

    run(test)


def test_a_file_that_is_opened_too_late_is_closed(big):
    """The task is cancelled while a thread opens the file."""

    async def test():
        before = open_descriptors()
        calls = []

        async def in_thread(function, *arguments):
            calls.append((function, arguments))
            await asyncio.Event().wait()

        sending = asyncio.create_task(send_file(Recorded(), SendFile(big), in_thread))
        await turns()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        (function, arguments), *_ = calls
        with pytest.raises((ValueError, HttpError)):
            function(*arguments)
        assert open_descriptors() == before

    run(test)


def test_the_loop_never_touches_the_disk(big, monkeypatch):
    """Every call that may wait for one is made in a thread of the pool."""

    async def test():
        loop_thread = threading.get_ident()
        seen = set()

        def noting(name, call):
            def noted(*arguments, **named):
                seen.add((name, threading.get_ident() == loop_thread))
                return call(*arguments, **named)

            return noted

        for name in ("open", "fstat", "pread"):
            monkeypatch.setattr(os, name, noting(name, getattr(os, name)))
        async with AsyncClient(serving(lambda: big)) as client:
            await client.get("/")
        monkeypatch.undo()
        assert seen == {("open", False), ("fstat", False), ("pread", False)}

    run(test)


def test_a_stopped_server_sends_no_file(notes, caplog):
    async def test():
        dispatcher = serving(lambda: notes, inline=True)
        exchange = Recorded()
        with caplog.at_level(logging.CRITICAL):
            dispatcher.handle(exchange)
            await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
        assert exchange.status == 500

    run(test)
