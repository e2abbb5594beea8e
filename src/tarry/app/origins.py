"""Whose code a file is, which decides what an author is shown first."""

import sysconfig
from enum import IntEnum
from pathlib import Path
from typing import Final

_OWN: Final = str(Path(__file__).parent.parent)
_STANDARD: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})


class Origin(IntEnum):
    """Whose code it is; the lower, the more an author cares."""

    AUTHOR = 0
    LIBRARY = 1
    STANDARD = 2
    TARRY = 3


def origin_of(file: str) -> Origin:
    """Whose code a file is; code without a file, with a name in "<>", counts as Python's own."""
    if file.startswith(_OWN):
        return Origin.TARRY
    if file.startswith(_INSTALLED):  # asked first, for these folders lie within Python's own
        return Origin.LIBRARY
    return Origin.STANDARD if file.startswith((*_STANDARD, "<")) else Origin.AUTHOR
