"""Documents do not lie: their links lead somewhere, and their programs run."""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tarry.testing import Client

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"]
)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PROGRAM = re.compile(r"(?:from|import) ")
ASKED = re.compile(
    r"^# (?P<method>[A-Z]+) (?P<path>/\S*)(?: \((?P<field>[\w-]+): (?P<value>[^)]+)\))?"
    r"(?: (?P<body>\S.*?))? → (?:(?P<status>\d{3})\b ?)?(?P<text>.*)$",
    re.MULTILINE,
)
"""A comment that says what is answered: `# POST /notes (x-a: b) {"title": "milk"} → 201 text`."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """What programs keep beside themselves."""
    monkeypatch.chdir(tmp_path)


def prose(document):
    return FENCE.sub("", document.read_text())


def anchors(document):
    """The names that the headings of a document have as parts of a URL."""
    texts = [re.sub(r"[`*]", "", text) for text in HEADING.findall(prose(document))]
    return {re.sub(r"[^\w\- ]", "", text).strip().lower().replace(" ", "-") for text in texts}


def relative_links():
    for document in DOCUMENTS:
        for link in LINK.findall(prose(document)):
            if not link.startswith(("https:", "http:")):
                yield pytest.param(document, link, id=f"{document.relative_to(ROOT)}: {link}")


def programs():
    """Every block that stands alone: one that begins with an import."""
    for document in DOCUMENTS:
        blocks = [code for language, code in FENCE.findall(document.read_text())
                  if language == "python" and PROGRAM.match(code)]  # fmt: skip
        for number, code in enumerate(blocks, 1):
            yield pytest.param(code, id=f"{document.relative_to(ROOT)} {number}")


def run(code):
    """Run a program as a module that is imported."""
    module = ModuleType("program")
    sys.modules[module.__name__] = module  # where jobs are found again by their names
    # The asserts of a program count under `python -O`, too.
    exec(compile(code, "<document>", "exec", dont_inherit=True, optimize=0), vars(module))
    return module


@pytest.mark.parametrize(("document", "link"), list(relative_links()))
def test_a_relative_link_leads_to_a_file_and_a_heading(document, link):
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document

    assert target.exists()
    assert target.is_relative_to(ROOT)
    assert not anchor or anchor in anchors(target)


@pytest.mark.parametrize("code", list(programs()))
def test_a_program_runs_and_its_tests_pass(code):
    module = run(code)

    for name, function in vars(module).items():
        if name.startswith("test_"):
            result = function()
            if inspect.iscoroutine(result):
                asyncio.run(result)


def programs_that_ask():
    return [case for case in programs() if ASKED.search(case.values[0])]


@pytest.mark.parametrize("code", programs_that_ask())
def test_a_program_answers_what_its_comments_say(code):
    with run(code).app.testing() as client:
        for asked in ASKED.finditer(code):
            reply = ask(client, **asked.groupdict())
            assert (reply.status, reply.text.strip()) == (
                int(asked["status"] or 200), asked["text"] or reply.text.strip(),
            ), asked[0]  # fmt: skip


def ask(client, method, path, field, value, body, **answer):
    """The reply to what a comment asks; a body is JSON, or else a form."""
    headers = {field: value} if field else {}
    if body is not None:
        kind = "json" if body[0] in "{[" else "x-www-form-urlencoded"
        headers = {"content-type": f"application/{kind}", **headers}
    return client.request(method, path, headers=headers, data=(body or "").encode())


def test_documents_with_programs_are_found():
    """Guards the tests above, which would pass without any."""
    names = {str(case.id).split()[0] for case in programs()}

    assert {"README.md", "docs/behaviour.md", "docs/howto/run.md"} <= names
    assert "docs/howto/test-an-app.md" in names


def test_each_howto_on_writing_an_application_asks_it():
    """Guards as well: a comment in another form would not be asked."""
    asking = {str(case.id).split()[0] for case in programs_that_ask()}

    assert "README.md" in asking
    for name in ("routing", "handlers", "bodies", "filters", "answers", "caching", "jobs"):
        assert f"docs/howto/{name}.md" in asking
    arrows = sum(case.values[0].count(" → ") for case in programs())
    assert arrows == sum(len(ASKED.findall(case.values[0])) for case in programs())


def test_the_hello_of_the_readme_answers_what_the_readme_says():
    readme = ROOT / "README.md"
    hello = next(
        code for language, code in FENCE.findall(readme.read_text()) if PROGRAM.match(code)
    )

    assert len([line for line in hello.splitlines() if line]) <= 8
    with Client(run(hello).app) as client:
        answer = client.get("/hello/you?times=2")
        assert answer.text in readme.read_text()
        assert answer.json() == {"hello": ["you", "you"]}
        assert client.get("/hello/you?times=two").status == 400


def test_the_sockets_of_the_howto_talk_as_it_says():
    text = (ROOT / "docs" / "howto" / "websockets.md").read_text()
    echo, rooms, clock = (run(code).app for kind, code in FENCE.findall(text) if kind == "python")

    with serving(echo) as url, connect(f"{url}/echo") as socket:
        for message in ("text", b"data"):
            socket.send(message)
            assert socket.recv(timeout=10) == message
    with serving(rooms) as url:
        with pytest.raises(InvalidStatus, match="401"):
            connect(f"{url}/rooms/tea")
        with (
            connect(f"{url}/rooms/tea?key=1&nick=ada") as ada,
            connect(f"{url}/rooms/tea?key=1") as other,
        ):
            ada.send("hello")
            assert [each.recv(timeout=10) for each in (ada, other)] == ["ada: hello"] * 2
    with serving(clock) as url, connect(f"{url}/clock", origin=f"http{url[2:]}") as socket:
        assert socket.recv(timeout=10) == "hello"
        socket.send("noon")
        assert socket.recv(timeout=10) == "NOON"


@contextmanager
def serving(app):
    with app.start(access_log=False) as server:
        yield f"ws{server.url.removeprefix('http')}"


def test_a_decision_has_a_number_a_title_and_its_three_parts():
    notes = [note for note in DOCUMENTS if note.parent.name == "decisions" if note.stem != "README"]
    numbers = [int(note.stem.split("-")[0]) for note in notes]

    assert numbers == list(range(1, len(notes) + 1))
    for note in notes:
        text = note.read_text()
        assert text.startswith(f"# {note.stem[:4]}: ")
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
            "Context", "Decision", "Consequence",
        ], note.name  # fmt: skip
