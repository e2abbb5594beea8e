"""The rules that the source keeps, each a function that lists what breaks it.

A rule takes the modules of a package and yields "file:line: what is wrong; the way out".
`tests/test_architecture.py` has the data and applies the rules.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from tools.source import Module, resolve

Modules = dict[str, Module]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Architecture:
    """Who may import whom, as data, and the rules that follow from it."""

    layers: tuple[set[str], ...]
    """From bottom to top: a part imports from rows below its own, parts of a row are strangers."""

    known_only_by: dict[str, set[str]]
    """Parts that are hidden from some of the rows above."""

    siblings: set[str]
    """Folders whose files and subfolders do not import one another."""

    third_party: dict[str, set[str]]
    """Where each package from outside may be imported; replacing it touches these files only."""

    def parts_without_layer(self, modules: Modules) -> Iterator[str]:
        for module in modules.values():
            if self.row_of(part_of(module)) is None:
                text = "is in no layer; give it a row in tests/test_architecture.py"
                yield at(module, 1, f"{part_of(module)!r} {text}")

    def upward_imports(self, modules: Modules) -> Iterator[str]:
        for module, line, target in inner_imports(modules):
            here, there = part_of(module), part_of(target)
            low, high = self.row_of(there), self.row_of(here)
            if here == there or low is None or high is None or low < high:
                continue
            where = "stands above" if low > high else "stands beside"
            yield at(
                module,
                line,
                f"{here} imports {target.name}, which {where} it; move the thing down to a row that"
                " both may know, or let the upper part register itself below",
            )

    def imports_of_hidden_parts(self, modules: Modules) -> Iterator[str]:
        for module, line, target in inner_imports(modules):
            here, there = part_of(module), part_of(target)
            friends = self.known_only_by.get(there)
            if friends and here != there and here not in friends:
                names = " and ".join(sorted(friends))
                yield at(
                    module,
                    line,
                    f"{here} imports {target.name}, but only {names} know {there}; ask through"
                    " exchange.py",
                )

    def imports_between_siblings(self, modules: Modules) -> Iterator[str]:
        for module, line, target in inner_imports(modules):
            folder = part_of(module)
            if folder not in self.siblings or part_of(target) != folder:
                continue
            here, there = (m.inside.split("/")[1].removesuffix(".py") for m in (module, target))
            if here not in {there, "__init__"}:
                yield at(
                    module,
                    line,
                    f"{folder}/{here} imports its sibling {target.name}; what both need belongs"
                    " into app/ or message/",
                )

    def third_party_imports_out_of_place(self, modules: Modules) -> Iterator[str]:
        for module in modules.values():
            for imported in module.imports:
                package = imported.target.partition(".")[0]
                if package in sys.stdlib_module_names or resolve(imported.target, modules):
                    continue
                places = self.third_party.get(package)
                if places is None:
                    yield at(
                        module,
                        imported.line,
                        f"{package} is no known dependency; do without it, or name its files in"
                        " tests/test_architecture.py and write a decision note",
                    )
                elif not any(fnmatch(module.inside, place) for place in places):
                    yield at(
                        module,
                        imported.line,
                        f"{package} is imported in {', '.join(sorted(places))} only; use what these"
                        " offer",
                    )

    def row_of(self, part: str) -> int | None:
        return next((number for number, row in enumerate(self.layers) if part in row), None)


def import_cycles(modules: Modules) -> Iterator[str]:
    """Yield at least one circle of each knot of modules."""
    lines: dict[str, dict[str, int]] = {name: {} for name in modules}
    for module, line, target in inner_imports(modules):
        if target is not module:
            lines[module.name].setdefault(target.name, line)

    done: set[str] = set()

    def walk(name: str, trail: list[str]) -> Iterator[str]:
        if name in trail:
            circle = [*trail[trail.index(name) :], name]
            start = modules[circle[0]]
            yield at(
                start,
                lines[circle[0]][circle[1]],
                f"import cycle {' → '.join(circle)}; move what they share into a file of its own",
            )
        elif name not in done:
            for target in lines[name]:
                yield from walk(target, [*trail, name])
            done.add(name)

    for name in modules:
        yield from walk(name, [])


def stubs(modules: Modules) -> Iterator[str]:
    """Yield what was put off: marks, NotImplementedError, functions without a body."""
    for module in modules.values():
        for number, text in enumerate(module.text.splitlines(), 1):
            if mark := re.search(r"\b(TODO|FIXME)\b", text):
                yield at(module, number, f"{mark[0]}: do it now, or open an issue")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Name) and node.id == "NotImplementedError":
                yield at(module, node.lineno, "NotImplementedError: write it, or leave it out")
        yield from (
            at(
                module,
                function.lineno,
                f"{function.name} has no body; write it, or say in its docstring, in place of a"
                " body, why there is nothing to do",
            )
            for function in bodiless_functions(module.tree)
        )


def bodiless_functions(node: ast.AST, in_protocol: bool = False) -> Iterator[Function]:
    """Yield functions of `pass` or `...`; a docstring alone is a deliberate no-op.

    Protocols, overloads and abstract methods have no body by their nature.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            is_protocol = any("Protocol" in names_in(base) for base in child.bases)
            yield from bodiless_functions(child, is_protocol)
        elif isinstance(child, Function):
            declared = any(
                {"abstractmethod", "overload"} & names_in(each) for each in child.decorator_list
            )
            written = is_docstring_alone(child) or any(does_something(each) for each in child.body)
            if not (in_protocol or declared or written):
                yield child
            yield from bodiless_functions(child)
        else:
            yield from bodiless_functions(child, in_protocol)


