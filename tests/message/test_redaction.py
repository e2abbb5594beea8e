"""Tickets and wake tokens in addresses: never written whole."""

from __future__ import annotations

import time
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.message.redaction import hide_tokens
from tarry.waiting.tokens import new_id, new_secret, ticket, wake_token


@pytest.mark.parametrize("make", [ticket, wake_token])
def test_only_seven_characters_are_shown(make):
    for _ in range(50):
        token = make(new_id(), new_secret())
        assert hide_tokens(f"/-/t/{token}") == f"/-/t/{token[:7]}…"
        assert hide_tokens(f"?t={token},{token}&x") == f"?t={token[:7]}…,{token[:7]}…&x"


@given(st.sets(st.integers(0, 36)), st.booleans())
@settings(max_examples=100)
def test_an_encoded_one_is_hidden_too(places, upper):
    token = ticket(new_id(), new_secret())
    form = "%{:02X}" if upper else "%{:02x}"
    encoded = "".join(
        form.format(ord(character)) if place in places else character
        for place, character in enumerate(token)
    )
    hidden = hide_tokens(f"/-/t/{encoded}/result")

    assert unquote(hidden) == f"/-/t/{token[:7]}…/result"


@pytest.mark.parametrize(
    "text", ["/", "/wk_report_2026.csv", "/tk_" + "a" * 33, "/desk_" + "a" * 20, "/a%20b", "tk_…"]
)
def test_other_texts_stay(text):
    assert hide_tokens(text) == text


@pytest.mark.parametrize("text", ["tk_", "%74%6b%5f", "tk_a", "tk_%4", "%" * 3, "wk" * 2])
def test_it_takes_linear_time(text):
    began = time.perf_counter()
    hide_tokens(text * (64 * 1024 // len(text)))
    assert time.perf_counter() - began < 1.0
