"""Clients and clocks for the tests of an application."""

from tarry.testing.client import AsyncClient, Client
from tarry.testing.clock import JumpingClock
from tarry.testing.memory import MemoryExchange
from tarry.testing.replies import IncompleteAnswer, Reply
from tarry.testing.socket_client import SocketClient

__all__ = [
    "AsyncClient", "Client", "IncompleteAnswer", "JumpingClock", "MemoryExchange", "Reply",
    "SocketClient",
]  # fmt: skip
