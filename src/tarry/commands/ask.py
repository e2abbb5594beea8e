"""The command that asks a server and shows how far the answer is: `tarry ask`."""

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any, Final

from tarry.client import RequestFailed, Ticket, request
from tarry.commands.printable import printable

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2

BAR_CELLS: Final = 24


def ask(
    url: str,
    payload: str | None,
    *,
    method: str | None,
    header: Sequence[str],
    timeout: str | None,
    output: str | None,
    keep: bool,
) -> int:
    """Print the answer, or write it to the file `output`; Ctrl-C cancels unless `keep`."""
    line = _Line()
    try:
        answer = request(
            url,
            _payload(payload),
            method=method,
            headers=dict(map(_field, header)),
            timeout=timeout,
            on_progress=line.show,
            save_to=output,
            cancel_on_interrupt=not keep,
        )
    except RequestFailed as error:
        line.clear()
        return _told(FAILED, _reason(error))
    except ValueError as error:
        return _told(USAGE, str(error))
    except OSError as error:
        return _told(FAILED, str(error))
    finally:
        line.clear()
    return OK if output is not None else _print(answer)


def _payload(text: str | None) -> Any:
    """What is sent; `-` is read from standard input."""
    if text is None:
        return None
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise ValueError(f"what is sent is no JSON: {error}") from error


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"a header is 'Name: value', not {text!r}")
    return name.strip(), value.strip()


def _print(answer: Any) -> int:
    if isinstance(answer, bytes):
        if sys.stdout.isatty():
            return _told(FAILED, "the answer is no text; --output FILE takes it")
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()
    elif isinstance(answer, str):
        sys.stdout.write(
            answer if answer.endswith("\n") or not sys.stdout.isatty() else f"{answer}\n"
        )
    elif answer is not None:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
    return OK


def _reason(error: RequestFailed) -> str:
    status = f" ({error.status})" if error.status else ""
    return f"{printable(str(error))}{status}"


def _told(status: int, text: str) -> int:
    print(f"tarry: {text}", file=sys.stderr)
    return status


class _Line:
    """A line on the terminal that tells how far it is; nothing if stderr is none."""

    def __init__(self) -> None:
        self._is_shown = False

    def show(self, ticket: Ticket) -> None:
        """Put this in the place of what was told before."""
        if sys.stderr.isatty():
            self._is_shown = True
            # To the first column, and clear to the end of the line (ECMA-48 EL).
            text = _told_of(ticket)[: shutil.get_terminal_size().columns - 1]
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave nothing of it."""
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._is_shown = False


def _told_of(ticket: Ticket) -> str:
    words = [ticket.state]
    if ticket.position is not None:
        words.append(f"position {ticket.position}")
    if ticket.fraction is not None:
        full = round(ticket.fraction * BAR_CELLS)
        words = [f"{'█' * full}{'░' * (BAR_CELLS - full)} {ticket.at:g}/{ticket.of:g}"]
    elif ticket.at is not None:
        words = [f"{ticket.at:g}"]
    return " ".join([*words, printable(ticket.text)]).rstrip()
