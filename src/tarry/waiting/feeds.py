"""Who waits for messages here, and how one read of the store serves all of them."""

import functools
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from operator import itemgetter
from typing import Any, Final, NamedTuple

from tarry.app.answering import Answerer
from tarry.app.deferred import Settler
from tarry.exchange import ClientGone, Exchange
from tarry.state.store import LogPage, Store, StoreError
from tarry.timing import Timed
from tarry.waiting.errors import Draining, StoreUnavailable
from tarry.waiting.ledger import Ledger
from tarry.waiting.messages import Batch
from tarry.waiting.options import NO_DEFAULT
from tarry.waiting.parking import Parking
from tarry.waiting.values import BadValue, ValueType
from tarry.waiting.watching import BATCH

logger: Final = logging.getLogger("tarry")

END: Final = 2**63 - 1
"""A cursor behind all others: what stores count with has 64 bits."""

DROP_S: Final = 60.0
"""How often somebody who publishes clears away the logs that nobody has written for long."""

_cursor_of: Final = itemgetter(0)


class Query(NamedTuple):
    """What somebody waits for: at most `limit` messages of a log behind the cursor `after`.

    A negative `after` stands for the end of the log as it is now.  `type` is
    that of the values, `None` for who takes a `Batch`.
    """

    log: str
    type: ValueType | None
    after: int
    limit: int
    timeout_s: float
    default: Any = NO_DEFAULT


class Subscriber(Timed):
    """A request, or a coroutine of none, that waits for messages; each is given one batch."""

    __slots__ = ("_feeds", "_settler", "after", "batch", "exchange", "feed", "lost", "query")

    def __init__(
        self, feeds: "Feeds", query: Query, exchange: Exchange | None, settler: Settler
    ) -> None:
        super().__init__()
        self._feeds = feeds
        self._settler = settler
        self.query = query
        self.exchange = exchange
        self.after = query.after
        # Whether the log ends before `after`: it is another one than the client knows.
        self.lost = False
        self.batch: Batch | None = None
        self.feed: Feed | None = None
        self.deadline_s = feeds.parking.clock.monotonic_s() + query.timeout_s

    def end(self) -> bool:
        """No longer wait; false if that is over already."""
        if self.feed is None:
            return False
        self.feed.remove(self)
        self.feed = None
        self._feeds.parking.release(self)
        if self.exchange is not None:
            self.exchange.resume()
            self.exchange.off_gone(self.leave)
        return True

    def leave(self) -> None:
        """The client left."""
        self.fail(ClientGone("the client left while it waited"))

    def fail(self, error: BaseException) -> None:
        """Pass on an error."""
        if self.end():
            self._settle(None, error)

    def finish(self) -> None:
        """Pass on the messages, or that there are none."""
        if not self.end():
            return
        if self.batch is not None:
            self._give(self.batch)
        elif self.query.default is NO_DEFAULT:
            self._give(Batch((), self.after))
        else:
            self._settle(self.query.default, None)

    def expire(self) -> None:
        """Called by the timers: no message came in time."""
        self.finish()

    def drain(self) -> None:
        """The server stops: clients come again and reach the next one."""
        self.finish()

    def turn_away(self) -> None:
        """The server stops, and there is nothing; a loop that asks again and again has to end."""
        if self.exchange is None or self.exchange.started:
            self.fail(Draining())
        else:
            self.finish()

    def _give(self, batch: Batch) -> None:
        type = self.query.type
        if type is None or isinstance(self._settler, Answerer):
            self._settle(batch, None)
            return
        try:
            messages = batch.messages(type)
        except BadValue as error:
            self._settle(None, error)
        else:
            self._settle(messages, None)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        self._settler.settle(self.exchange, result, error)  # type: ignore[arg-type]  # because who awaits outside of a request has none


