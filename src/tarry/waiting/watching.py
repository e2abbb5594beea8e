"""Which records and logs somebody here waits for, and how news of them come.

They come from what this process writes itself, from nudges when others have
written, and from a sweep now and then, since a nudge can be lost: that costs
seconds, never an answer.
"""

import functools
import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Final

from tarry.state.store import Changes
from tarry.timing import NEVER, Clock
from tarry.waiting.ledger import RECORD, Ledger
from tarry.waiting.records import DamagedRecord, Record

logger: Final = logging.getLogger("tarry")

SWEEP_S: Final = 10.0
"""How long an answer is late at most if nudges get lost."""

SWEPT_AT_ONCE: Final = 1000
"""Waits that are expired or forgotten by one sweep; if there are more, the next one comes soon."""

BATCH: Final = 500
"""Waits that are read, or answered, in one go; what else the loop has to do comes between."""

Take = Callable[[Record], None]
"""Looks at a record, newer than before or not."""

OnLoop = Callable[..., bool]
"""Has a function called on the loop with arguments, soon; from any thread.  False without one."""


def _nothing_more(_: Record) -> None:
    """Nobody else wants to know."""


class Watching:
    """What is watched in this process.  All but `saw` and `wrote` belongs on the loop."""

    def __init__(self, ledger: Ledger, clock: Clock, on_loop: OnLoop) -> None:
        self._ledger = ledger
        self.clock = clock
        self._on_loop = on_loop
        self._takers: dict[str, list[Take]] = {}
        self._lookers: dict[str, Callable[[], None]] = {}
        self._news: deque[Record] = deque()
        self._to_read: dict[str, None] = {}
        self.on_job_settled: Take = _nothing_more
        self._stop_listening: Callable[[], None] | None = None
        self._next_sweep_s = NEVER
        self._version = -1
        self._is_looking = self._looks_again = self._is_telling = False

    def watch(self, id: str, take: Take) -> None:
        """Have `take` called with the record as it is now, and with each newer one."""
        if self._stop_listening is None:
            self._listen()
        # First this, then reading: a wake between the two is in what is read.
        takers = self._takers.setdefault(id, [])
        if take not in takers:
            takers.append(take)
        if not self._to_read:
            self._on_loop(self._read_new)
        self._to_read[id] = None

    def _read_new(self) -> None:
        """Read what is watched since the last turn of the loop: together, and each once."""
        ids, self._to_read = self._to_read, {}
        self._read(id for id in ids if id in self._takers)

    def unwatch(self, id: str, take: Take) -> None:
        """No longer call it."""
        takers = self._takers.get(id, [])
        if take in takers:
            takers.remove(take)
        if not takers:
            self._takers.pop(id, None)

    def watch_key(self, key: str, look: Callable[[], None]) -> None:
        """Have `look` called whenever somebody may have written a log, or a key of the store.

        Each has one at most that looks.
        """
        if self._stop_listening is None:
            self._listen()
        self._lookers[key] = look

    def unwatch_key(self, key: str) -> None:
        """No longer call what looks at it."""
        self._lookers.pop(key, None)

    def wrote(self, log: str) -> None:
        """This process has written a log; from any thread."""
        if log in self._lookers:
            self._on_loop(self._look_at, log)

    def _look_at(self, *logs: str) -> None:
        for log in logs:
            if log in self._lookers:
                self._lookers[log]()

    def saw(self, record: Record | None) -> None:
        """This process knows a newer record; from any thread."""
        if record is None:
            return
        if record.id in self._takers:
            self._news.append(record)
            self._tell_soon()
        if record.job is not None and record.is_settled:
            self._on_loop(self.on_job_settled, record)

    def _tell_soon(self) -> None:
        if not self._is_telling:
            self._is_telling = True
            if not self._on_loop(self._tell):
                self._is_telling = False

    def _tell(self) -> None:
        self._is_telling = False
        while self._news:
            record = self._news.popleft()
            for take in tuple(self._takers.get(record.id, ())):
                try:
                    take(record)
                except Exception:  # one that waits must not keep the others waiting
                    logger.exception("a wait could not take its record")

    # ---- what others write -------------------------------------------------------------------

    def _listen(self) -> None:
        store = self._ledger.store
        self._stop_listening = store.watch(self._nudge)
        self._next_sweep_s = self.clock.monotonic_s() + SWEEP_S
        self._nudged()

    def _nudge(self) -> None:
        self._on_loop(self._nudged)

    def _nudged(self) -> None:
        if self._stop_listening is None:
            return  # closed meanwhile
        if self._is_looking:
            self._looks_again = True
            return
        self._is_looking, self._looks_again = True, False
        changes = self._ledger.store.changes(self._version)
        changes.add_done_callback(lambda future: self._on_loop(self._looked, future))

    def _looked(self, changes: "Future[Changes]") -> None:
        self._is_looking = False
        if changes.exception() is not None:
            return  # the sweep will see to it
        found = changes.result()
        is_first = self._version < 0
        is_more = not is_first and found.version > self._version
        self._version = found.version
        self._look_at(*(tuple(self._lookers) if is_first else (*found.logs, *found.keys)))
        ids = (key.removeprefix(RECORD) for key in found.keys)
        self._read([id for id in ids if id in self._takers])
        if is_more or self._looks_again:
            self._nudged()

    def _read(self, ids: Iterable[str]) -> None:
        wanted = list(ids)
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            found = functools.partial(self._found, batch)
            self._ledger.read(*batch).add_done_callback(found)

    def _found(self, ids: list[str], records: "Future[list[Record | None]]") -> None:
        if records.exception() is None:
            self._news.extend(record for record in records.result() if record is not None)
            self._tell_soon()
        elif isinstance(records.exception(), DamagedRecord) and len(ids) > 1:
            for id in ids:  # one that cannot be read is no reason not to read the others
                self._read([id])

    def tick(self) -> None:
        """Look at the clock: sweep when it is time."""
        if self.clock.monotonic_s() < self._next_sweep_s:
            return
        self._next_sweep_s = self.clock.monotonic_s() + SWEEP_S
        # What the sweep itself has written, nobody else tells this process.
        swept = self._ledger.sweep(SWEPT_AT_ONCE)
        swept.add_done_callback(lambda swept: self._on_loop(self._swept, swept))

    def _swept(self, swept: "Future[int]") -> None:
        if swept.exception() is None and swept.result() >= SWEPT_AT_ONCE:
            self._next_sweep_s = self.clock.monotonic_s()  # there is more
        self._read(self._takers)
        self._look_at(*self._lookers)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        self._next_sweep_s = NEVER
        self._takers.clear()
        self._lookers.clear()
        self._news.clear()
        self._to_read.clear()
        # What was to run on the loop will not any more, and the next store counts anew.
        self._is_looking = self._looks_again = self._is_telling = False
        self._version = -1
