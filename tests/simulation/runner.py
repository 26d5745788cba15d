"""Runs seeds, each in a fresh world, in this process or in several."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from tests.simulation.bugs import planted
from tests.simulation.story import Outcome, simulate

_SEEDS_A_WORKER: Final = 50
"""A process that has run so many makes room for a new one."""


def run_seed(seed: int, bug: str | None = None) -> Outcome:
    """One seed, with a bug planted in the product where one is named."""
    if bug is None:
        return simulate(seed)
    with planted(bug):
        return simulate(seed)


def run_seeds(
    seeds: Sequence[int],
    bug: str | None = None,
    jobs: int = 1,
    run: Callable[..., Outcome] = run_seed,
) -> Iterator[Outcome]:
    """Outcomes of `run` as they come, from processes that all hash strings alike.

    Sets of strings have an order that depends on that; a seed could not be repeated otherwise.
    """
    context = multiprocessing.get_context("spawn")
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = "0"
    try:
        with context.Pool(jobs, maxtasksperchild=_SEEDS_A_WORKER) as pool:
            yield from pool.imap_unordered(partial(run, bug=bug), seeds)
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before
