"""Topics: named logs with cursors, for many values that many clients wait for.

A message has a cursor, 1, 2, 3 … in its topic.  A client says which was the
last that it has, so it loses none between two requests, gets none twice, and
can go on at another process that has the same store.
"""

from collections.abc import AsyncIterator, Generator
from typing import Any, Final

from tarry.app.deferred import Awaited, Deferred, Settler
from tarry.app.responses import Events, ServerEvent
from tarry.exchange import Exchange
from tarry.message.eventstream import encode_event
from tarry.state.store import check_names
from tarry.timing import NEVER, Duration, seconds
from tarry.waiting.feeds import END, Feeds, Query
from tarry.waiting.futures import then
from tarry.waiting.messages import LAST_EVENT_ID, Batch, Messages
from tarry.waiting.options import HOLD_S, NO_DEFAULT
from tarry.waiting.values import ValueType
from tarry.waiting.verdicts import StoreResult

DEFAULT_KEEP: Final = 1000
DEFAULT_KEEP_FOR: Final = "1d"
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000

LOG: Final = "t/"

RETRY_MS: Final = 1000
"""When clients of an event stream come again after its end."""

_MAX_DIGITS: Final = 18


class Topic:
    """A named log of messages; of no cost until somebody publishes or waits.

    The newest `keep` messages are kept, and all of them until none has come
    for `keep_for_s` seconds.
    """

    __slots__ = ("_feeds", "_keep", "_keep_for_s", "_log", "_type", "name")

    def __init__(
        self, feeds: Feeds, name: str, type: ValueType, *, keep: int, keep_for: Duration
    ) -> None:
        check_names([name])
        if keep < 1:
            raise ValueError(f"a topic keeps at least one message, not {keep!r}")
        self.name = name
        self._feeds = feeds
        self._log = LOG + name
        self._type = type
        self._keep = keep
        self._keep_for_s = seconds(keep_for)

    def publish(self, value: Any) -> StoreResult[int]:
        """Add a message and tell all who wait, in all processes; from any thread.

        Gives its cursor when it is stored: `await` it, or take its `result()`
        in a thread, or do not look.

        Raises:
            BadValue: the value does not fit the topic, or has no form in JSON.
        """
        data = self._type.write(value)
        if self._type.annotation is not Any:
            self._type.read(data)
        keep, keep_for_s = self._keep, self._keep_for_s
        return StoreResult(self._feeds.append(self._log, data, keep=keep, keep_for_s=keep_for_s))

    def last(self) -> StoreResult[int]:
        """The cursor of the newest message, 0 if there is none: `await` it, or `last().result()`.

        Who shows what there is and then waits takes this first.
        """
        return StoreResult(then(self._feeds.store.read(self._log, END, 1), lambda page: page.last))

    def next(
        self,
        after: int = 0,
        *,
        timeout: Duration = HOLD_S,
        default: Any = NO_DEFAULT,
        limit: int = DEFAULT_LIMIT,
    ) -> "NextMessages":
        """Messages behind the cursor `after`, at once if there are any, else as soon as one comes.

        Return it, yield it or await it; it gives `Messages`, at most `limit`.
        0 asks for all that are kept, -1 only for new ones: go on with
        `Messages.last`.  If none comes within `timeout` it gives `default`, or
        else `Messages` without any, whose `last` still says where to go on.
        With a `timeout` of 0 it does not wait.

        Raises:
            ValueError: no duration, or a limit that is not from 1 to 1000.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise ValueError(f"limit is from 1 to {MAX_LIMIT} messages, not {limit!r}")
        timeout_s = seconds(timeout)
        query = Query(self._log, self._type, min(after, END), limit, timeout_s, default)
        return NextMessages(self._feeds, query)

    def events(self, after: int = 0) -> Events:
        """The messages behind the cursor `after`, and all that come, as server-sent events.

        Each has its cursor as `id` and its value as JSON.  A client that comes
        again goes on where it was, as its `Last-Event-ID` says, whatever
        `after` is.  If messages in between are not kept any more, an event
        `gap` comes first.  The stream ends when the server stops.
        """
        exchange = self._feeds.parking.exchange_here()
        if exchange is not None:
            after = _resumed(exchange, after)
        return Events(self._stream(min(after, END)), retry_ms=RETRY_MS)

    async def _stream(self, after: int) -> AsyncIterator[ServerEvent]:
        if after < 0:
            after = await self.last()
            yield _Position(None, id=str(after))
        while not self._feeds.parking.is_draining:
            query = Query(self._log, None, after, MAX_LIMIT, NEVER)
            # The stream itself hears of a client that leaves, and ends this.
            batch: Batch = await _wait(self._feeds, query, None)
            if batch.gap:
                missing = {"after": after, "first": batch.items[0][0]}
                yield ServerEvent(missing, event="gap")
            for cursor, data in batch.items:
                yield ServerEvent(data.decode(), id=str(cursor))
            after = batch.last


class NextMessages(Deferred):
    """Messages that are not there yet, perhaps; see `Topic.next`."""

    __slots__ = ("_feeds", "_query")

    def __init__(self, feeds: Feeds, query: Query) -> None:
        self._feeds = feeds
        self._query = query

    def attach(self, exchange: Exchange, settler: Settler) -> None:
        """Have a request wait; called by who was given this as a result."""
        self._feeds.attach(self._query, exchange, settler)

    def __await__(self) -> Generator[Any, None, Messages]:
        """Wait for messages.

        Raises:
            ClientGone: the client left while it waited.
            TooManyParked: as many requests wait as may.
            StoreUnavailable: they cannot be read.
            BadValue: one is not of the type of the topic.
        """
        exchange = self._feeds.parking.exchange_here()
        return (yield from _wait(self._feeds, self._query, exchange).__await__())  # type: ignore[no-any-return]  # because who has a type is given `Messages`


async def _wait(feeds: Feeds, query: Query, exchange: Exchange | None) -> Any:
    awaited = Awaited(feeds.parking.lanes)
    subscriber = feeds.attach(query, exchange, awaited)
    try:
        return await awaited.result()
    finally:
        subscriber.end()


class _Position(ServerEvent):
    """Only an id: clients keep it and report nothing (WHATWG HTML section 9.2.6)."""

    __slots__ = ()

    def encode(self) -> bytes:
        return encode_event(None, id=self.id)


def _resumed(exchange: Exchange, after: int) -> int:
    """The cursor that a client has come to, as it says itself."""
    last = exchange.head.headers.get(LAST_EVENT_ID)
    return int(last) if last and last.isdigit() and len(last) <= _MAX_DIGITS else after
