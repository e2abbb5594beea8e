"""One entry of a cache as a file: a head that says what it is, and the value.

    magic, version   6 + 2 bytes
    digest           16 bytes, of what follows up to the value
    expiry           8 bytes, seconds since 1970
    lengths          4 + 4 + 8 bytes, of section, key and value
    digest           32 bytes, of the value
    section, key     in full, so that a name on disk that two of them share is noticed
    value

Numbers are little-endian.  A file that is anything else was not written to its
end, was damaged, or belongs to somebody else.
"""

import struct
from hashlib import blake2b
from typing import Final, NamedTuple

_MAGIC: Final = b"TarryC"
_VERSION: Final = 1
_BEGINNING: Final = struct.Struct("<6sH16s")
_FIELDS: Final = struct.Struct("<dIIQ32s")

FIXED_BYTES: Final = _BEGINNING.size + _FIELDS.size
"""What is read first of a file."""


class DamagedEntry(Exception):
    """A file that is no entry of a cache, or not a whole one."""


class Head(NamedTuple):
    """What is known of an entry before its value is read; it expires at `expires_s`."""

    section: str
    key: str
    expires_s: float
    value_bytes: int
    value_digest: bytes


def encode_entry(section: str, key: str, expires_s: float, value: bytes) -> bytes:
    """An entry as it stands in a file."""
    raw_section, raw_key = as_bytes(section), as_bytes(key)
    lengths = len(raw_section), len(raw_key), len(value)
    fields = _FIELDS.pack(expires_s, *lengths, _digest(value, 32)) + raw_section + raw_key
    return _BEGINNING.pack(_MAGIC, _VERSION, _digest(fields, 16)) + fields + value


def head_bytes(data: bytes) -> int:
    """How long the head of an entry is that begins with these `FIXED_BYTES`.

    Raises:
        DamagedEntry: none begins so.
    """
    if len(data) < FIXED_BYTES or _BEGINNING.unpack_from(data)[:2] != (_MAGIC, _VERSION):
        raise DamagedEntry("it is no entry of a cache")
    _, section_bytes, key_bytes, _, _ = _FIELDS.unpack_from(data, _BEGINNING.size)
    return FIXED_BYTES + int(section_bytes) + int(key_bytes)


def decode_head(data: bytes) -> Head:
    """The head of an entry, checked; what follows it is not looked at.

    Raises:
        DamagedEntry: it is none, or was damaged.
    """
    end = head_bytes(data)
    fields = data[_BEGINNING.size : end]
    if len(data) < end or _BEGINNING.unpack_from(data)[2] != _digest(fields, 16):
        raise DamagedEntry("its head is damaged")
    expires_s, section_bytes, _, value_bytes, digest = _FIELDS.unpack_from(fields)
    names = fields[_FIELDS.size :]
    try:
        section, key = _as_text(names[:section_bytes]), _as_text(names[section_bytes:])
    except UnicodeDecodeError:
        raise DamagedEntry("its names are no text") from None
    return Head(section, key, expires_s, value_bytes, digest)


def decode_entry(data: bytes) -> tuple[Head, bytes]:
    """Head and value of an entry.

    Raises:
        DamagedEntry: it is none, or not a whole one.
    """
    head = decode_head(data)
    value = data[head_bytes(data) :]
    if len(value) != head.value_bytes or _digest(value, 32) != head.value_digest:
        raise DamagedEntry("its value is damaged")
    return head, value


def name_on_disk(text: str) -> str:
    """What a section or a key is called on disk: 32 hexadecimal digits."""
    return _digest(as_bytes(text), 16).hex()


def as_bytes(text: str) -> bytes:
    """Any text, also one that is no good UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _digest(data: bytes, size_bytes: int) -> bytes:
    return blake2b(data, digest_size=size_bytes).digest()
