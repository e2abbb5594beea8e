"""The chunked decoder, by tables and against an independent decoder written plainly."""

from __future__ import annotations

from itertools import pairwise

import pytest
import zttp
from hypothesis import given
from hypothesis import strategies as st

from tarry.protocol.chunked import ChunkedDecoder
from tarry.protocol.errors import PeerError
from tarry.protocol.limits import Limits


def decode(pieces, **limits):
    """Body, unused bytes, trailers, and whether the body ended."""
    decoder = ChunkedDecoder(Limits(**limits))
    body, rest = b"", b""
    for piece in pieces:
        if decoder.ended:
            rest += piece
            continue
        data, used = decoder.decode(piece)
        body += data
        rest += piece[used:]
    return body, rest, decoder.trailer_lines, decoder.ended


def status_of(data, **limits):
    """The status of the error, the same for all bytes at once and one by one."""
    statuses = []
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        with pytest.raises(PeerError) as caught:
            decode(pieces, **limits)
        statuses.append(caught.value.status)
    assert statuses[0] == statuses[1]
    return statuses[0]


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"),
        (b"00000005\r\nhello\r\n000\r\n\r\n", b"hello"),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
        (b"5;a\r\nhello\r\n0;b=c\r\n\r\n", b"hello"),
        (b'5 ; a = "b;\\"c" ;d\r\nhello\r\n0\r\n\r\n', b"hello"),
        (b'5;a="\xe9"\r\nhello\r\n0\r\n\r\n', b"hello"),
    ],
)
def test_what_is_decoded(data, body):
    assert decode([data]) == (body, b"", b"\r\n", True)
    assert decode([data[at : at + 1] for at in range(len(data))]) == (body, b"", b"\r\n", True)
    assert decode([data + b"GET /"]) == (body, b"GET /", b"\r\n", True)


def test_trailers_are_kept_as_they_came():
    assert decode([b"0\r\nA: b\r\nc: d\r\n\r\n"])[2] == b"A: b\r\nc: d\r\n\r\n"


@pytest.mark.parametrize("missing", range(1, 15))
def test_what_is_cut_off_has_not_ended(missing):
    assert not decode([b"5\r\nhello\r\n0\r\n\r\n"[:-missing]])[3]


@pytest.mark.parametrize(
    "line",
    [
        b"0x5", b"+5", b"-5", b"5_0", b" 5", b"5 ", b"", b"g", b"5h", b"5\x00", b"5;", b"5;;a",
        b"5;=b", b"5;a=", b"5;a[]", b'5;a="b', b'5;a="b"c', b"5;a\x00", b"5;a\x7f", b"5;a\rb",
        b"5,5", b"5\r", b"\xd9\xa5", b"00000000000000005",
    ],
)  # fmt: skip
def test_size_lines_that_are_refused(line):
    assert status_of(line + b"\r\nhello\r\n0\r\n\r\n") == 400


@pytest.mark.parametrize("end", [b"XX", b"\n\n", b"\n", b"\rX", b"\r\r", b" \r\n", b"0\r\n"])
def test_ends_of_chunks_that_are_refused(end):
    assert status_of(b"5\r\nhello" + end + b"0\r\n\r\n") == 400


def test_limits_at_the_limit_and_one_beyond():
    line = b"5;" + b"a" * 12 + b"\r\n"
    rest = b"hello\r\n0\r\n\r\n"
    assert decode([line + rest], max_chunk_line_bytes=len(line))[0] == b"hello"
    assert status_of(line + rest, max_chunk_line_bytes=len(line) - 1) == 400

    trailers = b"a: b\r\n\r\n"
    assert decode([b"0\r\n" + trailers], max_trailer_bytes=len(trailers))[3]
    assert status_of(b"0\r\n" + trailers, max_trailer_bytes=len(trailers) - 1) == 431


@pytest.mark.parametrize("byte", [b"1", b"a;b", b"\x00"])
def test_a_line_without_end_is_cut_at_the_limit(byte):
    decoder = ChunkedDecoder(Limits(max_chunk_line_bytes=100))
    for _ in range(100 // len(byte)):
        if refuses(decoder, byte):
            return

    assert refuses(decoder, byte)


def refuses(decoder, data):
    try:
        decoder.decode(data)
    except PeerError:
        return True
    return False


def plainly(data):
    """An independent decoder for streams without extensions: body and trailer lines."""
    body = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            return body, data
        body, data = body + data[:size], data[size + 2 :]


CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


SIZES = st.sampled_from([b"%x", b"%X", b"0%x", b"%x;a", b'%x;a="b c"', b"%x ;a=b"])
TRAILERS = st.sampled_from([b"\r\n", b"a: b\r\n\r\n"])


@given(CHUNKS, SIZES, TRAILERS, st.lists(st.integers(0, 500), max_size=8))
def test_any_body_in_any_chunks_in_any_pieces(chunks, size, trailers, places):
    data = b"".join(size % len(chunk) + b"\r\n" + chunk + b"\r\n" for chunk in chunks)
    data += b"0\r\n" + trailers
    after = b"GET / HTTP/1.1\r\n"
    edges = sorted({0, len(data + after), *(place % len(data) for place in places)})
    pieces = [(data + after)[start:end] for start, end in pairwise(edges)]

    assert decode(pieces) == (b"".join(chunks), after, trailers, True)


@given(CHUNKS)
def test_the_same_as_a_plain_decoder(chunks):
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"

    assert plainly(data) == decode([data])[::2]


def by_the_parser(data):
    """The body as the parser of heads decodes it, or `None` if it refuses or wants more."""
    parser = zttp.Connection(zttp.SERVER)
    parser.receive_data(b"PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + data)
    body = b""
    try:
        while type(event := parser.next_event()) is not zttp.NeedData:
            if type(event) is zttp.Data:
                body += event.data
            elif type(event) is zttp.EndOfMessage:
                return body
    except zttp.RemoteProtocolError:
        pass
    return None


def ours(data):
    try:
        body, _, _, ended = decode([data])
    except PeerError:
        return None
    return body if ended else None


@given(CHUNKS, SIZES, st.integers(0, 2**16), st.binary(max_size=2))
def test_what_is_accepted_means_the_same_to_another_decoder(chunks, size, place, wrong):
    """Any few bytes may be wrong: nothing is read in another way than by the parser.

    White space around extensions, which RFC 9112 section 7.1.1 allows, the parser refuses.
    """
    size = size.replace(b" ;", b";")
    data = b"".join(size % len(chunk) + b"\r\n" + chunk + b"\r\n" for chunk in chunks)
    data = bytearray(data + b"0\r\n\r\n")
    at = place % len(data)
    data[at : at + len(wrong)] = wrong
    body = ours(bytes(data))

    assert body is None or body == by_the_parser(bytes(data))


@given(st.binary(max_size=60))
def test_garbage_is_refused_or_awaits_more(data):
    body = ours(data)

    assert body is None or body == by_the_parser(data.replace(b" ", b"").replace(b"\t", b""))
