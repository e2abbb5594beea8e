"""The access log: one line for each answered request, written off the loop.

The loop only queues what it knows; a thread formats the lines and hands them
to the logger `tarry.access`.
"""

import logging
import queue
import threading
from typing import Final

from tarry.message.heads import RequestHead
from tarry.message.redaction import hide_tokens

logger: Final = logging.getLogger("tarry.access")

_Entry = tuple[RequestHead, str, int, int, float, float]

_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(32), 34, 92, *range(127, 160))}
"""What could forge a line or drive a terminal: controls, quotes, backslashes, C1 codes."""

MAX_QUEUED: Final = 10_000
"""Entries that wait for the thread; more are counted and reported as lost, not waited for."""


class AccessLog:
    """Queues entries and logs them from one thread until `close`."""

    def __init__(self, line_format: str) -> None:
        self._format = line_format
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="tarry-access-log", daemon=True)
        self._thread.start()

    def record(
        self,
        head: RequestHead,
        client: str,
        status: int,
        sent_bytes: int,
        run_s: float,
        parked_s: float = 0.0,
    ) -> None:
        """Have one request logged; never waits."""
        if self._queue.qsize() < MAX_QUEUED:
            self._queue.put((head, client, status, sent_bytes, run_s, parked_s))
        else:
            self._lost += 1

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            if self._lost:
                lost, self._lost = self._lost, 0
                logger.warning("%d requests were not logged: the log is too slow", lost)
            logger.info("%s", self.line(*entry))

    def line(
        self,
        head: RequestHead,
        client: str,
        status: int,
        sent_bytes: int,
        run_s: float,
        parked_s: float = 0.0,
    ) -> str:
        """The line for one request; what came from the client is escaped."""
        return self._format % {
            "client": client or "-",
            "method": _text(head.method),
            "target": hide_tokens(_text(head.target)),
            "version": _text(head.http_version),
            "status": status,
            "bytes": sent_bytes,
            "run_ms": run_s * 1000,
            "park_s": parked_s,
            "park": f" park={parked_s:.1f}s" if parked_s else "",
            "referer": hide_tokens(_text(head.headers.get(b"referer") or b"-")),
            "user_agent": _text(head.headers.get(b"user-agent") or b"-"),
        }


def _text(raw: bytes) -> str:
    return raw.decode("latin-1").translate(_ESCAPES)
