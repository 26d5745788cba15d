"""Which core the server has, and which the load."""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple


class Cores(NamedTuple):
    """One core each; the same where there is only one."""

    server: int
    load: int


def choose_cores() -> Cores:
    """Of those that this process may use, the first for the server, the last for the load."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[-1])


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run on one core; threads and processes started meanwhile stay on it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
