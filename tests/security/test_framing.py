"""Where a request ends: no two readings are possible, and no work grows without bound.

One test for each class of known faults of other servers.
"""

from __future__ import annotations

import pytest

from tests.security.attacks import SMUGGLED, chunked, get, post, refused, sent_until_answered
from tests.wire import Wire, ask


@pytest.fixture(autouse=True)
def nothing_is_smuggled(seen):
    """Whatever is hidden in a request, no handler may see it as one."""
    yield
    assert "/smuggled" not in seen


@pytest.mark.parametrize("body", [b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"hello", b""])
@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b" chunked", b"chunked \t"])
def test_cl_and_te_together(url, coding, body):
    length, te = b"Content-Length: 5", b"Transfer-Encoding:" + coding

    refused(url, post(length, te, body=body + SMUGGLED))
    refused(url, post(te, length, body=body + SMUGGLED))
    refused(url, post(te.lower(), b"Content-Length: 0", body=body + SMUGGLED))


@pytest.mark.parametrize(
    "lengths",
    [(b"1", b"0"), (b"0", b"1"), (b"5", b"5"), (b"5, 5",), (b"5,6",), (b"5,",), (b",5",),
     (b"5 5",), (b"5;5",)],
)  # fmt: skip
def test_several_content_lengths(url, lengths):
    fields = [b"Content-Length: " + length for length in lengths]

    refused(url, post(*fields, body=b"hello" + SMUGGLED))


@pytest.mark.parametrize(
    "length",
    [b"+1_0", b"+5", b"-1", b"-0", b"0x10", b"0x0", b"1Z", b"", b" ", b"1_0", b"5.0", b"1e1",
     b"\xb2", b"\xd9\xa5", b"5\x00", b"\x0b5", b"5\x0c", b'"5"', b"18446744073709551616",
     b"18446744073709551621", b"9" * 400],
)  # fmt: skip
def test_content_length_that_is_no_number(url, length):
    refused(url, post(b"Content-Length: " + length, body=b"hello" + SMUGGLED), 400)


@pytest.mark.parametrize(
    ("codings", "statuses"),
    [
        ([b"xchunked"], (501,)),
        ([b"chunked, identity"], (400, 501)),
        ([b"identity, chunked"], (400, 501)),
        ([b"chunked, chunked"], (400, 501)),
        ([b"gzip, chunked"], (400, 501)),
        ([b"chunked", b"chunked"], (400,)),
        ([b"chunked", b"identity"], (400,)),
        ([b"identity", b"chunked"], (400,)),
        ([b"\x0bchunked"], (400,)),
        ([b"chunked\x0b"], (400,)),
        ([b"\x00chunked"], (400,)),
        ([b"chunked\x00"], (400,)),
        ([b"chunked;q=1"], (400, 501)),
        ([b'"chunked"'], (400,)),
        ([b",chunked"], (400,)),
        ([b"chunked,"], (400,)),
        ([b""], (400,)),
        ([b"chunKed\xe9"], (400,)),
        ([b"cow"], (501,)),
    ],
)
def test_obscured_transfer_encoding(url, codings, statuses):
    fields = [b"Transfer-Encoding: " + coding for coding in codings]

    refused(url, post(*fields, body=b"0\r\n\r\n" + SMUGGLED), *statuses)
    refused(url, post(*fields, b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED), 400)


def test_transfer_encoding_written_in_odd_ways_is_no_transfer_encoding(url):
    for field in (b"Transfer-Encoding : chunked", b"Transfer_Encoding\t: chunked",
                  b"Transfer-Encoding\x0b: chunked", b"X: y\nTransfer-Encoding: chunked",
                  b"X: y\rTransfer-Encoding: chunked"):  # fmt: skip
        refused(url, post(field, b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED))


