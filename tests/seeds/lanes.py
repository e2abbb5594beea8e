"""What the seeds' tests share: both lanes, a server on a real socket, requests that wait."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import queue
from collections import deque

import pytest

from tests.wire import TIMEOUT_S, Wire

both_lanes = pytest.mark.parametrize("lane", ["async def", "def"])
"""Runs a test twice, for handlers of either kind; see `in_lane`."""


def in_lane(lane, function):
    """The function for a lane: as it is, or as an `async def` that does the same."""
    if lane == "def":
        return function

    @functools.wraps(function)
    async def coroutine_function(*arguments, **named):
        return function(*arguments, **named)

    return coroutine_function


@contextlib.contextmanager
def served(app, **settings):
    """The URL of an application that listens on a port of its own."""
    with app.start(**{"access_log": False, "stop_timeout_s": 0.1, **settings}) as handle:
        yield handle.url


def message(path, *fields, method="GET", body=None):
    """A request as bytes; its length is announced if there is a body."""
    lines = [f"{method} {path} HTTP/1.1", "host: a", *fields]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def reply_to(url, path, *fields, method="GET", body=None):
    """The reply to one request on a connection of its own."""
    with Wire(url) as wire:
        wire.send(message(path, *fields, method=method, body=body))
        return wire.read(method)


class WaitingRoom:
    """Requests that wait for a result, the first to come first.

    It is made of what asyncio has; an application can hold requests until
    another one, or a thread, has their results.
    """

    def __init__(self):
        self._there = {}
        self._waiting = deque()
        self._entered = queue.SimpleQueue()

    async def wait(self, name=""):
        """What is there already under a name, or else what `wake` brings."""
        if name in self._there:
            return self._there.pop(name)
        future = concurrent.futures.Future()
        self._waiting.append((name, future))
        self._entered.put(name)
        return await asyncio.wrap_future(future)

    def put(self, result, name):
        """Have a result there before anybody asks for it."""
        self._there[name] = result

    def wake(self, result, name=None):
        """Give a result, from any thread, to who waits under a name, or to the first."""
        found = next(each for each in self._waiting if name in (None, each[0]))
        self._waiting.remove(found)
        found[1].set_result(result)

    def until_entered(self):
        """The name of the next request that has begun to wait; for a test."""
        return self._entered.get(timeout=TIMEOUT_S)


class Awaited:
    """What a request has waited for, as an argument of its handler."""

    def __init__(self, result):
        self.result = result


def add_waiting_route(app, lane, path, room):
    """A route `path` with a parameter `name`; its answer is what the room brings under it.

    An `async def` waits by itself.  A `def` would hold its thread, so what it
    waits for comes as an argument, made by an `async def` before the thread is
    taken; with the waits (`app.park`) it can ask by itself.
    """

    async def wait(name: str):
        return await room.wait(name)

    async def awaited(name: str):
        return Awaited(await room.wait(name))

    def hand_on(name: str, awaited: Awaited):
        return awaited.result

    if lane == "def":
        app.binder(Awaited)(awaited)
    app.add_route(path, hand_on if lane == "def" else wait)
