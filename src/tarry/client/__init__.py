"""Clients: `request` for routes that wait, `Desk` and `AsyncDesk` for waits of the same store.

`request` needs Python's own library only, so that the desks are imported when they are asked for.
"""

from typing import TYPE_CHECKING, Any

from tarry.client.asking import request
from tarry.client.failures import RequestFailed, RequestTimeout
from tarry.client.tickets import Ticket

if TYPE_CHECKING:
    from tarry.client.desk import AsyncDesk, Desk, JobRow, UnknownWait, WaitRow

__all__ = [
    "AsyncDesk",
    "Desk",
    "JobRow",
    "RequestFailed",
    "RequestTimeout",
    "Ticket",
    "UnknownWait",
    "WaitRow",
    "request",
]

if not TYPE_CHECKING:  # else every name would exist for type checkers

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from tarry.client import desk

        return getattr(desk, name)
