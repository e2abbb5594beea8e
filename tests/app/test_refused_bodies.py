"""A request that the server itself refuses ends for its filters too."""

from __future__ import annotations

import threading

from tarry import App
from tests.wire import TIMEOUT_S, Wire


def test_a_filter_ends_when_the_body_turns_out_to_be_broken():
    app = App()
    began, refused, ended = threading.Event(), threading.Event(), threading.Event()

    @app.filter
    async def around(request, next):
        try:
            return await next(request)
        finally:
            ended.set()

    @app.post("/")
    def late():
        began.set()
        refused.wait(TIMEOUT_S)
        return "late"

    with app.start(access_log=False) as server, Wire(server.url) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        began.wait(TIMEOUT_S)
        wire.send(b"zz\r\n")
        assert wire.read().status == 400
        refused.set()

        assert ended.wait(TIMEOUT_S)
