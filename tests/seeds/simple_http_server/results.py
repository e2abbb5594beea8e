"""Pages, files and other results."""

from __future__ import annotations

import asyncio
import base64
import threading
from concurrent.futures import Future

from tarry import HttpError, Redirect, Response, Stream

FAVICON = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


def add_pages(app, lane, public):
    @app.get("/", "/index")
    @lane
    def index():
        return {"code": 0, "message": "success"}

    @app.get("/lane")
    @lane
    def in_which_lane():
        return threading.current_thread().name

    @app.get("/favicon.ico")
    @lane
    def favicon():
        return Response(FAVICON, headers={"content-type": "image/png"})

    # Only what is in the folder now has a name here, so no path leads anywhere else.
    files = {path.relative_to(public).as_posix(): path for path in public.rglob("*.*")}

    @app.get("/public/**")
    @lane
    def public_file(wildcard: str):
        if wildcard not in files:
            raise HttpError(404, "there is no such file")
        return files[wildcard]


def add_results(app, lane):
    @lane
    def pieces():
        yield b"abcd"
        yield bytearray(b"efg")

    @app.get("/res/write/bytes")
    @lane
    def res_write_bytes():
        return Stream(pieces(), content_type="application/octet-stream")

    @app.get("/redirect")
    @lane
    def redirect():
        return Redirect("/index")

    @app.get("/int_status_code")
    @lane
    def int_status_code():
        return 201

    @app.get("/tuple_status_code")
    @lane
    def tuple_status_code():
        return 201, "made"

    @app.get("/response_status_code")
    @lane
    def response_status_code():
        return Response(status=201)


class Bed:
    """Where requests to /sleep lie: until their time is over, or the alarm goes off."""

    def __init__(self):
        self.entered = threading.Event()
        self.alarm = Future()


def add_sleep(app, lane, bed):
    def sleep(secs: float):
        bed.entered.set()
        try:
            return bed.alarm.result(timeout=secs)
        except TimeoutError:
            return "slept"

    async def sleep_async(secs: float):
        bed.entered.set()
        alarm = asyncio.wrap_future(bed.alarm)
        done, _ = await asyncio.wait([alarm], timeout=secs)
        return alarm.result() if done else "slept"

    app.get("/sleep")(lane.either(sleep, sleep_async))
