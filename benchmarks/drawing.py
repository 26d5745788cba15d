"""Rows that have a baseline as a picture: how many times as fast, on a logarithmic scale."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from statistics import median
from typing import Final

from benchmarks.row import Row, quantity

_WIDTH: Final = 960
_ROW: Final = 30
_TOP: Final = 74
_LABEL_X: Final = 24
_OURS_END: Final = 480
_THEIRS_END: Final = 628
_SCALE_START: Final = 650
_SCALE_END: Final = 886
_BAR: Final = 14
_CAPTION: Final = 18
_TICKS: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_STYLE: Final = """
.card { fill: #ffffff; stroke: #d0d7de }
text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.quiet { fill: #59636e; font-size: 12px }
.grid { stroke: #d8dee4 }
.even { stroke: #59636e; stroke-width: 1.5 }
.ahead { fill: #1f883d }
.behind { fill: #bc4c00 }
.goal { stroke: #0969da; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
.card { fill: #0d1117; stroke: #3d444d }
text { fill: #f0f6fc }
.quiet { fill: #9198a1 }
.grid { stroke: #2a3139 }
.even { stroke: #9198a1 }
.ahead { fill: #3fb950 }
.behind { fill: #db6d28 }
.goal { stroke: #58a6ff }
}
"""


def draw_comparison(rows: Sequence[Row], captions: Sequence[str]) -> str:
    """An SVG document, legible on light and on dark pages.

    Args:
        rows: those without a baseline are left out.
        captions: lines that go below, such as what it was measured on.
    """
    compared = [row for row in rows if row.baseline_values]
    bottom = _TOP + _ROW * len(compared)
    height = bottom + 44 + _CAPTION * len(captions)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="kafkalite beside Apache Kafka">',
        f"<style>{_STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
        *_heads(),
        *_grid(bottom),
    ]
    for number, row in enumerate(compared):
        parts += _bar(row, _TOP + _ROW * number)
    parts.append(_text(_LABEL_X, bottom + 36, "Blue mark: the goal. Longer is better.", "quiet"))
    for number, caption in enumerate(captions):
        parts.append(_text(_LABEL_X, bottom + 36 + _CAPTION * (number + 1), caption, "quiet"))
    parts.append("</svg>\n")
    return "\n".join(parts)


def times_as_fast(row: Row) -> float:
    """How many times as fast as the baseline; a row whose goal is a most counts time, not speed."""
    ratio = row.ratio
    if ratio is None:
        raise ValueError(f"{row.what} is compared with nothing")
    return 1 / ratio if _is_time(row) else ratio


def _is_time(row: Row) -> bool:
    return row.goal is not None and not row.goal.at_least


def _heads() -> Iterator[str]:
    yield _text(
        _LABEL_X, 32, "kafkalite and Apache Kafka 3.9.1, each with its Python client", "title"
    )
    yield _text(_LABEL_X, 58, "one core for the servers, one for the client", "quiet")
    yield _text(_OURS_END, 58, "kafkalite", "quiet", "end")
    yield _text(_THEIRS_END, 58, "Kafka", "quiet", "end")


def _grid(bottom: int) -> Iterator[str]:
    for tick in _TICKS:
        x = _place(tick)
        yield (
            f'<line class="{"even" if tick == 1 else "grid"}" x1="{x}" y1="{_TOP - 6}" '
            f'x2="{x}" y2="{bottom}"/>'
        )
        yield _text(x, bottom + 16, f"{tick:g}x", "quiet", "middle")


def _bar(row: Row, top: int) -> Iterator[str]:
    """A row of the table: what, both values, and the bar from 1 to how many times as fast."""
    fast = times_as_fast(row)
    base, end = _place(1.0), _place(fast)
    middle = top + _ROW // 2
    theirs = f"{quantity(median(row.baseline_values))} {row.unit}"
    yield _text(_LABEL_X, middle + 4, row.what)
    yield _text(_OURS_END, middle + 4, f"{quantity(row.median)} {row.unit}", anchor="end")
    yield _text(_THEIRS_END, middle + 4, theirs, "quiet", "end")
    yield (
        f'<rect class="{"ahead" if fast >= 1 else "behind"}" x="{min(base, end)}" '
        f'y="{middle - _BAR // 2}" width="{round(abs(end - base), 1)}" height="{_BAR}" rx="2"/>'
    )
    if row.goal is not None:
        x = _place(1 / row.goal.bound if _is_time(row) else row.goal.bound)
        yield f'<line class="goal" x1="{x}" y1="{middle - 10}" x2="{x}" y2="{middle + 10}"/>'
    yield _text(_WIDTH - 20, middle + 4, f"{fast:.2f}x", anchor="end")


def _place(times: float) -> float:
    """Where on the scale a factor is; what is beyond its ends is at them."""
    low, high = math.log(_TICKS[0]), math.log(_TICKS[-1])
    share = (min(max(math.log(times), low), high) - low) / (high - low)
    return round(_SCALE_START + share * (_SCALE_END - _SCALE_START), 1)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "") -> str:
    attributes = (f' class="{kind}"' if kind else "") + (
        f' text-anchor="{anchor}"' if anchor else ""
    )
    return f'<text x="{x}" y="{y}"{attributes}>{escape(text)}</text>'
