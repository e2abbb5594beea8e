"""An application without a server: exchanges go to its dispatcher, on a loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import json

from tarry.app.dispatch import Dispatcher
from tarry.app.route_options import Registration, RouteOptions
from tests.exchanges import Recorded

WAIT_S = 10.0


class Asked:
    """One request and what became of it."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.aborted = exchange.aborted
        self.body = exchange.answer
        head = exchange.answer_head
        self.status = head.status if head is not None else None
        self.headers = dict(head.fields) if head is not None else {}

    @property
    def content_type(self):
        return self.headers.get(b"content-type")

    @property
    def json(self):
        return json.loads(self.body)


async def ask(dispatcher, method="GET", target="/", headers=(), *, body=None):
    """Send one request, wait for the end of its answer."""
    exchange = Recorded(method, target, headers, body=body is not None)
    dispatcher.handle(exchange)
    if body is not None:
        exchange.body.feed(body)
        exchange.body.finish([])
    await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
    return Asked(exchange)


@contextlib.asynccontextmanager
async def started(dispatcher):
    await dispatcher.startup()
    try:
        yield dispatcher
    finally:
        await dispatcher.shutdown()


def once(dispatcher, *arguments, **named):
    """What one request on a loop of its own is answered with."""

    async def run():
        async with started(dispatcher):
            return await ask(dispatcher, *arguments, **named)

    return asyncio.run(run())


def add_route(dispatcher, path, methods, function, **options):
    """Add a route as an application does."""
    name = getattr(function, "__name__", type(function).__name__)
    return dispatcher.add(
        Registration(path, None, function, RouteOptions(methods=tuple(methods), **options), name)
    )


def serving(function, path="/", *, methods=("GET",), inline=False, **settings):
    """A dispatcher with one route."""
    dispatcher = Dispatcher(**settings)
    add_route(dispatcher, path, methods, function, inline=inline)
    return dispatcher
