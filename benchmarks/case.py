"""What a case is: a name on the command line, and a function that gives rows."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.row import Row
from benchmarks.testbed import Testbed


class Case(NamedTuple):
    """One file in `cases/`."""

    name: str
    run: Callable[[Testbed], Sequence[Row]]
    needs_wrk: bool = False
