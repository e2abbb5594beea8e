"""Stores by their addresses."""

from __future__ import annotations

import pytest

from tarry.state.memory import MemoryStore
from tarry.state.opening import open_store
from tarry.state.sqlite import SQLiteStore


@pytest.mark.parametrize(
    ("address", "kind", "name", "is_shared"),
    [
        ("memory", MemoryStore, "memory", False),
        ("sqlite", SQLiteStore, "sqlite:.tarry/state.db", True),
        ("sqlite:some/where.db", SQLiteStore, "sqlite:some/where.db", True),
        ("sqlite:C:\\odd:name", SQLiteStore, "sqlite:C:\\odd:name", True),
    ],
)
def test_an_address_names_a_store(address, kind, name, is_shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    store = open_store(address)

    assert (type(store), store.name, store.is_shared) == (kind, name, is_shared)
    store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["", "sqlite:", "memory:", "memory:x", "mysql:x", "Memory"])
def test_any_other_address_lists_what_there_is(address):
    with pytest.raises(ValueError, match=r'it can be "memory", "sqlite" .* or "sqlite:PATH"'):
        open_store(address)