class Feed:
    """A log that somebody here waits for."""

    __slots__ = ("_feeds", "_is_looking", "_looks_again", "_subscribers", "log")

    def __init__(self, feeds: "Feeds", log: str) -> None:
        self._feeds = feeds
        self.log = log
        self._subscribers: dict[Subscriber, None] = {}
        self._is_looking = self._looks_again = False

    def add(self, subscriber: Subscriber) -> None:
        """Have a subscriber wait; what there is already is read after that."""
        self._subscribers[subscriber] = None
        self.look()

    def remove(self, subscriber: Subscriber) -> None:
        """A subscriber waits no longer."""
        del self._subscribers[subscriber]
        if not self._subscribers:
            self._feeds.forget(self)

    def look(self) -> None:
        """Read soon what is new, once for all who ask until then."""
        if self._is_looking:
            self._looks_again = True
            return
        self._is_looking = True
        self._feeds.parking.lanes.loop.call_soon(self._read)

    def _read(self) -> None:
        self._looks_again = False
        # Who comes while the store reads is not among them, for it may know a later cursor.
        asking = [each for each in self._subscribers if each.batch is None]
        if not asking:
            self._is_looking = False
            return
        start = min((each.after for each in asking if each.after >= 0), default=END)
        limit = max(each.query.limit for each in asking)
        took = functools.partial(self._took, asking)
        try:
            page = self._feeds.store.read(self.log, start, limit)
        except StoreError as error:
            page = Future()
            page.set_exception(error)
        if page.done():
            took(page)
        else:
            page.add_done_callback(lambda page: self._feeds.parking.on_loop(took, page))

    def _took(self, asking: Sequence[Subscriber], page: "Future[LogPage]") -> None:
        self._is_looking = False
        error = page.exception()
        if error is not None:
            logger.error("a topic cannot be read: %s", error)
            for each in asking:
                each.fail(StoreUnavailable())
            return
        self._looks_again |= self._serve(asking, page.result())
        if self._looks_again and self._subscribers:
            self.look()

    def _serve(self, asking: Sequence[Subscriber], page: LogPage) -> bool:
        """Give out a page; whether somebody needs one more."""
        batches: dict[tuple[int, int, bool], Batch] = {}
        needs_more = False
        for each in asking:
            if each.feed is None:
                continue
            if each.after < 0:
                each.after = page.last
            if each.after > page.last > 0:
                each.after, each.lost = 0, True
                needs_more = True
            elif each.after >= page.last:
                if each.query.timeout_s <= 0:
                    each.finish()
                elif self._feeds.parking.is_draining:
                    each.turn_away()
            elif page.items[-1][0] <= each.after:
                needs_more = True
            else:
                asked = each.after, each.query.limit, each.lost
                if asked not in batches:
                    batches[asked] = _batch(page, *asked)
                self._feeds.give_soon(each, batches[asked])
        return needs_more


def _batch(page: LogPage, after: int, limit: int, lost: bool) -> Batch:
    start = bisect_right(page.items, after, key=_cursor_of)
    items = page.items[start : start + limit]
    # 0 asks for all there is, and of that nothing is missing.
    return Batch(items, items[-1][0], gap=lost or 0 < after < page.first - 1)


class Feeds:
    """The logs that somebody in this process waits for; all but `append` belongs on the loop."""

    def __init__(self, parking: Parking, ledger: Ledger) -> None:
        self.parking = parking
        self._ledger = ledger
        self._feeds: dict[str, Feed] = {}
        self._ripe: deque[Subscriber] = deque()
        self._next_drop_s = 0.0

    @property
    def store(self) -> Store:
        """Where the logs are; another one when the application is started again."""
        return self._ledger.store

    def append(self, log: str, data: bytes, *, keep: int, keep_for_s: float) -> "Future[int]":
        """Add to a log, and tell who waits here when it is stored; gives the cursor."""
        now_s = self.parking.clock.wall_s()
        if now_s >= self._next_drop_s:
            self._next_drop_s = now_s + DROP_S
            self.store.drop_due_logs(now_s)
        appended = self.store.append(log, [data], keep=keep, due_s=now_s + keep_for_s)
        appended.add_done_callback(lambda _: self.parking.watching.wrote(log))
        return appended

    def attach(self, query: Query, exchange: Exchange | None, settler: Settler) -> Subscriber:
        """Have a request, or a coroutine of none, wait.

        Raises:
            TooManyParked: as many wait as may.
        """
        subscriber = Subscriber(self, query, exchange, settler)
        self.parking.admit(subscriber)
        feed = self._feeds.get(query.log)
        if feed is None:
            feed = self._feeds[query.log] = Feed(self, query.log)
            self.parking.watching.watch_key(query.log, feed.look)
        subscriber.feed = feed
        feed.add(subscriber)
        if query.timeout_s > 0:
            self.parking.start_timer(subscriber)
        if exchange is not None:
            exchange.park()
            exchange.on_gone(subscriber.leave)
        return subscriber

    def forget(self, feed: Feed) -> None:
        """Nobody waits for a log any more."""
        del self._feeds[feed.log]
        self.parking.watching.unwatch_key(feed.log)

    def give_soon(self, subscriber: Subscriber, batch: Batch) -> None:
        """Pass on messages: to many at once, ahead of what comes in next."""
        subscriber.batch = batch
        if not self._ripe:
            self.parking.lanes.loop.call_soon(self._flush)
        self._ripe.append(subscriber)

    def _flush(self) -> None:
        ready = [self._ripe.popleft() for _ in range(min(len(self._ripe), BATCH))]
        if self._ripe:
            self.parking.lanes.loop.call_soon(self._flush)
        for subscriber in ready:
            try:
                subscriber.finish()
            except Exception:  # one request must not keep the others waiting
                logger.exception("a request that waited could not be answered")
