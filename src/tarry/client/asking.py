"""`request`: the answer of a route, however long it takes, with Python's own library only."""

import json
import os
import re
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urldefrag, urljoin

from tarry.client.endurance import Endurance, as_limit_s, logger
from tarry.client.exchanges import Answer, Server, origin_text
from tarry.client.failures import RequestFailed, RequestTimeout, TryAgain
from tarry.client.following import Following
from tarry.client.receiving import DEFAULT_MAX_BYTES, Receiver
from tarry.client.tickets import Ticket, ticket_address
from tarry.timing import Clock, Duration, SystemClock, seconds

DEFAULT_WAIT_S: Final = 1
"""Progress is told from then on, and an interrupt before it cannot cancel."""

DEFAULT_AWAY: Final = "5m"

CANCEL_S: Final = 5.0
"""How long a cancel may take: the person who has pressed Ctrl-C waits for it."""

MAX_REDIRECTS: Final = 10
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
ACCEPT: Final = "application/json, */*;q=0.9"

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""What may be sent twice without a word (RFC 9110 section 9.2.2)."""

_TOKEN: Final = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OF_ONE_REQUEST: Final = re.compile(
    "content-.*|if-.*|accept|prefer|range|expect|idempotency-key|transfer-encoding|trailer"
)
"""Fields that say something of the request itself, and nothing of who asks."""


def request(
    url: str,
    payload: Any = None,
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: Duration | None = None,
    on_progress: Callable[[Ticket], object] | None = None,
    save_to: str | os.PathLike[str] | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    wait: int = DEFAULT_WAIT_S,
    away: Duration = DEFAULT_AWAY,
    repeat: bool = True,
    cancel_on_interrupt: bool = True,
    cancel_on_timeout: bool = False,
    ssl_context: ssl.SSLContext | None = None,
    clock: Clock | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> Any:
    """The answer to a request, in a second or in a day: what JSON says, `str`, `bytes` or `None`.

    `payload` is sent as JSON with POST, unless `method` says otherwise;
    without one it is a GET.  The server answers within `wait` seconds or
    gives a ticket, which is followed to its end, over broken connections and
    restarts of the server; `url` may be the address of a ticket, too.
    `headers` go to the origin of `url` only, where redirects have to stay.

    `on_progress` is called with a `Ticket` at each news; what it raises comes
    out of here.  `save_to` is a file that the answer replaces when it is
    complete, and then what is returned, as a `Path`; other answers may have
    `max_bytes`.

    `timeout` is for all of it; a server may be out of reach, or busy, for
    `away` at a stretch, and for ten seconds if it never was in reach.  A
    request that may have arrived is sent again with the same Idempotency-Key.
    Routes that park durable waits do nothing twice then; for others that
    change something, those with `ticket=True` alone too, say `repeat=False`,
    and it fails instead.

    KeyboardInterrupt cancels the ticket first, and so does the time-out with
    `cancel_on_timeout`.  Nothing runs in other threads; `pause` is called with
    seconds between two attempts.

    Raises:
        RequestFailed: there is no answer, or it is an error; see there.
        RequestTimeout: the time is over; also a TimeoutError.
        ValueError: a URL, method, header or payload that cannot be sent.
        OSError: the file cannot be written.
    """
    away_s = seconds(away)
    timeout_s = as_limit_s(None if timeout is None else seconds(timeout))
    endurance = Endurance(timeout_s, away_s, clock or SystemClock(), pause)
    asking = _Asking(url, payload, method, headers or {}, wait, ssl_context, endurance)
    asking.may_repeat = repeat or asking.method in IDEMPOTENT
    receiver = Receiver(None if save_to is None else Path(save_to), max_bytes)
    try:
        with receiver:
            return asking.result(receiver, on_progress or (lambda ticket: None))
    except KeyboardInterrupt:
        if cancel_on_interrupt:
            asking.cancel()
        raise
    except RequestFailed as error:
        error.ticket = asking.ticket_url
        if cancel_on_timeout and isinstance(error, RequestTimeout):
            asking.cancel()
        raise


class _Asking:
    """One request on its way to its answer."""

    def __init__(
        self,
        url: str,
        payload: Any,
        method: str | None,
        headers: Mapping[str, str],
        wait_s: int,
        ssl_context: ssl.SSLContext | None,
        endurance: Endurance,
    ) -> None:
        self.url = urldefrag(url).url
        self.method = (method or ("GET" if payload is None else "POST")).upper()
        self.may_repeat = True
        self.ticket_url = ticket_address(url)
        for word in (self.method, *headers):
            if not _TOKEN.fullmatch(word):
                raise ValueError(f"a method, or the name of a header, is one word, not {word!r}")
        if self.ticket_url is not None and self.method != "GET":
            raise ValueError("this is the address of a ticket, to which nothing is sent")
        own = {name.lower(): value for name, value in headers.items()}
        lasting = {name: own[name] for name in own if not _OF_ONE_REQUEST.fullmatch(name)}
        self._body = None if payload is None else json.dumps(payload, allow_nan=False).encode()
        self._headers = {
            "accept": ACCEPT,
            "prefer": f"respond-async, wait={wait_s:d}",
            "idempotency-key": uuid.uuid4().hex,
            **({} if self._body is None else {"content-type": "application/json"}),
            **own,
        }
        self._endurance = endurance
        self._server = Server(self.url, lasting, ssl_context, endurance)

    def result(self, receiver: Receiver, on_news: Callable[[Ticket], object]) -> Any:
        """The answer, when it is there; raises as `request` does."""
        first = None
        if self.ticket_url is None:
            first = self._insist(lambda: self._ask(receiver))
        if self.ticket_url is None:
            return first
        following = Following(self._server, self._endurance, self.ticket_url, on_news)
        document = following.until_done(first)
        if "value" in document and not receiver.keeps_bytes:
            return document["value"]
        return self._insist(lambda: self._fetch(receiver, f"{self.ticket_url}/result"))

    def cancel(self) -> None:
        """Cancel the ticket, if there is one, in one attempt."""
        if self.ticket_url is None:
            return
        endurance = Endurance(CANCEL_S, 0.0, SystemClock(), time.sleep)
        try:
            with self._server.within(endurance).ask("DELETE", self.ticket_url, {}) as answer:
                answer.check()
        except (RequestFailed, TryAgain) as error:
            logger.warning("a ticket was not cancelled: %s", error)

    def _insist(self, attempt: Callable[[], Any]) -> Any:
        while True:
            try:
                return attempt()
            except TryAgain as error:
                is_safe = self.may_repeat or self.ticket_url is not None
                if error.may_have_arrived and not is_safe:
                    raise error.failure from error
                self._endurance.rest(error)

    def _ask(self, receiver: Receiver) -> Any:
        """The answer itself; or that it has a ticket, and its document."""
        is_whole = self.method == "GET" and "range" not in self._headers
        rest = receiver.range_headers() if is_whole else {}
        headers = {**self._headers, **rest}
        with self._arrived(self.method, self.url, headers, self._body) as answer:
            self.ticket_url = self._ticket_in(answer)
            if self.ticket_url is None:
                return receiver.take(answer, rest)
            self._endurance.heard()
            try:
                return answer.document()
            except TryAgain:  # what is said here is asked for anyway
                return None

    def _fetch(self, receiver: Receiver, url: str) -> Any:
        """The result that a ticket has led to."""
        rest = receiver.range_headers()
        with self._arrived("GET", url, {"accept": ACCEPT, **rest}) as answer:
            return receiver.take(answer, rest)

    def _ticket_in(self, answer: Answer) -> str | None:
        if answer.status == 202:
            url = urljoin(answer.url, answer.headers.get("location", ""))
            return ticket_address(url) if self._server.has(url) else None
        return ticket_address(answer.url) if answer.status == 200 else None

    def _arrived(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """The answer behind all redirects, which stay on this origin (RFC 9110 section 15.4)."""
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._server.ask(method, url, headers, body=body)
            location = answer.headers.get("location")
            if answer.status not in REDIRECTS or location is None:
                return answer
            with answer:
                url = urldefrag(urljoin(url, location)).url
            if not self._server.has(url):
                text = f"the answer leads to another origin, {origin_text(url)}"
                raise RequestFailed(text, status=answer.status)
            if answer.status == 303 or (answer.status < 303 and method == "POST"):
                method, body = "HEAD" if method == "HEAD" else "GET", None
                headers = {name: headers[name] for name in headers if name[:8] != "content-"}
        raise RequestFailed(f"more than {MAX_REDIRECTS} redirects", status=answer.status)
