"""A clock that only moves when it is told to."""

import asyncio
import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

from tarry.timing import Clock, Duration, seconds

START_S: Final = 1_750_000_000.0
"""Where wall time begins unless it is given: some second in 2025."""

TURNS: Final = 100
"""Turns of the loop after which what began with one event has come to rest."""


class Settling:
    """What has been done already; awaiting it lets the loop run until it has come to rest.

    Threads, sockets and the loop's own timers are not waited for.
    """

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        for _ in range(TURNS):
            yield from asyncio.sleep(0).__await__()


class JumpingClock:
    """Time for tests: it stands still until `advance`; see `timing.Clock`.

    Give it to a `Worker`, a `TimerTable` or a test client.
    """

    def __init__(self, monotonic_s: float = 1000.0, wall_s: float = START_S) -> None:
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        self._to_tell: dict[object, Callable[[], object]] = {}

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return self._monotonic_s

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return self._wall_s

    def advance(self, duration: Duration) -> Settling:
        """Jump ahead; whoever looks at the clock next sees it.

        `await clock.advance("2m")` lets the running loop also do what is due then.

        Raises:
            TypeError: no duration; see `timing.seconds`.
            ValueError: back instead of ahead, which no machine does.
        """
        if isinstance(duration, float | int) and duration < 0:
            raise ValueError(f"time does not go back, not by {-duration} s either")
        ahead_s = seconds(duration)
        self._monotonic_s += ahead_s
        self._wall_s += ahead_s
        for callback in list(self._to_tell.values()):
            callback()
        return Settling()

    def on_jump(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have `callback` called after each jump, in the thread that jumps.

        Returns what takes it back.
        """
        key = object()
        self._to_tell[key] = callback

        def take_back() -> None:
            self._to_tell.pop(key, None)

        return take_back


@contextlib.contextmanager
def going_by(app: Any, clock: Clock | None) -> Iterator[None]:
    """Within, an application that has a `clock` goes by this one, if one is given."""
    if clock is None or not hasattr(app, "clock"):
        yield
        return
    before, app.clock = app.clock, clock
    try:
        yield
    finally:
        app.clock = before
