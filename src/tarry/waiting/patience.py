"""How long a client waits on its connection before it takes a ticket (RFC 7240)."""

from tarry.exchange import Exchange
from tarry.message.preferences import parse_preferences, wait_s


def patience_s(exchange: Exchange, hold_s: float) -> float:
    """The seconds that a request waits: what it prefers, at most `hold_s`.

    With `respond-async` alone it does not wait at all.
    """
    fields = exchange.head.headers.getall(b"prefer")
    preferences = parse_preferences(value.decode("latin-1") for value in fields)
    asked_s = wait_s(preferences)
    if asked_s is None:
        return 0.0 if "respond-async" in preferences else hold_s
    return min(asked_s, hold_s)
