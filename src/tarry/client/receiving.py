"""What arrives of an answer: kept in memory or in a file, and gone on with when it breaks off."""

import io
import json
import os
import re
import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

from tarry.client.exchanges import Answer
from tarry.client.failures import RequestFailed, TryAgain

DEFAULT_MAX_BYTES: Final = 64 * 1024 * 1024
"""What an answer may have that is kept in memory."""

RANGE_NOT_SATISFIABLE: Final = 416

_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:[0-9]{1,18}|\*)")


class Receiver:
    """Takes the body of an answer, in several attempts if need be; within a `with` statement.

    With `save_to` it arrives in a file of that folder, which takes the place
    of `save_to` when it is complete, and is deleted if that never happens.
    """

    def __init__(self, save_to: Path | None, max_bytes: int) -> None:
        self._save_to = save_to
        self._max_bytes = max_bytes
        self._arriving: Path | None = None
        self._file: io.BytesIO | io.BufferedWriter = io.BytesIO()
        self._count = self._most = 0
        self._etag = ""

    def __enter__(self) -> "Receiver":
        """Raises OSError if the file cannot be written; nothing has been asked by then."""
        if self._save_to is not None:
            if self._save_to.is_dir():
                raise IsADirectoryError(f"{self._save_to} is a folder, not a file to write")
            self._arriving = self._save_to.with_name(f".tarry-{secrets.token_hex(8)}.part")
            self._file = self._arriving.open("xb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._arriving is not None:
            self._arriving.unlink(missing_ok=True)

    @property
    def keeps_bytes(self) -> bool:
        """Whether the answer is wanted as the bytes it has, for a file."""
        return self._save_to is not None

    def range_headers(self) -> dict[str, str]:
        """Fields that ask for the rest of what broke off (RFC 9110 section 13.1.5)."""
        if not self._count or not self._etag:
            return {}
        return {"range": f"bytes={self._count}-", "if-range": self._etag}

    def take(self, answer: Answer, asked: dict[str, str]) -> Any:
        """What the answer is, when all of it is there; `asked` are the fields of its range.

        Raises:
            TryAgain: it broke off, and can be asked for once more.
            RequestFailed: it is an error, too large, or not what it says.
            OSError: the file cannot be written.
        """
        if asked and answer.status == RANGE_NOT_SATISFIABLE:
            self._begin("")
            raise TryAgain(RequestFailed("the answer has changed while it came", status=416))
        answer.check()
        if not asked or not self._continues(answer):
            etag = answer.headers.get("etag", "")
            self._begin(etag if etag.startswith('"') else "")  # a weak one says nothing of bytes
            if asked and answer.status == 206:
                raise TryAgain(RequestFailed("another part came than was asked for", status=206))
        for piece in answer.pieces():
            self._count += len(piece)
            if self._count > self._most:  # else it breaks off at the same place for ever
                self._most = self._count
                answer.heard()
            if self._save_to is None and self._count > self._max_bytes:
                text = f"the answer has more than {self._max_bytes} bytes; save_to= takes any"
                raise RequestFailed(text, status=answer.status)
            self._file.write(piece)
        return self._value(answer)

    def _begin(self, etag: str) -> None:
        self._etag, self._count = etag, 0
        self._file.seek(0)
        self._file.truncate()

    def _continues(self, answer: Answer) -> bool:
        """Whether it is the rest of what is there already."""
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        is_rest = match is not None and int(match[1]) == self._count
        return answer.status == 206 and is_rest and answer.headers.get("etag") == self._etag

    def _value(self, answer: Answer) -> Any:
        if self._arriving is not None and self._save_to is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._arriving.replace(self._save_to)
            return self._save_to
        body = cast("io.BytesIO", self._file).getvalue()
        if not body and (not answer.is_json or answer.is_head):
            return "" if answer.content_type.startswith("text/") else None
        if answer.is_json:
            return _from_json(body, answer.status)
        if answer.content_type.startswith("text/"):
            return _text(body, answer.headers.get_content_charset("utf-8"))
        return body


def _from_json(body: bytes, status: int) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestFailed(f"the answer is no JSON: {error}", status=status) from error


def _text(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset, "replace")
    except LookupError:  # a charset that Python does not know
        return body.decode("utf-8", "replace")
