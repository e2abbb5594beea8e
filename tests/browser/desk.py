"""A server whose requests wait, and which notes the streams that its pages hold open."""

from __future__ import annotations

import threading
from typing import Annotated, Any

from tarry import App, Body, Event, Html, HttpError, Request, Response
from tarry.state.store import Store
from tarry.waiting.waits import Wait

PAGE = """<!doctype html><meta charset="utf-8"><title>Desk</title>
<link rel="icon" href="data:,">
<script type="module">
import * as tarry from "/-/tarry.js"
// What becomes of a wait, as the tests read it.
window.told = {}
window.watch = (key, wait) => {
  const note = told[key] = {progress: [], state: "open", wait}
  wait.then(
    value => Object.assign(note, {state: "done", value}),
    ({name, message, status, state, problem}) =>
      Object.assign(note, {state: "error", error: {name, message, status, state, problem}}),
  )
}
window.ask = (key, url, options = {}) => watch(key, tarry.waitFor(url, {
  wait: 0, onprogress: news => told[key].progress.push(news.progress?.text ?? null), ...options,
}))
window.again = key => {
  const wait = tarry.resume(key, {
    onprogress: news => told[key].progress.push(news.progress?.text ?? null),
  })
  if (wait) watch(key, wait)
  return wait !== null
}
window.tarry = tarry
</script>
"""


def picture(value: str) -> Response:
    """A result that is not JSON."""
    return Response(value.encode(), headers={"content-type": "image/x-test"})


class Desk:
    """The server, and the waits that were asked for, in order."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.waits: list[Wait[Any]] = []
        self.streams: list[str] = []
        self.open_streams = 0
        self.cancels: list[str] = []
        self.gate = threading.Event()
        self.news = threading.Condition()
        self.handle = self.app = None
        self.port = 0

    def __enter__(self) -> Desk:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, after a stop on the same port and with what is stored."""
        self.app = self._app()
        self.handle = self.app.start(port=self.port, access_log=False, stop_timeout_s=0.1)
        self.port = int(self.handle.url.rpartition(":")[2])

    def stop(self) -> None:
        self.handle.stop()
        self.open_streams = 0

    def _app(self) -> App:
        app = App(store=self.store)
        app.on("request", self._note_stream, inline=True)
        app.on("response", self._note_cancel, inline=True)
        app.add_route("/", lambda: Html(PAGE))
        app.add_route("/quick", lambda: {"answer": 42})

        @app.post("/echo")
        def echo(request: Request, text: str) -> dict[str, str]:
            return {"text": text, "prefer": request.headers["prefer"]}

        @app.get("/slow")
        def slow(timeout: float = 60) -> Wait[Any]:
            return self._parked(app.park(Any, durable=True, timeout=timeout))

        @app.post("/job")
        def job(args: Annotated[dict[str, Any], Body]) -> Wait[Any]:
            return self._parked(app.park(Any, durable=True))

        @app.post("/gated")
        def gated() -> Wait[Any]:
            wait = self._parked(app.park(Any, durable=True))
            assert self.gate.wait(timeout=15)
            return wait

        @app.get("/picture")
        def of_picture() -> Wait[str]:
            return self._parked(app.park(str, durable=True, then=picture))

        @app.get("/refused")
        def refused() -> None:
            raise HttpError(409, "there is one already")

        return app

    def _parked(self, wait: Wait[Any]) -> Wait[Any]:
        with self.news:
            self.waits.append(wait)
            self.news.notify_all()
        return wait

    def _note_stream(self, request: Request) -> None:
        if request.path == "/-/events":
            request.on("gone", self._stream_left, inline=True)
            with self.news:
                self.streams.append(request.query_string)
                self.open_streams += 1
                self.news.notify_all()

    def _stream_left(self, event: Event) -> None:
        with self.news:
            self.open_streams -= 1
            self.news.notify_all()

    def _note_cancel(self, request: Request) -> None:
        if request.path.endswith("/cancel"):
            with self.news:
                self.cancels.append(request.path.split("/")[-2])
                self.news.notify_all()

    def until_waits(self, count: int) -> None:
        """Return when so many waits were asked for, in all."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.waits) >= count, timeout=15)

    def until_cancels(self, count: int) -> None:
        """Return when so many tickets were cancelled by beacon or form, in all."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.cancels) >= count, timeout=15)

    def until_stream_of(self, tickets: list[str]) -> None:
        """Return when all these have been asked for on one stream."""
        with self.news:
            assert self.news.wait_for(
                lambda: any(all(each in query for each in tickets) for query in self.streams),
                timeout=15,
            )

    def until_streams(self, count: int) -> None:
        """Return when so many streams are open."""
        with self.news:
            assert self.news.wait_for(lambda: self.open_streams == count, timeout=15)
