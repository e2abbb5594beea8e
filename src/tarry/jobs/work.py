"""Work: one attempt that runs in this process, and what is written of it."""

import asyncio
import functools
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from tarry.jobs.attempts import Attempt, Ended, Running
from tarry.jobs.job import Told
from tarry.jobs.ledger import Finished, Following, JobLedger
from tarry.jobs.specs import JobSpec
from tarry.state.store import StoreClosed, StoreError
from tarry.waiting.futures import chain, done
from tarry.waiting.ledger import Settled
from tarry.waiting.parking import Parking
from tarry.waiting.records import FAILED, Progress, Record

logger: Final = logging.getLogger("tarry")

TELL_S: Final = 0.1
"""How often the progress of a job is written: as often as a person can see."""

AGAIN_S: Final = 1.0
"""How long to wait before a store is asked again to keep a result."""

MAX_UNTOLD_CHARACTERS: Final = 65_536
"""Lines that a job may log before they are written; each write is kept as one event of its record,
of which there are 64.  Beyond it the oldest are left out, and a line says how many."""

News = tuple[Progress | None, str | None]
"""How far a job is, and what it has logged, as far as there is something new."""

Follow = Callable[["Work"], Following | None]
"""Tells who may begin in the place of what has ended."""

OnOver = Callable[["Work", Finished | None], None]
"""Hears that all is over, with what came of it, on the loop; `None` if nobody could keep it."""


class Work:
    """An attempt under way; it is the `Reporter` of its runner."""

    def __init__(
        self,
        parking: Parking,
        ledger: JobLedger,
        spec: JobSpec,
        attempt: Attempt,
        keep: Callable[[Ended], "Future[None]"],
        follow: Follow,
        on_over: OnOver,
    ) -> None:
        self._parking = parking
        self._ledger = ledger
        self.spec = spec
        self.attempt = attempt
        self._keep = keep
        self._follow = follow
        self._on_over = on_over
        self.following: Following | None = None
        self._running: Running | None = None
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._lines: deque[str] = deque()
        self._characters = self._left_out = 0
        self._is_telling = False
        self._is_writing = False
        self._ended: Ended | None = None
        self._kept: Ended | None = None

    def begin(self, running: Running) -> None:
        """It runs: listen to whether it shall end."""
        self._running = running
        if self._ended is None:
            self._parking.watching.watch(self.attempt.id, self._take)

    def _take(self, record: Record) -> None:
        # What was read before it began may come late.
        is_over = record.is_settled or record.attempt > self.attempt.number
        if self._running is not None and (record.is_cancelling or is_over):
            self._running.cancel()

    # ---- what it tells -------------------------------------------------------------------

    def told(self, told: Told) -> None:
        """The job has told something; from any thread."""
        with self._lock:
            if told.progress is not None:
                self._progress = told.progress
            if told.line is not None:
                self._add(told.line)
            is_first, self._is_telling = not self._is_telling, True
        if is_first:
            self._parking.on_loop(self._tell)

    def _add(self, line: str) -> None:
        self._lines.append(line)
        self._characters += len(line)
        while self._characters > MAX_UNTOLD_CHARACTERS:
            self._characters -= len(self._lines.popleft())
            self._left_out += 1

    def _news(self) -> News:
        """What has been told and not been written."""
        with self._lock:
            progress, self._progress = self._progress, None
            lines = list(self._lines)
            if self._left_out:
                lines.insert(0, f"({self._left_out} lines were left out)")
            self._lines.clear()
            self._characters = self._left_out = 0
            self._is_telling = progress is not None or bool(lines)
        return progress, "\n".join(lines) if lines else None

    def _take_back(self, news: News) -> None:
        """What could not be written is still to be told, before all that came after it."""
        progress, text = news
        with self._lock:
            if self._progress is None:
                self._progress = progress
            if text is not None:
                self._lines.appendleft(text)
                self._characters += len(text)
            self._is_telling = True

    def _tell(self) -> None:
        if self._ended is not None:
            return  # it is written with the end
        news = self._news()
        if news == (None, None):
            return
        self._is_writing = True
        attempt = self.attempt
        told = chain(done(None), lambda _: self._ledger.tell(attempt.id, attempt.number, *news))
        told.add_done_callback(lambda told: self._parking.on_loop(self._was_told, news, told))

    def _was_told(self, news: News, told: "Future[Settled]") -> None:
        self._is_writing = False
        if told.exception() is not None:
            self._take_back(news)
        if self._kept is not None:
            self._finish(self._kept, self._news())
        else:
            asyncio.get_running_loop().call_later(TELL_S, self._tell)
        if told.exception() is not None:
            return
        settled = told.result()
        self._parking.watching.saw(settled.record)
        if not settled.accepted and self._running is not None:
            self._running.cancel()  # somebody else does it now, or nobody wants it any more

    # ---- the end -------------------------------------------------------------------------

    def ended(self, ended: Ended) -> None:
        """It has ended; from any thread.  Only the first time counts."""
        with self._lock:
            if self._ended is not None:
                return
            self._ended = ended
        self._parking.on_loop(self._end, ended)

    def _end(self, ended: Ended) -> None:
        kept = chain(done(None), lambda _: self._keep(ended))
        if kept.done():
            self._was_kept(ended, kept)
        else:
            kept.add_done_callback(lambda kept: self._parking.on_loop(self._was_kept, ended, kept))

    def _was_kept(self, ended: Ended, kept: "Future[None]") -> None:
        if kept.exception() is not None:
            logger.error(
                "the result of %s cannot be kept for others",
                self.spec.name,
                exc_info=kept.exception(),
            )
        self._kept = ended
        if not self._is_writing:  # else what was told before comes first
            self._finish(ended, self._news())

    def _finish(self, ended: Ended, news: News) -> None:
        group, attempt = self.spec.group.name, self.attempt
        if self.following is None:
            self.following = self._follow(self)
        following = self.following
        finished = chain(
            done(None),
            lambda _: self._ledger.finish(
                group, attempt.id, attempt.number, ended, *news, following=following
            ),
        )
        if finished.done():  # as in memory
            self._finished(ended, news, finished)
        else:
            finished.add_done_callback(
                lambda finished: self._parking.on_loop(self._finished, ended, news, finished)
            )

    def _finished(
        self,
        ended: Ended,
        news: News,
        finished: "Future[Finished]",
    ) -> None:
        error = finished.exception()
        if isinstance(error, StoreError) and not isinstance(error, StoreClosed):
            logger.error("the end of job %s cannot be stored yet: %s", self.attempt.id, error)
            again = functools.partial(self._finish, ended, news)
            asyncio.get_running_loop().call_later(AGAIN_S, again)
            return
        self._parking.watching.unwatch(self.attempt.id, self._take)
        if error is not None:
            logger.error("job %s has ended, but not in the store", self.attempt.id, exc_info=error)
            self._on_over(self, None)
            return
        self._report(ended, finished.result())
        self._parking.watching.saw(finished.result().settled.record)
        self._on_over(self, finished.result())

    def _report(self, ended: Ended, finished: Finished) -> None:
        if ended.state != FAILED or ended.failure is None or ended.failure.status < 500:
            return  # what it says is for the client, as with any handler
        record = finished.settled.record
        is_final = record is None or record.is_settled
        logger.log(
            logging.ERROR if is_final else logging.WARNING,
            "job %s %s failed in attempt %d: %s%s",
            self.spec.name,
            self.attempt.id,
            self.attempt.number,
            ended.failure.detail if not ended.report else "\n" + ended.report.rstrip(),
            "" if is_final else "\nit will be tried again",
        )
