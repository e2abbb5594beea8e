"""Every size and count of the protocols, once: unit, default and source."""

from dataclasses import dataclass, fields
from typing import Final

_MOST: Final = {
    "max_head_bytes": 65_532,
    "max_field_line_bytes": 16_383,
    "max_target_bytes": 16_000,
    "max_fields": 100,
    "max_streams_per_connection": 4_000,
}
"""Upper bounds that the parser below us sets (zttp 0.0.35, measured)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of what a client may send; beyond each the answer is named.

    Raises:
        ValueError: a limit is below 1 or above what the parser can hold.
    """

    max_head_bytes: int = 65_532
    """Request line and fields together, in bytes → 431 (RFC 6585 section 5).
    Apache takes 8 KiB a line, node 16 KiB, h2 64 KiB; single sign-on cookies need room."""

    max_field_line_bytes: int = 16_383
    """One field line → 431."""

    max_fields: int = 100
    """Number of fields → 431.  hyper and Cowboy: 100."""

    max_target_bytes: int = 8_192
    """Request target → 414.  RFC 9110 section 4.1 asks for at least 8 000."""

    max_chunk_line_bytes: int = 256
    """Size line of a chunk with its extensions → 400.  Extensions have no use today, and
    an unbounded one costs a server more than its sender (CVE-2023-39326)."""

    max_trailer_bytes: int = 8_192
    """Trailer section of a chunked body → 431."""

    max_drain_bytes: int = 256 * 1024
    """Unread body that is read and dropped after an early answer; beyond it the
    connection closes.  nginx and Go: 256 KiB."""

    max_pipelined_bytes: int = 64 * 1024
    """Bytes of further requests held back while one is answered; then reading pauses."""

    max_streams_per_connection: int = 4_000
    """HTTP/2 requests on one connection; then it is finished with GOAWAY and the client opens
    another.  The parser ends it as a flood after 4 096.  nginx: 1 000."""

    max_resets: int = 100
    """HTTP/2 streams that the client may open and reset in vain, beyond those that were
    answered, before the connection ends with ENHANCE_YOUR_CALM (CVE-2023-44487, CVE-2025-8671).
    hyper: 50 a second, Sozu: 100."""

    @property
    def small_head_bytes(self) -> int:
        """A head up to this size can be beyond no limit; only larger ones are looked at.

        The parser counts the fields itself, up to its own limit; for a lower
        one, a field has four bytes at least.
        """
        small = min(self.max_target_bytes, self.max_field_line_bytes, self.max_head_bytes)
        return small if self.max_fields == _MOST["max_fields"] else min(small, 4 * self.max_fields)

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), _MOST.get(field.name)
            if value < 1:
                raise ValueError(f"{field.name} must be at least 1, not {value}")
            if most is not None and value > most:
                raise ValueError(f"{field.name} can be at most {most}, not {value}")
