"""What the seeds' tests share: both lanes, a server on a real socket, requests that wait."""

from __future__ import annotations

import contextlib
import functools
import queue
from collections import deque

import pytest

from tarry import Response
from tarry.waiting.waits import Wait
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
    """Holds requests until another one, or a thread, has their results, the first to come first."""

    def __init__(self):
        self._there = {}
        self._waiting = deque()
        self._entered = queue.SimpleQueue()

    def enter(self, app, name):
        """What is there already under a name, or else a wait for what `wake` brings."""
        if name in self._there:
            return self._there.pop(name)
        wait = app.park(object, then=answer)
        self._waiting.append((name, wait))
        self._entered.put(name)
        return wait

    def put(self, result, name):
        """Have a result there before anybody asks for it."""
        self._there[name] = result

    def wake(self, result, name=None):
        """Give a result, from any thread, to who waits under a name, or to the first."""
        found = next(each for each in self._waiting if name in (None, each[0]))
        self._waiting.remove(found)
        assert found[1].wake(result)

    def until_entered(self):
        """The name of the next request that has begun to wait; for a test."""
        return self._entered.get(timeout=TIMEOUT_S)


def answer(value):
    """A text, or a response by its parts."""
    return Response(**value) if isinstance(value, dict) else value


def add_waiting_route(app, lane, path, room):
    """A route `path` with a parameter `name`; its answer is what the room brings under it.

    An `async def` awaits it, a `def` returns the wait and gives its thread back.
    """

    async def wait(name: str):
        entered = room.enter(app, name)
        return answer(await entered if isinstance(entered, Wait) else entered)

    def wait_returned(name: str):
        return room.enter(app, name)

    app.add_route(path, wait_returned if lane == "def" else wait)
