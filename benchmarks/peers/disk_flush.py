"""What a flush takes by itself: whoever acknowledges flushed records cannot be faster than that."""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from benchmarks.row import quantity

_RECORD: Final = bytes(200)
"""About as large as a batch of one record of 100 bytes."""


def time_flushes(directory: Path, count: int) -> Sequence[float]:
    """Append a little to a file and `fdatasync` it, `count` times; gives ms of each flush."""
    taken_ms: list[float] = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(count):
            os.write(file.fileno(), _RECORD)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            taken_ms.append((time.perf_counter() - started) * 1e3)
    return taken_ms


def describe_flushes(taken_ms: Sequence[float]) -> str:
    """A few words of what they took, for a note."""
    slowest = quantiles(taken_ms, n=100)[98]
    return f"fdatasync alone: {quantity(median(taken_ms))} ms, p99 {quantity(slowest)} ms"
