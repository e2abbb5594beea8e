"""A WebSocket as an author sees it: messages in, messages out, and the end.

Where it comes from is in `websocket_endpoints`.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from tarry.app.request import request_of
from tarry.exchange import Exchange, WebSocketClosed, WebSocketLink
from tarry.message.websockets import INTERNAL_ERROR, NORMAL

FILE_FRAGMENT_BYTES: Final = 64 * 1024
"""How much of a file is in memory at once while it is sent."""

Message = str | bytes | bytearray | memoryview
"""What can be sent: text, or binary data in one of three forms."""


class WebSocket:
    """One open WebSocket; take messages with `async for`, send them with `send`.

    It is open when the handler gets it, and is closed when the handler
    returns: with 1000, or with 1011 after an error.  Several tasks may send;
    one receives.  `request` is the request it began with, `path` has the
    values of the path parameters, and `context` is the author's to use.
    """

    __slots__ = ("_link", "_sending", "context", "path", "request", "subprotocol")

    def __init__(self, exchange: Exchange, path: dict[str, str]) -> None:
        self.request = request_of(exchange)
        self.path = path
        self.context: Any = None
        self.subprotocol: str | None = None
        """The subprotocol both speak, if there is one."""
        self._link: WebSocketLink | None = None
        self._sending = asyncio.Lock()

    @property
    def link(self) -> WebSocketLink:
        """What carries it.

        Raises:
            RuntimeError: the handshake is not over, or the route is for no WebSocket.
        """
        if self._link is None:
            raise RuntimeError("this WebSocket is not open: is its route one for WebSockets?")
        return self._link

    def open(self, link: WebSocketLink, subprotocol: str | None) -> None:
        """Called when the handshake is over."""
        self._link = link
        self.subprotocol = subprotocol

    @property
    def closed(self) -> bool:
        """Whether it has ended, so that nothing more can be sent."""
        return self.close_code is not None

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that came first, from whichever side; `None` while open.

        1005 stands for a frame without a code, 1006 for a connection that broke.
        """
        return self.link.close_code

    @property
    def close_reason(self) -> str:
        """The reason given with it."""
        return self.link.close_reason

    # ---- receiving ---------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """The next whole message: a `str` for text, `bytes` for binary data.

        Raises:
            WebSocketClosed: with `code` and `reason`, when no further one can come.
        """
        while True:
            event = await self.link.receive()
            if isinstance(event, str | bytes):
                return event

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """All messages until the socket ends, however it does; see `close_code`."""
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebSocketClosed:
            raise StopAsyncIteration from None

    # ---- sending -----------------------------------------------------------------------

    async def send(self, message: Message, *, fragment_bytes: int | None = None) -> None:
        """Send text or binary data, and wait while the peer is slow.

        With `fragment_bytes` a message goes in frames of at most that size,
        for peers that cannot take larger ones.

        Raises:
            WebSocketClosed: the socket has ended.
            TypeError: neither text nor bytes.
            ValueError: `fragment_bytes` below 1, or a text that has no UTF-8.
        """
        if not isinstance(message, str):
            if not isinstance(message, bytes | bytearray | memoryview):
                raise TypeError(f"send takes str or bytes, not {type(message).__name__}")
            message = bytes(message)
        _check_fragment(fragment_bytes)
        async with self._sending:
            self.link.send(message, fragment_bytes)
        await self.link.drained()

    async def send_file(self, path: str | Path, *, fragment_bytes: int | None = None) -> None:
        """Send a file as one binary message, reading it in a thread piece by piece.

        Frames have 64 KiB unless `fragment_bytes` says otherwise.  Other
        messages wait until the whole file was sent.

        Raises:
            OSError: the file cannot be opened; nothing was sent.  If reading
                fails later, the socket is closed with 1011.
            WebSocketClosed: the socket has ended.
            ValueError: `fragment_bytes` below 1.
        """
        _check_fragment(fragment_bytes)
        async with self._sending:
            file = await asyncio.to_thread(Path(path).open, "rb")
            try:
                await self._send_open_file(file, fragment_bytes or FILE_FRAGMENT_BYTES)
            finally:
                file.close()

    async def _send_open_file(self, file: BinaryIO, size: int) -> None:
        link = self.link
        piece = await asyncio.to_thread(file.read, size)
        ahead = await asyncio.to_thread(file.read, size)
        link.send_first(piece, last=not ahead)
        try:
            while ahead:
                await link.drained()
                piece, ahead = ahead, await asyncio.to_thread(file.read, size)
                link.send_next(piece, last=not ahead)
        except BaseException:
            # Half a message cannot be taken back, and nothing else may follow it.
            link.close(INTERNAL_ERROR, "a file could not be sent to its end")
            raise
        await link.drained()

    async def ping(self, data: bytes = b"") -> None:
        """Send a ping with at most 125 bytes; the server does so by itself, too.

        Raises:
            WebSocketClosed: the socket has ended.
            ValueError: more bytes.
        """
        self.link.ping(data)
        await self.link.drained()

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close, and wait for the peer's answer for a bounded time.

        Without effect on a socket that has ended.

        Raises:
            ValueError: a code that may not be sent, or a reason of more than 123 bytes.
        """
        self.link.close(code, reason)
        await self.link.ended()


def _check_fragment(fragment_bytes: int | None) -> None:
    if fragment_bytes is not None and fragment_bytes < 1:
        raise ValueError(f"fragment_bytes must be at least 1, not {fragment_bytes}")
