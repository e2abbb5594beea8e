"""IP addresses and networks as text: which types there are, and how strictly they are read."""

from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Final

from tarry.app.faults import ConversionError

MAX_ADDRESS_CHARACTERS: Final = 49
"""The longest IPv6 address, with an IPv4 address at its end, and "/128"."""


def _read(kind: Callable[[str], Any], reason: str, text: str) -> Any:
    address, slash, length = text.partition("/")
    # A zone ("%eth0") has a meaning on its own host only (RFC 4007 section 6), and may be any text.
    if len(text) > MAX_ADDRESS_CHARACTERS or "%" in address:
        raise ConversionError(reason)
    # A length only: the library would take masks as well, and their opposite.
    if slash and not (length.isdigit() and length.isascii()):
        raise ConversionError(reason)
    try:
        return kind(text)
    except ValueError:
        raise ConversionError(reason) from None


ADDRESSES: Final[Mapping[type, Callable[[str], Any]]] = {
    IPv4Address: partial(_read, IPv4Address, "is not an IPv4 address"),
    IPv6Address: partial(_read, IPv6Address, "is not an IPv6 address"),
    IPv4Network: partial(_read, IPv4Network, "is not an IPv4 network like 192.0.2.0/24"),
    IPv6Network: partial(_read, IPv6Network, "is not an IPv6 network like 2001:db8::/32"),
}
"""How each type is read from text; raises `ConversionError`.  Written it is `str`."""
