"""Runs a target against the clock, and makes what fails small."""

from __future__ import annotations

import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import NamedTuple

from fuzz.mutation import new_input
from fuzz.target import Broken, Target

MAX_INPUT_S = 1.0
"""Processor time for one input of at most `MAX_INPUT_BYTES`."""

HANGS_S = 20.0
"""What takes so much processor time is interrupted."""

_SHRINKING_S = 10.0


class Failure(NamedTuple):
    """An input that breaks a promise, and how."""

    data: bytes
    error: BaseException

    @property
    def text(self) -> str:
        """The error with its traceback."""
        return "".join(traceback.format_exception(self.error))


class Result(NamedTuple):
    """How a target fared."""

    runs: int
    seconds: float
    failure: Failure | None


class TooSlow(Broken):
    """An input takes more than `MAX_INPUT_S`."""


def fuzz(target: Target, seconds: float, numbers: Random) -> Result:
    """Try inputs for some seconds, the seeds first, up to the first that fails."""
    began = time.monotonic()
    runs = 0
    with _interrupting(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a random text means to a compiler of expressions
        for data in _inputs(target, numbers):
            runs += 1
            error = error_of(target, data)
            if error is not None:
                seconds = time.monotonic() - began
                return Result(runs, seconds, _failure(target, data, error))
            if time.monotonic() - began >= seconds:
                break
    return Result(runs, time.monotonic() - began, None)


def _inputs(target: Target, numbers: Random) -> Iterator[bytes]:
    yield from target.seeds
    while True:
        yield new_input(target, numbers)


def error_of(target: Target, data: bytes) -> BaseException | None:
    """What an input does to a target, `None` if all is well."""
    began = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, HANGS_S)
        target.check(data)
    except Exception as error:
        return error
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if time.process_time() - began > MAX_INPUT_S:
        return TooSlow(f"{time.process_time() - began:.1f} s for {len(data)} bytes")
    return None


def _failure(target: Target, data: bytes, error: BaseException) -> Failure:
    small = shrunk(data, lambda part: type(error_of(target, part)) is type(error))
    return Failure(small, error_of(target, small) or error)


def shrunk(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """The input without what the failure does not need, as far as a few seconds allow."""
    end = time.monotonic() + _SHRINKING_S
    size = len(data) // 2
    while size and time.monotonic() < end:
        start = 0
        while start < len(data) and time.monotonic() < end:
            part = data[:start] + data[start + size :]
            if fails(part):
                data = part
            else:
                start += size
        size //= 2
    return data


@contextmanager
def _interrupting() -> Iterator[None]:
    """Have what hangs raise `TooSlow`."""

    def interrupt(number: int, frame: object) -> None:
        raise TooSlow(f"more than {HANGS_S:.0f} s for one input")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGVTALRM, before)
