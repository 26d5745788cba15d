"""What a case is: a name on the command line, and a function that gives rows."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.row import Row
from benchmarks.testbed import Testbed


class Case(NamedTuple):
    """One file in `cases/`."""

    name: str
    run: Callable[[Testbed], Sequence[Row]]
    why_not: Callable[[], str | None] = lambda: None
    """Why it cannot be run here, in a sentence, or None."""
    is_by_default: bool = True
    """Whether it is run where no case is named."""
