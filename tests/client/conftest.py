"""A server that requests wait at, and who asks it."""

from __future__ import annotations

import pytest

from tests.client.asked import Asking, Server


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def ask():
    return Asking()
