"""Content codings: what is undone, how far it may expand, and what a client prefers."""

from __future__ import annotations

import contextlib
import functools
import gzip
import sys
import tracemalloc
import zlib

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.message.codecs import is_installed
from tarry.message.codings import (
    FREE_EXPANSION_BYTES,
    MAX_RATIO,
    ExpansionTooLarge,
    MalformedCoding,
    UnknownCoding,
    choose_coding,
    decoder_for,
    encoder_for,
    installed_encoders,
    supported,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress,
            "br": functools.partial(brotli.compress, quality=5), "zstd": zstd.compress}  # fmt: skip
DECOMPRESS = {"gzip": gzip.decompress, "br": brotli.decompress, "zstd": zstd.decompress}
OFFERS = ("br", "zstd", "gzip")
TEXT = "Grüße aus dem Norden. ".encode() * 5000


def in_pieces(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def decoded(content_encoding, data, size=None):
    decoder = decoder_for(content_encoding)
    pieces = [data] if size is None else in_pieces(data, size)
    text = b"".join(piece for each in pieces for piece in decoder.feed(each))
    decoder.finish()
    return text


@pytest.mark.parametrize("name", list(COMPRESS))
@pytest.mark.parametrize("size", [None, 1000, 1])
def test_bodies_are_decoded_however_they_come(name, size):
    assert decoded(name, COMPRESS[name](TEXT), size) == TEXT


@pytest.mark.parametrize(
    "content_encoding", ["gzip, br", "GZip ,\tBR", ",gzip,,br,", "gzip,identity, br"]
)
@pytest.mark.parametrize("size", [None, 1])
def test_rfc9110_8_4_the_last_coding_comes_off_first(content_encoding, size):
    assert decoded(content_encoding, brotli.compress(gzip.compress(TEXT)), size) == TEXT


@pytest.mark.parametrize("content_encoding", ["", " ", "identity", "Identity, identity", ",,"])
def test_nothing_to_undo(content_encoding):
    assert decoder_for(content_encoding) is None


@pytest.mark.parametrize(
    "content_encoding",
    ["compress", "gzip br", "gzip;q=1", "*", "aes128gcm", "gzip, rot13", "gzip, br, gzip",
     "gz\x00ip", "gz\u0131p", "x" * 60_000, "gzip," * 12_000],
)  # fmt: skip
def test_other_codings_are_unknown(content_encoding):
    with pytest.raises(UnknownCoding) as refused:
        decoder_for(content_encoding)

    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize("name", list(COMPRESS))
@pytest.mark.parametrize("size", [None, 1])
def test_a_truncated_body_is_malformed(name, size):
    with pytest.raises(MalformedCoding, match="ends before"):
        decoded(name, COMPRESS[name](TEXT)[:-1], size)


def test_an_empty_body_is_truncated():
    with pytest.raises(MalformedCoding):
        decoder_for("gzip").finish()


def test_the_inner_coding_may_be_truncated_too():
    with pytest.raises(MalformedCoding, match="ends before"):
        decoded("gzip, br", brotli.compress(gzip.compress(TEXT)[:-1]))


@pytest.mark.parametrize("name", list(COMPRESS))
@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("garbage", [b"\x00", b"garbage"])
def test_what_follows_the_end_is_malformed(name, size, garbage):
    with pytest.raises(MalformedCoding):
        decoded(name, COMPRESS[name](TEXT) + garbage, size)


def test_several_gzip_members_are_one_body():
    assert decoded("gzip", gzip.compress(b"one") + gzip.compress(b"two")) == b"onetwo"


class Expanded:
    """Counts what a body decodes to and keeps none of it."""

    def __init__(self, name):
        self.size = 0
        self._decoder = decoder_for(name)

    def take(self, body):
        for data in body:
            for piece in self._decoder.feed(data):
                self.size += len(piece)
        self._decoder.finish()


@pytest.mark.parametrize("name", list(COMPRESS))
@pytest.mark.parametrize("size", [None, 100])
def test_a_bomb_is_refused_before_it_takes_memory(name, size):
    bomb = COMPRESS[name](bytes(50_000_000))
    expanded = Expanded(name)

    tracemalloc.start()
    try:
        with pytest.raises(ExpansionTooLarge):
            expanded.take([bomb] if size is None else in_pieces(bomb, size))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 0 < expanded.size <= max(FREE_EXPANSION_BYTES, MAX_RATIO * len(bomb))
    assert peak_bytes < 1_000_000


def test_a_bomb_in_a_bomb_is_refused():
    with pytest.raises(ExpansionTooLarge):
        decoded("gzip, gzip", gzip.compress(gzip.compress(bytes(50_000_000))))


def test_a_bomb_is_refused_even_if_nothing_is_left_of_it():
    """The outer coding makes much of little, the inner one nothing of much."""
    with pytest.raises(ExpansionTooLarge):
        decoded("gzip, br", brotli.compress(long_gzip(0, 2_000_000)))


def test_the_first_mebibyte_may_expand_at_will():
    most = bytes(FREE_EXPANSION_BYTES)
    assert decoded("gzip", gzip.compress(most)) == most

    with pytest.raises(ExpansionTooLarge):
        decoded("gzip", gzip.compress(most + b"\x00"))


def long_gzip(size, coded_size):
    """Zeros in a gzip file that is made longer by the name in its head (RFC 1952 section 2.3)."""
    plain = gzip.compress(bytes(size), mtime=0)
    name = b"n" * (coded_size - len(plain) - 1)
    return plain[:3] + b"\x08" + plain[4:10] + name + b"\x00" + plain[10:]


@pytest.mark.parametrize("size", [None, 7])
def test_the_ratio_is_the_limit(size):
    coded = long_gzip(2_000_000, 2_000_000 // MAX_RATIO)
    assert len(decoded("gzip", coded)) == 2_000_000

    with pytest.raises(ExpansionTooLarge):
        decoded("gzip", long_gzip(2_000_001, 2_000_000 // MAX_RATIO), size)


def test_a_large_body_is_decoded_in_little_memory():
    line = b'{"name": "anna", "value": 0.123456789}\n'
    lines = b"".join(b"%d%s" % (number, line) for number in range(500_000))
    body = gzip.compress(lines, 1)
    expanded = Expanded("gzip")

    tracemalloc.start()
    try:
        expanded.take([body])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert expanded.size == len(lines)
    assert peak_bytes < 1_000_000


@given(st.binary(max_size=3000), st.sampled_from(list(COMPRESS)), st.integers(1, 500))
@settings(max_examples=100)
def test_noise_is_malformed_if_anything(noise, name, size):
    with contextlib.suppress(MalformedCoding):
        decoded(name, noise, size)


@given(st.sampled_from(list(COMPRESS)), st.integers(0), st.binary(max_size=4), st.integers(1, 500))
@settings(max_examples=150)
def test_damage_is_malformed_if_anything(name, place, damage, size):
    coded = bytearray(COMPRESS[name](TEXT))
    place %= len(coded)
    coded[place : place + len(damage)] = damage

    with contextlib.suppress(MalformedCoding):
        decoded(name, bytes(coded), size)


@given(
    st.lists(st.binary(max_size=300), max_size=9),
    st.sampled_from(OFFERS),
    st.booleans(),
    st.integers(1, 50),
)
@settings(max_examples=150)
def test_what_is_encoded_comes_back(pieces, name, flushes, size):
    encoder, coded = encoder_for(name), b""
    for piece in pieces:
        coded += encoder.encode(piece) + (encoder.flush() if flushes else b"")
    coded += encoder.finish()

    assert decoded(name, coded, size) == b"".join(pieces)
    assert DECOMPRESS[name](coded) == b"".join(pieces)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"), [("gzip", 1, 9), ("br", 0, 11), ("zstd", 1, 19)]
)
def test_levels_are_bounded(name, lowest, highest):
    for level in (lowest, highest):
        encoder = encoder_for(name, level=level)
        assert DECOMPRESS[name](encoder.encode(TEXT) + encoder.finish()) == TEXT
    for level in (lowest - 1, highest + 1):
        with pytest.raises(ValueError, match=f"are {lowest} to {highest}, not {level}"):
            encoder_for(name, level=level)


@pytest.mark.parametrize("name", ["deflate", "identity", "x-gzip", "", "*"])
def test_no_encoders(name):
    with pytest.raises(UnknownCoding):
        encoder_for(name)


def test_what_is_installed_is_told():
    assert supported() == "gzip, deflate, br, zstd"
    assert installed_encoders() == ["gzip", "br", "zstd"]


@pytest.mark.parametrize("name", ["br", "zstd"])
def test_what_is_not_installed_is_unknown_and_says_what_to_install(name, monkeypatch):
    for module in ("brotli", "backports.zstd", "backports", "compression.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    is_installed.cache_clear()
    try:
        assert supported() == "gzip, deflate"
        assert installed_encoders() == ["gzip"]
        for make in (decoder_for, encoder_for):
            with pytest.raises(UnknownCoding, match=r"pip install tarry\[compress\]"):
                make(name)
    finally:
        is_installed.cache_clear()


@pytest.mark.parametrize(
    ("accept_encoding", "chosen"),
    [
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip ,deflate", "gzip"),
        (" gzip\t,\tdeflate ", "gzip"),
        (",, gzip,,", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate, zstd", "zstd"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("br;q=0.5, gzip;q=0.5", "br"),
        ("br ; q=0.001 , gzip ;\tQ=0.002", "gzip"),
        ("br;q=1.000, gzip;q=1.", "br"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.000", None),
        ("*", "br"),
        ("*;q=0", None),
        ("br;q=0, *", "zstd"),
        ("*;q=0.1, gzip;q=0.2", "gzip"),
        ("*;q=0, gzip;q=0.1", "gzip"),
        ("identity", None),
        ("identity;q=0", None),
        ("identity;q=0, gzip", "gzip"),
        ("identity, *;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.4", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("gzip;q=0, gzip", None),
        ("deflate, compress", None),
        ("", None),
        (None, None),
    ],
)
def test_rfc9110_12_5_3_the_client_chooses(accept_encoding, chosen):
    assert choose_coding(accept_encoding, OFFERS) == chosen


@pytest.mark.parametrize(
    "accept_encoding",
    ["gzip;q=2", "gzip;q=-1", "gzip;q=0.1234", "gzip;q=1.001", "gzip;q=", "gzip;q", "gzip;level=1",
     "gzip;q=0.5;q=1", "gzip br", "gzip;q = 1", "gzip/br", "gzip, br;q=x", "gzip\n", "grün, gzip",
     ";q=1", "gzip;q=nan", "gzip;q=\u0660", '"gzip"', ",", " "],
)  # fmt: skip
def test_a_malformed_preference_is_none(accept_encoding):
    assert choose_coding(accept_encoding, OFFERS) is None


def test_without_offers_nothing_is_chosen():
    assert choose_coding("*", ()) is None


HOSTILE = ["gzip,", "gzip;q=0.5,", ", ", " ", "\t,", "a", "a;", "gzip;q=0 ;", "*,", ";q=1,"]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_takes_linear_time(piece):
    text = piece * (1_000_000 // len(piece))

    assert choose_coding(text, OFFERS) in {*OFFERS, None}
    assert choose_coding(text + "\x00", OFFERS) is None


@given(st.text(alphabet="gzipbr*;q=01., \tx-", max_size=40))
@settings(max_examples=200)
def test_any_preference_is_an_offer_or_none(accept_encoding):
    assert choose_coding(accept_encoding, OFFERS) in {*OFFERS, None}
