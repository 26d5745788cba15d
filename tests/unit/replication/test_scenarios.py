"""The scenarios in tests/scenarios/replication, played with real partitions and logs."""

import asyncio
from pathlib import Path

import pytest

from tests.support.replica_set import ReplicaSet
from tests.support.scenario_file import check_scenario

_SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios" / "replication").glob("*.txt"))


@pytest.mark.parametrize("path", _SCENARIOS, ids=lambda path: path.stem)
def test_replicas_do_what_the_scenario_says(path: Path) -> None:
    async def play() -> None:
        replicas = ReplicaSet()
        try:
            check_scenario(path, replicas.run)
        finally:
            replicas.close()

    asyncio.run(play())
