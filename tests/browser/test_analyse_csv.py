"""examples/analyse_csv.py as its people see it: a file goes up, a table comes back."""

from __future__ import annotations

import csv
from contextlib import chdir

import pytest
from playwright.sync_api import expect

from examples import analyse_csv
from tests.browser.conftest import TIMEOUT_MS

SMALL = "name;price;sold\nchair;119.9;2026-01-05\ntable;;2026-01-06\nchair;80;\n"

WATCH = """() => {
  window.seen = []
  const bar = document.querySelector("progress")
  const note = () => bar.hasAttribute("value") && seen.push(bar.value)
  new MutationObserver(note).observe(bar, { attributeFilter: ["value"] })
}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("analyse_csv")  # where the example keeps its state
    with chdir(folder), analyse_csv.app.start(access_log=False, stop_timeout_s=0.1) as handle:
        yield handle.url


@pytest.fixture
def page(new_page, url):
    page = new_page()
    page.goto(url)
    page.evaluate(WATCH)
    return page


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file whose analysis takes seconds."""
    file = tmp_path_factory.mktemp("files") / "large.csv"
    with file.open("w") as out:
        out.write("number,half,word,empty\n")
        out.writelines(f"{each},{each / 2},word {each % 7},\n" for each in range(80_000))
    return file


def upload(page, content, name="prices.csv"):
    file = {"name": name, "mimeType": "text/csv", "buffer": content}
    page.get_by_label("Choose a file").set_input_files(file)


def table_of(page):
    expect(page.get_by_role("table")).to_be_visible(timeout=TIMEOUT_MS)
    rows = page.locator("tbody tr")
    return [rows.nth(each).locator("th, td").all_text_contents() for each in range(rows.count())]


def test_a_file_becomes_a_table(page):
    upload(page, SMALL.encode())

    assert table_of(page) == [
        ["name", "3", "0", "", "", "", "2", "chair"],
        ["price", "2", "1", "80", "119.9", "99.95", "2", "119.9"],
        ["sold", "2", "1", "", "", "", "2", "2026-01-05"],
    ]
    expect(page.get_by_role("heading", name="prices.csv")).to_contain_text("3 columns, 3 rows")


def test_the_table_is_there_after_a_reload_and_can_be_downloaded(page, tmp_path):
    upload(page, SMALL.encode())
    before = table_of(page)
    page.reload()
    assert table_of(page) == before
    expect(page.get_by_role("heading", name="prices.csv")).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()

    assert download.value.suggested_filename == "columns.csv"
    download.value.save_as(tmp_path / "columns.csv")
    with (tmp_path / "columns.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["name", "price", "sold"]
    assert rows[1]["mean"] == "99.95"
    assert rows[0]["minimum"] == ""


def test_what_is_wrong_with_a_file_is_told_until_there_is_a_better_one(page):
    for content, text in {
        b"a,b\n1,2\n1,2,3\n": "line 3 has 3 instead of 2 values",
        b"a,b\n\xff,2\n": "not UTF-8",
        b"1,2\n3,4\n": "the first line has to name the columns",
    }.items():
        upload(page, content)
        expect(page.get_by_role("status")).to_contain_text(text)
        expect(page.get_by_role("button", name="Cancel")).to_be_hidden()

    upload(page, SMALL.encode())
    assert len(table_of(page)) == 3
    expect(page.get_by_role("status")).to_be_empty()


def test_the_bar_moves_and_after_a_reload_the_table_comes(page, large):
    page.get_by_label("Choose a file").set_input_files(large)
    page.wait_for_function("new Set(seen).size >= 3")
    seen = page.evaluate("seen")
    assert seen == sorted(seen)
    page.reload()

    rows = table_of(page)
    assert [row[0] for row in rows] == ["number", "half", "word", "empty"]
    assert rows[0][1:7] == ["80,000", "0", "0", "79,999", "39,999.5", "many"]
    assert rows[2][6:] == ["7", "word 0"]
    assert rows[3][1:3] == ["0", "80,000"]


def test_cancel_ends_it(page, large):
    page.get_by_label("Choose a file").set_input_files(large)
    page.wait_for_function("seen.length")
    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_role("status")).to_have_text("Cancelled.")
    page.reload()
    expect(page.get_by_role("status")).to_have_text("Cancelled.")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_it_fits_each_screen_and_scheme(new_page, url, large, scheme, width, tmp_path):
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto(url)
    page.screenshot(path=tmp_path / "form.png")
    page.evaluate(WATCH)
    page.get_by_label("Choose a file").set_input_files(large)
    page.wait_for_function("seen.length")
    page.screenshot(path=tmp_path / "running.png")
    page.get_by_role("button", name="Cancel").click()
    upload(page, b"a,b\n1,2\n1,2,3\n")
    expect(page.get_by_role("status")).to_contain_text("line 3")
    page.screenshot(path=tmp_path / "error.png")
    upload(page, SMALL.encode())
    table_of(page)
    page.screenshot(path=tmp_path / "table.png")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
