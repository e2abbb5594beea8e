"""What everybody knows of WebSocket (RFC 6455): its options with their limits, and close codes."""

import re
from dataclasses import dataclass
from typing import Final

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011

BROKEN: Final = 1006
"""Told when the connection ended without a close frame; never sent (RFC 6455 section 7.4.1)."""

_SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
"""Codes that may stand in a close frame (RFC 6455 section 7.4, and IANA's registry)."""

MAX_CONTROL_BYTES: Final = 125
"""Payload of a ping, a pong or a close frame (RFC 6455 section 5.5)."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketOptions:
    """How one address speaks WebSocket, and how much of what a peer may send.

    Raises:
        ValueError: a subprotocol that is no token, or a limit or time of 0 or less.
    """

    subprotocols: tuple[str, ...] = ()
    """Those we speak, best first.  Without one in common the socket opens with none."""

    compression: bool = False
    """Whether permessage-deflate (RFC 7692) is taken from clients that offer it.  Off, since it
    costs some 50 KB per connection and, beside a secret, tells its length (CVE-2013-3587)."""

    control_frames: bool = False
    """Whether the handler is told of pings and pongs; they are answered in any case."""

    max_message_bytes: int = 16 * 1024 * 1024
    """A whole message, inflated → close 1009, from the announced length of a frame where that
    is enough to know.  websockets has 1 MiB, aiohttp 4 MiB."""

    max_fragments: int = 65_536
    """Frames of one message → close 1009.  Empty ones cost a sender six bytes; Autobahn's test
    suite sends 4 MiB in frames of 64 bytes, which is this number."""

    max_queued_messages: int = 16
    """Messages that wait for the handler; then reading pauses.  websockets has 16, too."""

    ping_interval_s: float = 20.0
    """How often a ping goes out.  A peer of which nothing came from one ping to the next is
    given up with 1011.  websockets: 20 s and 20 s."""

    close_timeout_s: float = 10.0
    """From our close frame to the end of the connection; then it is cut."""

    def __post_init__(self) -> None:
        for name in self.subprotocols:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"the subprotocol {name!r} is not a token")
        for name in ("max_message_bytes", "max_fragments", "max_queued_messages"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("ping_interval_s", "close_timeout_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0 seconds, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping that came; its pong is on the way."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """A pong that came, asked for or not."""

    data: bytes


Received = str | bytes | Ping | Pong
"""What comes from a peer: a text, binary data, or a control frame."""


def check_close(code: int, reason: str) -> None:
    """Refuse what cannot stand in a close frame (RFC 6455 section 5.5.1).

    Raises:
        ValueError: a code that is reserved, or a reason of more than 123 bytes.
    """
    if code not in _SENDABLE:
        raise ValueError(f"{code} cannot be sent as a close code; 3000 to 4999 are free to use")
    if len(reason.encode()) > MAX_CONTROL_BYTES - 2:
        raise ValueError("the reason of a close is longer than 123 bytes")


def check_ping(data: bytes) -> None:
    """Refuse the payload of a ping that does not fit.

    Raises:
        ValueError: more than 125 bytes.
    """
    if len(data) > MAX_CONTROL_BYTES:
        raise ValueError(f"a ping carries at most {MAX_CONTROL_BYTES} bytes, not {len(data)}")
