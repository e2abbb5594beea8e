"""Folders that Tarry makes for itself: for this user alone, and left out by Git."""

from pathlib import Path


def make_private_folder(path: Path) -> None:
    """Make a folder that only this user can read, unless it is there already.

    Raises:
        OSError: it cannot be made.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        path.joinpath(".gitignore").write_text("*\n")
