"""The page of an error: well formed, escaped, without secrets, of limited size."""

from __future__ import annotations

import itertools
import json
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.app import tracebacks
from tarry.app.request import Request
from tarry.app.tracebacks import MAX_PAGE_BYTES, request_facts, traceback_page, traceback_text
from tests.app.test_pages import EVIL, Elements
from tests.exchanges import Recorded


def raised(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError


def fails(value):
    password = "hunt" + "er2"
    evil = EVIL
    raise ValueError(f"{value}{evil[:0]}{password[:0]}")


def recurses(value):
    return recurses([value])


def chain():
    try:
        fails(EVIL)
    except ValueError as error:
        error.add_note(EVIL)
        raise ExceptionGroup(EVIL, [error, KeyError(EVIL)]) from error


Evil = type(EVIL, (Exception,), {})

ERRORS = {
    "plain": raised(fails, "text"),
    "chain": raised(chain),
    "recursion": raised(recurses, 0),
    "library": raised(textwrap.dedent, 5),
    "never raised": ValueError(),
    "evil": Evil(EVIL),
    "surrogates": ValueError("\ud800"),
}


@pytest.fixture(params=ERRORS)
def error(request):
    return ERRORS[request.param]


def test_a_page_is_well_formed_and_says_what_it_is(error):
    source = traceback_page(error, {"Request": "GET /"})
    elements = Elements(source)

    assert source.startswith(b"<!doctype html>")
    assert elements.open == []
    assert elements.tags.count("h1") == elements.tags.count("main") == 1
    assert type(error).__name__ in elements.texts["title"]
    assert "because debug is on" in elements.texts["footer"]


def test_everything_is_escaped(error):
    elements = Elements(traceback_page(error, {EVIL: EVIL}))

    assert not {"script", "link", "img", "iframe", "form", "a"} & set(elements.tags)
    names = {name for name, _ in elements.attributes}
    assert names <= {"lang", "charset", "name", "content", "open", "scope"}
    assert EVIL in elements.texts["td"]


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
@settings(max_examples=100)
def test_no_text_makes_an_element(text, note, facts):
    def tags(text, note, facts):
        error = ValueError(text)
        error.add_note(note)
        return Elements(traceback_page(error, facts)).tags

    plain = {str(number): "x" for number in range(len(facts))}
    assert tags(text, note, facts) == tags("x" if text else "", "x", plain)


def test_the_failing_line_is_marked():
    elements = Elements(traceback_page(ERRORS["plain"], {}))

    assert elements.texts["mark"].startswith('raise ValueError(f"')
    assert "def fails(value):" not in elements.texts["b"]
    assert "ValueError" in elements.texts["b"]
    assert __file__ in elements.texts["small"]


def opened(error):
    """Whether the frames of a page are open, newest first."""
    source = traceback_page(error, {}).decode()
    lines = source.splitlines()
    return [
        line == "<details open>"
        for line, after in itertools.pairwise(lines)
        if line.startswith("<details") and after.startswith("<summary><code>")
    ]


def test_frames_of_the_application_are_open_and_others_folded():
    assert opened(ERRORS["plain"]) == [True, True]
    assert opened(ERRORS["library"]) == [False, True]


def test_an_error_of_libraries_alone_shows_its_newest_frame():
    error = raised(json.loads, "{")
    error.__traceback__ = error.__traceback__.tb_next

    shown = opened(error)
    assert shown[0]
    assert len(shown) > 1
    assert not any(shown[1:])


def test_variables_are_folded_and_secrets_hidden():
    source = traceback_page(ERRORS["plain"], {}).decode()

    assert "<details><summary>Variables</summary>" in source
    assert "<td>password</td><td>•••</td>" in source
    assert "hunter2" not in source


def test_repeated_frames_are_folded():
    elements = Elements(traceback_page(ERRORS["recursion"], {}))

    assert elements.texts["code"].count("recurses") == 3
    assert "repeated or older frames" in elements.texts["small"]


# ── the request ───────────────────────────────────────────────────────────────────────────


def test_the_request_is_told_without_its_secrets():
    exchange = Recorded(
        "POST",
        "/orders?token=S3&n=1",
        [
            ("Host", "example.org"),
            ("Cookie", "sid=S3"),
            ("Authorization", "Bearer S3"),
            ("X-Api-Key", "S3"),
            ("Referer", "http://example.org/?password=S3"),
            ("Accept", "a/b"),
            ("Accept", "c/d"),
        ],
    )
    source = traceback_page(ValueError(), request_facts(Request(exchange))).decode()

    assert "S3" not in source
    for name, value in {
        "Request": "POST http://example.org/orders?token=•••&amp;n=1 HTTP/1.1",
        "Client": "192.0.2.7",
        "cookie": "•••",
        "authorization": "•••",
        "x-api-key": "•••",
        "referer": "http://example.org/?password=•••",
        "accept": "a/b, c/d",
    }.items():
        assert f"<td>{name}</td><td>{value}</td>" in source


def test_no_facts_are_no_table():
    assert "table" not in Elements(traceback_page(ValueError(), {})).tags


# ── size ──────────────────────────────────────────────────────────────────────────────────


class Long(Exception):
    def __str__(self):
        return "'" * 10**6


def heavy(depth, *, text="'" * 500):
    """An error with many frames that all have much to show."""
    names: dict = {"text": text, "f0": lambda: 1 // 0}
    for number in range(1, depth):
        variables = "; ".join(f"v{n} = text" for n in range(30))
        exec(f"def f{number}():\n    {variables}\n    f{number - 1}()", names)
    return raised(names[f"f{depth - 1}"])


def test_a_page_has_a_limit():
    facts = {f"{'&' * 600}{number}": "'" * 600 for number in range(100)}
    error = Long()
    error.__notes__ = ["'" * 9999] * 100
    error.__cause__ = heavy(50)
    source = traceback_page(error, facts)
    elements = Elements(source)

    assert MAX_PAGE_BYTES // 2 < len(source) <= MAX_PAGE_BYTES
    assert elements.open == []
    assert "The rest is left out" in elements.texts["p"]
    assert "because debug is on" in elements.texts["footer"]


def test_a_page_within_the_limit_is_whole():
    source = traceback_page(ERRORS["chain"], {})

    assert len(source) < MAX_PAGE_BYTES
    assert "The rest is left out" not in source.decode()


def test_the_limit_is_met_to_the_byte(monkeypatch):
    whole = traceback_page(ERRORS["plain"], {})
    room = len(whole) + len(tracebacks._CUT) + 1

    monkeypatch.setattr(tracebacks, "MAX_PAGE_BYTES", room)
    assert traceback_page(ERRORS["plain"], {}) == whole
    monkeypatch.setattr(tracebacks, "MAX_PAGE_BYTES", room - 2)
    cut = traceback_page(ERRORS["plain"], {})
    assert "The rest is left out" in cut.decode()
    assert len(cut) <= room - 2


# ── text ──────────────────────────────────────────────────────────────────────────────────


def test_text_is_what_python_prints():
    lines = traceback_text(ERRORS["plain"])

    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: text"
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize(("count", "left_out"), [(400, 0), (401, 2), (5000, 4601)])
def test_text_has_a_limit(count, left_out):
    error = ValueError("\n".join(["x" * 600] * count))
    lines = traceback_text(error)

    assert len(lines) == 400
    assert lines[0] == f"ValueError: {'x' * 600}"[:500]
    assert {len(line) for line in lines[-50:]} == {500}
    told = [line for line in lines if "left out" in line]
    assert told == ([f"  … {left_out} lines are left out"] if left_out else [])
