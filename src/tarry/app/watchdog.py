"""Names what blocks the event loop.

A thread asks the loop for a sign of life ten times a second.  When none comes
for `BLOCKED_AFTER_S`, it looks at what the loop's thread is doing and logs the
function, file and line; once more when it is over, with the time it took.
"""

import asyncio
import logging
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Final

logger: Final = logging.getLogger("tarry")

BLOCKED_AFTER_S: Final = 0.1
"""A pause that people notice; half of it is the usual budget of a whole answer."""

_OWN_FILES: Final = (str(Path(__file__).parent.parent), str(Path(asyncio.__file__).parent))
"""Frames in these folders are the loop and the server, not who blocks them."""


class Watchdog:
    """Watches the running loop from a thread of its own until `close`."""

    def __init__(self, blocked_after_s: float = BLOCKED_AFTER_S) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
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

    def _watch(self) -> None:
        while not self._closing.wait(self._blocked_after_s):
            self._alive.clear()
            asked_s = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(self._alive.set)
            except RuntimeError:  # the loop has been closed without us
                return
            if not self._alive.wait(self._blocked_after_s):
                self._report(asked_s)

    def _report(self, asked_s: float) -> None:
        place = _place(sys._current_frames().get(self._loop_thread))  # noqa: SLF001 — its only way
        logger.warning(
            "%s blocks the event loop for more than %d ms; make it async, or drop inline=True "
            "so that it runs in a thread",
            place,
            self._blocked_after_s * 1000,
        )
        self._alive.wait()
        if not self._closing.is_set():
            logger.warning("%s blocked the event loop for %.1f s", place, time.monotonic() - asked_s)


def _place(innermost: FrameType | None) -> str:
    """The author's function in which a thread is: the innermost frame that is none of ours."""
    frame = innermost
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FILES):
        frame = frame.f_back
    # The author's code may be below a library that it called; name the author's.
    while frame is not None and "site-packages" in frame.f_code.co_filename:
        frame = frame.f_back
    frame = frame or innermost
    if frame is None:
        return "something"
    code = frame.f_code
    return f"{code.co_qualname} ({code.co_filename}:{frame.f_lineno})"
