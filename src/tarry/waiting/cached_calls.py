"""What happens when a cached handler is called.

A result is kept as its answer: status, headers and body, or a file as long as
it stays as it is.  What goes on when the handler has returned is passed on as
it is, and so is what is for one client or no success.
"""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from tarry.app.deferred import Deferred
from tarry.app.lanes import Lane, lane_of
from tarry.app.params import describe_function
from tarry.app.results import answer_for, as_html, lasts
from tarry.app.routes import returns_html
from tarry.state.cache import Cache
from tarry.waiting.answers import kept_answer, restored
from tarry.waiting.cache_keys import holds_path
from tarry.waiting.cached_answers import packed, unpacked, unpacked_at_once
from tarry.waiting.cached_arguments import MakeKey
from tarry.waiting.flights import (
    AGAIN,
    ALONE,
    Fate,
    Flights,
    Landed,
    Name,
    landed_with,
    sets_cookie,
)
from tarry.waiting.followers import Joined, follow
from tarry.waiting.lot import Lot
from tarry.waiting.records import KeptAnswer, KeptFile

logger: Final = logging.getLogger("tarry")

Make: TypeAlias = Callable[[], Any]
"""Calls the author's function, with the arguments of one request."""

Entry: TypeAlias = tuple[str, str]
"""Section and key."""


def warn_not_kept(function: Callable[..., Any], what: str) -> None:
    """Say that a function gives what cannot be kept."""
    logger.warning(
        "%s returns %s, which cannot be kept: its requests are answered as without cached",
        describe_function(function),
        what,
    )


