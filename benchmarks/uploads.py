"""The upload rows: one large body that a server stores on disk, from one connection."""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import (
    Server,
    ServerFailed,
    cpu_seconds,
    forget_peak_rss,
    peak_rss_bytes,
    rss_bytes,
)
from benchmarks.results import Sample
from benchmarks.rows import Row

MIB = 1024 * 1024
STORED = "stored"
"""The name under which the body is found in the server's folder, if it is stored as it came."""
TIMEOUT_SECONDS = 120.0
BOUNDARY = b"----benchmark-4d1c9b"
FORM_BEGIN = (
    b"--" + BOUNDARY + b"\r\n"
    b'content-disposition: form-data; name="file"; filename="stored"\r\n'
    b"content-type: application/octet-stream\r\n\r\n"
)
FORM_END = b"\r\n--" + BOUNDARY + b"--\r\n"


def upload_sample(server: Server, row: Row, size_mib: int) -> Sample:
    """Upload once, after a small body that warms the server up.

    Raises:
        ServerFailed: it did not store all of the body.
    """
    upload(server, row, 1)
    forget_peak_rss(server.pid)
    memory_before, cpu_before = rss_bytes(server.pid), cpu_seconds(server.pid)
    begin = time.perf_counter()
    upload(server, row, size_mib)
    elapsed_seconds = time.perf_counter() - begin
    used_cpu_seconds = cpu_seconds(server.pid) - cpu_before
    return Sample(
        cost=used_cpu_seconds * 1e6 / size_mib,
        elapsed_seconds=elapsed_seconds,
        memory_growth_mib=(peak_rss_bytes(server.pid) - memory_before) / MIB,
        server_busy=used_cpu_seconds / elapsed_seconds,
    )


def upload(server: Server, row: Row, size_mib: int) -> None:
    """Send a body, wait for the answer, and look at what lies on disk."""
    stored = server.folder / STORED
    stored.unlink(missing_ok=True)
    timeout = TIMEOUT_SECONDS
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        try:
            for piece in request(row, size_mib):
                connection.sendall(piece)
            status = receive_status(connection)
        except OSError as error:
            raise ServerFailed(f"the upload broke off: {error!r}") from error
    if not 200 <= status < 300:
        raise ServerFailed(f"wrong answer: status {status}")
    check_stored(stored, size_mib * MIB, row.is_form)


def request(row: Row, size_mib: int) -> Iterator[bytes]:
    """The pieces of a request: bytes that cannot be compressed, as they are or as a form."""
    begin, end = (FORM_BEGIN, FORM_END) if row.is_form else (b"", b"")
    kind = b"multipart/form-data; boundary=" + BOUNDARY if row.is_form else b"x-benchmark/random"
    size_bytes = len(begin) + size_mib * MIB + len(end)
    yield b"PUT %b HTTP/1.1\r\nhost: localhost\r\n" % row.path.encode()
    yield b"content-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, size_bytes)
    yield begin
    block = os.urandom(MIB)
    for _ in range(size_mib):
        yield block
    yield end


def receive_status(connection: socket.socket) -> int:
    """The status of the answer, whose head fits into one read."""
    found = re.match(rb"HTTP/1\.1 ([0-9]{3}) ", connection.recv(4096))
    if found is None:
        raise ConnectionResetError("closed before the answer was complete")
    return int(found[1])


def check_stored(stored: Path, size_bytes: int, is_form: bool) -> None:
    """A server that takes a form may store its content, or all of it as it came."""
    there = stored.stat().st_size if stored.exists() else 0
    framing_bytes = len(FORM_BEGIN) + len(FORM_END) if is_form else 0
    if there not in (size_bytes, size_bytes + framing_bytes):
        raise ServerFailed(f"stored {there} of {size_bytes} bytes")
