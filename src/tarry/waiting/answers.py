"""Answers that are kept: for a ticket, or for requests that ask the same."""

from pathlib import Path
from typing import Any

from tarry.app.responses import Response, SendFile
from tarry.app.results import Answer, Lasting, ResultError, answer_for
from tarry.message.headers import Headers
from tarry.waiting.records import KeptAnswer, KeptFile


def kept(result: Any) -> KeptAnswer | KeptFile:
    """A handler's result as it is kept.

    Raises:
        ResultError: it cannot be kept: a stream, or what is no result at all.
        InvalidField: a header or cookie that would break the message.
    """
    answer = kept_answer(answer_for(result))
    if answer is None:
        raise ResultError(
            "a stream cannot be kept for a ticket; return bytes or the path of a file"
        )
    return answer


def kept_answer(answer: Answer | Lasting) -> KeptAnswer | KeptFile | None:
    """An answer as it is kept, `None` for one that lasts."""
    if isinstance(answer, tuple):
        head, body = answer
        return KeptAnswer(head.status, tuple(head.fields), body)
    if not isinstance(answer, SendFile):
        return None
    return KeptFile(
        str(Path(answer.path).absolute()),  # who answers with it may be in another folder by then
        answer.status,
        answer.content_type,
        answer.download,
        tuple(answer.headers.to_fields()),
        answer.max_age_s,
        answer.etag,
    )


def restored(answer: KeptAnswer | KeptFile) -> Response | SendFile:
    """A result that is answered as the one that was kept."""
    headers = Headers.from_fields(answer.fields)
    if isinstance(answer, KeptAnswer):
        # Bytes would bring a content type, which an answer without a body does not have.
        body = answer.body if answer.body or "content-type" in headers else None
        return Response(body, answer.status, headers=headers)
    return SendFile(
        answer.path,
        content_type=answer.content_type,
        download=answer.download,
        status=answer.status,
        headers=headers,
        max_age_s=answer.max_age_s,
        etag=answer.etag,
    )
