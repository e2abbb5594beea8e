"""The pages that Tarry itself shows: one style, one place.

Every value goes through `escape`; the policy allows the one inlined style by
its hash and nothing else.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

STYLE: Final = Path(__file__).with_name("page.css").read_text("utf-8")

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Sent with every page of Tarry's own that has no form."""

FORM_POLICY: Final = CONTENT_SECURITY_POLICY.replace("form-action 'none'", "form-action 'self'")
"""Sent with a page whose form goes to this site."""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
{refresh}<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{content}
</main>
</body>
</html>
"""


class Refresh(NamedTuple):
    """Have the browser go to a path after so many seconds."""

    after_s: int
    path: str


def page(title: str, content: str, refresh: Refresh | None = None) -> bytes:
    """A whole page; `content` is HTML already, `title` is text."""
    again = ""
    if refresh is not None:
        url = escape(refresh.path)
        again = f'<meta http-equiv="refresh" content="{refresh.after_s}; url={url}">\n'
    text = _PAGE.format(title=escape(title), style=STYLE, content=content, refresh=again)
    return text.encode(errors="replace")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts as HTML."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"


def error_page(
    status: int, title: str, detail: str, faults: Iterable[tuple[str, str, str]] = ()
) -> bytes:
    """The page for an error; `faults` are name, place and reason of bad parameters."""
    parts = [f"<h1><b>{status}</b> {escape(title)}</h1>"]
    if detail:
        parts.append(f"<p>{escape(detail)}</p>")
    rows = list(faults)
    if rows:
        parts.append(table(("Parameter", "Found in", "What is wrong"), rows))
    parts.append('<footer><a href="/">Start page</a></footer>')
    return page(f"{status} {title}", "\n".join(parts))
