"""An answer as filters see it: a response that they can change before it goes out.

Most filters look at it and leave it alone, so nothing is decoded before it is
asked for, and an answer that nobody changed is sent as it was.
"""

from typing import Any

from tarry.app.file_sending import OpenedFile
from tarry.app.responses import Response, SendFile, Stream
from tarry.app.results import Answer, Lasting, ResultError, add_converter, answer_for_body
from tarry.app.streaming import stream_head
from tarry.app.websocket_endpoints import Upgrade
from tarry.message.headers import Headers, LazyHeaders
from tarry.message.heads import ResponseHead


class Answered(Response):
    """What a handler's result or an error has become.

    `body` is `bytes`, a `Stream`, or an open file.  It can be replaced by
    anything that a handler may return but a file; `status`, `headers` and
    `cookies` then stay, except for the type and length of the old body.
    """

    __slots__ = ("_given", "_given_status", "_head", "_headers")

    def __init__(self, head: ResponseHead, body: Any, *, status: int | None = None) -> None:
        self.body = self._given = body
        self.status = self._given_status = head.status if status is None else status
        self.cookies = []
        self._head = head
        self._headers: Headers | None = None

    @property
    def headers(self) -> Headers:
        """The header fields of the answer, to look at and to change."""
        if self._headers is None:
            self._headers = LazyHeaders(self._head)
        return self._headers

    @headers.setter
    def headers(self, headers: Headers) -> None:
        self._headers = headers

    def answer(self) -> Answer | Lasting | OpenedFile:
        """The answer as it is now.

        Raises:
            InvalidField: a header or cookie that would break the message.
            ResultError: a body that cannot be sent.
        """
        headers, body = self._headers, self.body
        is_same = body is self._given and self.status == self._given_status
        if headers is None and not self.cookies and is_same:
            return (self._head, body) if isinstance(body, bytes) else body
        cookies = [(b"set-cookie", cookie.encode()) for cookie in self.cookies]
        if self.body is not self._given:
            self._convert_body()
        elif is_same and isinstance(body, bytes):
            added = headers.added_fields() if isinstance(headers, LazyHeaders) else None
            if added is not None or headers is None:
                # Cookies are secrets of one client: such a head is not kept.
                extend = self._head.extended if cookies else self._head.plus
                return extend((*(added or ()), *cookies)), body
        fields = self.headers.to_fields() + cookies
        if isinstance(self.body, bytes):
            return ResponseHead(self.status, fields), self.body
        return _with_head(self.body, self.status, Headers.from_fields(fields))

    def _convert_body(self) -> None:
        if isinstance(self._given, OpenedFile):
            self._given.close()
        if isinstance(self.body, bytes):
            self.headers.pop("content-length", None)
            return
        converting = answer_for_body(self.body)
        if isinstance(converting, SendFile):
            raise ResultError("a filter puts a file into a response; let it return the file")
        converted = answered(converting)
        for name in ("content-type", "content-length"):
            self.headers.pop(name, None)
        for name, value in converted.headers.items():
            self.headers.setdefault(name, value)
        self.body = converted.body


def answered(answer: Answer | Stream | OpenedFile | Upgrade) -> Answered:
    """An answer as filters see it; a file has been opened before."""
    if isinstance(answer, tuple):
        return Answered(*answer)
    if isinstance(answer, Upgrade):
        # A head has a status of an answer, which 101 is not.
        return Answered(ResponseHead(200, answer.headers.to_fields()), answer, status=101)
    return Answered(answer.head if isinstance(answer, OpenedFile) else stream_head(answer), answer)


def _with_head(
    body: Stream | OpenedFile | Upgrade, status: int, headers: Headers
) -> Stream | OpenedFile | Upgrade:
    if isinstance(body, OpenedFile):
        body.head = ResponseHead(status, headers.to_fields())
        return body
    if isinstance(body, Upgrade):
        body.headers.clear()
        return body.amended(status, headers.items())
    length = headers.pop("content-length", None)
    length_bytes = None if length is None else int(length)
    return Stream(body.pieces, status=status, headers=headers, length=length_bytes)


def _unopened(response: Answered) -> Answer | Lasting:
    """For a filter that returns the response it was given, changed or not."""
    answer = response.answer()
    if isinstance(answer, OpenedFile):
        raise ResultError("an open file is sent by the filter that was given it, or not at all")
    return answer


add_converter(Answered, _unopened)
