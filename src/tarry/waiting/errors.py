"""How a wait ends without its value; each is an answer, and can be caught where it is awaited."""

from tarry.app.errors import HttpError
from tarry.state.store import StoreError


class WaitExpired(HttpError, TimeoutError):
    """504: the value did not come in time."""

    def __init__(self) -> None:
        super().__init__(504, "what this request waited for did not come in time")


class WaitCancelled(HttpError):
    """410: somebody cancelled the wait."""

    def __init__(self) -> None:
        super().__init__(410, "what this request waited for was cancelled")


class WaitFailed(HttpError):
    """Somebody settled the wait with a failure: its status, and its sentence as the detail."""


class Draining(HttpError):
    """503: the server stops; asking again reaches the next one."""

    def __init__(self) -> None:
        detail = "the server stops; ask again in a moment"
        super().__init__(503, detail, headers=[(b"retry-after", b"1")])


class StoreUnavailable(HttpError, StoreError):
    """503: the store of waits cannot be used, so nothing can be promised; the log says why."""

    def __init__(self) -> None:
        detail = "what this request waits for cannot be stored now"
        super().__init__(503, detail, headers=[(b"retry-after", b"5")])


class TooManyParked(HttpError):
    """503: as many requests wait as may."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, detail, headers=[(b"retry-after", b"5")])