def names_in(expression: ast.expr) -> set[str]:
    """Return the names an expression uses: `typing.Protocol[T]` gives typing, Protocol and T."""
    return {
        name
        for node in ast.walk(expression)
        if (name := getattr(node, "attr", None) or getattr(node, "id", None))
    }


def does_something(statement: ast.stmt) -> bool:
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return not (isinstance(statement, ast.Pass) or is_constant)


def is_docstring_alone(function: Function) -> bool:
    return len(function.body) == 1 and ast.get_docstring(function) is not None


def asserts(modules: Modules) -> Iterator[str]:
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assert):
                yield at(module, node.lineno, "assert is gone under python -O; raise an error")
            elif isinstance(node, ast.Name) and node.id == "__debug__":
                yield at(module, node.lineno, "__debug__ makes python -O behave differently")


# A noqa may be followed by a dash and its reason, a type: ignore by a second comment.
EXCEPTION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:)", re.IGNORECASE)
REASONED = re.compile(
    r"#\s*(noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*\s*[-–—]+|type:\s*ignore\[[\w, -]+\]\s*#|"
    r"pragma:[\w ]+[-–—]+)\s*\w{2,}"
)


def exceptions_without_reason(modules: Modules) -> Iterator[str]:
    """Yield the comments that silence a tool without saying why."""
    for module in modules.values():
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            if token.type != tokenize.COMMENT or not EXCEPTION.search(token.string):
                continue
            if not REASONED.search(token.string):
                yield at(
                    module,
                    token.start[0],
                    f"{token.string!r} gives no reason; write `# noqa: X123 — because …`"
                    " or `# type: ignore[code]  # because …`",
                )


def sleeps(modules: Modules) -> Iterator[str]:
    """Yield the places that let time pass; `asyncio.sleep(0)` only lets others run."""
    for module in modules.values():
        origins = local_names(module.tree)
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            first, _, rest = ast.unparse(node.func).partition(".")
            called = f"{origins.get(first, first)}.{rest}".rstrip(".")
            times = [*node.args[:1], *(keyword.value for keyword in node.keywords)]
            no_time = [ast.unparse(each) for each in times[:1]] == ["0"]
            pauses = called in {"asyncio.sleep", "anyio.sleep"} and not no_time
            if called == "time.sleep" or pauses:
                yield at(
                    module,
                    node.lineno,
                    f"{called} in a test is slow and still fails on a busy machine; wait for the"
                    " event itself, or move the clock of tarry.testing",
                )


def local_names(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name stands for: `from time import sleep as s` gives s."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names |= {a.asname: f"{prefix}{a.name}" for a in node.names if a.asname}
            names |= {a.name: f"{prefix}{a.name}" for a in node.names if prefix and not a.asname}
    return names


def at(module: Module, line: int, text: str) -> str:
    return f"{module.path}:{line}: {text}"


def part_of(module: Module) -> str:
    """Return the folder or file directly below the package: `app`, `exchange`, `__init__`."""
    return module.inside.partition("/")[0].removesuffix(".py")


def inner_imports(modules: Modules) -> Iterator[tuple[Module, int, Module]]:
    for module in modules.values():
        for imported in module.imports:
            if target := resolve(imported.target, modules):
                yield module, imported.line, modules[target]
