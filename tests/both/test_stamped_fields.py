"""`Date` and `Server` are on each answer, once, and an author's take the place of ours."""

from __future__ import annotations

import pytest

from tarry import App, HttpError, Response, Stream
from tests.both.clients import ask_http1, ask_http2

DATE = "Fri, 20 Nov 2026 20:00:00 GMT"


def refused():
    raise HttpError(409, headers=[(b"Server", b"own"), (b"Date", DATE.encode())])


@pytest.fixture(scope="module")
def url():
    own = {"Server": "own", "Date": DATE}
    app = App()
    app.add_route("/whole", lambda: Response("text", headers=own))
    app.add_route("/empty", lambda: Response(None, 204, own))
    app.add_route("/stream", lambda: Stream(["te", "xt"], headers=own))
    app.add_route("/known", lambda: Stream(["text"], headers=own, length=4))
    app.add_route("/error", refused)
    app.add_route("/server", lambda: Response("text", headers={"Server": "own"}))
    app.add_route("/plain", lambda: "text")
    with app.start(access_log=False) as server:
        yield server.url


@pytest.mark.parametrize("ask", [ask_http1, ask_http2])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/whole", "/empty", "/stream", "/known", "/error"])
def test_those_of_an_author_take_the_place_of_ours(url, path, method, ask):
    answer = ask(url, method, path)

    assert answer.complete
    assert [value for name, value in answer.headers if name == "server"] == ["own"]
    assert [value for name, value in answer.headers if name == "date"] == [DATE]


@pytest.mark.parametrize("ask", [ask_http1, ask_http2])
@pytest.mark.parametrize(("path", "server"), [("/server", "own"), ("/plain", "tarry")])
def test_what_an_author_does_not_set_is_there(url, path, server, ask):
    answer = ask(url, "GET", path)

    assert [value for name, value in answer.headers if name == "server"] == [server]
    assert len([name for name, _ in answer.headers if name == "date"]) == 1
