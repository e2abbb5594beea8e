"""An error read into values that can be shown: what came of what, frames, source, variables.

Nothing here raises for what an error holds: a `repr` or `str` that fails is
told in its place.
"""

import itertools
import linecache
import reprlib
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Final

from tarry.app.origins import Origin, origin_of
from tarry.app.redaction import HIDDEN, hide_named, is_secret

MAX_FAILURES: Final = 20
"""Errors of one chain or group that are read; those farther from the first one are left out."""

MAX_FRAMES: Final = 60
"""Frames read of one error, the newest; each place counts `MAX_REPEATS` times at most."""

MAX_REPEATS: Final = 3
"""How often one line of one function is shown: endless recursion is shown by its last rounds."""

MAX_VARIABLES: Final = 40
MAX_REPR_CHARS: Final = 200
MAX_TEXT_CHARS: Final = 2000
MAX_NOTES: Final = 10
LINES_AROUND: Final = 2

_MAX_READ_CHARS: Final = 2000
"""Of a `repr`, before secrets are hidden and it is cut."""

_REPR_ERRORS: Final = (Exception, SystemExit)


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line without the indentation of those around; `mark` are the columns that failed.

    `mark` is `None` for a line around it, and empty where the columns are not known.
    """

    number: int
    text: str
    mark: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One call; `is_own` says that it is of the application itself."""

    file: str
    line: int
    function: str
    is_own: bool
    source: tuple[SourceLine, ...]
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """One error; its frames have the newest first, a number stands for so many left out.

    `relation` says how it belongs to an error before it, `""` for the first one.
    """

    relation: str
    kind: str
    text: str
    notes: tuple[str, ...]
    frames: tuple[Frame | int, ...]


def read_failures(error: BaseException) -> list[Failure]:
    """An error, what it holds if it is a group, and what it came from, newest first."""
    failures: list[Failure] = []
    seen: set[int] = set()
    waiting: list[tuple[str, BaseException]] = [("", error)]
    while waiting and len(failures) < MAX_FAILURES:
        relation, error = waiting.pop()
        if id(error) not in seen:
            seen.add(id(error))
            failures.append(_read(relation, error))
            waiting += reversed(list(_related(error)))
    return failures


def _related(error: BaseException) -> Iterator[tuple[str, BaseException]]:
    if isinstance(error, BaseExceptionGroup):
        count = len(error.exceptions)
        for number, part in enumerate(error.exceptions, 1):
            yield f"{number} of {count} in this group", part
    if error.__cause__ is not None:
        yield "Raised because of", error.__cause__
    elif error.__context__ is not None and not error.__suppress_context__:
        yield "Raised while handling", error.__context__


def _read(relation: str, error: BaseException) -> Failure:
    notes = getattr(error, "__notes__", None)
    return Failure(
        relation,
        type(error).__qualname__[:MAX_REPR_CHARS],
        shown_text(error),
        tuple(shown_text(note) for note in notes[:MAX_NOTES]) if isinstance(notes, list) else (),
        tuple(_frames(error.__traceback__)),
    )


def shown_text(value: object) -> str:
    """The text of an exception or a note, cut if it is long, whatever its `__str__` does."""
    try:
        text = str(value)
    except _REPR_ERRORS as fault:
        return f"(its text cannot be shown: {type(fault).__name__})"
    return _cut(text, MAX_TEXT_CHARS)


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


# ---- frames ------------------------------------------------------------------------------


def _frames(traceback: TracebackType | None) -> Iterator[Frame | int]:
    """Frames, newest first, and between them how many were left out."""
    times: Counter[tuple[object, int]] = Counter()
    shown = left_out = 0
    for each in reversed(list(_links(traceback))):
        place = (each.tb_frame.f_code, each.tb_lineno)
        times[place] += 1
        if times[place] > MAX_REPEATS or shown == MAX_FRAMES:
            left_out += 1
            continue
        if left_out:
            yield left_out
        shown, left_out = shown + 1, 0
        yield _frame(each)
    if left_out:
        yield left_out


def _links(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _frame(link: TracebackType) -> Frame:
    frame = link.tb_frame
    code = frame.f_code
    return Frame(
        code.co_filename,
        link.tb_lineno,
        code.co_qualname,
        origin_of(code.co_filename) is Origin.AUTHOR,
        tuple(_source(link)),
        _variables(frame),
    )


# ---- source ------------------------------------------------------------------------------


def _source(link: TracebackType) -> Iterator[SourceLine]:
    """The failing line and those around it; none if there is no source."""
    file = link.tb_frame.f_code.co_filename
    linecache.checkcache(file)
    lines = linecache.getlines(file, link.tb_frame.f_globals)
    first = max(link.tb_lineno - LINES_AROUND, 1)
    around = [line.rstrip() for line in lines[first - 1 : link.tb_lineno + LINES_AROUND]]
    if link.tb_lineno > len(lines):
        return
    for number, text in enumerate(textwrap.dedent("\n".join(around)).split("\n"), first):
        mark = None
        if number == link.tb_lineno:
            whole = around[number - first]
            mark = _columns(link, whole, len(whole) - len(text))
        yield SourceLine(number, _cut(text, MAX_REPR_CHARS), mark)


def _columns(link: TracebackType, line: str, removed: int) -> tuple[int, int]:
    """Where in a line it failed, in characters; `removed` of them are not shown."""
    positions = link.tb_frame.f_code.co_positions()
    _, last_line, begin, end = next(
        itertools.islice(positions, max(link.tb_lasti, 0) // 2, None), (None,) * 4
    )
    if begin is None or end is None:  # Python was told to keep no columns
        return (0, 0)
    if last_line != link.tb_lineno:  # goes on below
        end = len(line.encode())
    # Python counts bytes of UTF-8.
    columns = (len(line.encode()[:at].decode(errors="replace")) - removed for at in (begin, end))
    first, last = (min(max(column, 0), MAX_REPR_CHARS) for column in columns)
    return first, last


# ---- variables ---------------------------------------------------------------------------


def _variables(frame: FrameType) -> tuple[tuple[str, str], ...]:
    try:
        variables = list(itertools.islice(frame.f_locals.items(), 10 * MAX_VARIABLES))
    except Exception:  # noqa: BLE001 — the body of a class can have any mapping
        return ()
    named = [(str(name), value) for name, value in variables if not str(name).startswith("__")]
    return tuple(
        (name[:MAX_REPR_CHARS], HIDDEN if is_secret(name) else short_repr(value))
        for name, value in named[:MAX_VARIABLES]
    )


def short_repr(value: object) -> str:
    """A `repr` of 200 characters at most, without what is named as a secret in it."""
    try:
        text = _shortened.repr(value)
    except _REPR_ERRORS as fault:
        return f"(its repr raised {type(fault).__name__})"
    return _cut(hide_named(text[:_MAX_READ_CHARS]), MAX_REPR_CHARS)


class _Shortened(reprlib.Repr):
    """Reads no more of a container or text than can be shown, and cuts at the end.

    A cut in the middle, as is usual here, could part a secret from its name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxdeque = 20
        self.maxfrozenset = self.maxarray = 20

    def repr_str(self, x: str, level: int) -> str:
        return repr(x[:MAX_REPR_CHARS])

    def repr_bytes(self, x: bytes | bytearray, level: int) -> str:
        return repr(x[:MAX_REPR_CHARS])

    repr_bytearray = repr_bytes

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            return repr(x)[:_MAX_READ_CHARS]
        except _REPR_ERRORS as fault:
            return f"({type(x).__name__}, whose repr raised {type(fault).__name__})"


_shortened: Final = _Shortened()
