"""How a request ends without its answer."""

from typing import Any, Final

ENDS: Final = {"failed": 500, "cancelled": 410, "expired": 504, "gone": 404}
"""The states in which a ticket has no result, with the status of each unless it says another."""


class RequestFailed(Exception):
    """There is no answer, or it is an error.

    `status` is that of the answer, 0 if there was none.  `state` is "failed",
    or "cancelled", "expired" or "gone" for a ticket that ended so or is not
    known any more; "unreachable" if the server was away for too long, and
    "timeout" if the time of the caller was over.  `problem` is the problem
    document (RFC 9457), if there is one.  `ticket` is the address of the
    ticket, if there is one: `request(error.ticket)` asks for it once more.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int = 0,
        state: str = "failed",
        problem: dict[str, Any] | None = None,
        ticket: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.state = state
        self.problem = problem
        self.ticket = ticket


class RequestTimeout(RequestFailed, TimeoutError):
    """The time that the caller gave is over, and the answer is not there."""


class TryAgain(Exception):
    """Not the answer, and no word on it: ask again, not before `retry_s` seconds.

    `failure` is what it is once nobody asks again.  `may_have_arrived` says
    that the server may be doing what it was asked for, `is_silence` that
    nothing came for longer than the server ever is silent.
    """

    def __init__(
        self,
        failure: RequestFailed,
        *,
        retry_s: float = 0.0,
        may_have_arrived: bool = True,
        is_silence: bool = False,
    ) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.retry_s = retry_s
        self.may_have_arrived = may_have_arrived
        self.is_silence = is_silence


def failure_of_ticket(document: dict[str, Any], state: str) -> RequestFailed:
    """What it means that a ticket has ended in a state other than "done"."""
    told = document.get("failure")
    failure = told if isinstance(told, dict) else {}
    status = failure.get("status", ENDS[state])
    detail = failure.get("detail") or f"the request is {state}"
    problem = {"status": status, "detail": detail, **document}
    return RequestFailed(detail, status=status, state=state, problem=problem)


def failure_of_answer(status: int, reason: str, problem: dict[str, Any] | None) -> RequestFailed:
    """What an answer that is an error means."""
    told = problem or {}
    detail = told.get("detail") or told.get("title") or f"{status} {reason}".strip()
    state = told.get("state")
    return RequestFailed(
        str(detail), status=status, state=state if state in ENDS else "failed", problem=problem
    )
