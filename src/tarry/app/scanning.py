"""Finds the modules of a package and what is marked in them.

The modules are found without importing them, as Python itself would find them,
zip files included; folders without `__init__.py` count as packages, too.
"""

import importlib
import os
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tarry.app.controllers import is_controller, marks_of
from tarry.app.route_options import RegistrationError

MAX_NAMES_TOLD: Final = 10
"""Modules that an error lists; it says how many more there are."""


class ScanError(RegistrationError):
    """A scan that found nothing, or a module that cannot be imported."""


def import_modules(
    package: str, regexp: str, *, project_dir: str | Path | None = None
) -> dict[str, ModuleType]:
    """Import a package or module and those below it whose dotted name matches.

    A name matches from beginning to end.  `__main__` modules are programs and
    left out.  `project_dir` comes first on `sys.path` from now on.

    Returns the modules by name, in alphabetical order.

    Raises:
        ScanError: nothing matches, the regular expression is none, or a module
            cannot be imported, whose error is the cause.
    """
    matches = _compile(regexp).fullmatch
    if not all(part.isidentifier() for part in package.split(".")):
        raise ScanError(f"{package!r} is no package; write its dotted name, such as shop.pages")
    if project_dir is not None:
        _put_on_path(Path(project_dir))
    top = _import(package)
    below = _names_below(list(getattr(top, "__path__", ())), f"{package}.", frozenset())
    names = sorted([package, *below])
    matching = [name for name in names if matches(name)]
    if not matching:
        raise ScanError(f"no module matches {regexp!r}; looked at {_told(names)}")
    return {name: _import(name) for name in matching}


def _compile(regexp: str) -> re.Pattern[str]:
    try:
        return re.compile(regexp)
    except re.error as error:
        raise ScanError(f"{regexp!r} is no regular expression: {error}") from error


def _put_on_path(folder: Path) -> None:
    if not folder.is_dir():
        raise ScanError(f"project_dir={str(folder)!r} is no folder")
    absolute = str(folder.resolve())
    if absolute not in sys.path:
        sys.path.insert(0, absolute)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ScanError(f"module {name} cannot be imported: {reason}") from error


def _names_below(folders: list[str], prefix: str, above: frozenset[str]) -> Iterator[str]:
    """The modules and packages in the folders of a package, with their dotted names."""
    above |= {os.path.realpath(folder) for folder in folders}
    packages = dict.fromkeys(_plain_folders(folders), False)
    for info in pkgutil.iter_modules(folders):
        if info.ispkg:
            packages[info.name] = True
            continue
        packages.pop(info.name, None)  # `a.py` comes before a folder `a` without `__init__.py`
        if info.name != "__main__":
            yield prefix + info.name
    for name, has_code in packages.items():
        inner = [os.path.join(folder, name) for folder in folders]  # noqa: PTH118 — may be in a zip
        if not above.isdisjoint(map(os.path.realpath, inner)):
            continue  # a symbolic link to a folder around it
        if has_code:
            yield prefix + name
        yield from _names_below(inner, f"{prefix}{name}.", above)


def _plain_folders(folders: Iterable[str]) -> Iterator[str]:
    for folder in filter(os.path.isdir, folders):
        for entry in os.scandir(folder):
            if entry.is_dir() and entry.name.isidentifier() and entry.name != "__pycache__":
                yield entry.name


def _told(names: list[str]) -> str:
    more = len(names) - MAX_NAMES_TOLD
    return ", ".join(names[:MAX_NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")


def marked_in(module: ModuleType) -> Iterator[Any]:
    """The marked functions and controllers that a module defines, in order of definition.

    What it merely imports belongs to another module, and a class without
    `controller` may be a base of others; both are left out.
    """
    seen = set()
    for value in list(vars(module).values()):
        if not (marks_of(value) or is_controller(value)) or id(value) in seen:
            continue
        seen.add(id(value))
        if value.__module__ == module.__name__:
            yield value
