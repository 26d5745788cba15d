"""Schemathesis tries all that `/openapi.json` describes: no bare 500s, and nothing undescribed.

Its inputs are the same each time. How it goes about it is in `openapi_fuzz`; by hand it goes
further:

    OPENAPI_FUZZ_CASES=500 OPENAPI_FUZZ_SEED=7 pytest tests/contract/test_openapi_fuzz.py
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_ROOT: Final = Path(__file__).parents[2]
_CONFIG: Final = Path(__file__).parent / "openapi_fuzz" / "schemathesis.toml"
_CASES: Final = os.environ.get("OPENAPI_FUZZ_CASES", "4")
"""Random ones of each operation, beside those that Schemathesis derives from each schema."""
_SEED: Final = os.environ.get("OPENAPI_FUZZ_SEED", "1")
_TIMEOUT_S: Final = 280 if _CASES == "4" else None


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    directory = tmp_path_factory.mktemp("openapi-fuzz")
    with BrokerProcess(directory, f"{embedded_zookeeper.hosts}/openapi-fuzz") as running:
        for name, partitions in (("flights", 3), ("t", 1)):
            body = {"name": name, "partitions": partitions}
            assert httpx.post(f"{running.url}/v1/topics", json=body).status_code == 201
        records = {"records": [{"key": "QQ==", "value": "e30="}] * 20}
        assert httpx.post(f"{running.url}/topics/flights", json=records).status_code == 200
        yield running


@pytest.mark.timeout(0 if _TIMEOUT_S is None else 300)
def test_whatever_is_sent_is_answered_as_the_document_says(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis",
            *("--config-file", _CONFIG),
            *("run", f"{broker.url}/openapi.json"),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", _CASES, "--seed", _SEED),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.contract.openapi_fuzz.hooks",
            "PYTHONPATH": str(_ROOT),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    operations = sum(len(item) for item in _paths(broker).values())
    assert f"Tested: {operations}\n" in done.stdout, "all that there are"
    assert broker.is_ready(), "it is none the worse for it"


def _paths(broker: BrokerProcess) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = httpx.get(f"{broker.url}/openapi.json").json()["paths"]
    return found
