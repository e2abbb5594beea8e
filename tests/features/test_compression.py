"""Compressed answers: which, for whom, with which fields, and what becomes of streams."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import random
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry import App
from tarry.app.request import Request
from tarry.app.responses import Response, Stream
from tarry.app.results import ResultError, answer_for
from tarry.app.streaming import send_stream
from tarry.exchange import ClientGone
from tarry.features.compression import CODINGS, INLINE_BYTES, Compression
from tarry.message.codecs import is_installed
from tarry.message.codings import UnknownCoding, decoder_for
from tarry.message.headers import Headers
from tarry.message.heads import LengthError
from tarry.testing import Client
from tests.exchanges import Recorded

WAIT_S = 10.0
HTML = "text/html; charset=utf-8"
TEXT = b"<p>A line of text that is repeated.</p>\n" * 100
LARGE = b"".join(b"<p>Line %d of many.</p>\n" % number for number in range(20_000))
EVERY_CODING = pytest.mark.parametrize("coding", CODINGS)
KINDS = pytest.mark.parametrize("kind", ["plain", "asynchronous"])


def response(body=TEXT, content_type=HTML, status=200, **fields):
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return Response(body, status, {"content-type": content_type, **headers})


def applied(answer, accept_encoding="gzip", compression=None, **fields):
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    if accept_encoding is not None:
        headers["accept-encoding"] = accept_encoding
    (compression or Compression()).apply(headers, answer)
    return answer


def decoded(coding, data):
    decoder = decoder_for(coding)
    text = b"".join(decoder.feed(data))
    decoder.finish()
    return text


async def sent(answer, method="GET", exchange=None):
    """What a client gets of an answer."""
    exchange = exchange or Recorded(method)
    converted = answer_for(answer)
    if isinstance(converted, Stream):
        await send_stream(exchange, converted)
    else:
        exchange.respond(*converted)
    return exchange


def run(test):
    return asyncio.run(asyncio.wait_for(test, WAIT_S))


class Source:
    """Pieces of both kinds that say when they are closed, and in which thread they were taken."""

    def __init__(self, pieces, fails=None):
        self.closed = False
        self.taken = 0
        self._pieces = pieces
        self._fails = fails

    def plain(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.taken == len(self._pieces):
            raise self._fails or StopIteration
        self.taken += 1
        return self._pieces[self.taken - 1]

    def close(self):
        self.closed = True

    def asynchronous(self):
        return AsyncSource(self)


class AsyncSource:
    def __init__(self, source):
        self._source = source

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        try:
            return next(self._source)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self):
        await asyncio.sleep(0)
        self._source.close()


# ── whole bodies ─────────────────────────────────────────────────────────────────────────────


@EVERY_CODING
def test_a_body_is_compressed(coding):
    answer = applied(response(), coding)

    assert decoded(coding, answer.body) == TEXT
    assert len(answer.body) < len(TEXT) / 10
    assert answer.headers["content-encoding"] == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"] == HTML


def test_the_length_is_that_of_the_compressed_body():
    answer = applied(response(content_length=str(len(TEXT))))

    exchange = run(sent(answer))

    assert gzip.decompress(exchange.answer) == TEXT


@EVERY_CODING
@pytest.mark.parametrize("size", [INLINE_BYTES - 1, INLINE_BYTES, INLINE_BYTES + 1, len(LARGE)])
def test_a_large_body_becomes_a_stream(coding, size):
    answer = applied(response(LARGE[:size]), coding)

    assert isinstance(answer.body, Stream) == (size > INLINE_BYTES)
    exchange = run(sent(answer))
    assert decoded(coding, exchange.answer) == LARGE[:size]
    assert exchange.answer_head.get(b"content-type") == HTML.encode()
    assert exchange.answer_head.get(b"content-encoding") == coding.encode()
    assert b"" not in exchange.pieces


def test_a_large_body_is_compressed_in_a_thread_and_in_slices():
    body = LARGE * 20
    answer = applied(response(body))

    tracemalloc.start()
    try:
        run(sent(answer))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < len(body) / 4


def test_head_gets_the_fields_of_get():
    for body in (TEXT, LARGE):
        get, head = (run(sent(applied(response(body)), method)) for method in ("GET", "HEAD"))

        assert get.answer_head.fields == head.answer_head.fields


def test_the_status_stays():
    answer = applied(response(status=404))

    assert answer.status == 404
    assert answer.headers["content-encoding"] == "gzip"


def test_a_body_that_does_not_get_smaller_stays():
    noise = random.Random(1).randbytes(2000)
    answer = applied(response(noise, etag='"1"'))

    assert answer.body == noise
    assert "content-encoding" not in answer.headers
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["vary"] == "Accept-Encoding"


@given(st.binary(max_size=5000), st.sampled_from(CODINGS), st.integers(1, 9))
@settings(max_examples=100)
def test_every_body_comes_back(body, coding, times):
    answer = applied(response(body * times), coding, Compression(min_bytes=0))

    if "content-encoding" in answer.headers:
        assert decoded(coding, answer.body) == body * times
    else:
        assert answer.body == body * times


# ── what is left alone ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "answer",
    [
        functools.partial(response, content_encoding="br"),
        functools.partial(response, content_range="bytes 0-3999/8000", status=206),
        functools.partial(response, content_range="bytes 0-3999/8000"),
        functools.partial(response, content_digest="sha-256=:AAAA:"),
        functools.partial(response, repr_digest="sha-256=:AAAA:"),
        functools.partial(response, cache_control="max-age=60, No-Transform"),
        functools.partial(response, status=206),
        functools.partial(response, status=204),
        functools.partial(response, status=205),
        functools.partial(response, status=304),
        functools.partial(response, content_type="image/png"),
        functools.partial(response, content_type="text/event-stream"),
        functools.partial(response, content_type="application/octet-stream"),
        functools.partial(response, content_type="application/zip"),
        functools.partial(response, content_type="json"),
        functools.partial(response, content_type="text/html, text/plain"),
        functools.partial(Response, TEXT),
        functools.partial(response, body=None),
        functools.partial(response, body={"a": "text " * 1000}),
        functools.partial(response, body=object()),
    ],
)
def test_these_are_left_alone(answer):
    given = answer(headers={"etag": '"1"'}) if answer.func is Response else answer(etag='"1"')
    before = list(given.headers.items())
    body = given.body

    applied(given)

    assert list(given.headers.items()) == before
    assert given.body is body


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "TEXT/Plain", "text/css;charset=utf-8", "text/x-new", "application/json",
     "application/problem+json", "application/atom+xml", "image/svg+xml", "text/javascript",
     "application/javascript", "application/wasm", "application/x-ndjson"],
)  # fmt: skip
def test_these_types_are_compressed(content_type):
    assert applied(response(content_type=content_type)).headers["content-encoding"] == "gzip"


def test_types_can_be_named():
    compression = Compression(types=["Text/Event-Stream", "*+cbor", "model/*"])

    for content_type in ("text/event-stream", "application/a+cbor", "model/gltf-binary"):
        answer = applied(response(content_type=content_type), "gzip", compression)
        assert "content-encoding" in answer.headers
    for content_type in ("text/html", "application/cbor", "application/json"):
        answer = applied(response(content_type=content_type), "gzip", compression)
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(("size", "compressed"), [(1023, False), (1024, True)])
@pytest.mark.parametrize("streamed", [False, True])
def test_small_bodies_stay(size, compressed, streamed):
    body = b"a" * size
    answer = applied(response(Stream([body], length=size) if streamed else body))

    assert ("content-encoding" in answer.headers) == compressed
    assert answer.headers["vary"] == "Accept-Encoding"
    exchange = run(sent(answer))
    assert (gzip.decompress(exchange.answer) if compressed else exchange.answer) == body


@pytest.mark.parametrize("accept_encoding", [None, "", "identity", "gzip;q=0", "rot13", "gzip;q"])
def test_an_answer_as_it_is_varies_too(accept_encoding):
    answer = applied(response(etag='"1"', accept_ranges="bytes"), accept_encoding)

    assert answer.body == TEXT
    assert dict(answer.headers.items()) == {
        "content-type": HTML,
        "etag": '"1"',
        "accept-ranges": "bytes",
        "vary": "Accept-Encoding",
    }


# ── fields ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ["Accept-Encoding"]),
        (["Cookie"], ["Cookie, Accept-Encoding"]),
        (["Cookie", "Origin"], ["Cookie, Origin, Accept-Encoding"]),
        (["accept-encoding ,Cookie"], ["accept-encoding ,Cookie"]),
        (["*"], ["*"]),
    ],
)
def test_vary_is_added_once(given, expected):
    answer = response()
    for value in given:
        answer.headers.add("Vary", value)

    assert applied(answer).headers.getall("vary") == expected


@pytest.mark.parametrize(("given", "expected"), [('"a"', 'W/"a"'), ('W/"a"', 'W/"a"')])
def test_rfc9110_8_8_1_an_etag_becomes_weak(given, expected):
    answer = applied(response(etag=given, accept_ranges="bytes"))

    assert answer.headers["etag"] == expected
    assert "accept-ranges" not in answer.headers


@pytest.mark.parametrize(
    ("if_none_match", "etag", "vary"),
    [
        ('W/"a"', 'W/"a"', "Accept-Encoding"),
        ('"b", W/"a"', 'W/"a"', "Accept-Encoding"),
        ('"a"', '"a"', None),
        ('W/"ba"', '"a"', None),
        ("*", '"a"', None),
    ],
)
def test_rfc9110_15_4_5_not_modified_has_the_etag_of_what_the_client_stored(
    if_none_match, etag, vary
):
    answer = applied(Response(None, 304, {"etag": '"a"'}), if_none_match=if_none_match)

    assert answer.headers["etag"] == etag
    assert answer.headers.get("vary") == vary


# ── streams ──────────────────────────────────────────────────────────────────────────────────


@KINDS
@EVERY_CODING
@pytest.mark.parametrize(
    "pieces", [[], [b""], ["Grüße", b" und ", bytearray(b"mehr")], [b"", b"a" * 5000, b""], [LARGE]]
)
def test_a_stream_is_compressed(kind, coding, pieces):
    source = Source(pieces)

    exchange = run(sent(applied(response(Stream(getattr(source, kind)())), coding)))

    whole = b"".join(each.encode() if isinstance(each, str) else each for each in pieces)
    assert decoded(coding, exchange.answer) == whole
    assert b"" not in exchange.pieces
    assert exchange.answered
    assert source.closed


@KINDS
@EVERY_CODING
def test_each_piece_reaches_the_client_when_it_was_given(kind, coding):
    source = Source([b"one", b"two", b"three"])

    exchange = run(sent(applied(response(Stream(getattr(source, kind)())), coding)))

    decoder = decoder_for(coding)
    received = [b"".join(decoder.feed(piece)) for piece in exchange.pieces]
    assert received[:3] == [b"one", b"two", b"three"]
    assert b"".join(received[3:]) == b""


@KINDS
def test_the_source_is_closed_when_nobody_reads_it(kind):
    source = Source([TEXT])

    exchange = run(sent(applied(response(Stream(getattr(source, kind)()))), "HEAD"))

    assert exchange.answer == b""
    assert exchange.answer_head.get(b"content-encoding") == b"gzip"
    assert source.taken == 0
    assert source.closed


@KINDS
def test_the_source_is_closed_when_it_fails(kind):
    source = Source([TEXT], fails=ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        run(sent(applied(response(Stream(getattr(source, kind)())))))

    assert source.closed


@KINDS
def test_the_source_is_closed_when_the_client_leaves(kind):
    async def test():
        source, exchange = Source([TEXT] * 100), Recorded(room_bytes=1)
        sending = asyncio.ensure_future(
            sent(applied(response(Stream(getattr(source, kind)()))), exchange=exchange)
        )
        while not exchange.pieces:
            await asyncio.sleep(0)
        exchange.leave()
        with pytest.raises(ClientGone):
            await sending

        assert source.closed
        assert source.taken < 100

    run(test())


def test_sources_without_a_close_will_do():
    class Endless:
        def __init__(self):
            self.left = 2

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return b"piece"

    for pieces in (["piece", "piece"], Endless()):
        exchange = run(sent(applied(response(Stream(pieces)))))

        assert gzip.decompress(exchange.answer) == b"piecepiece"


@KINDS
@pytest.mark.parametrize(("length", "fails"), [(1999, True), (2000, False), (2001, True)])
@pytest.mark.parametrize("in_headers", [False, True])
def test_a_stream_is_held_to_its_length(kind, length, fails, in_headers):
    pieces = getattr(Source([b"a" * 1000] * 2), kind)()
    if in_headers:
        answer = response(Stream(pieces), content_length=str(length))
    else:
        answer = response(Stream(pieces, length=length))
    applied(answer)

    exchange = Recorded()
    if fails:
        with pytest.raises(LengthError, match=f"the announced {length} bytes"):
            run(sent(answer, exchange=exchange))
        assert not exchange.answered
    else:
        run(sent(answer, exchange=exchange))
        assert gzip.decompress(exchange.answer) == b"a" * 2000
    assert exchange.answer_head.get(b"content-length") is None


@KINDS
def test_a_piece_that_is_no_text_is_an_error(kind):
    with pytest.raises(ResultError, match="a stream gave a int"):
        run(sent(applied(response(Stream(getattr(Source([5]), kind)())))))


def test_what_a_stream_says_about_itself_counts():
    stream = Stream(
        [TEXT], status=201, content_type="text/css", headers={"etag": '"1"', "vary": "Origin"}
    )
    answer = applied(Response(stream, headers={"x-more": "1"}))

    exchange = run(sent(answer))

    assert exchange.status == 201
    assert sorted(exchange.answer_head.fields) == [
        (b"content-encoding", b"gzip"),
        (b"content-type", b"text/css"),
        (b"etag", b'W/"1"'),
        (b"vary", b"Origin, Accept-Encoding"),
        (b"x-more", b"1"),
    ]


def test_a_stream_that_is_left_alone_says_the_same():
    stream = Stream([TEXT], status=201, content_type="image/png", headers={"etag": '"1"'})
    answer = applied(Response(stream, headers={"x-more": "1"}))

    exchange = run(sent(answer))

    assert (exchange.status, exchange.answer) == (201, TEXT)
    assert sorted(exchange.answer_head.fields) == [
        (b"content-type", b"image/png"), (b"etag", b'"1"'), (b"x-more", b"1")
    ]  # fmt: skip


def test_a_stream_can_be_answered_with_again():
    stream = Stream([TEXT], content_type="text/html")

    for coding in ("gzip", "br"):
        exchange = run(sent(applied(Response(stream), coding)))
        assert decoded(coding, exchange.answer) == TEXT
    assert stream.pieces == [TEXT]
    assert not stream.headers


@pytest.mark.parametrize(("piece", "goes_on"), [(LARGE * 10, True), (TEXT, False)])
def test_the_loop_goes_on_while_a_large_piece_of_an_async_source_is_compressed(piece, goes_on):
    turns_counted = []

    async def count():
        while True:
            turns_counted[-1] += 1
            await asyncio.sleep(0)

    async def pieces():
        turns_counted.append(0)
        yield piece
        turns_counted.append(0)

    async def test():
        turns_counted.append(0)
        counting = asyncio.ensure_future(count())
        exchange = await sent(applied(response(Stream(pieces()))))
        counting.cancel()

        assert gzip.decompress(exchange.answer) == piece

    run(test())

    assert (turns_counted[1] > 10) == goes_on


# ── options and the filter ───────────────────────────────────────────────────────────────────


def test_the_first_coding_offered_wins():
    both = "gzip, br, zstd"

    assert applied(response(), both).headers["content-encoding"] == "br"
    zstd_first = Compression(codings=["zstd", "br"])
    assert applied(response(), both, zstd_first).headers["content-encoding"] == "zstd"


def test_levels_trade_time_for_size():
    body = json.dumps([{"id": n, "square": n * n} for n in range(2000)]).encode()
    fast, small = (Compression(levels={"gzip": level}) for level in (1, 9))

    sizes = [len(applied(response(body), "gzip", each).body) for each in (fast, small)]

    assert sizes[0] > sizes[1]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"codings": ["gzip", "rot13"]}, UnknownCoding),
        ({"codings": ["deflate"]}, UnknownCoding),
        ({"levels": {"gzip": 10}}, ValueError),
        ({"levels": {"lz4": 1}}, UnknownCoding),
    ],
)
def test_bad_options_are_told_at_once(options, error):
    with pytest.raises(error):
        Compression(**options)


def test_what_is_not_installed_is_not_offered(monkeypatch):
    for module in ("brotli", "backports", "backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    is_installed.cache_clear()
    try:
        assert applied(response(), "br, gzip;q=0.1").headers["content-encoding"] == "gzip"
        with pytest.raises(UnknownCoding, match="pip install"):
            Compression(codings=["br"])
    finally:
        is_installed.cache_clear()


def test_the_filter_takes_what_the_request_accepts_in_several_fields():
    fields = [("Accept-Encoding", "deflate"), ("Accept-Encoding", "gzip")]
    filtering = Compression().filter(Request(Recorded("GET", "/", fields)))
    answer = response()

    next(filtering)
    with pytest.raises(StopIteration):
        filtering.send(answer)

    assert gzip.decompress(answer.body) == TEXT


@pytest.mark.parametrize("http2", [False, True])
@EVERY_CODING
def test_clients_over_both_protocols_can_decode_what_they_get(http2, coding):
    async def pieces():
        for number in range(3):
            yield f"piece {number} "

    compression = Compression()
    answers = {
        "/whole": (lambda: response(TEXT), TEXT),
        "/large": (lambda: response(LARGE), LARGE),
        "/stream": (lambda: response(Stream(pieces())), b"piece 0 piece 1 piece 2 "),
    }
    app = App()

    @app.get("/{rest:path}")
    def answer(request: Request):
        made = answers[request.path][0]()
        compression.apply(request.headers, made)
        return made

    with Client(app, http2=http2) as client:
        for path, (_, expected) in answers.items():
            reply = client.get(path, headers={"accept-encoding": coding})
            head = client.request("HEAD", path, headers={"accept-encoding": coding})

            assert decoded(coding, reply.body) == expected
            assert reply.headers.get("content-length") == head.headers.get("content-length")
            assert head.headers["content-encoding"] == coding
            assert head.body == b""
