"""Opens a file, and sends the answer with it, at the pace of the client.

All calls that can wait for a disk are made in threads.
"""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from typing import Final

from tarry.app.errors import HttpError
from tarry.app.files import FileAnswer, Part, answer_with
from tarry.app.responses import SendFile
from tarry.descriptors import Descriptor
from tarry.exchange import Exchange, InThread
from tarry.message.heads import LengthError, RequestHead, ResponseHead

logger: Final = logging.getLogger("tarry")

SMALL_BYTES: Final = 64 * 1024
"""Answers up to this size are read while the file is opened, and sent in one piece."""

# A FIFO without a writer must not hold up a thread, a terminal not become the process's own.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_MISSING: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EISDIR}
    | {errno.ENXIO, errno.ENODEV}
)
"""What is said of names that lead nowhere, and of sockets and absent devices."""

_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})


class OpenedFile:
    """An open file, ready to be sent after `head`, which can be replaced before; close it."""

    __slots__ = ("_descriptor", "_parts", "head")

    def __init__(self, head: ResponseHead, parts: list[bytes | Part], descriptor: Descriptor):
        self.head = head
        self._parts = parts
        self._descriptor = descriptor

    async def send(self, exchange: Exchange, in_thread: InThread) -> None:
        """Send it at the pace of the client; it is closed however this ends.

        Raises:
            ClientGone: the client left before the end.
            LengthError: the file became shorter meanwhile.
            OSError: the file cannot be read.
        """
        try:
            exchange.start(self.head)
            for part in self._parts:
                if isinstance(part, bytes):
                    await exchange.write(part)
                else:
                    await exchange.send_file(self._descriptor, *part, in_thread)
            exchange.end()
        finally:
            self.close()

    def close(self) -> None:
        """Close the file; again without effect."""
        self._descriptor.close()


async def send_file(exchange: Exchange, file: SendFile, in_thread: InThread) -> None:
    """Open a file and answer with it; raises what `open_file` and `OpenedFile.send` do."""
    answer = await open_file(file, exchange.head, in_thread)
    if isinstance(answer, OpenedFile):
        await answer.send(exchange, in_thread)
    else:
        exchange.respond(*answer)


async def open_file(
    file: SendFile, request: RequestHead, in_thread: InThread
) -> tuple[ResponseHead, bytes] | OpenedFile:
    """The answer with a file: whole if that is little, else with the open file.

    Raises:
        HttpError: 404 for what is no readable file, 412, 416.
        LengthError: the file became shorter while it was read.
        OSError: the file cannot be read.
    """
    descriptor = Descriptor()
    opened: OpenedFile | None = None
    try:
        answer: tuple[ResponseHead, bytes] | OpenedFile
        answer = await in_thread(_prepare, descriptor, file, request)
        opened = answer if isinstance(answer, OpenedFile) else None
        return answer
    finally:
        if opened is None:
            descriptor.close()


def _prepare(
    descriptor: Descriptor, file: SendFile, request: RequestHead
) -> tuple[ResponseHead, bytes] | OpenedFile:
    """Open the file, decide on the answer, and read what is small."""
    _open(descriptor, file.path)
    info = descriptor.use(os.fstat)
    if not stat.S_ISREG(info.st_mode):
        raise _missing()
    answer = answer_with(file, info, request)
    size_bytes, is_head = answer.size_bytes, request.method == b"HEAD"
    if size_bytes <= SMALL_BYTES and not is_head:
        return answer.head, b"".join(_read(descriptor, answer))
    length = (b"content-length", b"%d" % size_bytes)
    head = ResponseHead(answer.head.status, [*answer.head.fields, length])
    return OpenedFile(head, [] if is_head else answer.parts, descriptor)


def _open(descriptor: Descriptor, path: str) -> None:
    """Open a file for reading.

    Raises:
        HttpError: 404 if it is not there or must not be read; the client does
            not learn which, the log does.
    """
    try:
        descriptor.open(lambda: os.open(path, _FLAGS))
    except ValueError as error:  # a NUL, or what the file system's encoding does not have
        raise _missing() from error
    except OSError as error:
        if error.errno in _FORBIDDEN:
            logger.warning("no permission to read %s", ascii(path)[1:-1])
        elif error.errno not in _MISSING:
            raise
        raise _missing() from error


def _missing() -> HttpError:
    return HttpError(404, "there is no such file")


def _read(descriptor: Descriptor, answer: FileAnswer) -> Iterator[bytes]:
    for part in answer.parts:
        if isinstance(part, bytes):
            yield part
        else:
            yield _read_part(descriptor, *part)


def _read_part(descriptor: Descriptor, offset: int, count: int) -> bytes:
    data: bytes = descriptor.use(os.pread, count, offset)
    if len(data) < count:
        raise LengthError(f"the file is {count - len(data)} bytes shorter than when it was opened")
    return data
