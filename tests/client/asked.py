"""A server whose requests wait, which can stop and come back, and ways to ask it."""

from __future__ import annotations

import threading
from typing import Annotated

from tarry import App, Body, HttpError, Redirect, Request, Response, SendFile
from tarry.client import request
from tarry.state.memory import MemoryStore
from tarry.testing import JumpingClock

WITHIN_S = 15


class Server:
    """The server, and the waits that were asked for, in order."""

    def __init__(self, folder):
        self.folder = folder
        self.store = MemoryStore()
        self.waits = []
        self.requests = []
        self.news = threading.Condition()
        self.app = self.handle = None
        self.port = 0
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def wait(self):
        return self.waits[-1]

    def start(self):
        """Serve; after a stop on the same port, and with what is stored."""
        self.app = self._app()
        self.handle = self.app.start(port=self.port, access_log=False, stop_timeout_s=0.1)
        self.port = int(self.handle.url.rpartition(":")[2])

    def stop(self):
        self.handle.stop()

    def until(self, predicate):
        with self.news:
            assert self.news.wait_for(predicate, WITHIN_S), "what the test waits for did not happen"

    def _app(self):
        app = App(store=self.store)
        app.on("request", self._note, inline=True)

        @app.get("/slow", inline=True)
        @app.post("/slow", inline=True)
        def slow(timeout: float = 60):
            wait = app.park(object, durable=True, timeout=timeout)
            with self.news:
                self.waits.append(wait)
                self.news.notify_all()
            return wait

        @app.get("/picture", inline=True)
        def of_picture():
            self.waits.append(app.park(str, durable=True, then=picture))
            return self.wait

        @app.get("/film", inline=True)
        def of_film():
            self.waits.append(app.park(str, durable=True, then=film))
            return self.wait

        @app.route("/echo", methods=["GET", "POST", "PUT", "HEAD"])
        async def echo(request: Request):
            names = ("prefer", "idempotency-key", "content-type", "authorization", "accept")
            told = {name: request.headers.get(name) for name in names}
            return {**told, "method": request.method, "body": (await request.body()).decode()}

        @app.post("/small", max_body_bytes=1000)
        def small(body: Annotated[str, Body()]):
            return len(body)

        @app.get("/answer/{kind}")
        def answer(kind: str):
            return ANSWERS[kind]

        @app.get("/refused")
        def refused():
            raise HttpError(409, "there is one already", extra={"number": 7})

        return app

    def _note(self, request):
        with self.news:
            self.requests.append((request.method, request.path, dict(request.headers)))
            self.news.notify_all()


def picture(value: str):
    """A result that is not JSON."""
    return Response(value.encode(), headers={"content-type": "image/x-test"})


def film(value: str):
    """A result that is a file."""
    return SendFile(value)


ANSWERS = {
    "object": {"ok": True},
    "list": [1, 2],
    "text": "täxt",
    "bytes": b"\0\1",
    "none": None,
    "latin": Response(
        "täxt".encode("latin-1"), headers={"content-type": "text/x; charset=latin-1"}
    ),
    "unknown": Response("täxt".encode(), headers={"content-type": "text/x; charset=klingon"}),
    "problem": Response(b'{"a":1}', headers={"content-type": "application/x+json"}),
    "broken": Response(b'{"a":', headers={"content-type": "application/json"}),
    "deep": Response(b"[" * 200_000, headers={"content-type": "application/json"}),
    "untyped": Response(b"abc"),
    "empty": Response(b"", headers={"content-type": "text/plain"}),
    "elsewhere": Redirect("/answer/object", 303),
    "around": Redirect("/answer/around", 303),
}


class Asking:
    """Asks without sleeping: pauses are noted, and time passes by them alone."""

    def __init__(self):
        self.clock = JumpingClock()
        self.pauses = []
        self.news = []
        self.on_pause = lambda: None

    def __call__(self, url, payload=None, *, on_progress=None, **options):
        def note(ticket):
            self.news.append(ticket)
            if on_progress is not None:
                on_progress(ticket)

        chosen = {"clock": self.clock, "pause": self.pause, "wait": 0, **options}
        return request(url, payload, on_progress=note, **chosen)

    def pause(self, seconds):
        assert seconds > 0
        self.pauses.append(seconds)
        self.clock.advance(seconds)
        self.on_pause()

    @property
    def texts(self):
        return [ticket.text for ticket in self.news]
