"""Names what blocks the event loop.

A thread asks the loop for a sign of life twenty times a second.  When none
comes for `BLOCKED_AFTER_S`, it looks at what the loop's thread is doing and
logs the function, file and line; once more when it is over, with the time it
took.
"""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

from tarry.app.origins import origin_of

logger: Final = logging.getLogger("tarry")

BLOCKED_AFTER_S: Final = 0.1
"""A pause that people notice; half of it is the usual budget of a whole answer."""


class Watchdog:
    """Watches the running loop from a thread of its own until `close`."""

    def __init__(self, blocked_after_s: float = BLOCKED_AFTER_S) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        # The frames that the loop runs in, such as the script that started it, block nothing.
        self._below = list(_frames(sys._getframe()))
        self._blocked_after_s = blocked_after_s
        self._alive = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tarry-watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self._alive.set()
        self._thread.join()
        self._below.clear()

    def _watch(self) -> None:
        while not self._closing.wait(self._blocked_after_s / 2):
            self._alive.clear()
            if self._closing.is_set():  # `close` may have set the sign of life just before
                return
            asked_s = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(self._alive.set)
            except RuntimeError:  # the loop has been closed without us
                return
            if not self._alive.wait(self._blocked_after_s):
                self._report(asked_s)

    def _report(self, asked_s: float) -> None:
        innermost = sys._current_frames().get(self._loop_thread)
        place = _place([frame for frame in _frames(innermost) if frame not in self._below])
        del innermost
        logger.warning(
            "%s blocks the event loop for more than %d ms; make it async, or drop inline=True "
            "so that it runs in a thread",
            place,
            self._blocked_after_s * 1000,
        )
        self._alive.wait()
        if not self._closing.is_set():
            logger.warning(
                "%s blocked the event loop for %.1f s", place, time.monotonic() - asked_s
            )


def _frames(innermost: FrameType | None) -> Iterator[FrameType]:
    frame = innermost
    while frame is not None:
        yield frame
        frame = frame.f_back


def _place(frames: list[FrameType]) -> str:
    """Where a thread is, as its author sees it, from frames with the innermost first.

    That is the author's code rather than a library it called, a library rather
    than the standard library, and that rather than ours.
    """
    if not frames:
        return "something"
    frame = min(frames, key=lambda frame: origin_of(frame.f_code.co_filename))
    return f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"
