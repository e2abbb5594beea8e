"""The text of several segments keeps them apart."""

from __future__ import annotations

import copy
import pickle

import pytest

from tarry.app.path_values import PathText


@pytest.mark.parametrize(
    ("segments", "text"),
    [(("a",), "a"), (("a", "b"), "a/b"), (("a/b", "c"), "a/b/c"), (("a", ""), "a/")],
)
def test_text_and_segments(segments, text):
    value = PathText(list(segments))

    assert value == text
    assert hash(value) == hash(text)
    assert value.segments == segments


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_copies_keep_the_segments(clone):
    value = clone(PathText(("a/b", "c")))

    assert value == "a/b/c"
    assert value.segments == ("a/b", "c")
