"""Tables for people, in columns of text."""

from collections.abc import Sequence


def table_of(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows, the first of which has the headings, as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(map(str.rstrip, lines))
