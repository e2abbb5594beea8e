"""Servers for the tests in this folder, stopped at their end."""

from __future__ import annotations

import pytest

from tests.server.serving import Keeping, Serving


@pytest.fixture(params=["asyncio", "uvloop"])
def serve(request):
    """Start a server: `serve(application, **settings)`; with either loop."""
    servers = []

    def start(application, **settings):
        # A stuck exchange must not hold up the end of a test.
        chosen = {"loop": request.param, "stop_timeout_s": 0.05, **settings}
        servers.append(Serving(application, **chosen))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def keeping():
    """An application that keeps its exchanges."""
    return Keeping()
