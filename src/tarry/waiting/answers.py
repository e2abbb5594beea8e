"""Answers that are kept for a ticket: what a handler came to after its client was told to wait."""

from typing import Any

from tarry.app.responses import Response, SendFile
from tarry.app.results import ResultError, answer_for
from tarry.message.headers import Headers
from tarry.waiting.records import KeptAnswer, KeptFile


def kept(result: Any) -> KeptAnswer | KeptFile:
    """A handler's result as it is kept.

    Raises:
        ResultError: it cannot be kept: a stream, or what is no result at all.
        InvalidField: a header or cookie that would break the message.
    """
    answer = answer_for(result)
    if isinstance(answer, tuple):
        head, body = answer
        return KeptAnswer(head.status, tuple(head.fields), body)
    if isinstance(answer, SendFile):
        fields = tuple(answer.headers.to_fields())
        return KeptFile(answer.path, answer.status, answer.content_type, answer.download, fields)
    raise ResultError("a stream cannot be kept for a ticket; return bytes or the path of a file")


def restored(answer: KeptAnswer | KeptFile) -> Response | SendFile:
    """A result that is answered as the one that was kept."""
    headers = Headers.from_fields(answer.fields)
    if isinstance(answer, KeptAnswer):
        return Response(answer.body, answer.status, headers=headers)
    return SendFile(
        answer.path,
        content_type=answer.content_type,
        download=answer.download,
        status=answer.status,
        headers=headers,
    )
