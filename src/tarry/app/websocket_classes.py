"""WebSockets in class style: an object whose methods are called for what happens."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tarry.app.params import describe_function
from tarry.app.websocket_endpoints import Upgrade, websocket_endpoint
from tarry.app.websockets import WebSocket
from tarry.message.websockets import INTERNAL_ERROR, Ping, Pong

_METHODS: Final[dict[type, str]] = {
    str: "on_text",
    bytes: "on_binary",
    Ping: "on_ping",
    Pong: "on_pong",
}
"""Which method is called for what comes; where the class has none, it is dropped."""

_AWAITED: Final = ("on_open", *_METHODS.values(), "on_close")


def class_endpoint(
    kind: type, *, singleton: bool = False, **options: Any
) -> Callable[..., Awaitable[Upgrade]]:
    """Make an ordinary handler for GET of an author's class for WebSockets.

    The class has some of these methods, each an `async def`:
    `on_open(socket)`, `on_text(socket, text)`, `on_binary(socket, data)`,
    `on_ping(socket, data)`, `on_pong(socket, data)` and `on_close(socket,
    code, reason)`; and `on_handshake(request)`, which decides as a
    `HandshakeHook` does and may be a `def`.  Each connection gets an object of
    its own; a `singleton` is one for all.  `socket.path` has the values of the
    path parameters; `options` are those of `websocket_endpoint`.

    Raises:
        TypeError: a method that is no `async def`, or none of them at all.
    """
    _check(kind)
    shared = kind() if singleton else None

    def handshake(socket: WebSocket) -> Any:
        socket.context = kind() if shared is None else shared
        on_handshake = getattr(socket.context, "on_handshake", None)
        return None if on_handshake is None else on_handshake(socket.request)

    async def talk(socket: WebSocket) -> None:
        await _serve(socket.context, socket)

    talk.__name__, talk.__qualname__ = kind.__name__, kind.__qualname__
    controls = hasattr(kind, "on_ping") or hasattr(kind, "on_pong")
    return websocket_endpoint(talk, handshake=handshake, control_frames=controls, **options)


def _check(kind: type) -> None:
    there = [method for name in _AWAITED if (method := getattr(kind, name, None)) is not None]
    if not there:
        raise TypeError(f"class {kind.__qualname__} has none of {', '.join(_AWAITED)}")
    for method in there:
        if not inspect.iscoroutinefunction(method):
            raise TypeError(f"{describe_function(method)} must be an async def")


async def _serve(handler: Any, socket: WebSocket) -> None:
    """Call an object's methods for one socket; `on_close` is called however it ends."""
    try:
        await _call(handler, "on_open", socket)
        while True:
            event = await socket.link.receive()
            value = event.data if isinstance(event, Ping | Pong) else event
            await _call(handler, _METHODS[type(event)], socket, value)
    except BaseException:
        # Without effect on a socket that has ended, which is how this most often ends.
        socket.link.close(INTERNAL_ERROR, "")
        raise
    finally:
        await _call(handler, "on_close", socket, socket.close_code, socket.close_reason)


async def _call(handler: Any, name: str, *arguments: Any) -> None:
    method = getattr(handler, name, None)
    if method is not None:
        await method(*arguments)
