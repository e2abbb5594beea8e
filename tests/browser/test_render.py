"""examples/render.py as its people see it: a job in a process, from first row to picture."""

from __future__ import annotations

import os
import re
import select
from contextlib import chdir
from pathlib import Path

import pytest
from playwright.sync_api import expect

from examples import render

GONE_S = 1.0

FIRST = 90
"""The width of the first picture, smaller than that of the example."""

SLOW = {"x": "-1.7685", "y": "0.0018", "zoom": "60", "iterations": "1000", "width": "120"}
"""A second or more, in rows that take about as long as one another."""

ENDLESS = {**SLOW, "width": "2400"}
QUICK = {"width": "60", "iterations": "50", "colours": "ink"}

WATCH = """document.addEventListener("readystatechange", () => {
  window.seen = []
  const bar = document.querySelector("progress")
  const note = () => bar.hasAttribute("value") && seen.push(bar.value)
  if (bar) new MutationObserver(note).observe(bar, { attributeFilter: ["value"] })
}, { once: true })"""
"""Notes where the bar has stood, from before the scripts of the page run."""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("render")  # where the example keeps its state
    with chdir(folder), render.app.start(access_log=False, stop_timeout_s=0.1) as handle:
        yield handle.url


@pytest.fixture
def page(new_page, url):
    """The page, with its first picture."""
    page = new_page()
    page.context.add_init_script(WATCH)
    page.goto(f"{url}/?width={FIRST}")
    until_shown(page, FIRST)
    return page


def render_with(page, settings):
    for name, value in settings.items():
        field = page.locator(f"[name={name}]")
        if name == "colours":
            field.select_option(value)
        else:
            field.fill(value)
    page.evaluate("seen.length = 0")
    page.get_by_role("button", name="Render").click()


def until_it_moves(page, values=2):
    """Return when the bar has moved so often, with the ticket of what is rendered."""
    page.wait_for_function("values => new Set(seen).size >= values", arg=values)
    return page.url.partition("#")[2]


def until_shown(page, width):
    """Return when a picture of this width is there."""
    page.wait_for_function(
        "width => document.querySelector('img').naturalWidth === width"
        " && !document.querySelector('.busy')",
        arg=width,
    )


def state_of(page, ticket):
    url = page.evaluate("location.origin")
    return page.request.get(f"{url}{ticket}").json()["state"]


def colours_of(page):
    """How many colours the picture has, and the one in its middle."""
    return page.evaluate("""() => {
      const image = document.querySelector("img")
      const { naturalWidth: width, naturalHeight: height } = image
      const canvas = Object.assign(document.createElement("canvas"), { width, height })
      const context = canvas.getContext("2d")
      context.drawImage(image, 0, 0)
      const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer)
      const middle = context.getImageData(width / 2, height / 2, 1, 1).data
      return [new Set(pixels).size, [...middle]]
    }""")


def children(pid):
    return [int(each) for file in Path(f"/proc/{pid}/task").glob("*/children")
            for each in file.read_text().split()]  # fmt: skip


def workers():
    """The processes that jobs run in: children of the one that forks them."""
    servers = [each for each in children(os.getpid())
               if b"forkserver" in Path(f"/proc/{each}/cmdline").read_bytes()]  # fmt: skip
    return {worker for each in servers for worker in children(each)}


