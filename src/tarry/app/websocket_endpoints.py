"""Handlers for WebSockets, made of an author's function.

The handshake is an ordinary request: routes, filters, binders and errors work
as for any other.  What the endpoint returns then is an `Upgrade`, and sending
that is where the connection becomes a WebSocket and the author's function runs.
"""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal

from tarry.app.errors import HttpError
from tarry.app.params import describe_function, read_arguments
from tarry.app.request import Request
from tarry.app.websocket_origins import OriginPolicy
from tarry.app.websockets import WebSocket
from tarry.exchange import HandshakeError, WebSocketClosed, WebSocketHandshake
from tarry.message.headers import Headers
from tarry.message.websockets import INTERNAL_ERROR, NORMAL, WebSocketOptions

Talk = Callable[..., Awaitable[None]]
"""An author's function for one WebSocket."""

HandshakeHook = Callable[[WebSocket], Any]
"""Decides about a handshake: `None` or `True` accepts, `False` is 403, a number is that status.

It gets the socket before it is open: its `request`, its `path`, and `context`
to keep what it found out.  It may be an `async def`, and may raise `HttpError`.
"""


class Upgrade:
    """The result of a handshake that is accepted; filters may add to its `headers`."""

    __slots__ = ("_handshake", "_socket", "_talk", "headers")

    def __init__(
        self, socket: WebSocket, handshake: WebSocketHandshake, talk: Callable[[], Awaitable[None]]
    ) -> None:
        self.headers = Headers()
        self._socket = socket
        self._handshake = handshake
        self._talk = talk

    def amended(self, status: int, headers: Iterable[tuple[str, str]]) -> "Upgrade":
        """The same with further headers.

        Raises:
            ValueError: another status, which would be no handshake.
        """
        if status not in (101, 200):
            raise ValueError(f"the handshake of a WebSocket has status 101, not {status}")
        for name, value in headers:
            self.headers.add(name, value)
        return self

    async def run(self) -> None:
        """Open the socket, run the author's function, close the socket.

        Raises:
            ClientGone: the client left before it could be opened.
            InvalidField: a header that would break the message.
        """
        # What brought the handshake in has to be done with it: an eager task is still inside.
        await asyncio.sleep(0)
        link = self._handshake.accept(self.headers.to_fields())
        self._socket.open(link, self._handshake.subprotocol)
        code = INTERNAL_ERROR
        try:
            await self._talk()
            code = NORMAL
        except (WebSocketClosed, ExceptionGroup) as error:
            if link.close_code is None or not _says_closed(error):
                raise
        except HttpError as error:
            raise RuntimeError(f"too late for an answer: the socket is open ({error})") from error
        finally:
            link.close(code, "")


def _says_closed(error: Exception) -> bool:
    """Whether it is the usual end of who receives or sends in a loop, perhaps in a TaskGroup."""
    return not isinstance(error, ExceptionGroup) or error.split(WebSocketClosed)[1] is None


def websocket_endpoint(
    function: Talk,
    *,
    origins: Iterable[str] | Literal["*"] | None = None,
    handshake: HandshakeHook | None = None,
    **options: Any,
) -> Callable[..., Awaitable[Upgrade]]:
    """Make an ordinary handler for GET of an author's function for WebSockets.

    The function is an `async def` that takes a `WebSocket`; its other
    arguments are bound as those of any handler.  `origins` are those of web
    pages that may connect: by default pages of the same host, `"*"` for all;
    a client that is no browser names none and may.  `options` are those of
    `WebSocketOptions`.

    Raises:
        TypeError: the function is no `async def`, takes no `WebSocket`, or an
            option that there is not.
        ValueError: an option or origin that makes no sense.
    """
    name = _socket_argument(function)
    chosen = _options(options)
    policy = OriginPolicy(origins)

    @functools.wraps(function)
    async def endpoint(**arguments: Any) -> Upgrade:
        socket: WebSocket = arguments[name]
        request = socket.request
        offered = _handshake_of(request, chosen)
        if not policy.allows(request.headers.getall("origin"), request.host):
            raise HttpError(403, "pages of this origin may not connect here")
        if handshake is not None:
            await _ask(handshake, socket)
        return Upgrade(socket, offered, functools.partial(function, **arguments))

    return endpoint


def _options(given: dict[str, Any]) -> WebSocketOptions:
    known = WebSocketOptions.__annotations__
    for name in given:
        if name not in known:
            there = ", ".join(("origins", "handshake", *known))
            raise TypeError(f"there is no option {name!r} here; there are {there}")
    if "subprotocols" in given:
        given = {**given, "subprotocols": tuple(given["subprotocols"])}
    return WebSocketOptions(**given)


def _socket_argument(function: Talk) -> str:
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{describe_function(function)} must be an async def: a socket is awaited")
    for argument in read_arguments(function).arguments:
        if argument.annotation is WebSocket:
            return argument.name
    raise TypeError(f"{describe_function(function)} takes no argument of type WebSocket")


def _handshake_of(request: Request, options: WebSocketOptions) -> WebSocketHandshake:
    try:
        return request.exchange.websocket(options)
    except HandshakeError as error:
        # Which version we speak goes with each 426 (RFC 6455 section 4.2.2).
        version = [(b"sec-websocket-version", b"13")] if error.status == 426 else []
        raise HttpError(error.status, error.detail, headers=version) from error


async def _ask(hook: HandshakeHook, socket: WebSocket) -> None:
    """Ask an author's function about a handshake.

    Raises:
        HttpError: it says no.
        TypeError: it says something else.
    """
    verdict = hook(socket)
    if inspect.isawaitable(verdict):
        verdict = await verdict
    if verdict is None or verdict is True:
        return
    if verdict is False:
        raise HttpError(403, "this WebSocket was refused")
    if isinstance(verdict, int) and 400 <= verdict <= 599:
        raise HttpError(verdict)
    raise TypeError(f"a handshake is answered by None, True, False or 400 to 599, not {verdict!r}")
