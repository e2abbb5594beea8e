"""Documents do not lie: their links lead somewhere, and their programs run."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from tarry.testing import Client

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"]
)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PROGRAM = re.compile(r"(?:from|import) ")


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
    # The asserts of a program count under `python -O`, too.
    exec(compile(code, "<document>", "exec", optimize=0), vars(module))
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


def test_documents_with_programs_are_found():
    """Guards the tests above, which would pass without any."""
    names = {str(case.id).split()[0] for case in programs()}

    assert {"README.md", "docs/behaviour.md", "docs/howto/run.md"} <= names
    assert "docs/howto/test-an-app.md" in names


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
