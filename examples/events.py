"""Events of requests and of the application, shown on a page while they happen.

python examples/events.py                       # then open http://127.0.0.1:8000

curl -T big.iso http://127.0.0.1:8000/drop      # an upload: watch the page, or break it off
curl -N http://127.0.0.1:8000/events            # what the page hears
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tarry import App, Event, Events, Request

STATES = {"data": "coming", "end": "complete", "gone": "broken off"}
app = App()
app.add_route("/", lambda: Path(__file__).with_suffix(".html"))
uploads: list[dict[str, Any]] = []
changed = asyncio.Event()


@app.on("start")
@app.on("stop")
def log(event: Event) -> None:
    print(f"{event.name}: {len(uploads)} uploads")


@app.put("/drop", max_body_bytes=1024**3)
async def drop(request: Request) -> str:
    upload = {"bytes": 0, "of": int(request.headers.get("content-length", 0)), "state": "coming"}
    uploads.append(upload)

    def note(event: Event, chunk: bytes = b"") -> None:
        global changed
        upload.update(bytes=upload["bytes"] + len(chunk), state=STATES[event.name])
        changed.set()
        changed = asyncio.Event()

    for name in STATES:
        request.on(name, note, inline=True)
    return "thank you\n"  # sent when the whole body has come, since somebody listens to it


@app.get("/events")
async def events() -> Events:
    async def items() -> AsyncIterator[list[dict[str, Any]]]:
        while True:
            next_change = changed  # taken before the yield, so that no change is missed
            yield uploads
            await next_change.wait()

    return Events(items())


if __name__ == "__main__":
    app.run()
