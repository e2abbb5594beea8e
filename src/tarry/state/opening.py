"""Stores by their addresses, as they stand in settings and on command lines."""

from pathlib import Path
from typing import Final

from tarry.state.store import Store, StoreMissing

DEFAULT_PATH: Final = ".tarry/state.db"


def open_store(address: str) -> Store:
    """A store by its address: "memory", "sqlite" or "sqlite:PATH"; nothing is made on disk yet.

    Raises:
        ValueError: there is no such kind of store.
    """
    kind, colon, path = address.partition(":")
    # Imported when asked for: SQLite takes some milliseconds that others need not pay.
    if address == "memory":
        from tarry.state.memory import MemoryStore

        return MemoryStore()
    if kind == "sqlite" and (path or not colon):
        from tarry.state.sqlite import SQLiteStore

        return SQLiteStore(path or DEFAULT_PATH)
    raise ValueError(
        f'{address!r} is no store: it can be "memory", "sqlite" (in {DEFAULT_PATH})'
        ' or "sqlite:PATH"'
    )


def open_existing_store(address: str) -> Store:
    """A store as `open_store` gives it, but only if it is there: none is made by using it.

    Raises:
        StoreMissing: there is none at this address.
        ValueError: there is no such kind of store.
    """
    store = open_store(address)
    kind, _, path = address.partition(":")
    file = Path(path or DEFAULT_PATH)
    if kind == "sqlite" and not file.exists():
        raise StoreMissing(
            f"there is no store {file.absolute()}: nothing has been kept in this folder yet, or"
            ' it is another one; name the file, such as "sqlite:/srv/app/.tarry/state.db"'
        )
    return store
