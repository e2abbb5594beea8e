"""The libraries behind the codings: bounded pieces, members, ends, reproducible output."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import types
import zlib

import brotli
import pytest

from tarry.message.codecs import CODECS, MAX_MEMBERS, PIECE_BYTES, MalformedCoding, is_installed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress,
            "zstd": zstd.compress}  # fmt: skip
EVERY = pytest.mark.parametrize("name", list(CODECS))
ENCODERS = pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
WITH_MEMBERS = pytest.mark.parametrize("name", ["gzip", "zstd"])
EMPTY_ZSTD_FRAME = b"\x50\x2a\x4d\x18\x00\x00\x00\x00"


def decoded(decompressor, *pieces):
    return b"".join(piece for data in pieces for piece in decompressor.feed(data))


def window_of(window_log):
    """The beginning of a zstd frame that wants a window of that size (RFC 8878 3.1.1.1.2)."""
    return struct.pack("<IBB", 0xFD2FB528, 0, (window_log - 10) << 3)


@EVERY
@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3_000_000])
def test_pieces_are_bounded_and_complete(name, size):
    decompressor = CODECS[name].decompressor()

    pieces = list(decompressor.feed(COMPRESS[name](bytes(size))))

    assert b"".join(pieces) == bytes(size)
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
    assert decompressor.at_end


@EVERY
def test_a_slice_that_ends_anywhere_leaves_nothing_behind(name):
    coded = COMPRESS[name](bytes(300_000))
    for cut in range(len(coded) + 1):
        decompressor = CODECS[name].decompressor()

        assert decoded(decompressor, coded[:cut], coded[cut:]) == bytes(300_000)
        assert decompressor.at_end


@EVERY
def test_what_ends_early_is_not_at_its_end(name):
    coded = COMPRESS[name](b"some text that is long enough")
    for cut in range(len(coded)):
        decompressor = CODECS[name].decompressor()
        decoded(decompressor, coded[:cut])

        assert not decompressor.at_end


@EVERY
@pytest.mark.parametrize("data", [b"\xff" * 40, b"plain text, not compressed at all"])
def test_what_is_not_the_coding_is_refused(name, data):
    with pytest.raises(MalformedCoding):
        decoded(CODECS[name].decompressor(), data)


def test_raw_deflate_is_refused():
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    with pytest.raises(MalformedCoding):
        decoded(CODECS["deflate"].decompressor(), raw.compress(b"text") + raw.flush())


@pytest.mark.parametrize("checksum", [-8, -1])
def test_a_wrong_checksum_is_refused(checksum):
    coded = bytearray(gzip.compress(b"text"))
    coded[checksum] ^= 1

    with pytest.raises(MalformedCoding):
        decoded(CODECS["gzip"].decompressor(), bytes(coded))


@WITH_MEMBERS
def test_members_follow_one_another(name):
    coded = COMPRESS[name](b"one") + COMPRESS[name](b"") + COMPRESS[name](b"two")
    whole, byte_by_byte = CODECS[name].decompressor(), CODECS[name].decompressor()

    assert decoded(whole, coded) == b"onetwo"
    assert decoded(byte_by_byte, *(coded[at : at + 1] for at in range(len(coded)))) == b"onetwo"
    assert whole.at_end
    assert byte_by_byte.at_end


@EVERY
@pytest.mark.parametrize("split", [True, False])
def test_what_follows_the_end_is_refused(name, split):
    decompressor = CODECS[name].decompressor()
    coded = [COMPRESS[name](b"text"), b"garbage"]

    with pytest.raises(MalformedCoding):
        decoded(decompressor, *(coded if split else [b"".join(coded)]))


@pytest.mark.parametrize("name", ["deflate", "br"])
def test_a_second_stream_is_refused_where_there_is_one_only(name):
    with pytest.raises(MalformedCoding):
        decoded(CODECS[name].decompressor(), COMPRESS[name](b"one") + COMPRESS[name](b"two"))


@pytest.mark.parametrize(
    ("name", "member"), [("gzip", gzip.compress(b"")), ("zstd", EMPTY_ZSTD_FRAME)]
)
def test_members_are_bounded(name, member):
    assert decoded(CODECS[name].decompressor(), member * MAX_MEMBERS) == b""

    with pytest.raises(MalformedCoding, match="goes on after the end"):
        decoded(CODECS[name].decompressor(), member * (MAX_MEMBERS + 1))


def test_rfc9659_windows_beyond_8_mib_are_refused():
    empty_last_block = b"\x01\x00\x00"

    assert decoded(CODECS["zstd"].decompressor(), window_of(23) + empty_last_block) == b""
    with pytest.raises(MalformedCoding):
        decoded(CODECS["zstd"].decompressor(), window_of(24) + empty_last_block)


def test_rfc9659_no_level_needs_a_larger_window():
    encoder = CODECS["zstd"].encoder(CODECS["zstd"].levels[-1])

    coded = encoder.encode(b"text") + encoder.flush() + encoder.finish()

    assert decoded(CODECS["zstd"].decompressor(), coded) == b"text"


@ENCODERS
def test_every_level_can_be_decoded(name):
    for level in CODECS[name].levels:
        encoder = CODECS[name].encoder(level)

        coded = encoder.encode(b"text " * 100) + encoder.finish()

        assert decoded(CODECS[name].decompressor(), coded) == b"text " * 100
        assert len(coded) < 100


@ENCODERS
def test_what_was_flushed_can_be_decoded_at_once(name):
    encoder = CODECS[name].encoder(CODECS[name].usual_level)
    decompressor = CODECS[name].decompressor()
    for text in (b"one", b"two", b"three"):
        assert decoded(decompressor, encoder.encode(text) + encoder.flush()) == text
        assert not decompressor.at_end

    assert decoded(decompressor, encoder.finish()) == b""
    assert decompressor.at_end


@ENCODERS
def test_an_empty_body_can_be_decoded(name):
    decompressor = CODECS[name].decompressor()

    assert decoded(decompressor, CODECS[name].encoder(CODECS[name].usual_level).finish()) == b""
    assert decompressor.at_end


def test_gzip_has_no_time_in_it():
    encoder = CODECS["gzip"].encoder(4)

    coded = encoder.encode(b"text") + encoder.finish()

    assert coded[:3] == b"\x1f\x8b\x08"
    assert coded[4:8] == b"\x00\x00\x00\x00"
    assert gzip.decompress(coded) == b"text"


@pytest.fixture
def without_libraries(monkeypatch):
    for module in ("brotli", "backports", "backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    is_installed.cache_clear()
    yield
    is_installed.cache_clear()


def test_without_the_libraries_zlib_remains(without_libraries):
    assert [name for name in CODECS if is_installed(name)] == ["gzip", "deflate"]


def test_a_brotli_that_cannot_bound_its_output_counts_as_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "brotli", types.SimpleNamespace(Decompressor=object))
    is_installed.cache_clear()
    try:
        assert not is_installed("br")
    finally:
        is_installed.cache_clear()


def test_with_the_libraries_all_is_there():
    assert all(is_installed(name) for name in CODECS)


def test_the_libraries_are_loaded_late():
    program = (
        "import sys, tarry.message.codings, tarry.features.compression as compression\n"
        "compression.Compression()\n"
        "print([name for name in sys.modules if 'brotli' in name or 'zstd' in name])"
    )

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert shown.stdout.split() == [b"[]"]
