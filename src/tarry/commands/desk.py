"""The commands that look at waits and jobs, and those that settle them."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tarry.client import Desk, JobRow, WaitRow
from tarry.commands.printable import printable
from tarry.commands.tables import table_of
from tarry.state.store import StoreError
from tarry.waiting.records import FINAL, OPEN

OK: Final = 0
NOT_FIRST: Final = 1
USAGE: Final = 2

REFRESH_S: Final = 1.0
"""How often a table is shown anew, as ages change, if nothing is written."""

PAUSE_S: Final = 0.1
"""The least time between two tables, however much is written."""

_TICKET_CHARACTERS: Final = 15
"""The prefix and the id: enough to tell tickets apart, and no use without the rest."""

# ---- settling --------------------------------------------------------------------------------


def wake(name: str, value: str, *, text: bool, store: str) -> int:
    """Settle a wait with a value, which is JSON unless it is `text`."""
    try:
        found = value if text else json.loads(value)
    except ValueError as error:
        return _told(USAGE, f"the value is no JSON: {error}; with --text it is taken as it is")
    return _settle(store, name, lambda desk: desk.wake(name, found))


def fail(name: str, detail: str, *, status: int, store: str) -> int:
    """Settle a wait with an error."""
    return _settle(store, name, lambda desk: desk.fail(name, detail, status))


def cancel(name: str, *, store: str) -> int:
    """Settle a wait without a value."""
    return _settle(store, name, lambda desk: desk.cancel(name))


def _settle(store: str, name: str, settle: Callable[[Desk], bool]) -> int:
    def act(desk: Desk) -> int:
        is_first = settle(desk)
        row = desk.find(name)
        if is_first:
            if row is None:
                print("nobody waits under this key yet; who comes within an hour gets it")
            return OK
        if row is None:
            return _told(NOT_FIRST, f"nobody knows a wait {_shown(name)}, or knows it any more")
        if row.state in FINAL:
            return _told(NOT_FIRST, f"it was settled already: {row.state}")
        return _told(NOT_FIRST, "this is its ticket; what wakes it is its token, or its key")

    return _at_desk(store, act)


# ---- looking ---------------------------------------------------------------------------------


def show_waits(*, state: str | None, as_json: bool, watch: bool, store: str) -> int:
    """Print what is waited for."""
    return _show(_WAITS, state, as_json=as_json, watch=watch, store=store)


def show_jobs(*, state: str | None, as_json: bool, watch: bool, store: str) -> int:
    """Print what is worked on, and what waits for its turn."""
    return _show(_JOBS, state, as_json=as_json, watch=watch, store=store)


def _show(rows_of: "_Rows", state: str | None, *, as_json: bool, watch: bool, store: str) -> int:
    if state is not None and state not in OPEN | FINAL:
        return _told(USAGE, f"a state is one of {', '.join(sorted(OPEN | FINAL))}, not {state}")
    if watch and not sys.stdout.isatty():
        return _told(USAGE, "--watch needs a terminal; without it the table is printed once")

    def show(desk: Desk) -> int:
        if watch:
            _watch(desk, lambda: rows_of.table(rows_of.read(desk, state)))
        rows = rows_of.read(desk, state)
        print(_document(rows) if as_json else rows_of.table(rows))
        return OK

    return _at_desk(store, show)


class _Rows(NamedTuple):
    """What one command shows."""

    read: Callable[[Desk, str | None], list[Any]]
    headings: tuple[str, ...]
    cells: Callable[[Any], tuple[str, ...]]
    nothing: str

    def table(self, rows: list[Any]) -> str:
        """The rows for people, the oldest first."""
        if not rows:
            return self.nothing
        return table_of([self.headings, *map(self.cells, sorted(rows, key=lambda r: -r.age_s))])


def _document(rows: list[WaitRow] | list[JobRow]) -> str:
    return json.dumps([_members(row) for row in rows], ensure_ascii=False, indent=2)


def _members(row: WaitRow | JobRow) -> dict[str, Any]:
    members = row._asdict()
    progress = row.progress
    if progress is not None:
        members["progress"] = {"at": progress.at, "of": progress.of, "text": progress.text}
    return members


def _cells_of_wait(row: WaitRow) -> tuple[str, ...]:
    return (
        _shown(row.ticket),
        row.state,
        printable(row.key),
        printable(row.path),
        _duration(row.age_s),
        _duration(row.left_s),
        _progress(row),
    )


def _cells_of_job(row: JobRow) -> tuple[str, ...]:
    state = "cancelling" if row.is_cancelling else row.state
    return (
        _shown(row.ticket),
        state if row.position is None else f"{state} {row.position}",
        printable(row.job),
        printable(row.group),
        str(row.attempt),
        _duration(row.age_s),
        _duration(row.left_s),
        _progress(row),
    )


_WAITS: Final = _Rows(
    lambda desk, state: desk.waits(state),
    ("TICKET", "STATE", "KEY", "PATH", "AGE", "LEFT", "PROGRESS"),
    _cells_of_wait,
    "nobody waits",
)
_JOBS: Final = _Rows(
    lambda desk, state: desk.jobs(state),
    ("TICKET", "STATE", "JOB", "GROUP", "ATTEMPT", "AGE", "LEFT", "PROGRESS"),
    _cells_of_job,
    "there are no jobs",
)


def _progress(row: WaitRow | JobRow) -> str:
    progress = row.progress
    if progress is None:
        return ""
    at = "" if progress.at is None else f"{progress.at:g}"
    of = "" if progress.of is None else f"/{progress.of:g}"
    return f"{at}{of} {printable(progress.text)}".strip()


def _watch(desk: Desk, table: Callable[[], str]) -> None:
    """Show the table in place, until Ctrl-C; soon after news, and each second."""
    height = 0
    with desk.news() as news:
        while True:
            news.clear()
            lines = table().splitlines()
            size = shutil.get_terminal_size()
            if len(lines) >= size.lines:
                lines[size.lines - 2 :] = [f"… and {len(lines) - size.lines + 2} more"]
            lines = [line[: size.columns] for line in lines]
            # Up to the first line of the last table, and clear what is below (ECMA-48 CUU, ED).
            back = f"\x1b[{height}A\x1b[J" if height else ""
            print(back + "\n".join(lines), flush=True)
            height = len(lines)
            time.sleep(PAUSE_S)
            news.wait(REFRESH_S)


# ---- words -----------------------------------------------------------------------------------


def _shown(name: str) -> str:
    """A name without what makes it a secret."""
    is_secret = name.startswith(("tk_", "wk_"))
    return f"{name[:_TICKET_CHARACTERS]}…" if is_secret else printable(name)


def _duration(duration_s: float) -> str:
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if abs(duration_s) >= unit_s:
            return f"{duration_s / unit_s:.1f} {unit}"
    return f"{duration_s:.0f} s"


def _at_desk(store: str, act: Callable[[Desk], int]) -> int:
    try:
        desk = Desk(store)
    except ValueError as error:
        return _told(USAGE, str(error))
    except StoreError as error:
        return _told(NOT_FIRST, str(error))
    try:
        with desk:
            return act(desk)
    except (StoreError, ValueError) as error:
        return _told(NOT_FIRST, str(error))


def _told(status: int, text: str) -> int:
    print(f"tarry: {text}", file=sys.stderr)
    return status
