"""Read a Python package without running it: its modules, and who imports whom.

`tests/test_architecture.py` and `tools/shape.py` stand on this file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One imported module; `line` is where the statement starts."""

    target: str
    line: int


@dataclass(frozen=True)
class Module:
    """One source file of a package; `name` is dotted, a folder's `__init__` has the folder's."""

    name: str
    path: Path
    inside: str
    """Path below the package's folder, with slashes: `app/routes.py`."""

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def imports(self) -> list[Import]:
        """Every import, wherever it stands: at the top, for typing only, in a function.

        `from a import b` gives `a.b`; whether that is a module or a name, `resolve` knows.
        """
        return list(self._imports())

    def _imports(self) -> Iterator[Import]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, node.lineno)
            elif isinstance(node, ast.ImportFrom):
                origin = self._absolute(node.module or "", node.level)
                for alias in node.names:
                    name = origin if alias.name == "*" else f"{origin}.{alias.name}"
                    yield Import(name, node.lineno)
            elif isinstance(node, ast.Call) and node.args and _imports_by_name(node.func):
                wanted = node.args[0]
                if isinstance(wanted, ast.Constant) and isinstance(wanted.value, str):
                    bare = wanted.value.lstrip(".")
                    level = len(wanted.value) - len(bare)
                    yield Import(self._absolute(bare, level), node.lineno)

    def _absolute(self, module: str, level: int) -> str:
        if level == 0:
            return module
        parts = self.name.split(".")
        parts = parts[: len(parts) - level + self.is_package]
        return ".".join([*parts, module] if module else parts)


def _imports_by_name(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in {"import_module", "__import__"}


def read_package(folder: Path) -> dict[str, Module]:
    """Return the modules below `folder` by their dotted names; the folder's name is the root."""
    modules = {}
    for path in sorted(folder.rglob("*.py")):
        parts = [folder.name, *path.relative_to(folder).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        name = ".".join(parts)
        modules[name] = Module(name, path, path.relative_to(folder).as_posix())
    return modules


def resolve(target: str, modules: dict[str, Module]) -> str | None:
    """Return the module of the package that `target` names or lies in; None if it is foreign."""
    while target and target not in modules:
        target = target.rpartition(".")[0]
    return target or None