@pytest.mark.parametrize(
    "size",
    [b"0x1", b"0X1", b"+1", b"-1", b"1_0", b"0" * 16 + b"1", b"f" * 17, b" 1", b"1 ", b"\t1",
     b"", b"g", b"1.0", b"\xd9\xa1", b"1\x00", b"1,1", b"0x", b"-0"],
)  # fmt: skip
def test_bad_chunk_size(url, size):
    refused(url, chunked(size + b"\r\nx\r\n0\r\n\r\n" + SMUGGLED))


@pytest.mark.parametrize("end", [b"XX", b"\n", b"\r", b"\n\n", b"\r\r", b"\rX", b"X\r\n", b""])
def test_bad_chunk_terminator(url, end):
    refused(url, chunked(b"5\r\nhello" + end + b"0\r\n\r\n" + SMUGGLED))


@pytest.mark.parametrize(
    "extension",
    [b"\nx", b"a\x00", b"a\rb", b"a\nb", b"a\x0b", b'a="\n"', b'a="\x00"', b"a" * 65_536, b"",
     b"a b", b"[]", b"=a", b'a="b"c'],
)  # fmt: skip
def test_chunk_extension_abuse(url, extension):
    refused(url, chunked(b"5;" + extension + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED), 400, 431)


def test_chunk_extensions_are_a_bounded_part_of_the_traffic(url):
    """Each line is short, as `max_chunk_line_bytes` asks; so extensions cost no more than that."""
    line = b"1;" + b"a" * 252
    assert len(line) + 2 == 256
    reply, _ = ask(url, chunked((line + b"\r\nx\r\n") * 100 + b"0\r\n\r\n"))
    assert reply.body == b"x" * 100

    refused(url, chunked(b"1;" + b"a" * 253 + b"\r\nx\r\n0\r\n\r\n"))


@pytest.mark.parametrize(
    ("trailers", "status"),
    [
        (b"Content-Length: 5\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n", 400),
        (b"Host: b\r\n", 400),
        (b"no field\r\n", 400),
        (b"x : y\r\n", 400),
        (b"x: y\n", 400),
        (b"x: a\x00b\r\n", 400),
        (b"x: y\r\n" * 2000, 431),
        (b"x: " + b"y" * 10_000 + b"\r\n", 431),
    ],
)
def test_trailers(url, trailers, status):
    refused(url, chunked(b"0\r\n" + trailers + b"\r\n" + SMUGGLED), status)


def test_trailers_without_end_are_cut_at_the_limit(url):
    with Wire(url) as wire:
        wire.send(chunked(b"0\r\n"))
        reply = sent_until_answered(wire, b"x: y\r\n" * 20, 64 * 1024)[0]

    assert reply.status == 431


def test_a_million_tiny_chunks_in_linear_time(url):
    """The answer comes within the time-out of the test; quadratic work would take hours."""
    chunks = b"1\r\nx\r\n" * 10_000
    with Wire(url) as wire:
        wire.send(chunked(b""))
        for _ in range(100):
            wire.send(chunks)
        wire.send(b"0\r\n\r\n")

        assert len(wire.read().body) == 1_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        get(b"/", b"X: y\nZ: w"),
        get(b"/", b"X: y\rZ: w"),
        get(b"/", b"X: y\r"),
        get(b"/", b"X: \x00"),
        get(b"/", b"X\x00: y"),
        get(b"/\x00"),
        get(b"/", b"X: y\r\n z"),
        get(b"/", b"X: y\r\n\tz"),
        get(b"/", b"X:\r\n\r"),
        get(b"/", b"X : y"),
        get(b"/", b"X\t: y"),
        get(b"/", b" X: y"),
        get(b"/", b"X: a\x0bb"),
        get(b"/", b"X: a\x0cb"),
        get(b"/", b"X: a\x1cb"),
        get(b"/", b"X: a\x1db"),
        get(b"/", b"X: a\x1eb"),
        get(b"/", b"X: a\x7fb"),
        get(b"/a\x0bb"),
        get(b"/a\x85b"),
    ],
)
def test_bare_lf_cr_nul_folding_and_space_before_colon(url, data):
    refused(url, data)


