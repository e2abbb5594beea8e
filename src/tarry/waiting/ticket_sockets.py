"""Tickets on a WebSocket: the events of one as JSON, and a way to cancel."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from tarry.app.faults import ConversionError
from tarry.app.json_texts import json_reader
from tarry.app.responses import ServerEvent
from tarry.app.results import to_json
from tarry.app.websockets import WebSocket
from tarry.message.websockets import INVALID_DATA

MAX_MESSAGE_BYTES: Final = 1024
"""What a client has to say is short."""

Cancel = Callable[[], Awaitable[Any]]

_read_json: Final = json_reader(Any)


async def tell_and_hear(
    socket: WebSocket, events: AsyncIterator[ServerEvent], cancel: Cancel
) -> None:
    """Send each event as `{"id", "event", "data"}`, until there are no more; hear of a cancel."""
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(_tell(socket, events))
        async for message in socket:
            if not _is_cancel(message):
                await socket.close(INVALID_DATA, 'only {"cancel": true} is understood here')
                break
            await cancel()
        telling.cancel()


async def _tell(socket: WebSocket, events: Any) -> None:
    async with aclosing(events):
        async for event in events:
            told = {"id": event.id, "event": event.event, "data": event.data}
            await socket.send(to_json(told).decode())
    await socket.close()


def _is_cancel(message: str | bytes) -> bool:
    try:
        text = message if isinstance(message, bytes) else message.encode()
        return bool(_read_json(text) == {"cancel": True})
    except ConversionError:
        return False
