"""Cookies: read as browsers send them, written as strictly as RFC 6265 asks."""

import re
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from tarry.message.dates import format_date
from tarry.message.heads import InvalidField

MAX_COOKIE_BYTES: Final = 8192
"""Bytes of all Cookie fields of a request together; Tomcat and IIS take as much of a head."""

MAX_SET_COOKIE_BYTES: Final = 4096
"""Name and value of one cookie; browsers drop a longer one (RFC 6265 section 6.1)."""


class CookiesTooLarge(ValueError):
    """More than `MAX_COOKIE_BYTES` of cookies; answer 431 (RFC 6585 section 5)."""


def parse_cookies(values: Iterable[bytes]) -> dict[str, str]:
    """Names and values from the Cookie fields of a request (RFC 6265 section 5.4).

    Lenient, since other programs on the host set cookies too: pieces without
    a name or "=" are skipped, quotes around a value removed, and bytes that
    are not UTF-8 read as latin-1.  Of several cookies of one name the first
    counts: browsers send that of the longest path first, so a cookie for the
    whole host cannot cover the one set for this path.

    Raises:
        CookiesTooLarge: all values together exceed `MAX_COOKIE_BYTES`.
    """
    lines = list(values)
    if sum(map(len, lines)) > MAX_COOKIE_BYTES:
        raise CookiesTooLarge(f"more than {MAX_COOKIE_BYTES} bytes of cookies")
    cookies: dict[str, str] = {}
    for line in lines:
        for piece in line.split(b";"):
            name, equals, value = _text(piece).partition("=")
            # Other white space would turn a foreign name into one with a guarded prefix.
            name = name.strip(" \t")
            if name and equals:
                cookies.setdefault(name, _unquoted(value.strip(" \t")))
    return cookies


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _unquoted(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] == '"'
    return value[1:-1] if quoted else value


@dataclass(frozen=True, slots=True)
class SetCookie:
    """A cookie to give to a client; `encode` makes the value of a Set-Cookie field.

    Without `max_age_s` and `expires` it lives until the browser closes.
    `domain=None` means this host alone, which is safest; a `domain` includes
    all hosts below it.
    """

    name: str
    value: str = field(repr=False)  # often a secret
    _: KW_ONLY
    max_age_s: int | None = None
    expires: datetime | None = None
    path: str = "/"
    domain: str | None = None
    secure: bool = False
    http_only: bool = True
    same_site: Literal["Lax", "Strict", "None"] | None = "Lax"
    partitioned: bool = False

    def encode(self) -> bytes:
        """The field value (RFC 6265 section 4.1.1).

        Raises:
            InvalidField: something that browsers would refuse, or that could
                end the value early; nothing is quoted in silence.
        """
        for holds, problem in _RULES:
            if not holds(self):
                raise InvalidField(f"cookie {self.name[:40]!a}: {problem}")
        return "; ".join(self._parts()).encode("ascii")

    def _parts(self) -> Iterable[str]:
        yield f"{self.name}={self.value}"
        for attribute, value in (
            ("Max-Age", None if self.max_age_s is None else max(self.max_age_s, 0)),
            ("Expires", self.expires and format_date(self.expires.timestamp())),
            ("Domain", self.domain),
            ("Path", self.path),
            ("SameSite", self.same_site),
        ):
            if value is not None:
                yield f"{attribute}={value}"
        flags = {"Secure": self.secure, "HttpOnly": self.http_only, "Partitioned": self.partitioned}
        yield from (flag for flag, is_set in flags.items() if is_set)

    def has_prefix(self, *prefixes: str) -> bool:
        """Whether the name begins with one of the lower-case prefixes, in any case."""
        return self.name.lower().startswith(prefixes)


_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OCTETS: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")
_PATH: Final = re.compile(r"/[ -:<-~]*")
_DOMAIN: Final = re.compile(r"[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*")

_RULES: Final[tuple[tuple[Callable[[SetCookie], object], str], ...]] = (
    (lambda c: _TOKEN.fullmatch(c.name), "the name is no token"),
    (lambda c: _OCTETS.fullmatch(c.value),
     'the value has a space, control, non-ASCII character or one of ",;\\ : encode it'),
    (lambda c: len(c.name) + len(c.value) <= MAX_SET_COOKIE_BYTES,
     f"name and value are longer than {MAX_SET_COOKIE_BYTES} bytes"),
    (lambda c: _PATH.fullmatch(c.path), 'the path needs "/" first and no ";" or control'),
    (lambda c: c.domain is None or _DOMAIN.fullmatch(c.domain), "the domain is no host name"),
    (lambda c: c.expires is None or c.expires.tzinfo, "expires needs a time zone"),
    (lambda c: c.same_site in {"Lax", "Strict", "None", None}, "same_site is unknown"),
    (lambda c: c.secure or c.same_site != "None", "same_site None needs secure"),
    (lambda c: c.secure or not c.partitioned, "partitioned needs secure"),
    # RFC 6265bis section 4.1.3; browsers compare the prefixes in any case.
    (lambda c: c.secure or not c.has_prefix("__secure-", "__host-"), "this prefix needs secure"),
    (lambda c: (c.path, c.domain) == ("/", None) or not c.has_prefix("__host-"),
     'the prefix __Host- needs path "/" and no domain'),
)  # fmt: skip


def delete_cookie(name: str, path: str = "/", domain: str | None = None) -> SetCookie:
    """A cookie that removes the one of this name; path and domain must be those it was set with."""
    cookie = SetCookie(name, "", max_age_s=0, path=path, domain=domain)
    # Browsers refuse such a name without it, and would keep the old cookie.
    return replace(cookie, secure=cookie.has_prefix("__secure-", "__host-"))
