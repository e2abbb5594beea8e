"""Request targets: paths, queries and authorities, decoded once and strictly.

What does not decode in exactly one way is refused, for two programs that read
one target differently are how filters are passed by (RFC 3986 section 7.3).
Every function here takes time linear in its input.
"""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final
from urllib.parse import quote

MAX_AUTHORITY_BYTES: Final = 255
"""Longest authority, after the longest name of DNS (RFC 1035 section 2.3.4)."""

_HEX: Final = "0123456789abcdefABCDEF"
_BYTES: Final = {a + b: bytes([int(a + b, 16)]) for a in _HEX for b in _HEX}
"""The byte for each two hexadecimal digits."""

_ABSOLUTE: Final = re.compile(rb"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY: Final = re.compile(rb"(?:[a-zA-Z0-9.~_-]+|\[([0-9a-fA-F:.]+)\])(?::([0-9]{1,5}))?")


class InvalidTarget(ValueError):
    """A target that cannot be read in exactly one way; answer 400.

    The text is a short reason without any part of the target.
    """


class TooManyFields(InvalidTarget):
    """A query of more fields than allowed."""


def decode_path(raw: bytes) -> list[str]:
    """The decoded segments of a path: `["a", "b"]` for `/a/b`, `["a", ""]` for `/a/`.

    The path is split before it is decoded, so `%2F` stays inside its segment.
    Dots are not resolved and empty segments not removed.

    Raises:
        InvalidTarget: no "/" at the start, or a segment that does not decode.
    """
    text = _plain(raw)
    if text[:1] != "/":
        raise InvalidTarget('the path does not begin with "/"')
    segments = text.split("/")[1:]
    return [_decode(segment) for segment in segments] if "%" in text else segments


def decode_segment(raw: bytes) -> str:
    """Percent-decode one piece of a target as UTF-8 (RFC 3986 section 2.1).

    Raises:
        InvalidTarget: a "%" without two hexadecimal digits, NUL, a bare byte
            outside ASCII, or what is not UTF-8 (overlong and surrogates too).
    """
    return _decode(_plain(raw))


def _plain(raw: bytes) -> str:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidTarget("a byte outside ASCII is not percent-encoded") from None
    return _without_nul(text)


def _without_nul(text: str) -> str:
    # Libraries in C end a file name here, so that another file would be opened than was checked.
    if "\0" in text:
        raise InvalidTarget("NUL is not allowed")
    return text


def _decode(text: str) -> str:
    if "%" not in text:
        return text
    first, *pieces = text.split("%")
    try:
        decoded = [_BYTES[piece[:2]] + piece[2:].encode() for piece in pieces]
        return _without_nul(b"".join([first.encode(), *decoded]).decode())
    except KeyError:
        raise InvalidTarget('a "%" is not followed by two hexadecimal digits') from None
    except UnicodeDecodeError:
        raise InvalidTarget("percent-encoded bytes are not UTF-8") from None


def parse_query(raw: bytes, max_fields: int = 1000) -> dict[str, list[str]]:
    """The fields of a query, or of an urlencoded body: each name with its values in order.

    Fields are separated by "&" alone, and the first "=" ends the name; without
    one the value is `""`.  "+" is a space.  Empty pieces do not count.

    Raises:
        TooManyFields: more than `max_fields`, repeated names counted.
        InvalidTarget: a name or value that does not decode as `decode_segment` says.
    """
    text = _plain(raw)
    pieces = text.split("&")
    if len(pieces) > max_fields and sum(map(bool, pieces)) > max_fields:
        raise TooManyFields(f"the query has more than {max_fields} fields")
    encoded = "%" in text or "+" in text
    fields: dict[str, list[str]] = {}
    for piece in pieces:
        if piece:
            name, _, value = piece.partition("=")
            if encoded:
                name = _decode(name.replace("+", " "))
                value = _decode(value.replace("+", " "))
            if name in fields:
                fields[name].append(value)
            else:
                fields[name] = [value]
    return fields


def quote_segment(text: str) -> str:
    """Percent-encode text as one segment of a path; `decode_segment` gives it back.

    Raises:
        InvalidTarget: text that would not arrive: "." and "..", which clients
            resolve even when encoded, NUL, or half of a surrogate pair.
    """
    if text in {".", ".."}:
        raise InvalidTarget(f"{text!r} cannot be a segment of a path")
    try:
        return quote(_without_nul(text), safe="")
    except UnicodeEncodeError:
        raise InvalidTarget("half of a surrogate pair cannot be sent") from None


def split_absolute(target: bytes) -> tuple[bytes, bytes, bytes]:
    """Scheme (lower-case), authority and origin-form of `http://host:port/path?query`.

    For targets in absolute-form (RFC 9112 section 3.2.2).  The origin-form
    begins with "/", also where the target has no path; its characters are not
    checked.

    Raises:
        InvalidTarget: another scheme, a fragment, or an authority that
            `valid_authority` refuses, such as an empty one or one with userinfo.
    """
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise InvalidTarget("the target is no http or https URL without a fragment")
    scheme, authority, rest = match.groups()
    if not valid_authority(authority):
        raise InvalidTarget("the authority of the target is not host or host:port")
    return scheme.lower(), authority, rest if rest[:1] == b"/" else b"/" + rest


def valid_authority(value: bytes) -> bool:
    """Whether a value is `host` or `host:port`, as a Host header needs it (RFC 9110 section 7.2).

    A host is a name of letters, digits and `-._~`, an IPv4 address, or an IPv6
    address in brackets.  The names of RFC 3986 section 3.2.2 may also have
    percent-encoding and `!$&'()*+,;=`; no real name has, and they hide attacks.
    """
    match = _AUTHORITY.fullmatch(value)
    if match is None or len(value) > MAX_AUTHORITY_BYTES:
        return False
    address, port = match.groups()
    return (port is None or int(port) <= 65535) and (address is None or _is_ipv6(address))


def _is_ipv6(address: bytes) -> bool:
    try:
        IPv6Address(address.decode("ascii"))
    except AddressValueError:
        return False
    return True
