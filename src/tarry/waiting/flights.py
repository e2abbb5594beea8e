"""One computation for all who ask the same at the same time: the first makes it, others wait."""

import threading
from concurrent.futures import Future
from enum import Enum
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeAlias

from tarry.app.answering import HANDLER_ERRORS
from tarry.app.deferred import Instead
from tarry.app.errors import HttpError
from tarry.exchange import ClientGone
from tarry.waiting.answers import restored
from tarry.waiting.records import KeptAnswer, KeptFile

Name: TypeAlias = tuple[str, str, int]
"""Section and key of what is made, and the epoch of the cache when it was begun."""


class Fate(Enum):
    """What becomes of those who have waited for another request."""

    TOGETHER = "they get what it came to"
    AGAIN = "it has left, and one of them begins in its place"
    ALONE = "what it came to is for its own client, so that each makes its own"


class Landed(NamedTuple):
    """How a flight has ended."""

    fate: Fate
    answer: KeptAnswer | KeptFile | None = None
    error: BaseException | None = None
    traceback: TracebackType | None = None

    def result(self) -> Any:
        """What the request is answered with; raises the error if it came to one."""
        if self.error is not None:
            # Of all who raise it, each adds to its traceback.
            raise self.error.with_traceback(self.traceback)
        if self.answer is None:
            raise RuntimeError("there is neither answer nor error")
        return restored(self.answer)


AGAIN: Final = Landed(Fate.AGAIN)
ALONE: Final = Landed(Fate.ALONE)


def landed_with(error: BaseException) -> Landed:
    """What an error of the first means for the others."""
    if isinstance(error, Instead) or (isinstance(error, HttpError) and sets_cookie(error.headers)):
        return ALONE
    if isinstance(error, HANDLER_ERRORS) and not isinstance(error, ClientGone):
        return Landed(Fate.TOGETHER, None, error, error.__traceback__)
    return AGAIN


def sets_cookie(fields: Any) -> bool:
    """Whether one of these fields is for one client alone."""
    return any(name.lower() == b"set-cookie" for name, _ in fields)


class Flight(Future[Landed]):
    """A computation that is under way; its result is how it has ended, and never an error."""


class Flights:
    """All that is under way in this process; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Name, Flight] = {}

    def board(self, name: Name) -> tuple[Flight, bool]:
        """The flight for something, and whether the caller is first and has to make it."""
        with self._lock:
            flight = self._flights.get(name)
            if flight is not None:
                return flight, False
            self._flights[name] = flight = Flight()
            return flight, True

    def land(self, name: Name, landed: Landed) -> None:
        """Tell who waits; who comes from now on begins anew."""
        with self._lock:
            flight = self._flights.pop(name)
        flight.set_result(landed)
