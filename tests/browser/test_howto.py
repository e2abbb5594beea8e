"""The program of docs/howto/browser.md does in a browser what it says."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

from playwright.sync_api import expect

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "browser.md"


def test_the_page_of_the_howto_shows_the_answer(new_page):
    code = re.search(r"^```python\n(.*?)^```$", HOWTO.read_text(), re.MULTILINE | re.DOTALL)[1]
    module = ModuleType("program")
    exec(code, vars(module))
    with module.app.start(access_log=False, stop_timeout_s=0.1) as handle:
        page = new_page()
        page.goto(handle.url)
        page.get_by_role("button", name="Render").click()

        expect(page.locator("output")).to_have_text("film.mp4")
