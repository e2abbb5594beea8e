"""Server-sent events as bytes: written and read (WHATWG HTML, section 9.2).

An event is some lines of fields and an empty line.  A line may end with LF,
CR or CRLF, so that neither fits into a field: data with line breaks becomes
several lines, and arrives with LF for each of them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MAX_EVENT_BYTES: Final = 1024 * 1024
"""What a decoder keeps of one event; an event is a message, not a download."""

MAX_RETRY_DIGITS: Final = 9
"""Longer numbers of milliseconds, eleven days and more, are ignored as no number."""

_LINE_END: Final = re.compile("\r\n|\r|\n")
_LINE_END_BYTES: Final = re.compile(b"\r\n|\r|\n")
_UNFIT: Final = re.compile("[\r\n\0]")


class EventTooLarge(ValueError):
    """A stream holds an event beyond the limit of its reader."""


def encode_event(
    data: str | None,
    *,
    event: str | None = None,
    id: str | None = None,
    retry_ms: int | None = None,
    comment: str | None = None,
) -> bytes:
    """One event with its empty line.

    Browsers report no event without `data`, not even a named one; `""` is
    data.  `id` comes back in `Last-Event-ID` after a lost connection, `""`
    forgets the last one.  `retry_ms` is how long the client waits before it
    connects again.  A `comment` is skipped by who reads.

    Raises:
        ValueError: what `check_event` refuses, or text with a lone surrogate.
    """
    check_event(event, id, retry_ms)
    lines = [f": {line}\n" for line in _lines(comment)]
    if event is not None:
        lines.append(f"event: {event}\n")
    if id is not None:
        lines.append(f"id: {id}\n")
    if retry_ms is not None:
        lines.append(f"retry: {retry_ms}\n")
    lines += [f"data: {line}\n" for line in _lines(data)]
    return "".join([*lines, "\n"]).encode()


def _lines(text: str | None) -> list[str]:
    return [] if text is None else _LINE_END.split(text)


def check_event(event: str | None, id: str | None, retry_ms: int | None) -> None:
    """Refuse fields that would break an event.

    Raises:
        ValueError: CR, LF or NUL in `event` or `id`; a negative `retry_ms`, or
            one that is no whole number.
    """
    for name, value in (("event", event), ("id", id)):
        if value is not None and _UNFIT.search(value):
            raise ValueError(f"the {name} of an event has a line break or NUL: {value[:40]!a}")
    if retry_ms is not None and (type(retry_ms) is not int or retry_ms < 0):
        raise ValueError(f"retry_ms is a whole number of milliseconds, not {retry_ms!r}")


def last_event_id(headers: Mapping[str, str]) -> str | None:
    """The id of the last event that a client got before it connected again, or `None`.

    Browsers send it as UTF-8, while header fields are read as latin-1.
    """
    value = headers.get("last-event-id")
    return value.encode("latin-1").decode(errors="replace") if value else None


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """An event as a browser would report it; `id` is the last one that the stream gave."""

    data: str
    event: str = "message"
    id: str = ""


class EventStreamDecoder:
    """Bytes in, events out, however the bytes are cut.

    `last_event_id` and `retry_ms` are for who connects again.  What an ended
    stream leaves incomplete is no event.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._max_event_bytes = max_event_bytes
        self._line: list[bytes] = []  # pieces of a line that has not ended
        self._line_bytes = 0
        self._is_first_line = True
        self._after_cr = False
        self._too_large = False
        self._id = ""
        self._event = ""
        self._data: list[str] = []
        self._data_bytes = 0

    def feed(self, data: bytes) -> list[MessageEvent]:
        """The events that are complete with these bytes.

        Raises:
            EventTooLarge: a line, or the data lines of one event together,
                have more than `max_event_bytes` with their ends; the stream
                cannot be read on.  Events before it are returned first, and
                the next call raises.
        """
        events = []
        for line in self._whole_lines(data):
            event = self._take(line)
            if event is not None:
                events.append(event)
        if self._too_large and not events:
            raise EventTooLarge(f"an event has more than {self._max_event_bytes} bytes")
        return events

    def _whole_lines(self, data: bytes) -> Iterator[bytes]:
        """Lines without their ends; none any more when a limit is passed."""
        if not data:
            return
        text = data.removeprefix(b"\n") if self._after_cr else data
        self._after_cr = data.endswith(b"\r")
        *ended, rest = _LINE_END_BYTES.split(text)
        for piece in ended:
            self._keep(piece)
            if self._too_large:
                return
            line = b"".join(self._line)
            self._line, self._line_bytes = [], 0
            yield line
        self._keep(rest)

    def _keep(self, piece: bytes) -> None:
        self._line_bytes += len(piece)
        if self._line_bytes >= self._max_event_bytes:  # its end is one more
            self._too_large = True
        elif piece:
            self._line.append(piece)

    def _take(self, line: bytes) -> MessageEvent | None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        self._set(name, value.removeprefix(b" ").decode(errors="replace"), len(line) + 1)
        return None

    def _set(self, name: bytes, value: str, line_bytes: int) -> None:
        """One field; unknown ones, and comments, which have no name, are skipped."""
        if name == b"data":
            self._data.append(value)
            self._data_bytes += line_bytes
            self._too_large |= self._data_bytes > self._max_event_bytes
        elif name == b"event":
            self._event = value
        elif name == b"id" and "\0" not in value:
            self._id = value
        elif name == b"retry" and re.fullmatch(f"[0-9]{{1,{MAX_RETRY_DIGITS}}}", value):
            self.retry_ms = int(value)

    def _dispatch(self) -> MessageEvent | None:
        self.last_event_id = self._id
        data, self._data, self._data_bytes = self._data, [], 0
        event, self._event = self._event, ""
        return MessageEvent("\n".join(data), event or "message", self._id) if data else None
