"""Answers of the server itself, for requests that never become an exchange.

They are small problem documents (RFC 9457) without negotiation: what asked
for them was no valid request.
"""

import json
from functools import cache

from tarry.message.heads import ResponseHead
from tarry.message.status import phrase


@cache
def refusal_head(status: int) -> ResponseHead:
    """The head of a refusal."""
    return ResponseHead(
        status, [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    )


def refusal_body(status: int, detail: str) -> bytes:
    """The problem document of a refusal."""
    document = {"status": status, "title": phrase(status), "detail": detail}
    return json.dumps(document).encode()
