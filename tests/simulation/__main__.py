"""`python -m tests.simulation --seeds N`: see scripts/simulate.sh."""

import argparse
import sys

from tests.simulation.story import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulate")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--trace", action="store_true")
    given = parser.parse_args()
    failed = 0
    for seed in range(given.first, given.first + given.seeds):
        outcome = simulate(seed)
        if given.trace:
            print(*outcome.trace.lines, sep="\n")
        print(outcome, flush=True)
        if outcome.failures:
            failed += 1
            print(*outcome.failures, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
