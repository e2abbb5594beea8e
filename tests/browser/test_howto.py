"""The programs of docs/howto/browser.md do in a browser what it says."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from playwright.sync_api import expect

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "browser.md"


@contextmanager
def serving(number):
    """The URL of a program of the how-to."""
    code = re.findall(r"^```python\n(.*?)^```$", HOWTO.read_text(), re.MULTILINE | re.DOTALL)
    module = ModuleType("program")
    exec(compile(code[number], "<howto>", "exec", dont_inherit=True), vars(module))
    with module.app.start(access_log=False, stop_timeout_s=0.1) as handle:
        yield handle.url


def test_the_page_of_the_howto_shows_the_answer(new_page):
    with serving(0) as url:
        page = new_page()
        page.goto(url)
        page.get_by_role("button", name="Render").click()

        expect(page.locator("output")).to_have_text("film.mp4")


def test_the_preview_of_the_howto_shows_what_was_set_last(new_page):
    with serving(1) as url:
        page = new_page()
        page.goto(url)
        for frames in ("400", "5"):
            page.get_by_role("spinbutton").fill(frames)
            page.get_by_role("spinbutton").press("Enter")

        expect(page.locator("output")).to_have_text("5 frames.mp4")
        expect(page.locator("small")).to_have_text("0 running")
        expect(page).to_have_title("Preview")
