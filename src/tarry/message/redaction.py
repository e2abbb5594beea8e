"""Secrets in addresses, hidden before they are written into a log.

Tickets and wake tokens stand in paths and queries, since links carry them; who
can read a log must not be able to use them.
"""

import re
from typing import Final

SECRET_CHARACTERS: Final = 30
"""What follows the four characters that are shown has at least so many; an ordinary word less."""

# A character of a token as it is, or percent-encoded, which leads to the same address.
_ANY: Final = r"(?:[\w-]|%[0-9a-f]{2})"
_TOKEN: Final = re.compile(
    rf"((?:[tw]|%7[47])(?:k|%6b)(?:_|%5f){_ANY}{{4}}){_ANY}{{{SECRET_CHARACTERS},}}+",
    re.ASCII | re.IGNORECASE,
)


def hide_tokens(text: str) -> str:
    """The text with the first seven characters of each ticket and wake token: `tk_q3Zx…`."""
    return _TOKEN.sub(r"\1…", text) if "k" in text or "K" in text or "%" in text else text
