"""The benchmarks run and check what they measure; how fast it was is no matter here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
