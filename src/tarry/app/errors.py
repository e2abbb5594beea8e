"""Errors that are answers: raise one and the client gets its status.

They are sent as RFC 9457 problem documents, or as a page to a browser.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from tarry.message.headers import Headers, HeaderSource
from tarry.message.heads import Field, check_response_field
from tarry.message.status import phrase

PROBLEM_TYPE = b"application/problem+json"


class HttpError(Exception):
    """An answer with an error status; raise it anywhere in a handler.

    `detail` is shown to the client, so it must not tell secrets.  `headers`
    go into the answer, in text or as raw fields; `extra` are further members
    of the problem document.

    Raises:
        ValueError: `status` is not between 400 and 599.
        InvalidField: a header that would break the message.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: HeaderSource | Iterable[Field] = (),
        extra: Mapping[str, object] | None = None,
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"HttpError needs a status between 400 and 599, not {status}")
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = _fields(headers)
        self.extra = dict(extra or {})

    def problem(self) -> dict[str, Any]:
        """The problem document (RFC 9457 section 3.1)."""
        document: dict[str, Any] = {"status": self.status, "title": phrase(self.status)}
        if self.detail:
            document["detail"] = self.detail
        return document | self.extra

    def __str__(self) -> str:
        return f"{self.status} {phrase(self.status)}" + (f": {self.detail}" if self.detail else "")


def no_thread() -> HttpError:
    """The answer where as many requests wait for a thread as may."""
    detail = "too many requests wait for a thread"
    return HttpError(503, detail, headers=[(b"retry-after", b"1")])


def _fields(headers: HeaderSource | Iterable[Field]) -> tuple[Field, ...]:
    """Headers as fields, checked here: where the error is answered it would be too late."""
    pairs: Iterable[tuple[Any, Any]] = headers.items() if isinstance(headers, Mapping) else headers
    fields = []
    for name, value in pairs:
        raw = isinstance(name, bytes) and isinstance(value, bytes)
        fields.append((name, value) if raw else Headers([(name, value)]).to_fields()[0])
    for name, value in fields:
        check_response_field(name.lower(), value)
    return tuple(fields)


ParameterFault = TypedDict("ParameterFault", {"name": str, "in": str, "reason": str})
"""One bad parameter: its name, where it was looked for, and what is wrong with it."""


class BadParameters(HttpError):
    """400 that names every parameter which is missing or does not fit."""

    def __init__(self, faults: list[ParameterFault]) -> None:
        names = ", ".join(fault["name"] for fault in faults)
        noun = "parameter" if len(faults) == 1 else "parameters"
        super().__init__(400, f"bad {noun}: {names}", extra={"errors": faults})
        self.faults = faults
