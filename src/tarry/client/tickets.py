"""What a client knows of a ticket."""

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

_TICKET: Final = re.compile(r".*/t/tk_[^/]+")


def ticket_address(url: str) -> str | None:
    """The URL without query and fragment if it is the address of a ticket, else `None`."""
    parts = urlsplit(url)
    if _TICKET.fullmatch(parts.path) is None:
        return None
    return parts._replace(query="", fragment="").geturl()


@dataclass(frozen=True, slots=True)
class Ticket:
    """How it stands with a request that waits.

    `url` is the address of its ticket, a secret: `request(url)` goes on with
    it, in another process, too.  `state` is "waiting", "working" or "input".
    It is `at` of `of` steps, with a word on it in `text`; each is `None`, and
    the word empty, as long as nobody has said.  `position` is its place in a
    queue, if it is in one.  `rev` counts the changes.
    """

    url: str = field(repr=False)
    state: str
    at: float | None
    of: float | None
    text: str
    position: int | None
    rev: int

    @property
    def fraction(self) -> float | None:
        """How much is done, from 0 to 1, or `None` if that is not known."""
        if self.at is None or not self.of:
            return None
        return min(max(self.at / self.of, 0.0), 1.0)


def ticket_of(url: str, document: dict[str, Any]) -> Ticket:
    """What the document of a ticket says."""
    progress = document.get("progress") or {}
    return Ticket(
        url,
        document["state"],
        progress.get("at"),
        progress.get("of"),
        progress.get("text") or "",
        document.get("position"),
        document["rev"],
    )
