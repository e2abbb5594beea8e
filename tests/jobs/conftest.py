"""The store that a test gets: once of each kind."""

from __future__ import annotations

import pytest

from tests.stores.opened import ADDRESSES, opened


@pytest.fixture(params=ADDRESSES)
def store(request, tmp_path):
    it = opened(request.param, tmp_path)
    yield it
    it.close()