def ticks_of(pid):
    """How much of the processor a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_the_first_picture_is_there_by_itself(new_page, url):
    page = new_page()
    page.goto(url)
    until_shown(page, 640)
    count, middle = colours_of(page)

    assert count > 50
    assert middle == [0, 0, 0, 255]  # of the set itself
    expect(page.get_by_role("status")).to_contain_text("640 × 426")
    expect(page).to_have_title("Mandelbrot")


def test_the_bar_moves_and_only_forwards(page):
    render_with(page, SLOW)
    until_it_moves(page, 4)
    expect(page.get_by_role("status")).to_have_text(re.compile("[1-9]0 %"))
    expect(page).to_have_title("(1x) Mandelbrot")
    until_shown(page, 120)

    seen = page.evaluate("seen")
    assert seen == sorted(seen)
    assert colours_of(page)[0] > 50


def test_cancel_frees_the_processor(page):
    before = {each: ticks_of(each) for each in workers()}
    render_with(page, ENDLESS)
    ticket = until_it_moves(page, 3)
    used = {each: ticks_of(each) - before.get(each, 0) for each in workers()}
    computing = os.pidfd_open(max(used, key=used.get))
    try:
        page.get_by_role("button", name="Cancel").click()
        assert select.select([computing], [], [], GONE_S)[0]
    finally:
        os.close(computing)

    expect(page.get_by_role("status")).to_have_text("Cancelled.")
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()
    page.reload()
    expect(page.get_by_role("status")).to_have_text("Cancelled.")
    assert state_of(page, ticket) == "cancelled"


def test_after_a_reload_it_goes_on(page):
    render_with(page, SLOW)
    ticket = until_it_moves(page)
    page.reload()

    expect(page.get_by_role("button", name="Cancel")).to_be_enabled()
    expect(page.locator("[name=iterations]")).to_have_value("1000")
    until_shown(page, 120)
    assert page.url.endswith(ticket)


def test_after_a_while_elsewhere_it_goes_on(page, url):
    render_with(page, SLOW)
    ticket = until_it_moves(page)
    page.goto("about:blank")
    page.goto(url)

    until_shown(page, 120)
    assert page.url.endswith(ticket)


def test_another_one_takes_its_place(page):
    render_with(page, ENDLESS)
    first = until_it_moves(page)
    render_with(page, QUICK)
    until_shown(page, 60)

    assert state_of(page, first) == "cancelled"
    expect(page).to_have_title("Mandelbrot")


def test_two_tabs_see_the_same(page):
    render_with(page, SLOW)
    until_it_moves(page)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="In a second tab").click()
    other = opened.value
    until_it_moves(other)
    for each in (page, other):
        until_shown(each, 120)

    first, second = (set(each.evaluate("seen")) for each in (page, other))
    assert len(first & second) >= 2
    links = [each.get_by_role("link", name="The file") for each in (page, other)]
    assert links[0].get_attribute("href") == links[1].get_attribute("href")
    assert colours_of(page) == colours_of(other)


def test_a_click_zooms_in(page):
    page.locator("img").click(position={"x": 10, "y": 10})
    expect(page.locator("[name=zoom]")).to_have_value("2.55")
    until_shown(page, FIRST)

    assert float(page.locator("[name=x]").input_value()) < -0.65
    assert colours_of(page)[1] != [0, 0, 0, 255]


def test_it_works_by_keyboard(page):
    page.get_by_label("Place").focus()
    page.keyboard.type("Sea")
    page.get_by_label("Width").fill("30")
    page.keyboard.press("Enter")
    until_shown(page, 30)

    assert page.get_by_label("Zoom").input_value() == "60"


def test_without_javascript_the_form_gives_the_picture(new_page, url):
    page = new_page(java_script_enabled=False)
    page.goto(url)
    page.get_by_label("Width").fill("30")
    with page.expect_response("**/picture") as answer:
        page.get_by_role("button", name="Render").click()

    assert answer.value.headers["content-type"] == "image/png"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_it_fits_each_screen_and_scheme(new_page, url, scheme, width, tmp_path):
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.context.add_init_script(WATCH)
    page.goto(f"{url}/?width=360")
    until_shown(page, 360)
    page.screenshot(path=tmp_path / "picture.png", full_page=True)
    render_with(page, ENDLESS)
    until_it_moves(page)
    page.screenshot(path=tmp_path / "running.png", full_page=True)
    page.get_by_role("button", name="Cancel").click()

    assert page.evaluate("document.documentElement.scrollWidth") <= width
