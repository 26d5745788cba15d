"""What the tests of the broker's shells share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.partitions import Logs


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    """Real logs in a directory of the test's own."""
    made = Logs(tmp_path)
    yield made
    made.directories.close()
