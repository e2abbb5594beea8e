"""uvicorn with requests that wait: a raw ASGI application that awaits a future."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.servers.on_uvicorn import serve

parked: deque[asyncio.Future[str]] = deque()


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Park, tell how many are parked, or wake."""
    text = await answer_to(scope["path"], scope["query_string"])
    headers = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


async def answer_to(path: str, query: bytes) -> str:
    """The text that a path is answered with, when it is there."""
    if path == "/parked-awaited":
        future = asyncio.get_running_loop().create_future()
        parked.append(future)
        return await future
    if path == "/wake":
        for _ in range(int(query.partition(b"=")[2])):
            parked.popleft().set_result("woken")
    return str(len(parked))


if __name__ == "__main__":
    serve(app, lifespan="off")
