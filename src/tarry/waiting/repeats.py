"""Requests that are sent again: one that names a key twice gets the ticket of the first time.

That is what Idempotency-Key is for (draft-ietf-httpapi-idempotency-key-header):
a client that does not know whether its request arrived can send it again, and
what the handler does after it has parked is not done twice.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future
from hashlib import blake2b
from typing import Any, Final

from tarry.app.deferred import Instead
from tarry.app.errors import HttpError
from tarry.app.request import request_of
from tarry.exchange import Exchange
from tarry.state.store import Delete, Entry, Put, StoreError
from tarry.waiting import records
from tarry.waiting.futures import done, then
from tarry.waiting.ledger import REPEAT
from tarry.waiting.lookup import Lookup, store_fails
from tarry.waiting.options import WaitOptions
from tarry.waiting.parking import Parking
from tarry.waiting.records import Claim, Record
from tarry.waiting.values import value_type
from tarry.waiting.waits import Wait

_KEY: Final = re.compile(r'"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')
"""In quotes, as the draft has it, or without, as most clients send it."""


Make = Callable[[], Wait[Any]]
Join = Callable[[Record], Wait[Any]]
"""What makes a new wait, and what makes one for a record that is there."""


class Repeats:
    """The durable waits of requests that may be sent again."""

    def __init__(self, parking: Parking, lookup: Lookup) -> None:
        self._parking = parking
        self._lookup = lookup

    def park(self, kind: Any, options: WaitOptions) -> Wait[Any]:
        """A new durable wait, unless the running request has been here before.

        Raises:
            Instead: it has; it is answered as the first one, and its handler ends.
            HttpError: 400 for a key that is none, 422 for one that another
                request has used, 503 where the store cannot be used.
        """
        exchange = self._parking.exchange_here()

        def join(record: Record) -> Wait[Any]:
            wait: Wait[Any] = Wait(self._parking, value_type(kind), options)
            return joined(wait, record, self._parking.clock.wall_s())

        def make() -> Wait[Any]:
            return self._parking.make(kind, options)

        if exchange is None or not may_repeat(exchange):
            return make()
        return self.once(exchange, make, join)

    def once(self, exchange: Exchange, make: Make, join: Join) -> Wait[Any]:
        """What `make` makes, unless the request has been here before; then as `park`.

        Waits for the store.
        """
        keys = exchange.head.headers.getall(b"idempotency-key")
        try:
            return self._once(exchange, _read_key(keys), make, join)
        except StoreError as error:
            raise store_fails(error) from error

    def _once(self, exchange: Exchange, key: bytes, make: Make, join: Join) -> Wait[Any]:
        name = REPEAT + self._scope(exchange, key).hex()
        fingerprint = _fingerprint(exchange)
        claim, record = self._claimed(name)
        if claim is not None and record is not None:
            _check(claim, fingerprint)
            raise Instead(join(record))
        wait = make()
        own = wait.share()
        claim = self._claim(name, Claim(own.id, fingerprint), own, stale=claim).result()
        if claim.id == own.id:
            return wait
        wait.cancel()  # the same request came twice at the same time, and the other one was first
        (record,) = self._parking.sharing.ledger.read(claim.id).result()
        _check(claim, fingerprint)
        raise Instead(join(record or own))

    def _scope(self, exchange: Exchange, key: bytes) -> bytes:
        """What the key is one of: the keys of this method, path and client."""
        head = exchange.head
        owner = self._lookup.owner_of(request_of(exchange, self._parking.lanes)) or ""
        authorization = b",".join(head.headers.getall(b"authorization"))
        digest = blake2b(digest_size=20)
        for part in (head.method, head.path, authorization, owner.encode(), key):
            digest.update(len(part).to_bytes(8) + part)
        return digest.digest()

    def _claimed(self, name: str) -> tuple[Claim | None, Record | None]:
        """Whose the name is, with its record, as long as that can be read."""
        ledger = self._parking.sharing.ledger
        (entry,) = ledger.store.get(name).result()
        if entry is None:
            return None, None
        claim = records.decode_claim(entry.value)
        (record,) = ledger.read(claim.id).result()
        is_over = record is None or record.due_s <= self._parking.clock.wall_s()
        return claim, None if is_over else record

    def _claim(
        self, name: str, claim: Claim, record: Record, stale: Claim | None
    ) -> "Future[Claim]":
        """Have a name belong to a wait, unless it belongs to another one already."""
        put = Put(records.encode(claim), record.deadline_s + record.keep_s + 1.0)

        def change(entries: Any) -> list[Put | Delete | None]:
            there = _read(entries[0])
            return [put if there is None or there == stale else None]

        store = self._parking.sharing.ledger.store
        return then(store.update([name], change), lambda after: _read(after[0]) or claim)


def may_repeat(exchange: Exchange) -> bool:
    """Whether a request says that it may come again."""
    return exchange.head.headers.get(b"idempotency-key") is not None


def joined(wait: Wait[Any], record: Record, now_s: float) -> Wait[Any]:
    """A new wait, as one more that waits for a record which is there."""
    wait.stored, wait.record = done(record), record
    wait.deadline_s += record.deadline_s - now_s - wait.options.timeout_s
    if record.is_settled:
        wait.take(record)
    return wait


def _check(claim: Claim, fingerprint: bytes) -> None:
    if fingerprint and claim.fingerprint and fingerprint != claim.fingerprint:
        raise HttpError(
            422, "this Idempotency-Key was used for another request, with other content"
        )


def _read(entry: Entry | None) -> Claim | None:
    return None if entry is None else records.decode_claim(entry.value)


def _read_key(values: list[bytes]) -> bytes:
    match = _KEY.fullmatch(values[0].decode("latin-1")) if len(values) == 1 else None
    if match is None:
        raise HttpError(400, "an Idempotency-Key is one text of 1 to 255 visible characters")
    return (match[1] or match[2]).encode()


def _fingerprint(exchange: Exchange) -> bytes:
    """A digest of what else the request says; empty if its body was not read, or not kept."""
    body, request = exchange.body, exchange.context
    whole: bytes | None = b""
    if body is not None:
        was_read = request is not None and request.has_read
        whole = request.reading.known if was_read else body.whole
    if whole is None:
        return b""
    digest = blake2b(exchange.head.query + b"\0", digest_size=20)
    digest.update(whole)
    return digest.digest()
