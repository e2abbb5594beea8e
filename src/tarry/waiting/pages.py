"""The pages for tickets and for those who are asked for an answer; they need no JavaScript."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

from tarry.app.pages import FORM_POLICY, Refresh, page
from tarry.app.responses import Html, Response
from tarry.message.dates import format_date
from tarry.waiting.addresses import Addresses
from tarry.waiting.places import NOWHERE, Place
from tarry.waiting.questions import VALUE, Control, Question
from tarry.waiting.records import CANCELLED, DONE, EXPIRED, FAILED, INPUT, WORKING, Record

MIN_REFRESH_S: Final = 2
MAX_REFRESH_S: Final = 15
"""A page that waits looks again after a tenth of the time it took until now, within these."""

_HEADINGS: Final = {
    WORKING: "In progress",
    INPUT: "Waiting for an answer",
    DONE: "Done",
    FAILED: "It failed",
    CANCELLED: "Cancelled",
    EXPIRED: "It took too long",
}
_WAITING: Final = "Please wait"
_CANCELLING: Final = "Being cancelled"

_ENDINGS: Final = {
    CANCELLED: "Somebody cancelled this request, so there will be no result.",
    EXPIRED: "The result did not come in time, and nobody waits for it any more.",
}

_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))

_ALMOST: Final = 1.01
"""A hundredth less than eight hours are eight hours."""


def answer(source: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer with a page."""
    fields = {"content-security-policy": FORM_POLICY, "x-content-type-options": "nosniff"}
    return Response(Html(source.decode()), status, {**fields, **(headers or {})})


# ---- tickets -------------------------------------------------------------------------------


def ticket_page(
    record: Record, addresses: Addresses, wall_s: float, place: Place = NOWHERE
) -> bytes:
    """How it stands with a ticket; while it is open the page looks again by itself."""
    path = addresses.ticket_path(record)
    heading = _heading(record)
    parts = [f"<h1><b>{escape(_where(record) or 'Ticket')}</b> {heading}</h1>"]
    if record.is_settled:
        parts.append(f"<p>{escape(_ending(record))}</p>")
        parts.append('<footer><a href="/">Start page</a></footer>')
        return page(heading, "\n".join(parts))
    refresh_s = round(min(max((wall_s - record.created_s) / 10, MIN_REFRESH_S), MAX_REFRESH_S))
    parts += [_progress(record, place), _times(record, wall_s, place), _cancel(record, path)]
    return page(_title(record, heading), "\n".join(parts), Refresh(refresh_s, path))


def _heading(record: Record) -> str:
    return _CANCELLING if record.is_cancelling else _HEADINGS.get(record.state, _WAITING)


def _where(record: Record) -> str:
    """What was asked for."""
    info = record.request
    return "" if info is None else f"{info.method} {info.path}"


def _title(record: Record, heading: str) -> str:
    progress = record.progress
    if progress is None or progress.at is None or not progress.of:
        return heading
    return f"{min(max(progress.at / progress.of, 0), 1):.0%} – {heading}"


def _ending(record: Record) -> str:
    failure = record.failure
    if record.state == FAILED and failure is not None:
        return failure.detail or "Whoever was to answer reports an error."
    return _ENDINGS.get(record.state, "The result is there.")


def _progress(record: Record, place: Place) -> str:
    progress = record.progress
    bar, text = "<progress></progress>", ""
    if progress is not None:
        text = progress.text
        if progress.at is not None and progress.of:
            at, of = max(progress.at, 0.0), progress.of
            bar = f'<progress max="{of:g}" value="{at:g}">{at:g} of {of:g}</progress>'
            text = f"{at:g} of {of:g}" + (f": {text}" if text else "")
    if place.position is not None:
        ahead = place.position - 1
        text = f"{ahead} before this one" if ahead else "This one is the next"
    told = escape(text or "The result is not there yet. This page leads to it when it is.")
    return f"<p><label>{bar} <span>{told}</span></label></p>"


def _times(record: Record, wall_s: float, place: Place) -> str:
    age_s = wall_s - record.created_s
    began = _time(record.created_s, "just now" if age_s < 1 else in_words(age_s) + " ago")
    if record.job is None:
        ends = _time(record.deadline_s, "in " + in_words(record.deadline_s - wall_s))
        told = f", ends at the latest {ends}"
    elif place.estimate_s is not None:
        told = f", done in about {in_words(max(place.estimate_s, 1.0))}"
    else:
        told = ""
    return f"<p><small>Begun {began}{told}.</small></p>"


