"""The body as an author reads it: every way, one after another, coded, too large, cut short."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import io
import shutil
import threading
import zlib
from typing import Annotated, Any

import pytest

from tarry.app.params import Body, Form
from tarry.app.reading import KEPT_FORM_BYTES
from tarry.app.request import Request
from tarry.exchange import BodyTooLarge, ClientGone
from tests.app.serving import WAIT_S, Asked, once, serving, started
from tests.exchanges import Recorded, turns

URLENCODED = ("content-type", "application/x-www-form-urlencoded")
MULTIPART = ("content-type", "multipart/form-data; boundary=b")
JSON = ("content-type", "application/json")
GZIP = ("content-encoding", "gzip")


def part(name, content, filename=None):
    file = "" if filename is None else f'; filename="{filename}"'
    head = f'--b\r\ncontent-disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def feeding(handler, feed, *headers, **settings):
    """One POST whose body `feed(exchange)` sends; what became of it."""

    async def run():
        async with started(serving(handler, methods=["POST"], **settings)) as dispatcher:
            exchange = Recorded("POST", "/", headers, body=True)
            dispatcher.handle(exchange)
            await asyncio.wait_for(feed(exchange), WAIT_S)
            await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
            return Asked(exchange)

    return asyncio.run(run())


def post(handler, body, *headers, **settings):
    return once(serving(handler, methods=["POST"], **settings), "POST", "/", headers, body=body)


async def joined(pieces):
    return b"".join([piece async for piece in pieces])


# ── one way after another ─────────────────────────────────────────────────────────────────


def test_the_raw_body_is_there_after_json_was_bound():
    async def handler(request: Request, value: Annotated[Any, Body()]):
        assert value == {"a": 1}
        assert await request.body() == b'{"a": 1}'
        assert await request.json() == {"a": 1}
        return await joined(request.stream())

    assert post(handler, b'{"a": 1}', JSON).body == b'{"a": 1}'


def test_the_raw_body_is_there_after_an_urlencoded_form():
    async def handler(request: Request):
        assert dict(await request.form()) == {"a": "1", "b": "2"}
        assert await joined(request.stream()) == b"a=1&b=2"
        return await request.body()

    assert post(handler, b"a=1&b=2", URLENCODED).body == b"a=1&b=2"


def test_the_raw_body_is_there_after_a_small_multipart_form():
    sent = part("a", b"1") + part("f", b"file", "f.txt") + b"--b--\r\n"

    async def handler(request: Request):
        form = await request.form()
        assert (form["a"], form.file("f").read()) == ("1", b"file")
        return await request.body()

    assert post(handler, sent, MULTIPART).body == sent


def test_a_form_is_read_once_and_the_same_each_time():
    async def handler(request: Request):
        return str(await request.form() is await request.form())

    assert post(handler, b"a=1", URLENCODED).body == b"True"


def test_a_form_can_be_read_after_the_raw_body():
    async def handler(request: Request):
        return [(await request.body()).decode(), dict(await request.form())]

    assert post(handler, b"a=1", URLENCODED).json == ["a=1", {"a": "1"}]


@pytest.mark.parametrize("way", ["body", "stream", "file"])
def test_a_large_form_is_not_kept_and_says_so(way, caplog):
    sent = part("f", b"x" * KEPT_FORM_BYTES, "f.bin") + b"--b--\r\n"

    async def handler(request: Request):
        assert (await request.form()).file("f").size_bytes == KEPT_FORM_BYTES
        if way == "body":
            await request.body()
        elif way == "stream":
            await joined(request.stream())
        else:
            await asyncio.to_thread(request.file.read)

    assert post(handler, sent, MULTIPART).status == 500
    assert "has been read" in caplog.text


@pytest.mark.parametrize("way", ["body", "json", "form"])
def test_what_was_streamed_in_part_is_no_longer_whole(way, caplog):
    async def handler(request: Request):
        async for _ in request.stream():
            break
        await getattr(request, way)()

    assert post(handler, b"a=1", URLENCODED).status == 500
    assert "the body has been read in pieces already" in caplog.text


def test_a_stream_goes_on_where_another_one_stopped():
    read = []

    async def handler(request: Request):
        async for piece in request.stream():
            read.append(piece)
            break
        read.append([piece async for piece in request.stream()])
        read.append([piece async for piece in request.stream()])

    async def feed(exchange):
        for piece in (b"one", b"two", b"three"):
            exchange.body.feed(piece)
            await turns()
        exchange.body.finish([])

    assert feeding(handler, feed).status == 204
    assert read == [b"one", [b"two", b"three"], []]


def test_two_tasks_cannot_read_one_body(caplog):
    async def handler(request: Request):
        first = asyncio.create_task(joined(request.stream()))
        await turns()
        with pytest.raises(RuntimeError, match="two readers"):
            await joined(request.stream())
        going_on.set()
        return await first

    going_on = asyncio.Event()

    async def feed(exchange):
        await going_on.wait()
        exchange.body.finish([], b"whole")

    assert feeding(handler, feed).body == b"whole"


# ── readers that are cancelled ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("listens", [False, True])
@pytest.mark.parametrize("first", ["body", "stream"])
def test_a_reader_that_is_cancelled_loses_nothing(first, listens, coded):
    read, told = [], []
    fed, cancelled = asyncio.Event(), asyncio.Event()
    sent = gzip.compress(b"one" * 40_000) if coded else b"onetwo"

    async def begin(request):
        if first == "body":
            await request.body()
        async for piece in request.stream():
            read.append(piece)

    async def handler(request: Request):
        if listens:
            request.on("data", lambda chunk: told.append(chunk), inline=True)
        await fed.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await begin(request)
        cancelled.set()
        if first == "body":
            read.append(await request.body())
        else:
            read.extend([piece async for piece in request.stream()])

    async def feed(exchange):
        exchange.body.feed(sent[: len(sent) // 2])
        fed.set()
        await cancelled.wait()
        exchange.body.finish([], sent[len(sent) // 2 :])

    assert feeding(handler, feed, *([GZIP] if coded else [])).status == 204
    expected = gzip.decompress(sent) if coded else sent
    assert b"".join(read) == expected
    assert b"".join(told) == (expected if listens else b"")


def test_a_listener_that_is_cancelled_loses_no_piece():
    blocked, go_on = asyncio.Event(), asyncio.Event()

    async def listen():
        blocked.set()
        await go_on.wait()

    async def handler(request: Request):
        request.on("data", listen)
        reading = asyncio.create_task(request.body())
        await blocked.wait()
        reading.cancel()
        await asyncio.wait([reading])
        go_on.set()
        return await request.body()

    assert post(handler, b"whole").body == b"whole"


def test_a_form_that_was_cancelled_is_not_made_of_the_rest(caplog):
    fed, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(request: Request):
        await fed.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await request.form()
        cancelled.set()
        return dict(await request.form())

    async def feed(exchange):
        exchange.body.feed(b"a=1&")
        fed.set()
        await cancelled.wait()
        exchange.body.finish([], b"b=2")

    assert feeding(handler, feed, URLENCODED).status == 500
    assert "nobody can tell any more what was in the form" in caplog.text


# ── content codings ───────────────────────────────────────────────────────────────────────


async def by_body(request: Request):
    return await request.body()


async def by_stream(request: Request):
    return await joined(request.stream())


def by_file(request: Request):
    return request.file.read()


async def by_argument(raw: Annotated[bytes, Body()]):
    return raw


async def by_json(value: Annotated[str, Body()]):
    return value


async def by_form(request: Request):
    return (await request.form())["a"]


WAYS = {
    "body": (by_body, b"text", b"text", ()),
    "stream": (by_stream, b"text", b"text", ()),
    "file": (by_file, b"text", b"text", ()),
    "argument": (by_argument, b"text", b"text", ()),
    "json": (by_json, b'"text"', b"text", (JSON,)),
    "form": (by_form, b"a=text", b"text", (URLENCODED,)),
}
EACH_WAY = pytest.mark.parametrize("way", WAYS)


@EACH_WAY
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "identity", "gzip, gzip"])
def test_a_content_coding_is_taken_off(way, coding):
    handler, plain, answer, headers = WAYS[way]
    coded = {"deflate": zlib.compress, "identity": bytes}.get(coding, gzip.compress)(plain)
    if coding == "gzip, gzip":
        coded = gzip.compress(coded)

    assert post(handler, coded, *headers, ("content-encoding", coding)).body == answer


@EACH_WAY
def test_an_unknown_coding_is_415_with_those_that_are_known(way):
    handler, plain, _, headers = WAYS[way]
    asked = post(handler, plain, *headers, ("content-encoding", "rot13"))

    assert asked.status == 415
    assert b"gzip" in asked.headers[b"accept-encoding"]


@EACH_WAY
@pytest.mark.parametrize("damage", ["not gzip", "cut", "trailing"])
def test_a_damaged_coding_is_400(way, damage):
    handler, plain, _, headers = WAYS[way]
    coded = gzip.compress(plain)
    sent = {"not gzip": plain, "cut": coded[:-1], "trailing": coded + b"x"}[damage]

    assert post(handler, sent, *headers, GZIP).status == 400


@EACH_WAY
def test_the_limit_is_that_of_the_expanded_body(way):
    handler, plain, answer, headers = WAYS[way]
    sent = gzip.compress(plain.ljust(500))

    assert post(handler, sent, *headers, GZIP, max_body_bytes=500).body.strip() == answer
    assert post(handler, sent, *headers, GZIP, max_body_bytes=499).status == 413


@EACH_WAY
def test_a_body_that_expands_a_thousand_times_is_413(way):
    handler, _, _, headers = WAYS[way]
    bomb = gzip.compress(b" " * 4_000_000)

    assert post(handler, bomb, *headers, GZIP).status == 413


def test_a_coded_body_that_was_refused_is_refused_again():
    seen = []

    async def handler(request: Request):
        for _ in range(2):
            try:
                await joined(request.stream())
            except BodyTooLarge:
                seen.append("too large")

    assert post(handler, gzip.compress(b"x" * 999), GZIP, max_body_bytes=998).status == 204
    assert seen == ["too large"] * 2


# ── listeners ─────────────────────────────────────────────────────────────────────────────


async def reads_nothing(request):
    return None


async def reads_all(request):
    await request.body()


async def reads_a_part(request):
    async for _ in request.stream():
        break


async def reads_a_form(request):
    await request.form()


@pytest.mark.parametrize("headers", [(), (GZIP,)], ids=["plain", "coded"])
@pytest.mark.parametrize("read", [reads_nothing, reads_all, reads_a_part, reads_a_form])
@pytest.mark.parametrize("when", ["before", "after"])
def test_who_listens_hears_the_end_once_whoever_reads(when, read, headers):
    told = []
    sent = gzip.compress(b"a=1") if headers else b"a=1"

    async def handler(request: Request):
        if when == "after":
            await read(request)
        request.on("data", lambda chunk: told.append(chunk), inline=True)
        request.on("end", lambda: told.append("end"), inline=True)
        if when == "before":
            await read(request)
        return "answer"

    asked = post(handler, sent, URLENCODED, *headers)

    assert (asked.body, told[-1], told.count("end")) == (b"answer", "end", 1)
    # What was read in pieces before somebody listened is gone.
    in_pieces = when == "after" and read is reads_a_part
    assert b"".join(told[:-1]) == (b"" if in_pieces else b"a=1")


def test_who_listens_hears_of_a_body_that_was_an_argument():
    told = []

    def handler(request: Request, raw: Annotated[bytes, Body()]):
        request.on("data", lambda chunk: told.append(chunk), inline=True)
        request.on("end", lambda: told.append("end"), inline=True)

    assert post(handler, b"abc").status == 204
    assert told == [b"abc", "end"]


def test_the_end_of_a_get_is_told_too():
    told = []

    async def handler(request: Request):
        request.on("end", lambda: told.append("end"), inline=True)

    assert once(serving(handler)).status == 204
    assert told == ["end"]


def test_a_listener_can_amend_the_answer_at_the_end():
    async def handler(request: Request):
        sizes = []
        request.on("data", lambda chunk: sizes.append(len(chunk)), inline=True)

        @request.on("end")
        def finish(response):
            response.status = 201
            response.headers["x-size"] = str(sum(sizes))

        return "stored"

    asked = post(handler, b"12345")
    assert (asked.status, asked.headers[b"x-size"], asked.body) == (201, b"5", b"stored")


def test_a_body_that_is_too_large_for_listeners_is_413():
    async def handler(request: Request):
        request.on("data", lambda chunk: None, inline=True)
        return "stored"

    assert post(handler, b"12345", max_body_bytes=4).status == 413


# ── like a file ───────────────────────────────────────────────────────────────────────────


def test_a_file_is_read_bit_by_bit():
    def handler(request: Request):
        assert request.file is request.file
        return [request.file.read(2).decode(), request.file.read(3).decode(),
                request.file.read().decode(), request.file.read().decode()]  # fmt: skip

    assert post(handler, b"abcdefgh").json == ["ab", "cde", "fgh", ""]


def test_a_file_has_lines_across_pieces():
    def handler(request: Request):
        return [line.decode() for line in request.file]

    async def feed(exchange):
        for piece in (b"one\ntw", b"o\n", b"three"):
            exchange.body.feed(piece)
            await turns()
        exchange.body.finish([])

    assert feeding(handler, feed).json == ["one\n", "two\n", "three"]


def test_a_file_can_be_copied_by_the_standard_library():
    def handler(request: Request):
        target = io.BytesIO()
        shutil.copyfileobj(request.file, target)
        return target.getvalue()

    sent = bytes(range(256)) * 4096
    assert post(handler, sent).body == sent


def test_a_file_of_a_request_without_a_body_is_empty():
    assert once(serving(by_file)).body == b""


def test_a_file_has_what_was_read_whole_before():
    def handler(request: Request, raw: Annotated[bytes, Body()]):
        return raw + request.file.read()

    assert post(handler, b"ab").body == b"abab"


@pytest.mark.parametrize("times", [1, 2])
def test_a_client_that_leaves_frees_the_thread(times):
    ended, reading = [], threading.Event()

    def handler(request: Request):
        for _ in range(times):
            try:
                reading.set()
                shutil.copyfileobj(request.file, io.BytesIO())
            except ClientGone:
                ended.append("gone")
        raise ClientGone

    async def run():
        async with started(serving(handler, methods=["POST"])) as dispatcher:
            exchange = Recorded("POST", body=True)
            dispatcher.handle(exchange)
            exchange.body.feed(b"one")
            await asyncio.to_thread(reading.wait, WAIT_S)
            exchange.leave()
            await asyncio.wait_for(exchange.complete.wait(), WAIT_S)

    asyncio.run(run())
    assert ended == ["gone"] * times


async def read_on_the_loop(request: Request):
    return request.file.read()


@pytest.mark.parametrize("handler", [by_file, read_on_the_loop])
def test_a_file_read_on_the_loop_is_an_error_and_no_deadlock(handler, caplog):
    asked = post(handler, b"abc", inline=handler is by_file)

    assert asked.status == 500
    assert "request.file waits for the loop" in caplog.text


def test_a_coroutine_can_have_a_thread_read_the_file():
    async def handler(request: Request):
        return await asyncio.to_thread(request.file.read)

    assert post(handler, b"abc").body == b"abc"


def test_a_file_may_be_read_in_a_thread_that_has_another_loop():
    def handler(request: Request):
        async def read():
            return request.file.read()

        return asyncio.run(read())

    assert post(handler, b"abc").body == b"abc"


# ── when it is asked for ──────────────────────────────────────────────────────────────────


def asked_for_body(handler, *headers, method="POST", **options):
    """How often 100 Continue was asked for, and the status."""

    async def run():
        dispatcher = serving(handler, methods=[method], **options)
        async with started(dispatcher):
            exchange = Recorded(method, "/", headers, body=True, expects=True)
            dispatcher.handle(exchange)
            await turns(50)
            asked = exchange.asked_for_body
            if not exchange.complete.is_set():
                exchange.body.finish([], b"a=1")
            await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
            assert exchange.asked_for_body in (asked, 1)
            return exchange.asked_for_body, exchange.status

    return asyncio.run(run())


@pytest.mark.parametrize("handler", [by_body, by_stream, by_file, by_argument])
def test_continue_is_asked_for_when_the_body_is_read(handler):
    assert asked_for_body(handler) == (1, 200)


def test_continue_is_not_asked_for_by_who_reads_nothing():
    assert asked_for_body(lambda: "early") == (0, 200)


@pytest.mark.parametrize("handler", [by_body, by_stream, by_file, by_argument])
def test_continue_is_not_asked_for_when_the_body_is_refused(handler):
    too_long = ("content-length", "11")

    assert asked_for_body(handler, too_long, max_body_bytes=10) == (0, 413)
    assert asked_for_body(handler, ("content-encoding", "rot13")) == (0, 415)


def test_continue_is_not_asked_for_when_a_form_is_none():
    def handler(a: str = Form()):
        return a

    assert asked_for_body(handler, JSON) == (0, 415)
    assert asked_for_body(handler, URLENCODED) == (1, 200)


# ── limits ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("announced", [True, False])
@EACH_WAY
def test_at_the_limit_and_one_beyond(way, announced):
    handler, plain, answer, headers = WAYS[way]
    headers += (("content-length", str(len(plain))),) if announced else ()

    assert post(handler, plain, *headers, max_body_bytes=len(plain)).body == answer
    assert post(handler, plain, *headers, max_body_bytes=len(plain) - 1).status == 413


@EACH_WAY
def test_what_is_too_large_is_refused_before_the_rest_has_come(way):
    handler, _, _, headers = WAYS[way]

    async def feed(exchange):
        exchange.body.feed(b"12345")

    assert feeding(handler, feed, *headers, max_body_bytes=4).status == 413


def test_nobody_is_refused_for_a_body_that_nobody_reads():
    assert post(lambda: "early", b"12345", max_body_bytes=4).status == 200


def test_listeners_of_a_client_that_leaves_are_no_error(caplog):
    async def handler(request: Request):
        request.on("end", lambda: ended.append(True), inline=True)

    ended = []

    async def feed(exchange):
        await turns()
        exchange.leave()

    assert feeding(functools.partial(handler), feed).aborted
    assert not ended
    assert not caplog.records
