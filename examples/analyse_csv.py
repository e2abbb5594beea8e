"""What is in the columns of a CSV file, however large it is.

python examples/analyse_csv.py      # then open http://127.0.0.1:8000
curl -F file=@table.csv http://127.0.0.1:8000/analysis
"""

import csv
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

from tarry import App, Body, HttpError, Job, SendFile, Upload

MISSING = {"", "NA", "N/A", "NULL", "null", "None", "NaN", "nan"}
MAX_LINE, MAX_SHORT, MAX_DISTINCT = 1_000_000, 200, 10_000  # characters, characters, values
app = App()
app.add_route("/", lambda: Path(__file__).with_suffix(".html"))


@dataclass
class Column:
    """What the values are like: of numbers the mean and so on, of few short ones how many."""

    name: str
    count: int
    missing: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    distinct: int | None
    most_frequent: str | None


class Tally:
    """The values of one column, as they come; `total` is NaN if one of them is no number."""

    def __init__(self) -> None:
        self.count, self.missing = 0, 0
        self.minimum, self.maximum, self.total = math.inf, -math.inf, 0.0
        self.short: Counter[str] = Counter()

    def add(self, text: str) -> None:
        if text in MISSING:
            self.missing += 1
            return
        self.count += 1
        if text in self.short or (len(text) <= MAX_SHORT and len(self.short) < MAX_DISTINCT):
            self.short[text] += 1
        if not math.isnan(self.total):
            value = number(text)
            self.total += value
            if value < self.minimum:
                self.minimum = value
            if value > self.maximum:
                self.maximum = value

    def column(self, name: str) -> Column:
        numbers, values = (None, None, None), (None, None)
        if self.count and not math.isnan(self.total):
            numbers = (self.minimum, self.maximum, self.total / self.count)
        if self.count and self.short.total() == self.count:
            values = (len(self.short), self.short.most_common(1)[0][0])
        return Column(name, self.count, self.missing, *numbers, *values)


def number(text: str) -> float:
    """What the text means; NaN if that is no number."""
    try:
        value = float(text)
        return value if math.isfinite(value) else math.nan
    except ValueError:
        return math.nan


@app.job("/analysis", cpu=True, max_body_bytes=4 * 1024**3)
def analysis(file: Upload, job: Job) -> list[Column]:
    with TextIOWrapper(file.file, "utf-8-sig", newline="") as text:
        rows = rows_of(text)
        names = next(rows)
        tallies = [Tally() for _ in names]
        for done, row in enumerate(rows):
            if done % 500 == 0:
                job.progress(file.file.tell(), file.size_bytes, f"{done:,} rows")
            for tally, value in zip(tallies, row, strict=True):
                tally.add(value.strip())
    return [tally.column(name) for tally, name in zip(tallies, names, strict=True)]


def rows_of(text: TextIOWrapper) -> Iterator[list[str]]:
    """The names of the columns, then row by row; what is wrong with the file is a 422."""
    try:
        delimiter = max(",;\t", key=text.readline(MAX_LINE).count)
        text.seek(0)
        lines = iter(lambda: text.readline(MAX_LINE), "")  # of a file without line breaks a part
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        names = next(filter(None, reader), [])
        if not any(math.isnan(number(name)) for name in names):
            raise HttpError(422, "the first line has to name the columns")
        yield [name.strip() or f"column {place}" for place, name in enumerate(names, 1)]
        for row in filter(None, reader):
            if len(row) != len(names):
                detail = f"line {reader.line_num} has {len(row)} instead of {len(names)} values"
                raise HttpError(422, detail)
            yield row
    except UnicodeDecodeError:
        raise HttpError(422, "the file is not UTF-8; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise HttpError(422, f"line {reader.line_num}: {error}") from None


@app.job("/table")
def table(columns: Annotated[list[Column], Body], job: Job) -> SendFile:
    file = job.folder / "columns.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(field.name for field in fields(Column))
        writer.writerows(map(astuple, columns))
    return SendFile(file, download=True)


if __name__ == "__main__":
    app.run()