def _time(at_s: float, words: str) -> str:
    return f'<span title="{escape(format_date(int(at_s)))}">{escape(words)}</span>'


def _cancel(record: Record, path: str) -> str:
    if record.is_cancelling:
        return "<p>What works on it has been told to end.</p>"
    return (
        f'<form method="post" action="{escape(path)}/cancel">'
        '<button class="plain">Cancel</button></form>'
    )


def in_words(seconds: float) -> str:
    """A time in its largest unit, rounded down: `3 minutes`."""
    for unit_s, name in _UNITS:
        count = int(max(seconds, 0) * _ALMOST // unit_s)
        if count or unit_s == 1:
            return f"{count} {name}{'' if count == 1 else 's'}"
    return ""


# ---- answers that are asked for ------------------------------------------------------------


def confirm_page(
    record: Record, question: Question, path: str, wall_s: float, fault: str = ""
) -> bytes:
    """The form for who is asked; `fault` says what was wrong with the last answer."""
    if record.is_settled:
        return settled_page(record)
    heading = "Your answer is asked for"
    ends = _time(record.deadline_s, in_words(record.deadline_s - wall_s))
    parts = [f"<h1><b>{escape(_where(record) or 'A request')}</b> {heading}</h1>"]
    if fault:
        parts.append(f'<p role="alert"><strong>{escape(fault)}</strong></p>')
    parts.append(f'<form method="post" action="{escape(path)}">')
    parts += _controls(question)
    if "action" not in {control.name for control in question.controls}:
        parts.append(_DECLINE)
    parts.append("</p></form>")
    parts.append(f"<footer>There are {ends} left. The first answer counts.</footer>")
    return page(heading, "\n".join(parts))


_DECLINE: Final = '<button class="plain" name="action" value="fail" formnovalidate>Decline</button>'


def _controls(question: Question) -> Iterable[str]:
    """The controls and the button that sends them, in a paragraph that goes on."""
    if question.is_yes_or_no:
        for value, name in (("true", "Yes"), ("false", "No")):
            yield ("<p>" if value == "true" else "") + (
                f'<button name="{VALUE}" value="{value}">{name}</button>'
            )
        return
    for control in question.controls:
        yield _labelled(control)
    yield f"<p><button>{'Send' if question.controls else 'Confirm'}</button>"


_INPUTS: Final = {
    "text": 'type="text"',
    "integer": 'type="number" step="1"',
    "number": 'type="number" step="any"',
    "date": 'type="date"',
}


def _labelled(control: Control) -> str:
    name, label = escape(control.name), escape(_label(control))
    required = " required" if control.is_required else ""
    if control.kind == "checkbox":
        # A box that is not ticked sends nothing; of two fields of a name the first one counts.
        return (
            f'<p><label><input type="checkbox" name="{name}" value="true"> {label}</label>'
            f'<input type="hidden" name="{name}" value="false"></p>'
        )
    if control.kind == "json":
        box = f'<textarea name="{name}" rows="5" spellcheck="false"{required}></textarea>'
    elif control.kind == "choice":
        options = "".join(f"<option>{escape(choice)}</option>" for choice in control.choices)
        empty = "" if control.is_required else "<option></option>"
        box = f'<select name="{name}"{required}>{empty}{options}</select>'
    else:
        box = f'<input {_INPUTS[control.kind]} name="{name}"{required}>'
    return f"<p><label>{label} {box}</label></p>"


def _label(control: Control) -> str:
    if control.kind == "json":
        return "Value, as JSON"
    words = control.name.replace("_", " ").strip()
    return (words[:1].upper() + words[1:]) or control.name


def settled_page(record: Record) -> bytes:
    """For who comes to answer when it is too late."""
    heading = {
        DONE: "This has been answered already",
        FAILED: "This has been answered already",
        CANCELLED: "This has been cancelled",
    }.get(record.state, "The time for an answer is over")
    return _short_page(record, heading, "There is nothing left to do here.")


def thanks_page(record: Record) -> bytes:
    """For who has answered."""
    return _short_page(record, "Thank you", "Your answer has been taken. You can close this page.")


def _short_page(record: Record, heading: str, text: str) -> bytes:
    what = escape(_where(record) or "A request")
    return page(heading, f"<h1><b>{what}</b> {heading}</h1>\n<p>{text}</p>")
