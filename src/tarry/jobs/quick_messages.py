"""The messages of quick_server's worker protocol, and the form of its replies."""

from typing import Annotated, Final, Literal

import msgspec

from tarry.app.errors import BadParameters, HttpError, ParameterFault
from tarry.app.faults import ConversionError, Faults
from tarry.app.json_texts import json_reader
from tarry.app.responses import Response
from tarry.waiting.documents import PRIVATE

_ACTIONS: Final = ("start", "get", "stop", "cargo")

MAX_NUMBER: Final = 2**53
"""Larger numbers are not exact in JavaScript, so no client has one as a token."""


class _Named(msgspec.Struct):
    action: str


class Message(msgspec.Struct):
    """What a client sends; `payload` belongs to `start`, `token` to all others."""

    action: Literal["start", "get", "stop", "cargo"]
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    token: Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)] | str = ""


_named: Final = msgspec.json.Decoder(_Named).decode
_read: Final = json_reader(Message)


def maybe_message(body: bytes) -> Message | None:
    """The message that a body is, `None` if it is none: no object with one of the actions.

    Raises:
        HttpError: 400 for one with a token that cannot be.
    """
    try:
        if _named(body).action not in _ACTIONS:
            return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    try:
        message: Message = _read(body)
    except Faults as error:
        raise BadParameters([_fault(*each) for each in error.faults]) from None
    except ConversionError as error:
        raise HttpError(400, f"the body {error}") from None
    if message.action != "start" and message.token == "":
        raise BadParameters([_fault("token", "is missing")])
    return message


def _fault(name: str, reason: str) -> ParameterFault:
    return {"name": name, "in": "body", "reason": reason}


def reply(
    token: int | str,
    *,
    is_done: bool = False,
    result: str | list[str] | None = None,
    goes_on: bool = False,
) -> Response:
    """A reply with the token as the client wrote it; `result` is JSON as a text, or has keys."""
    told = {"token": token, "done": is_done, "result": result, "continue": goes_on}
    return Response(told, headers=PRIVATE)
