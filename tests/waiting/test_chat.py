"""A room of fifty that come and go at random: each gets every message once and in order."""

from __future__ import annotations

import asyncio
import json
import random
from urllib.parse import urlsplit

import pytest

from tarry import App
from tarry.message.eventstream import EventStreamDecoder

CLIENTS = 50
MESSAGES = 200
LEAVING = 0.1
"""How likely a client is to leave at a message."""

SEED = 1

CATCHING_UP = 20
"""After so many messages the speaker waits until one of the clients, any, has them all."""

WAIT_S = 30.0


def chat():
    app = App(store="memory")
    room = app.topic("room")

    @app.get("/messages", inline=True)
    def messages(after: int):
        return room.next(after, timeout=0.5, limit=7)

    @app.get("/events", inline=True)
    def events():
        return room.events()

    @app.post("/from-the-loop")
    async def from_the_loop(text: str):
        return await room.publish({"text": text})

    @app.post("/from-a-thread")
    def from_a_thread(text: str):
        return room.publish({"text": text}).result()

    return app


class Client:
    """Somebody in the room; `leave` breaks the connection off, and it comes again."""

    def __init__(self, address):
        self.address = address
        self.cursor = 0
        self.got = []
        self.visits = 0
        self.progress = asyncio.Condition()
        self._leaves = asyncio.Event()

    def leave(self):
        self._leaves.set()

    async def stay(self):
        while self.cursor < MESSAGES:
            self.visits += 1
            self._leaves.clear()
            reader, writer = await asyncio.open_connection(*self.address)
            listens = asyncio.create_task(self.listen(reader, writer))
            leaves = asyncio.create_task(self._leaves.wait())
            await asyncio.wait((listens, leaves), return_when=asyncio.FIRST_COMPLETED)
            leaves.cancel()
            if listens.done():
                listens.result()
            listens.cancel()
            writer.transport.abort()
            await asyncio.gather(listens, leaves, return_exceptions=True)

    async def take(self, id, data):
        self.cursor = id
        self.got.append((id, data))
        async with self.progress:
            self.progress.notify_all()

    async def has(self, count):
        async with self.progress:
            await self.progress.wait_for(lambda: self.cursor >= count)


class Poller(Client):
    async def listen(self, reader, writer):
        while self.cursor < MESSAGES:
            writer.write(b"GET /messages?after=%d HTTP/1.1\r\nhost: a\r\n\r\n" % self.cursor)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            (length,) = (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.startswith(b"content-length")
            )
            for message in json.loads(await reader.readexactly(length)):
                await self.take(message["id"], message["data"])


class Listener(Client):
    async def listen(self, reader, writer):
        # As HTTP/1.0, so that the body is not in chunks.
        writer.write(b"GET /events HTTP/1.0\r\nhost: a\r\nlast-event-id: %d\r\n\r\n" % self.cursor)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.split(b" ", 2)[1] == b"200", head
        decoder = EventStreamDecoder()
        while self.cursor < MESSAGES:
            data = await reader.read(65536)
            assert data
            for event in decoder.feed(data):
                assert event.event == "message"
                await self.take(int(event.id), json.loads(event.data))


async def speak(address, clients, chance):
    """Say everything, while clients leave; gives how many did."""
    reader, writer = await asyncio.open_connection(*address)
    left = 0
    for number in range(1, MESSAGES + 1):
        path = chance.choice(["from-the-loop", "from-a-thread"])
        writer.write(f"POST /{path}?text={number} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert int(await reader.readexactly(len(str(number)))) == number
        for client in clients:
            if chance.random() < LEAVING:
                client.leave()
                left += 1
        if number % CATCHING_UP == 0:
            await chance.choice(clients).has(number)
    writer.close()
    return left


@pytest.mark.parametrize("kind", [Poller, Listener])
def test_each_gets_every_message_once_and_in_order(kind):
    async def test(address):
        clients = [kind(address) for _ in range(CLIENTS)]
        staying = [asyncio.ensure_future(client.stay()) for client in clients]
        left = await speak(address, clients, random.Random(SEED))
        await asyncio.gather(*staying)
        return clients, left

    app = chat()
    with app.start(access_log=False) as server:
        parts = urlsplit(server.url)
        everybody, left = asyncio.run(asyncio.wait_for(test((parts.hostname, parts.port)), WAIT_S))

    expected = [(number, {"text": str(number)}) for number in range(1, MESSAGES + 1)]
    for client in everybody:
        assert client.got == expected
    assert left > MESSAGES
    assert sum(client.visits for client in everybody) > 3 * CLIENTS
