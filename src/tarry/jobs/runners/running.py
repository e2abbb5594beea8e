"""`Reporting`: one attempt under way, of which nothing is told any more when it has ended."""

import logging
import threading
from typing import Final

from tarry.jobs.attempts import Attempt, Ended, Reporter
from tarry.jobs.job import Job, Told
from tarry.waiting.records import CANCELLED, FAILED, INTERRUPTED

logger: Final = logging.getLogger("tarry")


class Reporting:
    """What was asked of an attempt, and what is told of it; from any thread.

    `is_cancelled` is set by who wants it no more, `is_stopped` when it has to
    end for another reason.  Only the first end is reported: the function may
    go on after it in a thread that nothing can end.
    """

    __slots__ = ("_has_ended", "_lock", "_reporter", "attempt", "is_cancelled", "is_stopped")

    def __init__(self, attempt: Attempt, reporter: Reporter) -> None:
        self.attempt = attempt
        self.is_cancelled = self.is_stopped = False
        self._reporter = reporter
        self._has_ended = False
        self._lock = threading.Lock()

    @property
    def shall_end(self) -> bool:
        """Whether the function is to end."""
        return self.is_cancelled or self.is_stopped

    def job(self) -> Job:
        """What the function gets to tell how far it is."""
        attempt = self.attempt
        return Job(attempt.id, attempt.number, attempt.folder, self.tell, lambda: self.shall_end)

    def tell(self, told: Told) -> None:
        """Pass on what the job tells, unless it has ended."""
        with self._lock:
            if not self._has_ended:
                try:
                    self._reporter.told(told)
                except Exception:  # the job is no part of it
                    logger.exception("what the job %s told was lost", self.attempt.id)

    def end(self, ended: Ended) -> None:
        """Report the end, unless it has been; one that nobody has cancelled was interrupted."""
        if ended.state == CANCELLED and self.is_stopped and not self.is_cancelled:
            ended = interrupted()
        with self._lock:
            if not self._has_ended:
                self._has_ended = True
                try:
                    self._reporter.ended(ended)
                except Exception:  # the runner goes on
                    logger.exception("the end of the job %s was lost", self.attempt.id)


def unknown_job(name: str) -> Ended:
    """The end of an attempt at a job that this application does not have."""
    report = f"there is no job {name} in this application; was it renamed since it was ordered?"
    return Ended(FAILED, failure=INTERRUPTED, report=report)


def interrupted() -> Ended:
    """The end of an attempt that could not go on, as the server stops."""
    return Ended(FAILED, failure=INTERRUPTED, may_retry=True)
