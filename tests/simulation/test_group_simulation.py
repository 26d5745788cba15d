"""Consumer groups in trouble, a bounded number of them; ./scripts/simulate.sh --groups runs any."""

import os
from typing import Final

import pytest

from tests.simulation.group_bugs import GROUP_BUGS
from tests.simulation.group_runner import run_group_seed
from tests.simulation.runner import run_seeds

_SEEDS: Final = int(os.environ.get("SIMULATED_GROUP_SEEDS", "20"))
_JOBS: Final = os.cpu_count() or 1
_SHOWN_LINES: Final = 40
_CATCHING_SEEDS: Final = (*range(1, 16), 25)
_RARELY_CAUGHT: Final = frozenset({"coordinate_without_looking"})
"""How many seeds it takes is in docs/design/simulation.md."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_groups_in_trouble_keep_every_promise() -> None:
    committed = 0
    for outcome in run_seeds(range(1, 1 + _SEEDS), jobs=_JOBS, run=run_group_seed):
        if outcome.failures:
            lines = "\n".join(map(str, outcome.lines[-_SHOWN_LINES:]))
            pytest.fail(f"{outcome}\n{lines}\n" + "\n".join(outcome.failures), pytrace=False)
        committed += outcome.acknowledged
    assert committed > _SEEDS


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", sorted(GROUP_BUGS.keys() - _RARELY_CAUGHT))
def test_planted_bug_is_caught(bug: str) -> None:
    outcomes = run_seeds(_CATCHING_SEEDS, bug, _JOBS, run_group_seed)
    assert any(outcome.failures for outcome in outcomes)
