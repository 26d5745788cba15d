"""One line of the result: what was measured, round by round, against what, and its goal."""

import statistics
from typing import NamedTuple


class Goal(NamedTuple):
    """A bound on a row's ratio where the row has one, else on its median."""

    bound: float
    at_least: bool
    """Whether the bound is the least that will do; otherwise it is the most."""

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {quantity(self.bound)}"


class Row(NamedTuple):
    """Values of one variant, one a round; those of the baseline come from the same rounds."""

    case: str
    what: str
    unit: str
    values: tuple[float, ...]
    baseline: str = ""
    baseline_values: tuple[float, ...] = ()
    goal: Goal | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """How far the rounds lie apart, as a share of the median."""
        return (max(self.values) - min(self.values)) / self.median

    @property
    def ratio(self) -> float | None:
        """Median over the rounds of value by baseline: what slows both in a round cancels out."""
        if not self.baseline_values:
            return None
        pairs = zip(self.values, self.baseline_values, strict=True)
        return statistics.median(value / base for value, base in pairs)

    @property
    def is_met(self) -> bool | None:
        """None where there is no goal."""
        if self.goal is None:
            return None
        ratio = self.ratio
        return self.goal.is_met(self.median if ratio is None else ratio)

    def document(self) -> dict[str, object]:
        """For `--json`."""
        return {
            **self._asdict(),
            "goal": None if self.goal is None else self.goal._asdict(),
            "median": self.median,
            "spread": self.spread,
            "ratio": self.ratio,
            "met": self.is_met,
        }


def quantity(value: float) -> str:
    """A number with as many digits as mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
