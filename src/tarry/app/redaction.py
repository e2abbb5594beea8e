"""Secrets in what is shown to the author of an application: hidden by their names.

It is a help, not a wall: a secret under an innocent name is shown.
"""

import re
from typing import Final
from urllib.parse import unquote_plus

HIDDEN: Final = "•••"
"""Stands where a secret was."""

_SECRET: Final = re.compile(
    # "author" is a field of many records, "authorization" one of headers.
    "passw|passphrase|pwd|token|secret|key|cookie|session|credential|auth(?!ors?(?![a-z]))",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"""(?<![\w-])([\w-]++)['"]?\s*+[:=,]\s*+""")
_VALUE: Final = re.compile(
    r"""b?'(?:[^'\\]|\\.)*+'?|b?"(?:[^"\\]|\\.)*+"?|\[[^\]]*+\]?|\([^)]*+\)?|\{[^}]*+\}?|[^,)\]}]*+"""
)
_QUERY: Final = re.compile(r"(?<=[?&])([^=&#\s]*+)=[^&#\s]*+")


def is_secret(name: str) -> bool:
    """Whether what has this name is hidden: a variable, a header, a parameter."""
    return _SECRET.search(name) is not None


def hide_named(text: str) -> str:
    """A `repr` without the values whose names, in it, are those of secrets."""
    shown, at = [], 0
    for found in _NAME.finditer(text):
        if found.start() < at or not is_secret(found[1]):
            continue
        value = _VALUE.match(text, found.end())
        shown += [text[at : found.end()], HIDDEN]
        at = value.end() if value is not None else len(text)
    return "".join([*shown, text[at:]])


def hide_in_query(text: str) -> str:
    """A URL, or text with URLs, without the values of secret parameters of their queries."""

    def hide(found: re.Match[str]) -> str:
        return f"{found[1]}={HIDDEN}" if is_secret(unquote_plus(found[1])) else found[0]

    return _QUERY.sub(hide, text)
