"""Servers for the tests in this folder, stopped at their end."""

from __future__ import annotations

import logging
import threading

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


class Lines(logging.Handler):
    """Collects lines and the threads that wrote them."""

    def __init__(self):
        super().__init__()
        self.texts = []
        self.threads = set()
        self.gate = threading.Event()
        self.gate.set()
        self.inside = threading.Event()

    def emit(self, record):
        self.inside.set()
        assert self.gate.wait(10)
        self.texts.append(record.getMessage())
        self.threads.add(threading.get_ident())


@pytest.fixture
def lines():
    """What is written to the access log, as long as a gate is open."""
    handler = Lines()
    logger = logging.getLogger("tarry.access")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)
