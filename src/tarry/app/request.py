"""The request as an author sees it: a view of the exchange, made when asked for.

There is one for each exchange, whoever asks: handler, filters, providers,
error handlers and `tarry.request` share it, and with it what was decoded.
"""

import asyncio
import contextlib
import functools
import io
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final, Protocol

from tarry.app.bodies import check_content_type
from tarry.app.current import current_exchange
from tarry.app.errors import HttpError
from tarry.app.events import REQUEST_EVENTS, Emitter
from tarry.app.faults import ConversionError
from tarry.app.forms import FormData, FormLimits
from tarry.app.json_texts import json_reader
from tarry.app.lanes import Lanes, lanes_here
from tarry.app.reading import BodyReading
from tarry.app.responses import Response
from tarry.exchange import Exchange
from tarry.message import cookies, target
from tarry.message.headers import Headers, LazyHeaders
from tarry.message.heads import Fields, with_fields

_read_json: Final = json_reader(Any)


class Way(Protocol):
    """Where an answer goes before it is sent: back through filters."""

    @property
    def waits(self) -> bool:
        """Whether a filter waits for the answer in a task, which it may give up."""

    def come_back(self, request: "Request", answer: Any) -> None:
        """Take the answer."""

    def break_off(self, request: "Request") -> None:
        """No answer will come: end what waits for one."""


Late = Callable[[Any, BaseException | None], None]
"""Takes what a handler returned or raised when its client had got another answer."""


