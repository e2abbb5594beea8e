"""The request that the running code belongs to, without handing it through every call.

A task carries its exchange in a context variable, which also follows into
`asyncio.to_thread` and tasks of its own.  An inline handler and a call in a
thread of the pool need none: nothing else runs on their thread meanwhile, so
an attribute of the thread is enough, at a tenth of the price.
"""

import threading
from contextvars import ContextVar
from typing import Final

from tarry.exchange import Exchange

of_task: Final[ContextVar[Exchange | None]] = ContextVar("tarry_exchange", default=None)
"""The exchange of the running task."""


class Running:
    """The exchange whose handler runs on a thread right now."""

    __slots__ = ("exchange",)

    def __init__(self) -> None:
        self.exchange: Exchange | None = None


class _OfThread(threading.local):
    """The `Running` of this thread; who needs it for each request keeps it, as that costs less."""

    def __init__(self) -> None:
        self.running = Running()

    @property
    def exchange(self) -> Exchange | None:
        """The exchange whose handler runs on this thread right now."""
        return self.running.exchange

    @exchange.setter
    def exchange(self, exchange: Exchange | None) -> None:
        self.running.exchange = exchange


of_thread: Final = _OfThread()


def current_exchange() -> Exchange:
    """The exchange of the running code.

    Raises:
        LookupError: the code runs outside of a request.
    """
    exchange = of_task.get()
    if exchange is None:
        exchange = of_thread.exchange
        # On the loop the attribute stays until the next inline handler: it is over when answered.
        if exchange is not None and exchange.started:
            exchange = None
    if exchange is None:
        raise LookupError("there is no request here: this code runs outside of a handler")
    return exchange
