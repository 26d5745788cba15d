"""The benchmarks run and check what they measure; how fast it was is no matter here."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.connection import Connection, make_request
from benchmarks.single_records import BODY
from benchmarks.topics import create_topic
from benchmarks.waiting_readers import ReadersResult
from tests.support.broker import BrokerProcess
from tests.support.zookeeper import EmbeddedZooKeeper

_ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_benchmark_of_raw_batches_prints_its_table_and_writes_its_values(tmp_path: Path) -> None:
    values = tmp_path / "values.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", "raw-batches", "--quick"),
            *("--json", values, "--directory", tmp_path),
        ],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| Case ")
    rows = json.loads(values.read_text())["rows"]
    assert [row["what"] for row in rows if row["goal"] is None] == []
    assert {row["case"] for row in rows} == {"raw-batches"}
    assert all(len(row["values"]) == 2 for row in rows)


def test_case_that_is_not_there_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "bogus"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no case bogus; there are json-produce, rest-produce" in done.stderr


@pytest.mark.slow
def test_readers_that_wait_get_what_is_produced(tmp_path: Path) -> None:
    with (
        EmbeddedZooKeeper(tmp_path / "zookeeper") as zookeeper,
        BrokerProcess(tmp_path / "broker", zookeeper.hosts) as broker,
    ):
        create_topic(broker.port, "t")
        readers = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.waiting_readers"),
                *(str(broker.port), "6", "t", "5", "t"),
            ],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert readers.stdout is not None
            assert readers.stdout.readline() == "ready\n"
            with Connection(broker.port) as connection:
                for _ in range(3):
                    connection.expect(
                        make_request("POST", "/v1/topics/t/records", BODY, "application/json")
                    )
        finally:
            readers.terminate()
            output, _ = readers.communicate(timeout=60)
    result = msgspec.json.decode(output, type=ReadersResult)
    assert result.records == 3 * 5
    assert 5 <= result.events <= 15
    assert 6 <= result.answers <= 18
