"""A ticket that is followed to its end: by events, or by requests that the server holds.

Python's counterpart to `Watch` in waiting/browser/tarry.js, for one ticket.
"""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from tarry.client.endurance import MIN_PAUSE_S, Endurance
from tarry.client.exchanges import Answer, Server, origin_text
from tarry.client.failures import ENDS, RequestFailed, TryAgain, failure_of_ticket
from tarry.client.tickets import Ticket, ticket_of
from tarry.message.eventstream import EventStreamDecoder, EventTooLarge

HOLD_S: Final = 25
"""The server holds no request for longer."""

SILENCE_S: Final = 40.0
"""The server pings every 15 seconds, so two pings are missing by then."""

POLL_PAUSE_S: Final = 2.0
"""Between requests that were not held, or were answered without news."""

MAX_STREAM_FAILURES: Final = 2
"""Failures in a row after which streams are given up."""

EVENTS: Final = "text/event-stream"

Document = dict[str, Any]


class Following:
    """One ticket, and how far the client is with it: the last revision that it has heard of."""

    def __init__(
        self, server: Server, endurance: Endurance, url: str, on_news: Callable[[Ticket], object]
    ) -> None:
        self._server = server
        self._endurance = endurance
        self._url = url
        self._on_news = on_news
        self._rev = 0
        self._stream_failures = 0
        self._was_lost = False

    def until_done(self, first: Document | None = None) -> Document:
        """Return when there is a result, with the last document, which may have it as "value".

        `first` is the document that came with the ticket.

        Raises:
            RequestFailed: there will be no result.
            RequestTimeout: the deadline has passed.
        """
        if first is not None and self._take(first, first.get("state")):
            return first
        while True:
            is_stream = self._stream_failures < MAX_STREAM_FAILURES
            try:
                document = self._listen() if is_stream else self._look()
            except TryAgain as error:
                self._stream_failures += is_stream
                self._was_lost = not is_stream
                if is_stream and error.is_silence:
                    # Something on the way keeps what it should pass on.
                    self._stream_failures = MAX_STREAM_FAILURES
                self._endurance.rest(error)
                continue
            if document is not None:
                self._endurance.heard()
                return document

    def _listen(self) -> Document | None:
        """Hear of each change until the stream ends, which fails if the ticket has not."""
        headers = {"accept": EVENTS, "last-event-id": str(self._rev)}
        with self._server.ask("GET", self._url, headers, silence_s=SILENCE_S) as answer:
            self._check(answer)
            if answer.content_type != EVENTS:  # 204, or somebody on the way who knows no streams
                self._stream_failures = MAX_STREAM_FAILURES
                return None
            decoder = EventStreamDecoder()
            for piece in answer.pieces():
                self._endurance.heard()
                self._stream_failures = 0
                document = self._hear(decoder, piece)
                if document is not None:
                    return document
        retry_s = (decoder.retry_ms or 0) / 1000
        text = f"{origin_text(self._url)} ended its events"
        raise TryAgain(RequestFailed(text, state="unreachable"), retry_s=retry_s)

    def _hear(self, decoder: EventStreamDecoder, piece: bytes) -> Document | None:
        try:
            for event in decoder.feed(piece):
                document: Document = json.loads(event.data)
                if self._take(document, event.event):
                    return document
        except (EventTooLarge, ValueError, RecursionError) as error:
            raise TryAgain(RequestFailed(f"an event cannot be read: {error}")) from error
        return None

    def _look(self) -> Document | None:
        """Ask how it stands; the server answers when there is news."""
        rev, began_s = self._rev, self._endurance.clock.monotonic_s()
        headers = {
            "accept": "application/json",
            "prefer": f"wait={HOLD_S}",
            "if-none-match": f'"{rev}"',
        }
        with self._server.ask("GET", self._url, headers, silence_s=SILENCE_S) as answer:
            if self._leads_to_result(answer):
                return {}
            if answer.status != 304:
                self._check(answer)
                document = answer.document()
                if self._take(document, document.get("state")):
                    return document
        self._endurance.heard()
        if self._was_lost:  # the server was away, and no stream held back
            self._was_lost, self._stream_failures = False, 0
        least_s = MIN_PAUSE_S if self._rev != rev else POLL_PAUSE_S
        self._endurance.pause(least_s - (self._endurance.clock.monotonic_s() - began_s))
        return None

    def _leads_to_result(self, answer: Answer) -> bool:
        location = answer.headers.get("location")
        if answer.status != 303 or location is None:
            return False
        return urlsplit(urljoin(self._url, location)).path == urlsplit(self._url).path + "/result"

    def _check(self, answer: Answer) -> None:
        if answer.status == 404:
            raise failure_of_ticket({}, "gone")
        answer.check()

    def _take(self, document: Any, event: Any) -> bool:
        """Tell a state that is news; true if it is done.

        Raises:
            RequestFailed: it has ended otherwise.
            TryAgain: this is no document of a ticket.
        """
        if isinstance(document, dict) and event == "done":
            return True
        if isinstance(document, dict) and event in ENDS:
            raise failure_of_ticket(document, event)
        try:
            ticket = ticket_of(self._url, document)
        except (KeyError, TypeError, AttributeError) as error:
            text = f"{origin_text(self._url)} told something else than how the ticket stands"
            raise TryAgain(RequestFailed(text)) from error
        if ticket.rev != self._rev:
            self._rev = ticket.rev
            self._on_news(ticket)
        return False
