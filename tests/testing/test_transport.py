from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps

from tarry.testing.transport import HIGH_WATER_BYTES, READ_BYTES, connect


class End(asyncio.Protocol):
    """Writes down what happens to it."""

    def __init__(self, *, stays_half_open: bool = False) -> None:
        self.received: list[bytes] = []
        self.happened: list[str] = []
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._stays_half_open = stays_half_open

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received.append(data)

    def eof_received(self) -> bool:
        self.happened.append("eof")
        return self._stays_half_open

    def pause_writing(self) -> None:
        self.happened.append("pause")

    def resume_writing(self) -> None:
        self.happened.append("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


def in_loop(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 10))

    return run


async def turns(number: int = 20) -> None:
    """Let the loop turn; what is to happen without further help has happened then."""
    for _ in range(number):
        turned = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(turned.set_result, None)
        await turned


def pair(**options: bool) -> tuple[End, End]:
    server, client = End(**options), End()
    connect(lambda: server, client)
    return server, client


@in_loop
async def test_what_is_written_arrives_later_and_in_order():
    server, client = pair()

    client.transport.write(b"a")
    client.transport.write(b"b")
    assert not server.received
    server.transport.write(b"c")
    await turns()

    assert b"".join(server.received) == b"ab"
    assert client.received == [b"c"]


@in_loop
async def test_much_arrives_in_pieces_and_pauses_the_writer():
    server, client = pair()

    client.transport.write(bytes(HIGH_WATER_BYTES + 1))
    assert client.happened == ["pause"]
    assert client.transport.get_write_buffer_size() == HIGH_WATER_BYTES + 1
    await turns()

    assert [len(piece) for piece in server.received] == [READ_BYTES, 1]
    assert client.happened == ["pause", "resume"]


@in_loop
async def test_a_reader_that_pauses_gets_nothing_until_it_resumes():
    server, client = pair()
    server.transport.pause_reading()
    assert not server.transport.is_reading()

    client.transport.write(b"a")
    await turns()
    assert not server.received

    server.transport.resume_reading()
    await turns()
    assert server.received == [b"a"]


@in_loop
async def test_half_closed_the_other_way_stays_open():
    server, client = pair(stays_half_open=True)

    client.transport.write(b"question")
    client.transport.write_eof()
    await turns()
    assert server.happened == ["eof"]
    server.transport.write(b"answer")
    server.transport.close()

    assert await server.lost is None
    assert client.received == [b"answer"]
    assert await client.lost is None


@in_loop
async def test_close_delivers_what_was_written_before():
    server, client = pair()

    client.transport.write(bytes(200_000))
    client.transport.close()
    client.transport.write(b"too late")
    assert client.transport.is_closing()

    assert await client.lost is None
    assert sum(map(len, server.received)) == 200_000
    assert await server.lost is None


@in_loop
async def test_abort_loses_what_is_under_way_and_resets_the_other_end():
    server, client = pair()

    client.transport.write(b"a")
    client.transport.abort()

    assert await client.lost is None
    assert isinstance(await server.lost, ConnectionResetError)
    assert not server.received


@in_loop
async def test_who_writes_to_a_closed_end_is_reset():
    server, client = pair(stays_half_open=True)
    client.transport.close()
    await client.lost

    server.transport.write(b"nobody reads this")

    assert isinstance(await server.lost, ConnectionResetError)
    assert not client.received


@in_loop
async def test_a_paused_writer_hears_that_the_other_end_is_lost():
    server, client = pair()
    client.transport.pause_reading()
    server.transport.write(bytes(200_000))
    await turns()

    client.transport.close()

    assert await server.lost is None or isinstance(server.lost.result(), ConnectionResetError)
    assert await client.lost is None


@in_loop
async def test_the_server_sees_where_its_client_comes_from():
    server, _ = pair()

    assert server.transport.get_extra_info("peername")[0] == "127.0.0.1"


@in_loop
async def test_another_protocol_can_take_an_end_over() -> None:
    server, client = pair()
    successor = End()
    server.transport.set_protocol(successor)
    client.transport.write(b"for the other")
    await turns()
    client.transport.close()
    await successor.lost

    assert (server.received, successor.received) == ([], [b"for the other"])
    assert successor.happened == ["eof"]
