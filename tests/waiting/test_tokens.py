"""Tickets and wake tokens: secrets of their own, made of one record."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.waiting.tokens import new_id, new_secret, read_token, ticket, wake_token

ID, SECRET = new_id(), new_secret()


def test_a_token_finds_its_record_and_proves_itself():
    for make, prefix in ((ticket, "tk_"), (wake_token, "wk_")):
        token = read_token(make(ID, SECRET))

        assert (token.prefix, token.id) == (prefix, ID)
        assert token.is_genuine(SECRET)
        assert not token.is_genuine(new_secret())


def test_who_has_the_ticket_cannot_make_the_wake_token_of_it():
    forged = read_token("wk_" + ticket(ID, SECRET)[3:])

    assert not forged.is_genuine(SECRET)


def test_the_proof_has_128_bits():
    proof = read_token(ticket(ID, SECRET)).proof

    assert len(base64.urlsafe_b64decode(proof + "==")) == 16


def test_it_can_stand_in_a_path_as_it_is():
    tokens = [ticket(new_id(), new_secret()) for _ in range(100)]

    assert len(set(tokens)) == 100
    assert all(set(token) <= set(ALPHABET) for token in tokens)


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_another_last_character_is_another_token():
    """Four bits of it are no part of the proof, but only one way to write it is taken."""
    whole = ticket(ID, SECRET)

    others = [read_token(whole[:-1] + last) for last in ALPHABET if last != whole[-1]]

    assert not any(other.is_genuine(SECRET) for other in others)


@given(st.text() | st.from_regex(r"(tk_|wk_)[A-Za-z0-9_-]{30,40}", fullmatch=True))
@settings(max_examples=200)
def test_any_text_is_a_token_or_none(text):
    token = read_token(text)

    if token is not None:
        assert text == "".join(token)
        assert not token.is_genuine(SECRET)


def test_what_has_not_the_form_is_none():
    whole = ticket(ID, SECRET)

    for text in ("", "tk_", whole[:-1], whole + "a", "xx_" + whole[3:], "ä" + whole[1:], "k"):
        assert read_token(text) is None
