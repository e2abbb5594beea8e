"""What was measured, and the figures made of it: medians over rounds, ratios, goals."""

import statistics
from dataclasses import dataclass, field

from benchmarks.rows import YARDSTICK, Row


@dataclass(frozen=True)
class Sample:
    """One contender in one round; `problem` is empty when the figures count."""

    cost: float = 0.0
    """In the unit of the row: CPU µs per request, or bytes per connection."""
    requests: int = 0
    requests_per_second: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    server_busy: float | None = None
    """CPU seconds per second; well below 1 means that the load generator was the limit."""
    elapsed_seconds: float | None = None
    memory_growth_mib: float | None = None
    """How much the resident memory of the server rose, at its peak."""
    problem: str = ""


@dataclass
class Cell:
    """All samples of one contender in one row, in the order of the rounds."""

    contender: str
    samples: list[Sample] = field(default_factory=list)
    problem: str = ""
    """Why there are no figures, if there are none."""

    @property
    def valid(self) -> bool:
        """Whether every round could be measured without an error."""
        return bool(self.samples) and not self.problem

    def median(self, name: str) -> float | None:
        """The median over the rounds of one field of `Sample`; `None` if it was not measured."""
        values = [getattr(sample, name) for sample in self.samples]
        known = [value for value in values if value is not None]
        return statistics.median(known) if known and self.valid else None

    def add(self, sample: Sample) -> None:
        """Take the next round; the first problem makes the whole cell invalid."""
        self.samples.append(sample)
        self.problem = self.problem or sample.problem


@dataclass
class RowResult:
    """One row with a cell for everybody who takes part."""

    row: Row
    cells: list[Cell]

    def cell(self, contender: str) -> Cell:
        """The cell of a contender; an empty one if it did not take part."""
        found = (cell for cell in self.cells if cell.contender == contender)
        return next(found, Cell(contender, problem="not measured"))

    def ratios(self, contender: str) -> list[float]:
        """The cost as a multiple of the canned reply, for each round."""
        return self._ratios(contender, YARDSTICK, "cost")

    def _ratios(self, contender: str, other: str, name: str) -> list[float]:
        cell, yardstick = self.cell(contender), self.cell(other)
        if not (cell.valid and yardstick.valid):
            return []
        samples = zip(cell.samples, yardstick.samples, strict=True)
        pairs = [(getattr(one, name), getattr(its, name)) for one, its in samples]
        return [one / its for one, its in pairs if its > 0]

    def ratio(self, contender: str) -> float | None:
        """The median of the ratios; `None` if there are none."""
        ratios = self.ratios(contender)
        return statistics.median(ratios) if ratios else None

    def ratio_beside(self, contender: str) -> float | None:
        """The cost as a multiple of the row's other contender, or the time of an upload."""
        name = "elapsed_seconds" if self.row.tool == "upload" else "cost"
        ratios = self._ratios(contender, self.row.beside, name)
        return statistics.median(ratios) if ratios else None

    def reached(self, contender: str) -> bool | None:
        """Whether the goal of the row is met; `None` without a goal or without a figure."""
        ratio = self.ratio(contender)
        return None if ratio is None or self.row.goal is None else ratio <= self.row.goal
