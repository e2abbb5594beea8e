"""What is wrong with what a client sent: one reason, or one for each name.

A reason is a phrase that follows a name ("is not an integer").  It repeats
little of the input, however long that was.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

MAX_REASON_CHARACTERS: Final = 200
MAX_ECHO_CHARACTERS: Final = 40
"""How much of what a client sent may come back in a reason."""

Fault = tuple[str, str]
"""A name such as `items.0.price`, empty for the whole value, and a reason."""


class ConversionError(ValueError):
    """A text that is no value of the type; its text is a short reason."""


class Faults(ConversionError):
    """What is wrong with several parts of one value, or with one that has a name.

    `faults` has a name and a reason for each.  As text the error is `reason`,
    by default all of them in one phrase.
    """

    def __init__(self, faults: Sequence[Fault], reason: str = "") -> None:
        told = " and ".join(f"{name} {reason}".strip() for name, reason in faults)
        super().__init__(reason or shortened(told, MAX_REASON_CHARACTERS))
        self.faults = list(faults)


def shortened(text: str, limit: int) -> str:
    """The text, cut to a number of characters."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def refusal(message: str) -> str:
    """The reason that a validator's message stands for."""
    return shortened(f"is refused: {message[:1].lower()}{message[1:]}", MAX_REASON_CHARACTERS)


_ECHOING: Final = ("Invalid enum value ", "Invalid value ", "Object contains unknown field ")
"""Beginnings of the messages of msgspec that go on with a part of the input."""


def reason_of(error: msgspec.ValidationError) -> str:
    """What a validation error says, with a bound on what it repeats of the input."""
    text, at, place = _message(error)
    return refusal(f"{text}{at}{place}")


_PATH: Final = re.compile(r"`\$([^`]*)`\Z")
_ABSENT: Final = re.compile("Object missing required field `(.+)`")


def faults_of(error: msgspec.ValidationError) -> Faults:
    """The error of msgspec, which stops at the first, as a fault with its path as name.

    An item is named by its number, a member of a dict by "*".
    """
    text, _, place = _message(error)
    path = _PATH.search(place)
    name = path[1].replace("[...]", ".*").replace("[", ".").replace("]", "") if path else ""
    reason = refusal(text)
    if isinstance(error.__cause__, ConversionError):
        reason = str(error.__cause__)
    elif absent := _ABSENT.fullmatch(text):
        name, reason = f"{name}.{absent[1]}", "is missing"
    return Faults([(name.removeprefix("."), reason)], reason_of(error))


def _message(error: msgspec.ValidationError) -> tuple[str, str, str]:
    """The message with little of the input, " - at ", and the place, if it is known."""
    text, at, place = str(error).rpartition(" - at ")
    if not at:
        text, place = place, ""
    for beginning in _ECHOING:
        if text.startswith(beginning):
            text = shortened(text, len(beginning) + MAX_ECHO_CHARACTERS)
    return text, at, place