def test_bytes_that_some_programs_take_for_line_ends_stay_within_their_value(url):
    """0x85 is allowed within a value (obs-text, RFC 9110 section 5.5) and splits nothing."""
    reply, _ = ask(url, get(b"/about", b"X: a\x85Host: evil"))

    assert reply.status == 200
    assert b"evil" not in reply.body


@pytest.mark.parametrize(
    "data",
    [
        b'G=": / HTTP/1.1\r\nHost: a\r\n\r\n',
        b"G\xc9T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET\x00 / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.32\r\nHost: a\r\n\r\n",
        b"GET / HTTP/11.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.\xb2\r\nHost: a\r\n\r\n",
        b"GET / HTTP/-1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1\r\nHost: a\r\n\r\n",
        b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n",
        b"GET / ICY/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1x\r\nHost: a\r\n\r\n",
        b"GET !  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ! HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / / HTTP/1.1\r\nHost: a\r\n\r\n",
        get(b"/", b"X\xef: y"),
        get(b"/", b"X(: y"),
        get(b"/", b"X=: y"),
        get(b"/", b": y"),
        get(b"/", b"y"),
    ],
)
def test_characters_of_method_version_target_and_names(url, data):
    refused(url, data)


def test_pipelined_requests_are_answered_in_order(url):
    """10 000 of them; `tests/protocol/test_pipelining.py` shows that memory stays bounded."""
    with Wire(url) as wire:
        for start in range(0, 10_000, 500):
            wire.send(b"".join(get(b"/about?n=%d" % n) for n in range(start, start + 500)))
            for n in range(start, start + 500):
                assert b'"n":["%d"]' % n in wire.read().body


@pytest.mark.parametrize(
    ("beginning", "status"),
    [(b"GET /", 414), (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", 431), (b"A", 414)],
)
def test_line_limit_across_packets(url, beginning, status):
    """How many bytes are taken exactly, `tests/protocol/test_limits.py` counts."""
    with Wire(url) as wire:
        wire.send(beginning)
        reply, sent = sent_until_answered(wire, b"a" * 100, 50_000_000)

    assert reply.status == status
    assert sent < 50_000_000


def test_early_answer_with_a_small_body_unread(url):
    """The body is read and dropped, so the next request is read at its right place."""
    body = SMUGGLED * 2
    head = b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    with Wire(url) as wire:
        wire.send(head)
        assert wire.read().body == b"early"
        wire.send(body + get(b"/about"))

        assert b'"path":"/about"' in wire.read().body


def test_early_answer_with_a_large_body_unread(url):
    """The connection ends, and so does what the body hides."""
    head = b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    reply, closed = ask(url, head + SMUGGLED)

    assert reply.body == b"early"
    assert closed


def test_early_answer_with_an_endless_chunked_body_unread(url):
    with Wire(url) as wire:
        wire.send(b"POST /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert wire.read().body == b"early"
        sent = 0
        while sent < 50_000_000:
            try:
                wire.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            except ConnectionError:
                break
            sent += 4096

    assert sent < 10_000_000


@pytest.mark.parametrize("expectation", [b"100-continued", b"200-ok", b"y", b"100-continue, x"])
def test_unknown_expectation(url, expectation):
    refused(url, post(b"Expect: " + expectation, b"Content-Length: 5", body=b"hello"), 417)


def test_a_body_that_waits_for_100_continue_is_never_taken_for_a_request(url):
    """After the early answer the client may send the body or not: only closing is safe."""
    head = b"POST /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
    reply, closed = ask(url, head + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED))

    assert reply.status == 200
    assert closed


@pytest.mark.parametrize(
    "value", [b"x" * 16_000 + b"\x10", b" " * 16_000 + b"x", b"\t" * 8_000 + b" " * 8_000 + b"\x10"]
)
def test_header_check_is_linear(url, value):
    """The parser has no pattern to backtrack; the largest value is looked at in no time."""
    for _ in range(20):
        reply, _ = ask(url, get(b"/", b"Bad: " + value, b"Connection: close"))
        assert reply.status in (200, 400)
