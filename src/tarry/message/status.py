"""Status codes and their phrases (RFC 9110 section 15)."""

from http import HTTPStatus
from typing import Final

_NEWER: Final = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""Phrases of RFC 9110 where Python 3.11 still carries those of RFC 7231."""

PHRASES: Final[dict[int, str]] = {status.value: status.phrase for status in HTTPStatus} | _NEWER

WITHOUT_BODY: Final = frozenset({204, 304})
"""Final statuses whose answer ends with its head (RFC 9112 section 6.3)."""


def phrase(status: int) -> str:
    """The standard phrase of a status, or the name of its class for an unknown one."""
    known = PHRASES.get(status)
    if known is not None:
        return known
    classes = {1: "Informational", 2: "Success", 3: "Redirection", 4: "Client Error"}
    return classes.get(status // 100, "Server Error")
