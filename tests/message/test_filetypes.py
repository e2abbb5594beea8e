"""Content types of file names: the same everywhere."""

from __future__ import annotations

import mimetypes

import pytest

from tarry.message.filetypes import content_type_of


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("A.HTML", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.md", "text/markdown; charset=utf-8"),
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.wasm", "application/wasm"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.woff2", "font/woff2"),
        ("a.png", "image/png"),
        ("a.pdf", "application/pdf"),
        ("a.tar.gz", "application/gzip"),
        ("a.min.js", "text/javascript; charset=utf-8"),
        ("/folder.html/a", "application/octet-stream"),
        ("/folder.html/a.css", "text/css; charset=utf-8"),
        ("a", "application/octet-stream"),
        ("a.", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
    ],
)
def test_the_last_suffix_decides(name, content_type):
    assert content_type_of(name) == content_type


def test_what_the_system_says_does_not_count(monkeypatch):
    monkeypatch.setitem(mimetypes.types_map, ".js", "text/plain")

    assert content_type_of("a.js") == "text/javascript; charset=utf-8"
