"""Sends files from the kernel's cache to a socket, without a copy in this process.

`os.sendfile` is called on a second descriptor of the socket, since an event
loop keeps that of its transport to itself, and in a thread, since it reads
from the disk what the cache has not.  Meanwhile the transport has nothing to
write; while the client takes nothing the connection is paused, as it is when
the transport's buffer is full, so that the same timeouts hold.
"""

import asyncio
import functools
import os
from typing import Any, Final

from tarry.descriptors import Descriptor
from tarry.exchange import Exchange, InThread
from tarry.message.heads import LengthError

MIN_BYTES: Final = 64 * 1024
"""Smaller parts are read: the system calls around `sendfile` cost more than that copy."""

SLICE_BYTES: Final = 8 * 1024 * 1024
"""The most that one call in a thread sends to a client that takes all at once.

A cached file of 100 MB takes 30 ms of CPU so and 37 ms in slices of 1 MiB; on
the loop itself it takes 26 ms, but there everybody waits for a slow disk.
"""


async def send_by_kernel(
    exchange: Exchange, file: Descriptor, offset: int, count: int, in_thread: InThread
) -> int:
    """Send a part of a file on a connection; how many bytes went out so.

    That is fewer than `count`, or none, where it is not possible: a part that
    is small, an answer with framing, TLS, a file system that cannot.

    Raises:
        ClientGone: nobody reads any more.
        LengthError: the file ends before that, or the head announced less.
    """
    connection = exchange.carrier
    number = connection.dup_socket() if count >= MIN_BYTES and hasattr(os, "sendfile") else None
    if number is None:
        return 0
    out = Descriptor(number)
    try:
        # Counted before, for what is written past the engine cannot be taken back.
        if not connection.engine.count_sent(exchange.head.stream_id, count):
            return 0
        await connection.emptied(exchange)
        send = functools.partial(in_thread, out.use, _send_in_thread, file)
        return await _send(exchange, send, number, offset, count)
    finally:
        connection.unsent_file_bytes = 0
        out.close()


async def _send(exchange: Exchange, send: InThread, number: int, offset: int, count: int) -> int:
    connection = exchange.carrier
    left = connection.unsent_file_bytes = count
    while left:
        wanted = min(left, SLICE_BYTES)
        try:
            sent = await send(offset + count - left, wanted)
        except OSError:
            # Who goes on by reading learns whether file or socket is broken, if any is.
            connection.engine.count_sent(exchange.head.stream_id, -left)
            break
        exchange.sent_bytes += sent
        left -= sent
        connection.unsent_file_bytes = left
        if sent < wanted:
            await _until_writable(connection, number)
        await exchange.drained()
    return count - left


def _send_in_thread(socket: int, file: Descriptor, offset: int, count: int) -> Any:
    return file.use(_sendfile, socket, offset, count)


def _sendfile(file: int, socket: int, offset: int, count: int) -> int:
    """Send until the socket is full; what comes after some bytes is left to the next call."""
    sent = 0
    while sent < count:
        try:
            size = os.sendfile(socket, file, offset + sent, count - sent)
        except BlockingIOError:
            return sent
        except OSError:
            if sent:
                return sent
            raise
        if not size:
            break
        sent += size
    if not sent:
        raise LengthError(f"the file is {count} bytes shorter than when it was opened")
    return sent


async def _until_writable(connection: Any, number: int) -> None:
    """Wait until the socket takes more, or the connection is lost."""
    if connection.lost:
        return
    loop = asyncio.get_running_loop()
    connection.pause_writing()
    loop.add_writer(number, connection.wake_room_waiters)
    try:
        await connection.wait_for_room()
    finally:
        loop.remove_writer(number)
        if not connection.lost:
            connection.resume_writing()
