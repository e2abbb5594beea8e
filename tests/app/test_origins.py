"""Whose code it is: ours, Python's, a library's, or the author's."""

from __future__ import annotations

import asyncio
import sysconfig

import msgspec
import pytest

from tarry.app import origins
from tarry.app.origins import Origin, origin_of


@pytest.mark.parametrize(
    ("file", "origin"),
    [
        (origins.__file__, Origin.TARRY),
        (asyncio.__file__, Origin.STANDARD),
        (msgspec.__file__, Origin.LIBRARY),
        (sysconfig.get_path("purelib") + "/x/y.py", Origin.LIBRARY),
        ("<frozen runpy>", Origin.STANDARD),
        ("<string>", Origin.STANDARD),
        (__file__, Origin.AUTHOR),
        ("app.py", Origin.AUTHOR),
    ],
)
def test_whose_code_a_file_is(file, origin):
    assert origin_of(file) is origin


def test_an_author_cares_most_for_the_own_code():
    assert sorted(Origin) == [Origin.AUTHOR, Origin.LIBRARY, Origin.STANDARD, Origin.TARRY]
