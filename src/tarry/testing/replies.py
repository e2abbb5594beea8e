"""What a test client gets for a request."""

import json
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from tarry.message.headers import Headers


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as the client received it; any status is a reply, none is raised."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def text(self) -> str:
        """The body decoded by the charset of its type, by UTF-8 if it names none.

        Raises:
            UnicodeDecodeError: the body is not in that charset.
        """
        kind = Message()
        kind["content-type"] = self.headers.get("content-type", "")
        return self.body.decode(kind.get_content_charset("utf-8"))

    def json(self) -> Any:
        """The body decoded from JSON.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.body)


class IncompleteAnswer(ConnectionError):
    """The connection or stream ended before the answer did; `reply` is what came, if any."""

    def __init__(self, what: str, reply: Reply | None) -> None:
        came = "nothing came" if reply is None else f"{reply.status}, {len(reply.body)} bytes came"
        super().__init__(f"the answer to {what} was broken off; {came}")
        self.reply = reply
