"""The command that copies the browser's script for bundlers: `tarry mirror-js`."""

import re
import secrets
import sys
from pathlib import Path
from typing import Final

from tarry.version import VERSION
from tarry.waiting.scripts import CLASSIC, MODULE, TYPES, script

_OWN: Final = re.compile(rb'// tarry[.a-z]+ of Tarry \S+, copied by "tarry mirror-js"')
"""How each copy begins, by which a later one knows that it may take its place."""

_TYPES_SUFFIX: Final = {".js": ".d.ts", ".mjs": ".d.mts"}
"""Where TypeScript looks for the types of a script."""


def mirror_js(destination: str, *, classic: bool, force: bool) -> int:
    """Copy the script and its types to a folder, or to a file and what belongs beside it."""
    copies = _copies(Path(destination), CLASSIC if classic else MODULE)
    try:
        for target in copies:
            if not (force or _may_replace(target)):
                print(
                    f"tarry: {target} is there and is no copy of mirror-js; --force overwrites it",
                    file=sys.stderr,
                )
                return 1
        for target, name in copies.items():
            _write(target, name)
            print(target)
    except OSError as error:
        print(f"tarry: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _copies(destination: Path, name: str) -> dict[Path, str]:
    """What is written where."""
    types_suffix = _TYPES_SUFFIX.get(destination.suffix)
    if types_suffix is None or destination.is_dir():
        return {destination / name: name, destination / TYPES: TYPES}
    return {destination: name, destination.with_suffix(types_suffix): TYPES}


def _may_replace(target: Path) -> bool:
    if not target.exists():
        return True
    with target.open("rb") as file:
        return _OWN.match(file.readline(256)) is not None


def _write(target: Path, name: str) -> None:
    """Make a file that appears under its name when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    first = f'// {name} of Tarry {VERSION}, copied by "tarry mirror-js": changes here get lost.\n'
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        temporary.write_bytes(first.encode() + script(name))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
