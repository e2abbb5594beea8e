"""The ten longest files and functions of src: numbers to look at, not a gate.

Run it from the top of the checkout: `python -m tools.shape [FOLDER]`.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from statistics import quantiles

from tools.source import Module, read_package

ROWS = 10


def main(arguments: list[str]) -> int:
    """Print the tables for the package in `arguments`, or for src/tarry."""
    folder = Path(arguments[0] if arguments else "src/tarry")
    modules = list(read_package(folder).values())
    if not modules:
        print(f"no Python files in {folder}")
        return 1

    files = [(module.text.count("\n"), module.inside) for module in modules]
    functions = [entry for module in modules for entry in function_lengths(module)]
    table("files", files)
    table("functions", functions)
    return 0


def function_lengths(module: Module) -> list[tuple[int, str]]:
    """Return (lines, place and name) of each function; a nested one counts for both."""
    return [
        (1 + (node.end_lineno or 0) - node.lineno, f"{module.inside}:{node.lineno} {node.name}")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def table(title: str, entries: list[tuple[int, str]]) -> None:
    """Print the longest entries and how the lengths are spread."""
    lengths = sorted(lines for lines, _ in entries)
    print(f"{len(lengths)} {title}, {sum(lengths)} lines")
    if len(lengths) > 1:
        percentiles = quantiles(lengths, n=100, method="inclusive")
        spread = {"median": percentiles[49], "p90": percentiles[89], "p99": percentiles[98]}
        print("  " + "   ".join(f"{name} {value:.0f}" for name, value in spread.items()))
    for lines, place in sorted(entries, key=lambda entry: (-entry[0], entry[1]))[:ROWS]:
        print(f"  {lines:5}  {place}")
    print()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
