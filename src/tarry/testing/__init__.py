"""Clients and clocks for the tests of an application."""

from tarry.testing.async_client import AsyncClient
from tarry.testing.client import Client
from tarry.testing.clock import JumpingClock
from tarry.testing.memory import MemoryExchange
from tarry.testing.pending import AsyncPendingReply, PendingReply
from tarry.testing.replies import IncompleteAnswer, Reply
from tarry.testing.socket_client import SocketClient

__all__ = [
    "AsyncClient", "AsyncPendingReply", "Client", "IncompleteAnswer", "JumpingClock",
    "MemoryExchange", "PendingReply", "Reply", "SocketClient",
]  # fmt: skip
