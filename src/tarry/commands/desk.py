"""The commands that look at waits and settle them: `tarry waits`, `wake`, `fail`, `cancel`."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from tarry.client import Desk, WaitRow
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

_HEADINGS: Final = ("TICKET", "STATE", "KEY", "PATH", "AGE", "LEFT", "PROGRESS")


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
    if state is not None and state not in OPEN | FINAL:
        return _told(USAGE, f"a state is one of {', '.join(sorted(OPEN | FINAL))}, not {state}")
    if watch and not sys.stdout.isatty():
        return _told(USAGE, "--watch needs a terminal; without it the table is printed once")

    def show(desk: Desk) -> int:
        if watch:
            _watch(desk, state)
        rows = desk.waits(state)
        print(_document(rows) if as_json else _table(rows))
        return OK

    return _at_desk(store, show)


def _document(rows: list[WaitRow]) -> str:
    return json.dumps([_members(row) for row in rows], ensure_ascii=False, indent=2)


def _members(row: WaitRow) -> dict[str, Any]:
    members = row._asdict()
    progress = row.progress
    if progress is not None:
        members["progress"] = {"at": progress.at, "of": progress.of, "text": progress.text}
    return members


def _table(rows: list[WaitRow]) -> str:
    if not rows:
        return "nobody waits"
    return table_of([_HEADINGS, *map(_cells, sorted(rows, key=lambda row: -row.age_s))])


def _cells(row: WaitRow) -> tuple[str, ...]:
    return (
        _shown(row.ticket),
        row.state,
        _printable(row.key),
        _printable(row.path),
        _duration(row.age_s),
        _duration(row.left_s),
        _progress(row),
    )


def _progress(row: WaitRow) -> str:
    progress = row.progress
    if progress is None:
        return ""
    at = "" if progress.at is None else f"{progress.at:g}"
    of = "" if progress.of is None else f"/{progress.of:g}"
    return f"{at}{of} {_printable(progress.text)}".strip()


def _watch(desk: Desk, state: str | None) -> None:
    """Show the table in place, until Ctrl-C; soon after news, and each second."""
    height = 0
    with desk.news() as news:
        while True:
            news.clear()
            lines = _table(desk.waits(state)).splitlines()
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
    return f"{name[:_TICKET_CHARACTERS]}…" if is_secret else _printable(name)


def _printable(text: str | None) -> str:
    """A text that does nothing to a terminal."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text or "")


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
