"""A real Chromium, and a server with requests that wait."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tarry.state.memory import MemoryStore
from tests.browser.desk import Desk

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
TIMEOUT_MS = 15_000


@pytest.fixture(scope="package")
def browser():
    """One browser for the tests of this folder; each has a profile of its own.

    It ends with them: while it is there, a loop runs in this thread, where others start theirs.
    """
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail("there is no Chromium; `make unit` installs it, or: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser):
    """Makes pages whose scripts must not fail; the arguments are those of a context."""
    contexts, errors = [], []

    def make(**options) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(TIMEOUT_MS)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture
def desk():
    """A server whose requests wait until the test answers them."""
    store = MemoryStore()
    with Desk(store) as desk:
        yield desk
    store.close()


@pytest.fixture
def page(new_page, desk) -> Page:
    """A page of the desk, which has `tarry`."""
    page = new_page()
    page.goto(desk.url)
    return page
