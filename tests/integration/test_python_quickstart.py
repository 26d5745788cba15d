"""The program that README shows, as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.broker import BrokerProcess
from tests.support.zookeeper import EmbeddedZooKeeper

_ROOT = Path(__file__).parents[2]
_PROGRAM = _ROOT / "examples" / "python" / "quickstart.py"
_MOST_LINES = 24


def _run(broker: BrokerProcess) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(_PROGRAM), broker.address],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.slow
def test_it_sends_and_reads_and_goes_on_where_it_was(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    connect = f"{embedded_zookeeper.hosts}/python-quickstart"
    with BrokerProcess(tmp_path, connect) as broker:
        for first in (0, 10):
            last, *read = _run(broker)
            assert re.fullmatch(r"the last one is at RecordMetadata\(topic='departures', .*", last)
            assert f"offset={first + 9}," in last
            partition = read[0].split()[0]
            assert read == [
                f"{partition} {first + number} b'UA' {{'carrier': 'UA', 'flight': {number}}}"
                for number in range(10)
            ]


def test_readme_shows_it() -> None:
    shown = f"```python\n{_PROGRAM.read_text()}```\n"
    assert shown in (_ROOT / "README.md").read_text()


def test_it_is_short() -> None:
    assert len(_PROGRAM.read_text().splitlines()) <= _MOST_LINES
