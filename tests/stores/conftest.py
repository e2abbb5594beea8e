"""The store that a test gets: once of each kind."""

from __future__ import annotations

import pytest

from tests.stores.opened import ADDRESSES, SHARED, opened


@pytest.fixture(params=ADDRESSES)
def store(request, tmp_path):
    it = opened(request.param, tmp_path)
    yield it
    it.close()


@pytest.fixture(params=SHARED)
def kind(request):
    """A kind of store that processes can share."""
    return request.param


@pytest.fixture
def pair(kind, tmp_path):
    """Two stores that share what they keep."""
    both = opened(kind, tmp_path), opened(kind, tmp_path)
    for each in both:
        assert each.poll().result(30) is False
    yield both
    for each in both:
        each.close()
