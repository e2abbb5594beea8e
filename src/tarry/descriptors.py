"""File descriptors that threads use and the event loop closes.

A descriptor must not be closed while a thread is inside a call with it: its
number may be given to another file or connection at once, and the call would
then read or write there.
"""

import os
import threading
from collections.abc import Callable
from typing import Any


class Descriptor:
    """A descriptor that closes when it was told to and no call is inside.

    Made without a number it is opened later, in a thread, by `open`.
    """

    __slots__ = ("_closed", "_inside", "_lock", "_number")

    def __init__(self, number: int | None = None) -> None:
        self._number = number
        self._lock = threading.Lock()
        self._closed = False
        self._inside = 0

    def open(self, opener: Callable[[], int]) -> None:
        """Take the number that `opener` returns; closed at once if that came too late.

        Raises:
            ValueError: it was closed before.
        """
        self._enter()
        try:
            self._number = opener()
        finally:
            self._leave()

    def use(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What `function(number, *arguments)` returns; the number stays valid meanwhile.

        Raises:
            ValueError: it is closed.
        """
        self._enter()
        try:
            return function(self._number, *arguments)
        finally:
            self._leave()

    def close(self) -> None:
        """Close it now, or with the last call inside; again without effect."""
        with self._lock:
            closes = not self._closed and not self._inside
            self._closed = True
        if closes:
            self._close()

    def __del__(self) -> None:
        # Where an answer was dropped on its way, by a filter say.
        self._close()

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise ValueError("the descriptor is closed")
            self._inside += 1

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
            closes = self._closed and not self._inside
        if closes:
            self._close()

    def _close(self) -> None:
        number, self._number = self._number, None
        if number is not None:
            os.close(number)
