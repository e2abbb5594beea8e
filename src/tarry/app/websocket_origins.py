"""Which web pages may connect: a browser sends cookies along, wherever a page comes from.

The browser itself only names the origin of the page (RFC 6454) and does not
ask first, so that a server that does not look at it talks to any page in the
name of its users (cross-site WebSocket hijacking, CVE-2019-13611).
"""

import re
from collections.abc import Iterable
from typing import Final, Literal

_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.\-]*)://([^/?#@\s]+)")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class OriginPolicy:
    """The origins that are allowed: some, all by `"*"`, or by `None` those of the same host.

    Raises:
        ValueError: an origin that is not like `https://example.com`.
    """

    __slots__ = ("_all", "_known")

    def __init__(self, origins: Iterable[str] | Literal["*"] | None = None) -> None:
        self._all = origins == "*"
        self._known: frozenset[str] | None = None
        if isinstance(origins, str) and not self._all:
            raise ValueError(f'origins is a list, or "*" for all, not {origins!r}')
        if origins is not None and not self._all:
            self._known = frozenset(_checked(origin) for origin in origins)

    def allows(self, named: list[str], host: str) -> bool:
        """Whether a request with these Origin fields, for this host, may go on.

        None at all is allowed: it comes from no browser, and so without
        somebody else's cookies.
        """
        if self._all or not named:
            return True
        if len(named) > 1:
            return False
        if self._known is not None:
            return _normal(named[0]) in self._known
        match = _ORIGIN.fullmatch(named[0].lower())
        return match is not None and _is_same_host(match[1], match[2], host.lower())


def _is_same_host(scheme: str, authority: str, host: str) -> bool:
    """Whether it is the same host and port; the scheme may differ, behind a proxy with TLS."""
    port = _DEFAULT_PORTS.get(scheme, "")
    return authority.removesuffix(port) == host.removesuffix(port)


def _normal(origin: str) -> str:
    scheme, _, authority = origin.lower().partition("://")
    return f"{scheme}://{authority.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


def _checked(origin: str) -> str:
    if not _ORIGIN.fullmatch(origin.lower()):
        raise ValueError(f"{origin!r} is no origin; write it like https://example.com:8443")
    return _normal(origin)
