"""How long a client goes on asking, and how long it rests in between."""

import logging
import random
from collections.abc import Callable
from typing import Final

from tarry.client.failures import RequestTimeout, TryAgain
from tarry.timing import NEVER, Clock

logger: Final = logging.getLogger("tarry.client")

MIN_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 30.0
"""Pauses double from the one to the other, as those of tarry.js."""

MAX_DOUBLINGS: Final = 10

FIRST_CONTACT_S: Final = 10.0
"""How long a server may be out of reach that never was in reach; most often it is a wrong URL."""

MAX_SILENCE_S: Final = 1_000_000.0
"""What every system takes as the time-out of a socket; none is longer."""


class Endurance:
    """A deadline for all, and a limit for how long the server may be away at a stretch.

    `pause` is called with the seconds between two attempts.
    """

    def __init__(
        self, timeout_s: float, away_s: float, clock: Clock, pause: Callable[[float], object]
    ) -> None:
        self.clock = clock
        self._deadline_s = clock.monotonic_s() + timeout_s
        self._away_s = away_s
        self._pause = pause
        self._was_reached = False
        self._failures = 0
        self._away_since_s = 0.0

    def left_s(self, at_most_s: float = MAX_SILENCE_S) -> float:
        """Seconds until the deadline, or `at_most_s`.

        Raises:
            RequestTimeout: it has passed.
        """
        left_s = self._deadline_s - self.clock.monotonic_s()
        if left_s <= 0:
            raise RequestTimeout("the answer did not come in the time given", state="timeout")
        return min(left_s, at_most_s)

    def reached(self) -> None:
        """There is a connection to the server."""
        self._was_reached = True

    def heard(self) -> None:
        """The server has said what it was asked for; what went wrong before is over."""
        self._was_reached = True
        self._failures = 0

    def rest(self, error: TryAgain) -> None:
        """Pause after a failure.

        Raises:
            RequestFailed: the server has been away for too long; with what failed last.
            RequestTimeout: the deadline has passed.
        """
        now_s = self.clock.monotonic_s()
        if not self._failures:
            self._away_since_s = now_s
        limit_s = self._away_s if self._was_reached else min(self._away_s, FIRST_CONTACT_S)
        away_s = now_s - self._away_since_s
        self.left_s()
        if away_s >= limit_s:
            raise error.failure from error
        if self._failures == 1:  # a single failure is no outage: streams are cut every day
            logger.warning("%s; asking again for %.0f s", error, limit_s - away_s)
        doublings = min(self._failures, MAX_DOUBLINGS)
        self._failures += 1
        most_s = min(MIN_PAUSE_S * 2**doublings, MAX_PAUSE_S)
        # Clients that lost the same server must not come back all at once.
        jittered_s = most_s * (0.5 + random.random() / 2)  # noqa: S311 — because nothing is secret
        self.pause(max(min(error.retry_s, MAX_PAUSE_S), jittered_s))

    def pause(self, pause_s: float) -> None:
        """Let time pass, up to the deadline."""
        if pause_s > 0:
            self._pause(self.left_s(pause_s))


def as_limit_s(seconds_s: float | None) -> float:
    """A limit in seconds, where `None` is none."""
    return NEVER if seconds_s is None else seconds_s
