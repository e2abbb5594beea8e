"""The Prefer header field: what a client would like, if it can be had (RFC 7240)."""

import re
from collections.abc import Iterable
from typing import Final

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_PARAMETERS: Final = rf'(?:;[^,"]*+(?:{_QUOTED}[^,"]*+)*+)?'
# Possessive, since a client chooses what is tried: `*` would try each space many times.
_PREFERENCE: Final = re.compile(
    rf"[ \t]*+({_NAME})(?:[ \t]*+=[ \t]*+({_NAME}|{_QUOTED})?)?[ \t]*+{_PARAMETERS}[ \t]*+(?:,|$)"
)

MAX_CHARACTERS: Final = 4096
"""What is looked at of one field, which holds all preferences there are many times over."""

MAX_WAIT_S: Final = 1e9
"""More seconds than anybody waits; larger numbers count as this one."""


def parse_preferences(values: Iterable[str]) -> dict[str, str]:
    """Preferences by their names in lower case; the first of each counts, as the RFC says.

    One without a value has `""`.  Parameters are left out, since no
    preference in use has any; what is malformed is skipped up to the next comma.
    """
    found: dict[str, str] = {}
    for field in values:
        value, position = field[:MAX_CHARACTERS], 0
        while position < len(value):
            match = _PREFERENCE.match(value, position)
            if match is None:
                position = value.find(",", position) + 1 or len(value)
                continue
            name, text = match.groups()
            found.setdefault(name.lower(), _unquoted(text or ""))
            position = match.end()
    return found


def wait_s(preferences: dict[str, str]) -> float | None:
    """The seconds that a client will wait (section 4.3), `None` if it does not say."""
    text = preferences.get("wait", "")
    if not text.isascii() or not text.isdecimal():
        return None
    return min(float(text), MAX_WAIT_S)


def preference_applied(preferences: dict[str, str], waited_s: float) -> str:
    """What Preference-Applied says of an answer for which a client was to wait so many seconds."""
    applied = ["respond-async"] if "respond-async" in preferences else []
    if wait_s(preferences) is not None:
        applied.append(f"wait={waited_s:.0f}")
    return ", ".join(applied)


def _unquoted(text: str) -> str:
    if text[:1] != '"':
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1])
