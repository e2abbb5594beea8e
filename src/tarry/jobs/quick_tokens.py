"""The numbers by which quick_server's clients know their jobs.

They compare tokens as JavaScript numbers, which are exact up to 2^53: so a
token is a random number below that, and the store has the ticket that it
stands for, for as long as the job is kept.  Who guesses one may read and stop
that job; with a thousand jobs there, a million guesses a second find the first
in a hundred days or so.
"""

import re
import secrets
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from tarry.app.request import Request
from tarry.state.store import DELETE, Delete, Entry, Put
from tarry.waiting import records
from tarry.waiting.futures import chain, done, then
from tarry.waiting.ledger import NUMBER, RECORD, Settled, put
from tarry.waiting.lookup import read_store
from tarry.waiting.records import Record
from tarry.waiting.tokens import ticket
from tarry.waiting.waiting import Waiting

MAX_TOKEN: Final = 2**53 - 1
"""Number.MAX_SAFE_INTEGER of JavaScript."""

_TOKEN: Final = re.compile(r"[1-9][0-9]{0,15}")


class QuickTokens:
    """The tokens of the jobs of one name."""

    def __init__(self, waiting: Waiting, job: str) -> None:
        self._ledger = waiting.ledger
        self._lookup = waiting.lookup
        self._sharing = waiting.parking.sharing
        self._job = job

    async def give(self, record: Record) -> str:
        """A new token for a job, as decimal digits.

        Raises:
            HttpError: 503, the store cannot be used.
        """
        return await read_store(lambda: self._give(record))

    def _give(self, record: Record) -> "Future[str]":
        token = str(secrets.randbelow(MAX_TOKEN) + 1)
        entry = Put(ticket(record.id, record.secret).encode(), _due_s(record))

        def change(entries: Sequence[Entry | None]) -> list[Put | Delete | None]:
            return [entry if entries[0] is None else None]

        def given(after: Sequence[Entry | None]) -> "Future[str]":
            is_ours = after[0] is not None and after[0].value == entry.value
            return done(token) if is_ours else self._give(record)

        return chain(self._ledger.store.update([NUMBER + token], change), given)

    async def find(self, request: Request, token: int | str) -> Record | None:
        """The job of a token, `None` if there is none, any more, or not for this request.

        Raises:
            HttpError: 503, the store cannot be used.
        """
        if not (isinstance(token, int) or _TOKEN.fullmatch(token)):
            return None
        key = f"{NUMBER}{token}"
        (entry,) = await read_store(lambda: self._ledger.store.get(key))
        if entry is None:
            return None
        (record,) = await self._lookup.tickets(request, [entry.value.decode()])
        if record is None or record.job != self._job:
            return None
        if entry.due_s > _due_s(record):
            await read_store(lambda: self._end_with(key, record))
        return record

    def _end_with(self, key: str, record: Record) -> "Future[list[Entry | None]]":
        """Have a token go with its job, of which nobody knew before when it would end."""

        def change(entries: Sequence[Entry | None]) -> list[Put | Delete | None]:
            there = entries[0]
            return [None if there is None else Put(there.value, _due_s(record))]

        return self._ledger.store.update([key], change)

    async def stop(self, request: Request, token: int | str) -> None:
        """Cancel the job of a token, if there is one, and forget the token.

        Raises:
            HttpError: 503, the store cannot be used.
        """
        record = await self.find(request, token)
        if record is not None:
            await read_store(lambda: self._sharing.told(self._stop(f"{NUMBER}{token}", record.id)))

    def _stop(self, key: str, id: str) -> "Future[Settled]":
        """Both at once: others may wait for the same job, and each can leave it only once."""
        now_s = self._ledger.clock.wall_s()

        def change(entries: Sequence[Entry | None]) -> list[Put | Delete | None]:
            if entries[0] is None or entries[1] is None:
                return [None, None]
            after = records.changed(records.decode_record(entries[1].value), "cancel", now_s)
            return [DELETE, None if after is None else put(after)]

        def stopped(after: Sequence[Entry | None]) -> Settled:
            entry = after[1]
            return Settled(True, None if entry is None else records.decode_record(entry.value))

        return then(self._ledger.store.update([key, RECORD + id], change), stopped)


def _due_s(record: Record) -> float:
    """When the token of a job is of no more use."""
    return record.due_s if record.is_settled else record.deadline_s + record.stays_s
