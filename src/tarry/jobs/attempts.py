"""One attempt at a job: what a runner is given, and how it ends."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from tarry.app.errors import HttpError
from tarry.app.failures import as_http_error
from tarry.app.results import JSON, answer_for
from tarry.jobs.job import JobCancelled, Told, sendable
from tarry.jobs.orders import Order
from tarry.waiting.answers import kept
from tarry.waiting.records import ANSWER, CANCELLED, DONE, FAILED, WAIT, Failure, encode

FAILED_STATUS: Final = 500


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """How an attempt has ended: a final state, and what belongs to it.

    `kind` tells how the `value` is to be read, as in a `Record`.  `report` is
    for the log alone.  `may_retry` says that another attempt may do better.
    """

    state: str
    value: bytes | None = None
    kind: str = WAIT
    failure: Failure | None = None
    report: str = ""
    may_retry: bool = False


class Attempt(NamedTuple):
    """What is to be done now: the order, and of which attempt of which job this is."""

    id: str
    number: int
    order: Order
    folder: Path
    timeout_s: float | None


class Reporter(Protocol):
    """Who hears of an attempt; from any thread."""

    def told(self, told: Told) -> None:
        """The job has told something."""

    def ended(self, ended: Ended) -> None:
        """It has ended; called once, and last."""


class Running(Protocol):
    """An attempt under way."""

    def cancel(self) -> None:
        """Have it end, soon; that it has is reported as always.  Again does nothing."""


class Runner(Protocol):
    """What runs attempts: in threads, in processes, or on the loop."""

    def start(self, attempt: Attempt, reporter: Reporter) -> Running:
        """Begin an attempt, on the loop and without waiting; errors are reported as its end."""

    def close(self, timeout_s: float) -> None:
        """End what still runs, if need be by force, and wait for it up to so long.  Blocks."""


def succeeded(result: Any) -> Ended:
    """The end of an attempt whose function has returned.

    Raises:
        ResultError: what it returned is no result, or one that cannot be kept.
        InvalidField: a header or cookie that would break the message.
    """
    if result is None:
        return Ended(DONE, b"null")
    answer = answer_for(result)
    if isinstance(answer, tuple) and answer[0] is JSON:
        return Ended(DONE, answer[1])
    return Ended(DONE, encode(kept(result)), ANSWER)


def failed(error: BaseException) -> Ended:
    """The end of an attempt whose function has raised.

    What a client may know is told, such as an `HttpError`, and then another
    attempt would change nothing; all else is for the log.
    """
    if isinstance(error, JobCancelled):
        return Ended(CANCELLED)
    told = _told(error)
    if told is not None:
        return Ended(FAILED, failure=told)
    report = sendable("".join(traceback.format_exception(error)))
    failure = Failure(FAILED_STATUS, "the job failed; the log of the server says why")
    return Ended(FAILED, failure=failure, report=report, may_retry=True)


def _told(error: BaseException) -> Failure | None:
    """What a client may know of an error, `None` if it is for the log."""
    try:
        told = as_http_error(error)
        # A detail may be of any type, and a class of an author may lack all of this.
        failure = Failure(told.status, sendable(str(told.detail or "")))
    except Exception:  # noqa: BLE001 — because a job without an end keeps its place for ever
        return None
    is_meant = isinstance(error, HttpError) or failure.status != FAILED_STATUS
    return failure if is_meant else None


def timed_out(timeout_s: float) -> Ended:
    """The end of an attempt that took too long."""
    failure = Failure(504, f"the job took longer than {timeout_s:g} seconds")
    return Ended(FAILED, failure=failure, may_retry=True)


def performed(call: Callable[[], Any]) -> Ended:
    """Call the function of a job, and say how that ended."""
    try:
        return succeeded(call())
    except BaseException as error:  # noqa: BLE001 — whatever it is, the job has ended with it
        return failed(error)