class Request:
    """The request that a handler answers; everything is decoded at first use.

    `state` belongs to the author: what a filter puts there, a handler finds.
    """

    # What is seldom there stands on the class: making a request costs less, asking for it more.
    _abandoned: set["asyncio.Task[Any]"] | None = None
    _cookies: dict[str, str] | None = None
    _events: Emitter | None = None
    _file: io.BufferedReader | None = None
    _query: dict[str, list[str]] | None = None
    _reading: BodyReading | None = None
    _response: Response | None = None
    _state: dict[str, Any] | None = None

    # What follows belongs to who answers: an error that an author's handler was asked about, who
    # takes what the handler comes to when the client has been answered already, what is called
    # when the answer has gone, where it goes first, which inline filters wait for it, and what is
    # cleaned up then; beside `is_special`, whether an answer needs more than to be sent.
    told: HttpError | None = None
    late: Late | None = None
    over: Callable[[], None] | None = None
    passage: Way | None = None
    started: list[Any]
    stack: contextlib.ExitStack | contextlib.AsyncExitStack | None = None

    def __init__(self, exchange: Exchange, lanes: Lanes | None = None) -> None:
        self.exchange = exchange
        self._lanes = lanes
        self.is_special = False
        self._headers: LazyHeaders | None = None

    @property
    def method(self) -> str:
        """The method in capitals, such as `"GET"`."""
        return self.exchange.head.method.decode("ascii")

    @property
    def path(self) -> str:
        """The path, each segment percent-decoded; `"%2F"` shows as "/" here."""
        return "/" + "/".join(target.decode_path(self.exchange.head.path))

    @property
    def raw_path(self) -> str:
        """The path as it came, not decoded."""
        return self.exchange.head.path.decode("ascii")

    @property
    def query_string(self) -> str:
        """What follows the first "?", not decoded."""
        return self.exchange.head.query.decode("ascii")

    @property
    def query(self) -> dict[str, list[str]]:
        """Query parameters: each name with all its values."""
        if self._query is None:
            self._query = target.parse_query(self.exchange.head.query)
        return self._query

    @property
    def headers(self) -> Headers:
        """Header fields; names match in any case.

        A filter may change them for the handler and the filters after it.
        """
        if self._headers is None:
            self._headers = LazyHeaders(self.exchange.head.headers)
        return self._headers

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies by name."""
        if self._cookies is None:
            self._cookies = cookies.parse_cookies(self.exchange.head.headers.getall(b"cookie"))
        return self._cookies

    @property
    def http_version(self) -> str:
        """`"1.0"`, `"1.1"` or `"2"`."""
        return self.exchange.head.http_version.decode("ascii")

    @property
    def scheme(self) -> str:
        """`"http"` or `"https"`."""
        return self.exchange.scheme

    @property
    def host(self) -> str:
        """The host and port the client asked for, checked; `""` if it named none (HTTP/1.0)."""
        return (self.exchange.head.headers.get(b"host") or b"").decode("ascii")

    @property
    def url(self) -> str:
        """The whole URL, built from the checked parts."""
        return f"{self.scheme}://{self.host}{self.exchange.head.target.decode('ascii')}"

    @property
    def client(self) -> str:
        """Address of the peer, `""` where it has none."""
        return self.exchange.client

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self.exchange.gone

    @property
    def state(self) -> dict[str, Any]:
        """A place for what filters and handlers tell one another; empty at first."""
        if self._state is None:
            self._state = {}
        return self._state

    @property
    def response(self) -> Response:
        """What the answer will be amended by: its status, headers and cookies; see `Response`."""
        if self._response is None:
            self.is_special = True
            self._response = Response()
        return self._response

    # ---- the body ----------------------------------------------------------------------

    @property
    def reading(self) -> BodyReading:
        """How far the body has been read."""
        if self._reading is None:
            self.is_special = True
            self._reading = BodyReading(self.exchange)
        return self._reading

    @property
    def form_read(self) -> FormData | None:
        """The form, if it has been read already."""
        return None if self._reading is None else self._reading.form

    def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece, as it comes.

        Raises:
            BodyTooLarge: it has more bytes than the route takes.
            ClientGone: the client left before the end.
            HttpError: 400 or 415 for a content coding that is damaged or unknown.
        """
        return self.reading.pieces()

    async def body(self) -> bytes:
        """The whole body, `b""` if there is none; can be read again, also after a form.

        Raises:
            RuntimeError: it was read in pieces before, which nobody kept.
            And what `stream` raises.
        """
        return await self.reading.whole()

    async def json(self) -> Any:
        """The body decoded from JSON.

        Raises:
            HttpError: 400, with the position, for malformed JSON; 415 for a
                body that does not say it is JSON.
            And what `body` raises.
        """
        body = await self.body()
        if body:
            check_content_type(self.exchange)
        try:
            return _read_json(body)
        except ConversionError as error:
            raise HttpError(400, f"the body {error}") from error

    async def form(self, limits: FormLimits | None = None) -> FormData:
        """The body as a form, urlencoded or multipart; its files are closed after the answer.

        Raises:
            HttpError: 400 for a damaged form, 413 for one beyond `limits`,
                415 for another media type.
            And what `stream` raises.
        """
        return await self.reading.read_form(limits or FormLimits(), self.lanes.in_thread)

    @property
    def file(self) -> io.BufferedReader:
        """The body like a binary file, the same one each time: `read` waits for what comes.

        It is for `def` handlers: coroutines and inline ones would wait for
        themselves, so reading there raises `RuntimeError`.  Otherwise it raises
        what `stream` does.
        """
        if self._file is None:
            self._file = self.reading.as_file(self.lanes.loop)
        return self._file

    @property
    def lanes(self) -> Lanes:
        """Loop and threads of the application that answers."""
        if self._lanes is None:
            self._lanes = lanes_here()
        return self._lanes

    # ---- events -------------------------------------------------------------------------

    def on(
        self, name: str, function: Callable[..., Any] | None = None, *, inline: bool = False
    ) -> Any:
        """Call a function at `"data"`, `"end"` or `"gone"`; also a decorator.

        `"data"` comes with each piece of the body as `chunk`, `"end"` once
        after the last one, also for a request without a body: what the
        handler has not read by then is read for them before the answer goes
        out.  `"gone"` comes if the client leaves before that.  Functions take
        what they need by name: `event`, `request`, `response`, `chunk`.

        Raises:
            ValueError: another event, or an argument that it does not have.
        """
        if self._events is None:
            self._events = Emitter(REQUEST_EVENTS, self.lanes.in_thread)
        if function is None:
            return functools.partial(self.on, name, inline=inline)
        is_first = not self._events.has(name)
        self._events.on(name, function, inline=inline)
        if name in ("data", "end"):
            self.reading.told = self._tell
        elif self.exchange.gone:
            # A handler in a thread may come too late; what is told is told on the loop.
            self.lanes.loop.call_soon_threadsafe(self._tell_gone)
        elif is_first:
            self.exchange.on_gone(self._tell_gone)
        return function

    def off(self, name: str, function: Callable[..., Any] | None = None) -> None:
        """No longer call a function at an event, or none at all."""
        if self._events is not None:
            self._events.off(name, function)

    async def _tell(self, name: str, chunk: bytes) -> None:
        values = {"request": self, "response": self.response}
        await self._emit(name, values | {"chunk": chunk} if name == "data" else values)

    async def _emit(self, name: str, values: dict[str, Any]) -> None:
        if self._events is not None:
            await self._events.emit(name, self, **values)

    def _tell_gone(self) -> None:
        self.lanes.start(self._emit("gone", {"request": self}))

    # ---- called when it is answered --------------------------------------------------------

    def keep(self, stack: contextlib.ExitStack | contextlib.AsyncExitStack) -> None:
        """Clean up when the answer has gone."""
        self.is_special = True
        self.stack = stack

    @property
    def has_listeners(self) -> bool:
        """Whether somebody waits to hear of the body."""
        return self._reading is not None and self._reading.told is not None

    @property
    def has_read(self) -> bool:
        """Whether somebody has begun to read the body in a way of their own, or listens to it."""
        return self._reading is not None

    def abandon(self, tasks: Iterable["asyncio.Task[Any]"]) -> None:
        """Cancel tasks whose answers nobody waits for any more."""
        if self._abandoned is None:
            self.is_special = True
            self._abandoned = set()
        for task in tasks:
            self._abandoned.add(task)
            task.cancel()

    @property
    def is_abandoned(self) -> bool:
        """Whether the running task is one whose answer nobody waits for."""
        return self._abandoned is not None and asyncio.current_task() in self._abandoned

    @property
    def may_be_late(self) -> bool:
        """Whether an answer may still come that nobody waits for."""
        return self._abandoned is not None

    def take_response(self) -> Response | None:
        """What the answer is to be amended by, once."""
        response, self._response = self._response, None
        return response

    def forget_response(self, result: object) -> None:
        """A handler that returns the response itself amends nothing else."""
        if result is self._response:
            self._response = None

    def apply_headers(self) -> None:
        """Have the rest of the application see the headers as a filter has changed them."""
        headers = self._headers
        if headers is not None and (headers.added or headers.decoded is not None):
            fields = headers.to_fields()
            head = self.exchange.head
            if fields != [*head.headers]:
                self.exchange.head = with_fields(head, Fields(fields))
                self._cookies = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.raw_path}>"


def request_of(exchange: Exchange, lanes: Lanes | None = None) -> Request:
    """The one `Request` of an exchange."""
    request = exchange.context
    if request is None:
        request = exchange.context = Request(exchange, lanes)
    return request  # type: ignore[no-any-return]  # because the seam does not know our types


class CurrentRequest:
    """Stands for the request that the running code belongs to.

    All of `Request` is there: `tarry.request.headers`, `await tarry.request.json()`.

    Raises:
        LookupError: at any use outside of a request.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.get(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.get(), name, value)

    def __repr__(self) -> str:
        try:
            return repr(self.get())
        except LookupError:
            return "<no request here>"

    def get(self) -> Request:
        """The `Request` itself, to hand it on."""
        return request_of(current_exchange())
