"""IP addresses and networks: one spelling of each, of limited length."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.addresses import ADDRESSES, MAX_ADDRESS_CHARACTERS
from tarry.app.faults import ConversionError

LONGEST = "0000:0000:0000:0000:0000:ffff:255.255.255.255"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (IPv4Address, "192.0.2.1"),
        (IPv6Address, "2001:db8::1"),
        (IPv6Address, LONGEST),
        (IPv4Network, "192.0.2.0/24"),
        (IPv4Network, "192.0.2.1"),
        (IPv6Network, "2001:db8::/32"),
        (IPv6Network, f"{LONGEST}/128"),
    ],
)
def test_read(kind, text):
    assert ADDRESSES[kind](text) == kind(text)


def test_the_limit_is_what_the_longest_one_has():
    assert len(f"{LONGEST}/128") == MAX_ADDRESS_CHARACTERS


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((IPv4Address, text) for text in
          ("", "1", "1.2.3", "1.2.3.256", "01.2.3.4", " 1.2.3.4", "1.2.3.4\n", "0x1.2.3.4", "::1",
           "\u0661.2.3.4", "1.2.3.4/32", "1" * 10**6, "1." * 10**6)),
        *((IPv6Address, text) for text in
          ("", ":", "1.2.3.4", "1::2::3", "fe80::1%eth0", "fe80::1%", "::1/128", "g::",
           f"{LONGEST}0", ":" * 10**6)),
        *((IPv4Network, text) for text in
          ("192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/255.255.255.0", "192.0.2.0/0.0.0.255",
           "192.0.2.0/", "192.0.2.0/24/24", "192.0.2.0/\u0662\u0664", "192.0.2.0/+24")),
        *((IPv6Network, text) for text in ("2001:db8::1/32", "::/129", "::%1/64", "::/-1")),
    ],
)  # fmt: skip
def test_refused(kind, text):
    with pytest.raises(ConversionError, match=r"^is not an IPv"):
        ADDRESSES[kind](text)


@given(st.sampled_from(sorted(ADDRESSES, key=str)), st.text() | st.text("0123456789abf.:/%"))
def test_any_text_is_an_address_or_refused(kind, text):
    try:
        value = ADDRESSES[kind](text)
    except ConversionError:
        return
    assert ADDRESSES[kind](str(value)) == value


@given(st.ip_addresses())
def test_addresses_come_back(address):
    assert ADDRESSES[type(address)](str(address)) == address
