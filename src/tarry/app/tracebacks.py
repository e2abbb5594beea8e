"""What an author is shown of an error while debugging: as a page, or as lines of text.

Both tell how the application works inside, and only `debug` may let them out
(werkzeug CVE-2019-14806 and CVE-2024-34069 are what becomes of it otherwise).
"""

import traceback
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Final

from tarry.app.frames import Failure, Frame, SourceLine, read_failures
from tarry.app.pages import page, table
from tarry.app.redaction import HIDDEN, hide_in_query, is_secret
from tarry.app.request import Request

MAX_PAGE_BYTES: Final = 256 * 1024
"""Of a whole page; what does not fit is left out, the oldest first."""

MAX_LINES: Final = 400
MAX_LINE_CHARS: Final = 500
MAX_FACTS: Final = 40
MAX_FACT_CHARS: Final = 500

_CUT: Final = "<p>The rest is left out, for this page would be too large.</p>"
_FOOTER: Final = (
    "<footer>This page is shown because debug is on; turn it off where others can reach it."
    "</footer>"
)


def request_facts(request: Request) -> dict[str, str]:
    """What a page tells about a request: its line, the client, and all header fields."""
    line = f"{request.method} {request.url} HTTP/{request.http_version}"
    facts = {"Request": line, "Client": request.client}
    for name in request.headers:
        facts[name.lower()] = request.headers.joined(name) or ""  # apart from those in capitals
    return facts


# ---- text --------------------------------------------------------------------------------


def traceback_text(error: BaseException) -> list[str]:
    """The lines that Python would print, for a member of a problem document.

    400 lines at most, where more are left out in the middle, of 500 characters.
    """
    lines = "".join(traceback.format_exception(error)).splitlines()
    if len(lines) > MAX_LINES:
        half = MAX_LINES // 2
        left_out = len(lines) - MAX_LINES + 1
        lines = [*lines[:half], f"  … {left_out} lines are left out", *lines[1 - half :]]
    return [line[:MAX_LINE_CHARS] for line in lines]


# ---- the page ----------------------------------------------------------------------------


def traceback_page(error: BaseException, facts: Mapping[str, str]) -> bytes:
    """A page about an error, 256 KiB at most; send it with the policy of `pages`.

    It has the error and all that it came from or holds, each with its frames:
    those of the application are open, those of libraries folded.  `facts` are
    those of the request, by name; the values of secrets are hidden, as are
    variables that are named like one.
    """
    failures = read_failures(error)
    title = ": ".join(filter(None, (failures[0].kind, failures[0].text)))[:200]
    end = f"{_facts(facts)}\n{_FOOTER}"
    room = MAX_PAGE_BYTES - len(page(title, f"{_CUT}\n{end}"))
    parts = _fitting(_parts(failures), room)
    return page(title, "\n".join([*parts, end]))


def _fitting(parts: Iterable[str], room: int) -> Iterator[str]:
    """Parts as long as there is room for them, in bytes."""
    for part in parts:
        room -= len(part.encode(errors="replace")) + 1
        if room < 0:
            yield _CUT
            return
        yield part


def _parts(failures: list[Failure]) -> Iterator[str]:
    for failure in failures:
        yield _heading(failure)
        yield from (f"<p>{escape(note)}</p>" for note in failure.notes)
        has_own = any(isinstance(each, Frame) and each.is_own for each in failure.frames)
        for number, each in enumerate(failure.frames):
            if isinstance(each, Frame):
                yield _frame(each, is_open=each.is_own or (number == 0 and not has_own))
            else:
                yield f"<p><small>… {each} repeated or older frames</small></p>"


def _heading(failure: Failure) -> str:
    kind, text = escape(failure.kind), escape(failure.text)
    if not failure.relation:
        return f"<h1><b>{kind}</b> {text}</h1>" if text else f"<h1>{kind}</h1>"
    named = f"{kind}: {text}" if text else kind
    return f"<h2><small>{escape(failure.relation)}</small> {named}</h2>"


def _frame(frame: Frame, *, is_open: bool) -> str:
    parts = [
        f"<details{' open' if is_open else ''}>",
        f"<summary><code>{escape(frame.function)}</code> "
        f"<small>{escape(frame.file)}:{frame.line}</small></summary>",
    ]
    if frame.source:
        lines = "".join(_source_line(line) for line in frame.source)
        parts.append(f"<pre>{lines}</pre>")
    if frame.variables:
        variables = table(("Variable", "Value"), frame.variables)
        parts.append(f"<details><summary>Variables</summary>\n{variables}\n</details>")
    return "\n".join([*parts, "</details>"])


def _source_line(line: SourceLine) -> str:
    number = f"<i>{line.number:4}</i>  "
    if line.mark is None:
        return f"{number}{escape(line.text)}\n"
    begin, end = line.mark
    before, failed, after = line.text[:begin], line.text[begin:end], line.text[end:]
    marked = f"<mark>{escape(failed)}</mark>" if failed else ""
    return f"<b>{number}{escape(before)}{marked}{escape(after)}\n</b>"


def _facts(facts: Mapping[str, str]) -> str:
    rows = [
        (
            name[:MAX_FACT_CHARS],
            HIDDEN if is_secret(name) else hide_in_query(value[:MAX_FACT_CHARS]),
        )
        for name, value in list(facts.items())[:MAX_FACTS]
    ]
    return f"<h2>Request</h2>\n{table(('Name', 'Value'), rows)}" if rows else ""
