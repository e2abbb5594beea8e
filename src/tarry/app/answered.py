"""An answer as filters see it: a response that they can change before it goes out.

Most filters look at it and leave it alone, so nothing is decoded before it is
asked for, and an answer that nobody changed is sent as it was.
"""

from typing import Any, cast

from tarry.app.file_sending import OpenedFile
from tarry.app.responses import Response, SendFile, Stream
from tarry.app.results import Answer, Lasting, ResultError, add_converter, answer_for_body
from tarry.app.streaming import stream_head
from tarry.app.websocket_endpoints import Upgrade
from tarry.message.cookies import SetCookie
from tarry.message.headers import Headers, LazyHeaders
from tarry.message.heads import Field, ResponseHead


class Answered(Response):
    """What a handler's result or an error has become.

    `body` is `bytes`, a `Stream`, or an open file.  It can be replaced by
    anything that a handler may return but a file; `status`, `headers` and
    `cookies` then stay, except for the type and length of the old body.
    """

    __slots__ = ("_cookies", "_given", "_given_status", "_head", "_headers")

    def __init__(self, head: ResponseHead, body: Any) -> None:
        self.body = self._given = body
        self.status = head.status
        self._given_status: int | None = head.status
        self._head = head
        self._cookies: list[SetCookie] | None = None
        self._headers: Any = None

    @property
    def headers(self) -> Headers:
        """The header fields of the answer, to look at and to change."""
        headers: Headers | None = self._headers
        if headers is None:
            headers = self._headers = LazyHeaders(self._head)
        return headers

    @headers.setter
    def headers(self, headers: Headers) -> None:
        self._headers = headers
        self._given_status = None  # no status is this one: it counts as changed

    @property
    def cookies(self) -> list[SetCookie]:
        """The cookies that come with the answer, beside those among `headers`."""
        if self._cookies is None:
            self._cookies = []
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: list[SetCookie]) -> None:
        self._cookies = cookies

    def answer(self) -> Answer | Lasting | OpenedFile:
        """The answer as it is now.

        Raises:
            InvalidField: a header or cookie that would break the message.
            ResultError: a body that cannot be sent.
        """
        body = self.body
        headers, head = self._headers, self._head
        if body is not self._given:
            self._convert_body()
        elif self.status == self._given_status:
            if isinstance(body, bytes) and (headers is None or headers.decoded is None):
                if headers is not None:
                    head = headers.added_to(head)
                # Cookies are secrets of one client: such a head is not kept.
                return head.extended(self._encoded_cookies()) if self._cookies else head, body
            if headers is None and not self._cookies:
                return cast("Lasting | OpenedFile", body)
        fields = self.headers.to_fields() + self._encoded_cookies()
        if isinstance(self.body, bytes):
            return ResponseHead(self.status, fields), self.body
        return _with_head(self.body, self.status, Headers.from_fields(fields))

    def _encoded_cookies(self) -> list[Field]:
        return [(b"set-cookie", cookie.encode()) for cookie in self._cookies or ()]

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


def answered(answer: Answer | Stream | OpenedFile | Upgrade | Answered) -> Answered:
    """An answer as filters see it; a file has been opened before."""
    if isinstance(answer, Answered):
        return answer
    if isinstance(answer, tuple):
        return Answered(*answer)
    if isinstance(answer, Upgrade):
        # A head has a status of an answer, which 101 is not.
        response = Answered(ResponseHead(200, answer.headers.to_fields()), answer)
        response.status = response._given_status = 101
        return response
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
    stream = Stream(body.pieces, status=status, headers=headers, length=length_bytes)
    stream.source = body.source
    return stream


def _unopened(response: Answered) -> Answer | Lasting:
    """For a filter that returns the response it was given, changed or not."""
    answer = response.answer()
    if isinstance(answer, OpenedFile):
        raise ResultError("an open file is sent by the filter that was given it, or not at all")
    return answer


add_converter(Answered, _unopened)
