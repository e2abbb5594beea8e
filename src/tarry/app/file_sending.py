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


async def send_file(exchange: Exchange, file: SendFile, in_thread: InThread) -> None:
    """Answer with a file; its descriptor is closed however this ends.

    Raises:
        HttpError: 404 for what is no readable file, 412, 416.
        ClientGone: the client left before the end.
        LengthError: the file became shorter meanwhile.
        OSError: the file cannot be read.
    """
    descriptor = Descriptor()
    try:
        prepared: _Prepared = await in_thread(_prepare, descriptor, file, exchange.head)
        head, content = prepared
        if isinstance(content, bytes):
            exchange.respond(head, content)
            return
        exchange.start(head)
        for part in content:
            if isinstance(part, bytes):
                await exchange.write(part)
            else:
                await exchange.send_file(descriptor, *part, in_thread)
        exchange.end()
    finally:
        descriptor.close()


_Prepared = tuple[ResponseHead, bytes | list[bytes | Part]]
"""A head with the body, or with what is to be sent after it."""


def _prepare(descriptor: Descriptor, file: SendFile, request: RequestHead) -> _Prepared:
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
    return head, [] if is_head else answer.parts


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
