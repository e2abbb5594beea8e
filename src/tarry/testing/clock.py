"""A clock that only moves when it is told to."""

from typing import Final

START_S: Final = 1_750_000_000.0
"""Where wall time begins unless it is given: some second in 2025."""


class JumpingClock:
    """Time for tests: it stands still until `advance`; see `timing.Clock`.

    Give it to a `Worker`, a `TimerTable` or a test client.
    """

    def __init__(self, monotonic_s: float = 1000.0, wall_s: float = START_S) -> None:
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return self._monotonic_s

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return self._wall_s

    def advance(self, seconds: float) -> None:
        """Jump ahead; whoever looks at the clock next sees it.

        Raises:
            ValueError: back instead of ahead, which no machine does.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back, not by {-seconds} s either")
        self._monotonic_s += seconds
        self._wall_s += seconds
