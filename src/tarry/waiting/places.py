"""Where a wait stands, if something works on it that has others to do first."""

from collections.abc import Callable
from typing import Final, NamedTuple

from tarry.waiting.records import Record


class Place(NamedTuple):
    """A place in a queue: 1 is the next one, `None` whose turn it is.

    `estimate_s` are the seconds until it is done, if others have shown how long it takes.
    """

    position: int | None = None
    estimate_s: float | None = None


NOWHERE: Final = Place()

PlaceOf = Callable[[Record], Place]
"""Tells where a wait stands, as far as this process knows."""


def nowhere(_: Record) -> Place:
    """There is no queue."""
    return NOWHERE
