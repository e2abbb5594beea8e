"""Tickets and wake tokens: who has one may read a wait, or answer it.

Each is made of the wait's id, which finds the record, and of 128 bits that
only the record's secret gives.  The two are different, so that reading a
ticket does not allow answering it (OWASP calls such URLs capabilities).
"""

import base64
import hmac
import secrets
from hashlib import blake2b
from typing import Final, NamedTuple

ID_LENGTH: Final = 12
SECRET_BYTES: Final = 16
"""128 bits, as RFC 6749 section 10.10 asks for of what must not be guessed."""

TICKET: Final = "tk_"
WAKE: Final = "wk_"

_PERSON: Final = {TICKET: b"tarry ticket", WAKE: b"tarry wake"}


class Token(NamedTuple):
    """A ticket or wake token, taken apart; that it is genuine, `is_genuine` tells."""

    prefix: str
    id: str
    proof: str

    def is_genuine(self, secret: bytes) -> bool:
        """Whether it belongs to the record with this secret; takes the same time for all."""
        return hmac.compare_digest(self.proof, _proof(secret, self.prefix))


def new_id() -> str:
    """The id of a new wait: 72 random bits as text."""
    return secrets.token_urlsafe(9)


def new_secret() -> bytes:
    """What the tokens of a new wait are made from."""
    return secrets.token_bytes(SECRET_BYTES)


def ticket(id: str, secret: bytes) -> str:
    """What allows to read a wait and to cancel it."""
    return TICKET + id + _proof(secret, TICKET)


def wake_token(id: str, secret: bytes) -> str:
    """What allows to wake a wait."""
    return WAKE + id + _proof(secret, WAKE)


def read_token(text: str) -> Token | None:
    """A text as a token, `None` if it has not the form of one."""
    prefix = text[:3]
    if prefix not in _PERSON or len(text) != _LENGTH or not text.isascii():
        return None
    return Token(prefix, text[3 : 3 + ID_LENGTH], text[3 + ID_LENGTH :])


def _proof(secret: bytes, prefix: str) -> str:
    digest = blake2b(secret, digest_size=SECRET_BYTES, person=_PERSON[prefix]).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


_LENGTH: Final = len(ticket("x" * ID_LENGTH, b""))
