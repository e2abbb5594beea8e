"""What the parsers below let through and HTTP forbids, refused in one place.

Both engines send each request head through `checked`.  The common case is
decided by the caller in a few comparisons; what remains comes here.
"""

from typing import Final

from tarry.message.heads import Fields, PlainRequestHead, RequestHead
from tarry.message.target import InvalidTarget, split_absolute, valid_authority
from tarry.protocol.errors import PeerError

METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
"""Methods that need no closer look; others are tokens for the application to refuse."""

MAX_METHOD_BYTES: Final = 32
"""The longest registered method, UPDATEREDIRECTREF, has 17 characters."""

KNOWN_HOSTS: Final[set[bytes | None]] = set()
"""Host values found valid, so that a usual one costs one look-up."""

_MAX_KNOWN_HOSTS: Final = 1024


def host_is_valid(host: bytes) -> bool:
    """Whether a Host value names one host (RFC 9110 section 7.2); remembers the good ones."""
    if host in KNOWN_HOSTS:
        return True
    if not valid_authority(host):
        return False
    if len(KNOWN_HOSTS) >= _MAX_KNOWN_HOSTS:
        KNOWN_HOSTS.clear()
    KNOWN_HOSTS.add(host)
    return True


def target_is_plain(target: bytes) -> bool:
    """Whether a target is a path with perhaps a query: ASCII and without a fragment."""
    return target[:1] == b"/" and target.isascii() and 0x23 not in target


def checked(head: RequestHead) -> RequestHead:
    """The head, rewritten if its target was absolute.

    Raises:
        PeerError: 400 for what HTTP forbids, 417 for an unknown expectation,
            501 for CONNECT.
    """
    _check_method(head.method)
    head = _with_path(head)
    _check_host(head)
    check_expectation(head)
    return head


def _check_method(method: bytes) -> None:
    if method == b"CONNECT":
        raise PeerError(501, "this server is no proxy: CONNECT is not implemented")
    if method != method.upper() or len(method) > MAX_METHOD_BYTES:
        raise PeerError(400, "the method is not a name in capitals")


def _with_path(head: RequestHead) -> RequestHead:
    target = head.target
    if target_is_plain(target):
        return head
    if target == b"*":
        if head.method == b"OPTIONS":
            return head
        raise PeerError(400, "the target * goes with OPTIONS only")
    if not target.isascii() or b"#" in target:
        raise PeerError(400, "the target has a fragment or bytes that are not ASCII")
    return _from_absolute(head)


def _from_absolute(head: RequestHead) -> RequestHead:
    """Absolute form: its authority replaces the Host field (RFC 9112 section 3.2.2)."""
    try:
        _, authority, target = split_absolute(head.target)
    except InvalidTarget as error:
        raise PeerError(400, "the target is neither a path nor an http URL") from error
    _check_host(head)
    fields = [field for field in head.headers if field[0].lower() != b"host"]
    return PlainRequestHead(
        head.method,
        target,
        Fields([(b"host", authority), *fields]),
        http_version=head.http_version,
        stream_id=head.stream_id,
        end_stream=head.end_stream,
        expect_continue=head.expect_continue,
    )


def _check_host(head: RequestHead) -> None:
    hosts = head.headers.getall(b"host")
    if not hosts and head.http_version == b"1.0":
        return
    if len(hosts) != 1:
        raise PeerError(400, "a request needs exactly one Host")
    if not host_is_valid(hosts[0]):
        raise PeerError(400, "Host is not a host name with an optional port")


def check_expectation(head: RequestHead) -> None:
    """Refuse an expectation other than 100-continue (RFC 9110 section 10.1.1).

    Raises:
        PeerError: 417.
    """
    expectation = head.headers.get(b"expect")
    if expectation is not None and expectation.strip().lower() != b"100-continue":
        raise PeerError(417, "the only expectation known here is 100-continue")
