"""Filters: what happens around handlers, in three forms.

python examples/filters.py

curl -i http://127.0.0.1:8000/nowhere             # each answer says how long it took, this 404 too
curl -i http://127.0.0.1:8000/admin/me            # 401: a filter answers early
curl -H "authorization: Bearer s3cret" http://127.0.0.1:8000/admin/me      # ada
curl -i "http://127.0.0.1:8000/reports/slow?seconds=5"                     # 504 after 0.2 s
"""

import asyncio
import time
from collections.abc import Generator
from typing import Any

from tarry import App, Request, Response

app = App()
users = {"s3cret": "ada"}


@app.filter(inline=True)  # before and after; it never blocks, so it needs no thread
def timed(request: Request) -> Generator[None, Response, None]:
    started = time.perf_counter()
    response = yield
    response.headers["server-timing"] = f"all;dur={(time.perf_counter() - started) * 1000:.2f}"


def signed_in(request: Request) -> Response | None:  # before: `None` lets the request through
    user = users.get(request.headers.get("authorization", "").removeprefix("Bearer "))
    request.state["user"] = user
    return None if user else Response("who are you?\n", 401, {"www-authenticate": "Bearer"})


async def in_time(request: Request, next: Any) -> Any:  # around
    try:
        async with asyncio.timeout(0.2):
            return await next(request)
    except TimeoutError:
        return 504, "that took too long\n"


@app.get("/")
async def home() -> str:
    return "hello\n"


@app.group("/admin", filters=[signed_in]).get("/me")
async def me(request: Request) -> str:
    return f"you are {request.state['user']}\n"


@app.group("/reports", filters=[in_time]).get("/slow")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "here it is\n"


if __name__ == "__main__":
    app.run()
