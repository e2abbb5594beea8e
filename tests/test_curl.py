"""The commands of docs/howto/jobs.md do with curl, as they stand there, what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import chdir
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest

from examples import render

HOWTO = Path(__file__).parent.parent / "docs" / "howto" / "jobs.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SITE = "http://127.0.0.1:8000"
END = "-- end of one command --"
ANYTHING = "…"


class Command(NamedTuple):
    """What stands behind `$`, and what it prints; `…` is anything."""

    text: str
    prints: str


def commands():
    """All of the page, in order: they are typed into one shell."""
    found = []
    for block in BLOCK.findall(HOWTO.read_text()):
        for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            text, _, prints = each.partition("\n")
            found.append(Command(text, prints.strip()))
    return found


def is_like(printed, expected):
    pattern = ".*?".join(map(re.escape, expected.split(ANYTHING)))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


@pytest.fixture
def url(tmp_path):
    with chdir(tmp_path), render.app.start(access_log=False, stop_timeout_s=0.1) as handle:
        yield handle.url


def test_the_commands_print_what_the_page_says(url, tmp_path):
    assert shutil.which("curl"), "there is no curl; `make unit` installs it"
    script = "".join(f"{each.text}\nprintf '\\n%s\\n' '{END}'\n" for each in commands())
    ran = subprocess.run(
        ["bash", "-eu", "-c", script.replace(SITE, url)],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "CURL_HOME": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )

    prints = ran.stdout.replace("\r", "").split(f"\n{END}\n")[:-1]
    for command, printed in zip_longest(commands(), prints):
        assert printed is not None, f"{command.text}\n{ran.stderr}"
        assert is_like(printed.strip(), command.prints), f"$ {command.text}\n{printed}"
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_commands_show_all_that_a_client_does():
    """Guards the test above, which would pass on a page without any."""
    text = "\n".join(each.text for each in commands())

    for part in ("respond-async", "wait=", "If-None-Match", "event-stream", "-r 1-3", "DELETE"):
        assert part in text
    assert is_like("abc", "a…c")
    assert not any(is_like("abc", each) for each in ("a", "ac", "…b", "b…"))
