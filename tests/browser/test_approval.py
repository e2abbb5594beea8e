"""The example of an approval, from question to answer, as its people see it."""

from __future__ import annotations

from contextlib import chdir

import pytest
from playwright.sync_api import expect

from examples import approval


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("approval")  # where the example keeps its state
    with chdir(folder), approval.app.start(access_log=False, stop_timeout_s=0.1) as handle:
        yield handle.url


def ask(page, url):
    page.goto(url)
    page.get_by_label("What do you need?").fill("a chair")
    page.get_by_label("What does it cost").fill("119.90")
    page.get_by_role("button", name="Ask the boss").click()


def decide(new_page, link, choice, **options):
    """The boss follows the link, which alone decides nothing, and chooses."""
    boss = new_page(**options)
    boss.goto(link)
    boss.get_by_role("button", name=choice).click()
    expect(boss.get_by_role("heading")).to_contain_text("Thank you")


def link_of(page):
    link = page.get_by_role("link")
    expect(link).to_contain_text("/-/w/wk_")
    return link.get_attribute("href")


@pytest.mark.parametrize(("choice", "text"), [("Yes", "yes: buy it"), ("No", "The boss says no")])
def test_the_answer_appears_by_itself_also_after_a_reload(new_page, url, choice, text, capsys):
    page = new_page()
    ask(page, url)
    link = link_of(page)
    assert link in capsys.readouterr().out

    page.reload()
    assert link_of(page) == link
    expect(page.locator("output")).to_be_empty()
    decide(new_page, link, choice)

    expect(page.locator("output")).to_contain_text(text)
    expect(page.get_by_role("button", name="Ask the boss")).to_be_visible()
    page.reload()
    expect(page.locator("output")).to_be_empty()


def test_who_asks_can_take_it_back(new_page, url):
    page = new_page()
    ask(page, url)
    link = link_of(page)
    page.get_by_role("button", name="Never mind").click()

    expect(page.locator("output")).to_contain_text("Nobody need decide")
    boss = new_page()
    boss.goto(link)
    expect(boss.get_by_role("heading")).to_contain_text("This has been cancelled")


def test_without_javascript_the_page_of_the_ticket_leads_to_the_answer(new_page, url):
    page = new_page(java_script_enabled=False)
    ask(page, url)
    link = page.get_by_text("/-/w/wk_").text_content().split()[-1]
    decide(new_page, link, "Yes", java_script_enabled=False)

    expect(page.locator("output")).to_contain_text("yes: buy it")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_each_screen_and_scheme(new_page, url, scheme, width, tmp_path):
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 740})
    page.goto(url)
    page.screenshot(path=tmp_path / "form.png")
    ask(page, url)
    link = link_of(page)
    page.screenshot(path=tmp_path / "waiting.png")
    decide(new_page, link, "Yes")
    expect(page.locator("output")).to_contain_text("yes: buy it")
    page.screenshot(path=tmp_path / "answer.png")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    color = page.evaluate("getComputedStyle(document.documentElement).color")
    assert color == {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}[scheme]
