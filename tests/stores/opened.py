"""Every kind of store, opened for a test; what is tested here holds for each of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tarry.state.opening import open_store
from tarry.state.store import Entry, Put, Store

WAIT_S = 30
"""Longer than anything takes; waits for events end when they come."""

ADDRESSES: dict[str, Callable[[Path], str]] = {
    "memory": lambda folder: "memory",
    "sqlite": lambda folder: f"sqlite:{folder / 'state.db'}",
}

SHARED = [kind for kind in ADDRESSES if kind != "memory"]


def opened(kind: str, folder: Path) -> Store:
    return open_store(ADDRESSES[kind](folder))


def put(store: Store, key: str, value: bytes, **options) -> Entry:
    (entry,) = store.update([key], lambda _: [Put(value, **options)]).result(WAIT_S)
    assert entry is not None
    return entry


def incremented(entries):
    """A change that counts in each of its keys."""
    return [Put(b"%d" % (int(entry.value) + 1 if entry else 1)) for entry in entries]


def other_process(address: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process that has the store open; it does what other_process.py says."""
    script = Path(__file__).with_name("other_process.py")
    return subprocess.Popen(
        [sys.executable, str(script), address, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
