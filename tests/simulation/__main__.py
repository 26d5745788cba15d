"""`python -m tests.simulation`: any number of seeds, on all cores; see scripts/simulate.sh."""

# ruff: noqa: T201 - it is a command

import argparse
import os
import sys
import time
from collections.abc import Iterable
from typing import Final

from tests.simulation.bugs import BUGS
from tests.simulation.group_bugs import GROUP_BUGS
from tests.simulation.group_runner import run_group_seed
from tests.simulation.runner import run_seed, run_seeds
from tests.simulation.story import Outcome

_SHOWN_LINES: Final = 60


def report(
    outcomes: Iterable[Outcome], again: str, *, is_first_enough: bool, whole_trace: bool
) -> int:
    """Print what became of each seed, and how to run it `again`; gives how many failed."""
    started, count, failed = time.monotonic(), 0, 0
    for outcome in outcomes:
        count += 1
        if whole_trace:
            print(*outcome.lines, sep="\n")
        print(outcome, flush=True)
        if outcome.failures:
            failed += 1
            if not whole_trace:
                print(f"    the last of {len(outcome.lines)} lines of its trace:")
                print(*outcome.lines[-_SHOWN_LINES:], sep="\n")
            print(*outcome.failures, sep="\n")
            print(f"    again: {again} --first {outcome.seed} --trace", flush=True)
            if is_first_enough:
                break
    seconds = time.monotonic() - started
    print(f"{count} seeds in {seconds:.0f} s, {failed} failed")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulate", description="Simulate clusters.")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--groups", action="store_true", help="of consumer groups")
    parser.add_argument("--bug", help="plant this in the product first")
    parser.add_argument("--stop", action="store_true", help="end with the first failure")
    parser.add_argument("--trace", action="store_true", help="print all that happened")
    given = parser.parse_args()
    run, bugs = (run_group_seed, GROUP_BUGS) if given.groups else (run_seed, BUGS)
    if given.bug not in {None, *bugs}:
        parser.error(f"there is no bug {given.bug}; there are {', '.join(sorted(bugs))}")
    seeds = range(given.first, given.first + given.seeds)
    outcomes = run_seeds(seeds, given.bug, min(given.jobs, len(seeds)), run)
    again = f"./scripts/simulate.sh{' --groups' if given.groups else ''}"
    failed = report(outcomes, again, is_first_enough=given.stop, whole_trace=given.trace)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
