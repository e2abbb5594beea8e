"""A chat room: everybody gets every message once and in order, however often they come and go.

python examples/chat.py      # then open http://127.0.0.1:8000 twice; with /?poll it long-polls

curl -N http://127.0.0.1:8000/events                              # messages as they come
curl 'http://127.0.0.1:8000/messages?after=0'                     # those there are, or the next
curl --json '{"name": "ada", "text": "hi"}' http://127.0.0.1:8000/messages
"""

from dataclasses import dataclass
from pathlib import Path

from tarry import App, Events
from tarry.waiting.topics import NextMessages


@dataclass
class Said:
    """Who says what."""

    name: str
    text: str


app = App()
app.add_route("/", lambda: Path(__file__).with_suffix(".html"))
room = app.topic("room", Said, keep=200, keep_for="7d")


@app.post("/messages", max_body_bytes=4096)
async def say(said: Said) -> tuple[int, dict[str, int]]:
    return 201, {"id": await room.publish(said)}


@app.get("/messages", inline=True)
def next_messages(after: int = 0) -> NextMessages:
    return room.next(after)  # at once if there are some, else when somebody says something


@app.get("/events", inline=True)
def events() -> Events:
    return room.events()


if __name__ == "__main__":
    app.run()
