"""The folders of jobs: what was uploaded for them, and the files that they make."""

import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

FRESH_S: Final = 600.0
"""A folder this young may belong to a job that is just being ordered."""


class Folders:
    """One folder for each job, below one that is beside the store.

    Where the store is in memory they end with this process.
    """

    def __init__(self, base: Path | None) -> None:
        self._base = base
        self._is_temporary = base is None
        self._remove_all: Callable[[], object] | None = None

    @property
    def base(self) -> Path:
        """The folder above them all, which may not be there yet."""
        if self._base is None:
            self._base = Path(tempfile.mkdtemp(prefix="tarry-jobs-"))
            # Also where nobody closes this, as it ends with the process.
            self._remove_all = weakref.finalize(self, shutil.rmtree, self._base, ignore_errors=True)
        return self._base

    def of(self, id: str) -> Path:
        """The folder of a job, which may not be there yet."""
        return self.base.absolute() / id

    def remove(self, id: str) -> None:
        """Remove the folder of a job, if there is one.  Blocks."""
        if self._base is not None:
            shutil.rmtree(self.of(id), ignore_errors=True)

    def old(self) -> Sequence[str]:
        """The ids of the jobs that have folders, and are not just being ordered.  Blocks."""
        if self._base is None or not self._base.is_dir():
            return []
        before_s = time.time() - FRESH_S
        return [each.name for each in self._base.iterdir() if _changed_s(each) < before_s]

    def close(self) -> None:
        """Remove what ends with this process.  Blocks."""
        if self._remove_all is not None:
            self._remove_all()
        if self._is_temporary:
            self._base = None


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # somebody else was faster
        return time.time()
