"""Content codings (RFC 9110 sections 8.4.1 and 12.5.3): which to use, and how bodies are undone.

No input is too large: a decoder gives pieces of bounded size and refuses a body that expands
suspiciously far; how much of it is wanted is for the caller to decide.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from tarry.message.codecs import (
    CODECS,
    Codec,
    Decompressor,
    Encoder,
    MalformedCoding,
    is_installed,
)

__all__ = [
    "FREE_EXPANSION_BYTES",
    "MAX_CODINGS",
    "MAX_RATIO",
    "Decoder",
    "Encoder",
    "ExpansionTooLarge",
    "MalformedCoding",
    "UnknownCoding",
    "choose_coding",
    "decoder_for",
    "encoder_for",
    "installed_encoders",
    "supported",
]

MAX_CODINGS: Final = 2
"""Codings of one body, one upon the other; nobody has a reason for more."""

MAX_RATIO: Final = 100
"""Bytes that a byte received may become: text rarely exceeds 20, a bomb reaches 1 000 in gzip.

A body that is sent to be expanded without end has to be told from data (CVE-2021-21419,
CVE-2026-49855).
"""

FREE_EXPANSION_BYTES: Final = 1_048_576
"""Up to here any ratio will do, for a short and dull body may well expand a thousand times."""

_SLICE_BYTES: Final = 8_192
"""What a decompressor gets at once: zlib copies what it has left with every piece it gives."""

# Two names for one thing (RFC 9110 section 8.4.1.3).
_ALIASES: Final = {"x-gzip": "gzip"}

# Possessive quantifiers, so that no input is looked at twice.
_PREFERENCE: Final = re.compile(
    r"[\t ,]*+([!#$%&'*+\-.^_`|~0-9A-Za-z]++)"
    r"(?:[\t ]*+;[\t ]*+[qQ]=(0(?:\.[0-9]{0,3})?+|1(?:\.0{0,3})?+))?+[\t ]*+(?:,[\t ,]*+|\Z)"
)


class UnknownCoding(ValueError):
    """Codings that cannot be undone here; answer 415 with `Accept-Encoding` as in `supported()`.

    See RFC 9110 section 15.5.16.
    """


class ExpansionTooLarge(ValueError):
    """A body expands further than `MAX_RATIO`; answer 413."""


class Decoder:
    """Undoes the codings of one body; made by `decoder_for`.

    Whatever comes, it holds one piece and the window of each coding: 32 KiB
    for gzip, up to 8 MiB for zstd and 16 MiB for br, if that much has been
    expanded.  After an error it is of no more use.
    """

    __slots__ = ("_expanded_bytes", "_received_bytes", "_stages")

    def __init__(self, stages: Sequence[Decompressor]) -> None:
        self._stages = stages
        self._expanded_bytes = [0] * len(stages)
        self._received_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes of the body decode to, in pieces of at most 64 KiB.

        The work is done while you iterate: take every piece before you feed
        more, or none any more.

        Raises:
            MalformedCoding: the body is not coded as was said, or goes on
                after the end.
            ExpansionTooLarge: more than `FREE_EXPANSION_BYTES`, and more than
                `MAX_RATIO` bytes for each one received.
        """
        self._received_bytes += len(data)
        return self._through(0, data)

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            MalformedCoding: something is missing.
        """
        if not all(stage.at_end for stage in self._stages):
            raise MalformedCoding("the body ends before its coding does")

    def _through(self, place: int, data: bytes) -> Iterator[bytes]:
        if place == len(self._stages):
            yield data
            return
        for start in range(0, len(data), _SLICE_BYTES):
            for piece in self._stages[place].feed(data[start : start + _SLICE_BYTES]):
                self._count(place, len(piece))
                yield from self._through(place + 1, piece)

    def _count(self, place: int, piece_bytes: int) -> None:
        # After each coding, for the last could shrink what the one before has blown up.
        self._expanded_bytes[place] += piece_bytes
        expanded_bytes = self._expanded_bytes[place]
        allowed_bytes = max(FREE_EXPANSION_BYTES, MAX_RATIO * self._received_bytes)
        if expanded_bytes > allowed_bytes:
            raise ExpansionTooLarge(f"a compressed body expands more than {MAX_RATIO} times")


def decoder_for(content_encoding: str) -> Decoder | None:
    """What undoes the codings of a body, `None` if it has none.

    Takes the whole Content-Encoding, such as `gzip` or `gzip, br`, in any
    case; `identity` means nothing.  `deflate` is the zlib format as
    specified, not the raw one.

    Raises:
        UnknownCoding: a coding that is not known or whose library is not
            installed, or more than `MAX_CODINGS`.
    """
    elements = (element.strip("\t ").lower() for element in content_encoding.split(","))
    names = [_ALIASES.get(name, name) for name in elements if name and name != "identity"]
    if len(names) > MAX_CODINGS:
        raise UnknownCoding(f"more than {MAX_CODINGS} content codings")
    # The last one applied comes off first.
    stages = [_known(name).decompressor() for name in reversed(names)]
    return Decoder(stages) if stages else None


def supported() -> str:
    """The codings of requests that can be undone, as Accept-Encoding names them."""
    return ", ".join(name for name in CODECS if is_installed(name))


def installed_encoders() -> list[str]:
    """The names for which `encoder_for` gives an encoder."""
    return [name for name, codec in CODECS.items() if codec.encoder and is_installed(name)]


def encoder_for(name: str, *, level: int | None = None) -> Encoder:
    """An encoder for one body: `gzip` always, `br` and `zstd` where they are installed.

    `level` trades time for size and counts differently for each: gzip 1 to 9,
    br 0 to 11, zstd 1 to 19.  Without one it is fast enough to compress every
    answer anew.

    Raises:
        UnknownCoding: no such coding, or not installed.
        ValueError: a level that the coding does not have.
    """
    codec = _known(name)
    if codec.encoder is None:
        raise UnknownCoding(f"there is no encoder for {name}")
    if level is None:
        level = codec.usual_level
    elif level not in codec.levels:
        raise ValueError(
            f"the levels of {name} are {codec.levels[0]} to {codec.levels[-1]}, not {level}"
        )
    return codec.encoder(level)


def choose_coding(accept_encoding: str | None, offers: Sequence[str]) -> str | None:
    """The offer that the client likes best, `None` to send the body as it is.

    Of equally liked offers the first wins.  An offer has to be liked at least
    as much as `identity`, if the client names that.  A missing or malformed
    field is `None`, and so is one that allows nothing, identity neither: a
    body as it is serves better than 406 (RFC 9110 section 12.5.3).
    """
    weights = _weights(accept_encoding) if accept_encoding else {}
    others = weights.get("*", 0.0)
    best = max(offers, key=lambda offer: weights.get(offer, others), default="")
    weight = weights.get(best, others)
    return best if best and weight > 0 and weight >= weights.get("identity", 0.0) else None


def _weights(accept_encoding: str) -> dict[str, float]:
    """The weight of each coding named; of one named twice the first counts."""
    weights: dict[str, float] = {}
    position = 0
    while position < len(accept_encoding):
        preference = _PREFERENCE.match(accept_encoding, position)
        if preference is None:
            return {}
        name = preference[1].lower()
        weights.setdefault(_ALIASES.get(name, name), float(preference[2] or 1))
        position = preference.end()
    return weights


def _known(name: str) -> Codec:
    codec = CODECS.get(name)
    if codec is None:
        raise UnknownCoding(f"the content coding {name[:40]!a} is not known")
    if not is_installed(name):
        raise UnknownCoding(f"the content coding {name} needs: pip install tarry[compress]")
    return codec