class CachedCalls:
    """One function, and how its results are kept.

    `make_key` gives of the arguments what counts, `entry` where that is kept,
    for `keep_s` seconds, and also on disk if it `uses_disk`.  With
    `holds_thread` a call that waits for another one cannot give back its thread.
    """

    entry: Callable[[Any], Entry]
    keep_s: float
    make_key: MakeKey
    uses_disk: bool
    holds_thread: bool

    def __init__(
        self, cache: Cache, parking: Lot, flights: Flights, function: Callable[..., Any]
    ) -> None:
        self._cache = cache
        self._parking = parking
        self._flights = flights
        self._function = function
        self._is_html = returns_html(function)
        self._has_warned = False

    def endpoint(self) -> Callable[..., Any]:
        """The handler, of the same kind as the function."""
        function = self._function
        if lane_of(function, inline=False) is Lane.ASYNC:

            @functools.wraps(function)
            async def endpoint_async(*instance: Any, **arguments: Any) -> Any:
                make = functools.partial(function, *instance, **arguments)
                return await self._call_async(make, arguments)

            return endpoint_async

        @functools.wraps(function)
        def endpoint(*instance: Any, **arguments: Any) -> Any:
            make = functools.partial(function, *instance, **arguments)
            return self._call(make, arguments)

        return endpoint

    # ---- async def -----------------------------------------------------------------------

    async def _call_async(self, make: Make, arguments: dict[str, Any]) -> Any:
        value = self._value(arguments)
        if value is None:
            return await make()
        entry = await self._entry_async(value)
        while True:
            answer = unpacked_at_once(self._cache.in_memory(*entry))
            if answer is not None:
                return restored(answer)
            name = (*entry, self._cache.epoch)
            flight, is_first = self._flights.board(name)
            if is_first:
                return await self._lead_async(name, make)
            landed = await follow(self._parking, flight)
            if landed.fate is Fate.TOGETHER:
                return landed.result()
            if landed.fate is Fate.ALONE:
                return await make()

    async def _lead_async(self, name: Name, make: Make) -> Any:
        landed = AGAIN
        try:
            answer = await self._stored_async(name[:2])
            if answer is not None:
                landed = Landed(Fate.TOGETHER, answer)
                return restored(answer)
            landed, result = self._made(await make())
            if landed.answer is not None:
                await self._keep_async(name, landed.answer)
            return result
        except BaseException as error:
            landed = landed_with(error) if landed is AGAIN else landed
            raise
        finally:
            self._flights.land(name, landed)

    async def _entry_async(self, value: Any) -> Entry:
        if not holds_path(value):
            return self.entry(value)
        entry: Entry = await self._parking.lanes.in_thread(self.entry, value)
        return entry

    async def _stored_async(self, entry: Entry) -> KeptAnswer | KeptFile | None:
        data = self._cache.in_memory(*entry)
        if data is None and not self.uses_disk:
            return None
        answer: KeptAnswer | KeptFile | None = unpacked_at_once(data)
        return answer or await self._parking.lanes.in_thread(self._stored, entry)

    async def _keep_async(self, name: Name, answer: KeptAnswer | KeptFile) -> None:
        if self.uses_disk or isinstance(answer, KeptFile):
            await self._parking.lanes.in_thread(self._keep, name, answer, self.uses_disk)
        else:
            self._keep(name, answer, disk=False)

    # ---- def -----------------------------------------------------------------------------

    def _call(self, make: Make, arguments: dict[str, Any]) -> Any:
        value = self._value(arguments)
        if value is None:
            return make()
        entry = self.entry(value)
        return self._inline(entry, make) if _is_on_loop() else self._in_thread(entry, make)

    def _inline(self, entry: Entry, make: Make) -> Any:
        """On the loop nobody can ask at the same time, and the disk would take longer."""
        epoch = self._cache.epoch
        answer = unpacked(self._cache.in_memory(*entry))
        if answer is not None:
            return restored(answer)
        landed, result = self._made(make())
        if landed.answer is not None:
            self._keep((*entry, epoch), landed.answer, disk=False)
        return result

    def _in_thread(self, entry: Entry, make: Make) -> Any:
        while True:
            answer = unpacked(self._cache.in_memory(*entry))
            if answer is not None:
                return restored(answer)
            name = (*entry, self._cache.epoch)
            flight, is_first = self._flights.board(name)
            if is_first:
                return self._lead(name, make)
            if not self.holds_thread:
                again = functools.partial(self._again, entry, make)
                return Joined(self._parking, flight, again)
            # What it depends on would be cleaned up with the end of this call.
            landed = flight.result()
            if landed.fate is Fate.TOGETHER:
                return landed.result()
            if landed.fate is Fate.ALONE:
                return make()

    def _again(self, entry: Entry, make: Make, landed: Landed) -> Any:
        """Another request has made nothing that is for this one."""
        return make() if landed.fate is Fate.ALONE else self._in_thread(entry, make)

    def _lead(self, name: Name, make: Make) -> Any:
        landed = AGAIN
        try:
            answer = self._stored(name[:2])
            if answer is not None:
                landed = Landed(Fate.TOGETHER, answer)
                return restored(answer)
            landed, result = self._made(make())
            if landed.answer is not None:
                self._keep(name, landed.answer, disk=self.uses_disk)
            return result
        except BaseException as error:
            landed = landed_with(error) if landed is AGAIN else landed
            raise
        finally:
            self._flights.land(name, landed)

    # ---- both ----------------------------------------------------------------------------

    def _value(self, arguments: dict[str, Any]) -> Any:
        """What the key is made of; none outside of a request, where the function is itself."""
        return None if self._parking.exchange_here() is None else self.make_key(arguments)

    def _stored(self, entry: Entry) -> KeptAnswer | KeptFile | None:
        return unpacked((self._cache.get if self.uses_disk else self._cache.in_memory)(*entry))

    def _keep(self, name: Name, answer: KeptAnswer | KeptFile, disk: bool) -> None:
        section, key, epoch = name
        data = packed(answer) if answer.status < 400 else None
        if data is not None:
            self._cache.put(section, key, data, self.keep_s, disk=disk, epoch=epoch)

    def _made(self, result: Any) -> tuple[Landed, Any]:
        """What others get of a result, and what this request is answered with."""
        answer = self._shareable(result)
        if answer is None:
            return ALONE, result
        return Landed(Fate.TOGETHER, answer), restored(answer)

    def _shareable(self, result: Any) -> KeptAnswer | KeptFile | None:
        answer = None
        if not lasts(result) and not isinstance(result, Deferred):
            answer = kept_answer(answer_for(as_html(result) if self._is_html else result))
        if answer is None:
            if not self._has_warned:
                self._has_warned = True
                warn_not_kept(self._function, f"{type(result).__name__} objects")
            return None
        return None if sets_cookie(answer.fields) else answer


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
