"""WebSocket endpoints behind a real server, with a dispatcher in between."""

from __future__ import annotations

import contextlib

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tarry.app.dispatch import Dispatcher
from tarry.app.websocket_endpoints import websocket_endpoint
from tarry.app.websockets import WebSocket
from tests.app.serving import add_route
from tests.server.serving import Serving


@contextlib.contextmanager
def serving(routes, **settings):
    """A server with GET routes."""
    dispatcher = Dispatcher()
    for path, function in routes.items():
        add_route(dispatcher, path, ("GET",), function, inline=False)
    with Serving(dispatcher, stop_timeout_s=0.05, **settings) as server:
        yield server


def client(server, path="/", **options):
    """A real client: `websockets`."""
    return connect(server.url.replace("http://", "ws://") + path, **options)


async def echo(socket: WebSocket) -> None:
    async for message in socket:
        await socket.send(message)


def endpoint(function, path="/", **options):
    """A route for `serving`."""
    return {path: websocket_endpoint(function, **options)}


def ends_with(socket):
    """The code and reason with which the server closes."""
    with pytest.raises(ConnectionClosed) as raised:
        socket.recv()
    return raised.value.rcvd.code, raised.value.rcvd.reason


def refused(server, path="/", **options):
    """The status with which a handshake is refused."""
    with pytest.raises(InvalidStatus) as raised, client(server, path, **options):
        pass
    return raised.value.response.status_code
