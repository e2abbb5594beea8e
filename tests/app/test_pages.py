"""Pages: everything escaped, nothing from elsewhere, one style that its policy allows."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.pages import CONTENT_SECURITY_POLICY, STYLE, error_page, page, table

EVIL = "<script>alert('1')</script>\"&"


class Elements(HTMLParser):
    """Collects the elements and the text of a page."""

    def __init__(self, source):
        super().__init__()
        self.tags = []
        self.attributes = []
        self.open = []
        self.texts = {}
        self.feed(source.decode())
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "link", "br", "col", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts[self.open[-1]] = self.texts.get(self.open[-1], "") + data


PAGES = {
    "short": error_page(500, "Internal Server Error", ""),
    "detail": error_page(404, "Not Found", "there is nothing at this address"),
    "faults": error_page(400, "Bad Request", "bad", [("a", "query", "is missing")] * 3),
    "evil": error_page(400, EVIL, EVIL, [(EVIL, EVIL, EVIL)]),
}


@pytest.fixture(params=PAGES)
def source(request):
    return PAGES[request.param]


def test_a_page_is_well_formed_and_says_what_it_is(source):
    elements = Elements(source)

    assert source.startswith(b'<!doctype html>\n<html lang="en">')
    assert elements.open == []
    assert elements.tags.count("h1") == elements.tags.count("main") == 1
    assert ("charset", "utf-8") in elements.attributes
    assert ("name", "viewport") in elements.attributes
    assert elements.texts["title"]


def test_the_policy_allows_the_one_style_and_nothing_else(source):
    (style,) = re.findall(rb"<style>(.*?)</style>", source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    policy = dict(part.strip().split(" ", 1) for part in CONTENT_SECURITY_POLICY.split(";"))

    assert style == STYLE.encode()
    assert policy["style-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert Elements(source).tags.count("style") == 1


def test_nothing_comes_from_elsewhere(source):
    elements = Elements(source)

    loading = {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not loading & set(elements.tags)
    names = {name for name, _ in elements.attributes}
    assert not names & {"style", "src", "srcset", "action", "onclick", "onload"}
    assert all(value.startswith("/") for name, value in elements.attributes if name == "href")
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert "</" not in STYLE


def test_the_style_is_small_and_knows_both_schemes():
    assert len(STYLE.encode()) <= 4096
    assert "prefers-color-scheme: dark" in STYLE


def luminance(color):
    channels = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def palettes():
    """The colours of the light and the dark scheme."""
    blocks = re.findall(r":root \{([^}]*)\}", STYLE)
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in blocks]


def test_there_are_two_palettes():
    assert len(palettes()) == 2


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "soft", "accent"])
def test_contrast_is_that_of_wcag_aa(palette, ink):
    for paper in palette.keys() - {"ink", "soft", "accent", "line"}:
        assert contrast(palette[ink], palette[paper]) >= 4.5


def test_every_value_of_an_error_is_escaped():
    elements = Elements(PAGES["evil"])

    assert "script" not in elements.tags
    assert EVIL in elements.texts["title"]
    assert EVIL in elements.texts["h1"]
    assert elements.texts["td"] == EVIL * 3


@given(st.text(), st.text(), st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=2))
def test_no_text_makes_an_element(title, detail, faults):
    def tags(*arguments):
        return Elements(error_page(404, *arguments)).tags

    plain = [("a", "b", "c")] * len(faults)
    assert tags(title, detail, faults) == tags("a", "b" if detail else "", plain)


def test_the_title_of_a_page_is_escaped():
    assert b"<title>&lt;b&gt;{title}</title>" in page("<b>{title}", "<p>{content}</p>")


def test_tables():
    html = table(("<A>",), [("<b>",), ("c",)])

    assert '<th scope="col">&lt;A&gt;</th>' in html
    assert "<td>&lt;b&gt;</td>" in html
    assert html.count("<tr>") == 3
