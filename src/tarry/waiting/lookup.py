"""Whom a ticket or wake token belongs to, as a request may see it."""

import asyncio
import hmac
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, TypeVar

from tarry.app.errors import HttpError
from tarry.app.request import Request
from tarry.state.store import StoreError
from tarry.waiting.documents import PRIVATE
from tarry.waiting.nodes import have_ended
from tarry.waiting.parking import Parking
from tarry.waiting.records import ANSWER, Record
from tarry.waiting.tokens import TICKET, WAKE, Token, read_token

logger: Final = logging.getLogger("tarry")

Result = TypeVar("Result")

OwnerOf = Callable[[Request], str | None]
"""Who makes a request: what `owner=` says of a wait that belongs to them; `None` for nobody."""


def nobody(_: Request) -> str | None:
    """Requests belong to nobody, so waits that have an owner are read by nobody."""
    return None


class Lookup:
    """Finds the records of tickets and wake tokens.

    A wait with an owner is only there for requests of that owner; `owner_of`
    tells whose a request is.
    """

    def __init__(self, parking: Parking) -> None:
        self._parking = parking
        self.owner_of: OwnerOf = nobody

    async def ticket(self, request: Request, text: str) -> Record:
        """The wait of a ticket.

        Raises:
            HttpError: 404, there is none, any more, or not for this request;
                503 where the store cannot be read.
        """
        (record,) = await self.tickets(request, [text])
        if record is None:
            raise HttpError(
                404,
                "there is no such ticket; perhaps it has ended,"
                " for a ticket can be read only some time after its value has come",
                headers=PRIVATE,
            )
        return record

    async def tickets(self, request: Request, texts: Sequence[str]) -> list[Record | None]:
        """The waits of tickets, `None` where there is none for this request; see `ticket`."""
        owner = self.owner_of(request)
        found = await self._find(texts, TICKET)
        return [
            record if record is not None and _is_owner(record, owner) else None for record in found
        ]

    async def wake_token(self, text: str) -> Record:
        """The wait of a wake token; raises what `ticket` does."""
        (record,) = await self._find([text], WAKE)
        if record is None:
            detail = "nobody waits for an answer here, or not any more"
            raise HttpError(404, detail, headers=PRIVATE)
        return record

    async def _find(self, texts: Sequence[str], prefix: str) -> list[Record | None]:
        tokens = [read_token(text) for text in texts]
        ids = {token.id for token in tokens if token is not None}
        if not ids:
            return [None] * len(texts)
        records = await read_store(lambda: self._parking.sharing.ledger.read(*ids))
        there = {record.id: record for record in records if record is not None}
        return [await self._there(token, prefix, there) for token in tokens]

    async def _there(
        self, token: Token | None, prefix: str, there: dict[str, Record]
    ) -> Record | None:
        record = None if token is None or token.prefix != prefix else there.get(token.id)
        if record is None or token is None or not token.is_genuine(record.secret):
            return None
        now = await self._as_of_now(record)
        return now if now is None else await self._without_its_handler(now)

    async def _without_its_handler(self, record: Record) -> Record:
        """The record of an answer whose handler has ended with its process: what it waited for."""
        if record.kind != ANSWER or record.is_settled or not have_ended(record.node):
            return record
        settled = await read_store(lambda: self._parking.tickets.adopt(record))
        return settled.record or record

    async def _as_of_now(self, record: Record) -> Record | None:
        """The record as a sweep that comes just now would leave it."""
        now_s = self._parking.clock.wall_s()
        if record.due_s > now_s:
            return record
        if record.is_settled:
            return None
        sharing = self._parking.sharing
        settled = await read_store(lambda: sharing.ledger.expire(record.id))
        self._parking.watching.saw(settled.record)
        return settled.record


async def read_store(ask: Callable[[], "Future[Result]"]) -> Result:
    """What a store answers.

    Raises:
        HttpError: 503, it does not.
    """
    try:
        return await asyncio.wrap_future(ask())
    except StoreError as error:
        raise store_fails(error) from error


def store_fails(error: StoreError) -> HttpError:
    """The answer, to be raised, where a store cannot be used; the log tells why."""
    logger.error("the store of waits cannot be used: %s", error)
    detail = "waits cannot be looked at or stored now"
    return HttpError(503, detail, headers=[(b"retry-after", b"5")])


def _is_owner(record: Record, owner: str | None) -> bool:
    if record.owner is None:
        return True
    return owner is not None and hmac.compare_digest(record.owner.encode(), owner.encode())
