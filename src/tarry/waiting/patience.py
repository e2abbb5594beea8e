"""How long a client waits on its connection before it takes a ticket (RFC 7240)."""

from typing import Final

from tarry.exchange import Exchange
from tarry.message.preferences import wait_s
from tarry.waiting.documents import HTML, preferences_of, preferred_form

PAGE_S: Final = 2.0
"""A person who looks at an empty page wants to see that something happens."""


def patience_s(exchange: Exchange, hold_s: float) -> float:
    """The seconds that a request waits: what it prefers, at most `hold_s`.

    With `respond-async` alone it does not wait at all, and a browser that asks
    for a page not long.
    """
    preferences = preferences_of(exchange)
    asked_s = wait_s(preferences)
    if asked_s is not None:
        return min(asked_s, hold_s)
    if "respond-async" in preferences:
        return 0.0
    return min(PAGE_S, hold_s) if preferred_form(exchange) == HTML else hold_s
