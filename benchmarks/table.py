"""The rows as a table in Markdown."""

from collections.abc import Sequence

from benchmarks.row import Row, quantity

_HEADS = ("Case", "Measured", "Median", "Spread", "Ratio", "Goal", "Met", "Note")
_VERDICTS = {None: "", True: "yes", False: "**no**"}


def render_table(rows: Sequence[Row]) -> str:
    """Columns are padded, so that it can be read in a terminal, too."""
    cells = [_HEADS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADS))]
    lines = [
        "| "
        + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        + " |"
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = row.ratio
    return (
        row.case,
        row.what,
        f"{quantity(row.median)} {row.unit}",
        f"{row.spread:.0%}" if len(row.values) > 1 else "",
        "" if ratio is None else f"{ratio:.2f} of {row.baseline}",
        "" if row.goal is None else f"{row.goal}{'' if ratio is not None else f' {row.unit}'}",
        _VERDICTS[row.is_met],
        row.note,
    )
