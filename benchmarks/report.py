"""The results as tables for people and as a JSON document for programs."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from benchmarks.measure import Settings
from benchmarks.results import Cell, RowResult
from benchmarks.rows import YARDSTICK

SUBJECT = "tarry"
"""The contender that the goals are for."""

NOTHING = "-"
COLUMNS = (
    "contender",
    "",
    "x canned",
    "lowest-highest",
    "requests/s",
    "p50 µs",
    "p99 µs",
    "seconds",
    "MiB more",
)


def heading(settings: Settings, facts: dict[str, object]) -> str:
    """Where and how was measured, in two lines, because no figure means much without it."""
    cores = settings.cores
    return (
        f"{facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, "
        f"Python {facts['python']}, commit {facts['commit']}\n"
        f"{settings.rounds} rounds of {settings.seconds} s; "
        f"server on core {cores.server}, load generator on core {cores.load}"
    )


def row_text(result: RowResult) -> str:
    """One row as a table, the cheapest contender first, with the goal and whether it is met."""
    head = list(COLUMNS)
    head[1] = result.row.unit
    shown = sorted((cell for cell in result.cells if cell.valid), key=cost)
    lines = [f"{result.row.name}: {result.row.title}"]
    if shown:
        lines += aligned(used_columns([head, *(cell_texts(result, cell) for cell in shown)]))
    lines += [f"  {cell.contender}: {cell.problem}" for cell in result.cells if not cell.valid]
    return "\n".join([*lines, *goal_lines(result)])


def cost(cell: Cell) -> float:
    """The median cost, to sort by."""
    return cell.median("cost") or 0.0


def cell_texts(result: RowResult, cell: Cell) -> list[str]:
    """The columns of one contender."""
    ratios = result.ratios(cell.contender)
    return [
        cell.contender,
        number(cell.median("cost"), 0 if result.row.tool in ("idle", "parked") else 1),
        number(result.ratio(cell.contender), 2),
        f"{min(ratios):.2f}-{max(ratios):.2f}" if ratios else NOTHING,
        number(cell.median("requests_per_second"), 0),
        number(cell.median("p50_us"), 0),
        number(cell.median("p99_us"), 0),
        number(cell.median("elapsed_seconds"), 2),
        number(cell.median("memory_growth_mib"), 1),
    ]


def number(value: float | None, digits: int) -> str:
    """A figure with spaces between thousands, or a dash if there is none."""
    return NOTHING if value is None else f"{value:,.{digits}f}".replace(",", " ")


def used_columns(table: list[list[str]]) -> list[list[str]]:
    """The table without the columns that hold no figure."""
    used = [any(text != NOTHING for text in column[1:]) for column in zip(*table, strict=True)]
    return [[text for text, keep in zip(line, used, strict=True) if keep] for line in table]


def aligned(table: list[list[str]]) -> list[str]:
    """The lines of a table: names to the left, figures to the right."""
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = []
    for name, *figures in table:
        cells = [text.rjust(width) for text, width in zip(figures, widths[1:], strict=True)]
        lines.append("  " + "  ".join([name.ljust(widths[0]), *cells]))
    return lines


def goal_lines(result: RowResult) -> list[str]:
    """The verdicts on the goals; nothing for a row without one."""
    row, lines = result.row, []
    if row.goal is not None:
        lines.append(goal_line("x canned", row.goal, result.ratio(SUBJECT)))
    if row.most_cost is not None:
        lines.append(goal_line(row.unit, row.most_cost, result.cell(SUBJECT).median("cost")))
    if row.beside:
        what = f"x {row.beside}" + ("'s time" if row.tool == "upload" else "")
        lines.append(goal_line(what, row.most_beside, result.ratio_beside(SUBJECT)))
    if row.most_memory_growth_mib is not None:
        growth_mib = result.cell(SUBJECT).median("memory_growth_mib")
        lines.append(goal_line("MiB more memory", row.most_memory_growth_mib, growth_mib))
    return lines


def goal_line(what: str, most: float | None, figure: float | None) -> str:
    """One goal and whether it is reached; without a goal the figure alone."""
    shown = "no figure" if figure is None else f"{figure:.2f}"
    if most is None:
        return f"  {SUBJECT}: {shown} {what}"
    verdict = "no figure"
    if figure is not None:
        verdict = f"{'reached' if figure <= most else 'NOT reached'} ({shown})"
    return f"  goal: {SUBJECT} <= {most} {what}: {verdict}"


def document(
    results: Iterable[RowResult],
    settings: Settings,
    facts: dict[str, object],
    versions: dict[str, dict[str, str]],
    date: str,
) -> dict[str, Any]:
    """Everything that was measured, raw, with what is needed to judge or repeat it."""
    return {
        "date": date,
        "machine": facts,
        "settings": asdict(settings),
        "yardstick": YARDSTICK,
        "versions": versions,
        "rows": [row_document(result) for result in results],
    }


def row_document(result: RowResult) -> dict[str, Any]:
    """One row: medians first, then the samples of every round."""
    return {
        "name": result.row.name,
        "title": result.row.title,
        "unit": result.row.unit,
        "goal": result.row.goal,
        "goal_reached": result.reached(SUBJECT),
        "most_cost": result.row.most_cost,
        "beside": result.row.beside,
        "most_beside": result.row.most_beside,
        "ratio_beside": result.ratio_beside(SUBJECT),
        "most_memory_growth_mib": result.row.most_memory_growth_mib,
        "contenders": [
            {
                "name": cell.contender,
                "valid": cell.valid,
                "problem": cell.problem,
                "cost": cell.median("cost"),
                "ratio": result.ratio(cell.contender),
                "ratios": result.ratios(cell.contender),
                "requests_per_second": cell.median("requests_per_second"),
                "p50_us": cell.median("p50_us"),
                "p99_us": cell.median("p99_us"),
                "samples": [asdict(sample) for sample in cell.samples],
            }
            for cell in result.cells
        ],
    }
