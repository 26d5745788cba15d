"""Fixtures of the suites that run whole clusters."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ensemble import ZooKeeperEnsemble
from tests.support.zookeeper import RealZooKeeper


@pytest.fixture
def ensemble(tmp_path: Path) -> Iterator[ZooKeeperEnsemble]:
    """Three Apache ZooKeepers of the test's own, to be killed at will."""
    reason = RealZooKeeper.why_unavailable()
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with ZooKeeperEnsemble(tmp_path / "ensemble") as running:
        yield running
