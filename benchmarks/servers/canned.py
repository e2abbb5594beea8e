"""The yardstick: a fixed 13-byte answer for whatever arrives, without parsing it."""

import asyncio

import uvloop

from benchmarks.servers import port_argument

REPLY = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 13\r\n"
    b"\r\n"
    b"Hello, World!"
)


class Canned(asyncio.Protocol):
    """One connection that answers every read."""

    __slots__ = ("transport",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # TCP only

    def data_received(self, data: bytes) -> None:
        self.transport.write(REPLY)


async def serve(port: int) -> None:
    """Answer on `port` until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(port_argument()))
