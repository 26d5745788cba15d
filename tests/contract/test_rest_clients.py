"""Clients of REST Proxy that others wrote and published work on a broker, unchanged.

The programs that use them are in `rest_clients`; each prints, as JSON, what it was told.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.broker import BrokerProcess
from tests.support.standalone_broker import standalone_broker
from tests.support.tools import is_there, require_tool

pytestmark = pytest.mark.slow

_PROGRAMS: Final = Path(__file__).parent / "rest_clients"
_TIMEOUT_S: Final = 120.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with standalone_broker(tmp_path_factory.mktemp("rest-clients")) as running:
        yield running


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clients in Python, in a directory of their own."""
    directory = tmp_path_factory.mktemp("packages")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(directory)]
    wanted = ["--requirement", str(_PROGRAMS / "requirements.txt")]
    _run([sys.executable, "-m", "pip", "install", *options, *wanted])
    return directory


def _run(
    command: Sequence[str],
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> str:
    """What a command that goes well prints."""
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _said(packages: Path, program: str, broker: BrokerProcess) -> Any:
    command = [sys.executable, str(_PROGRAMS / program), broker.url]
    return json.loads(_run(command, environ={"PYTHONPATH": str(packages)}))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_client_of_strimzis_bridge(broker: BrokerProcess, packages: Path) -> None:
    stored = [_b64(value) for value in (b'"one"', b'"two"', b'"three"', b"\x00\xff")]
    # It commits the offset of the last record that it has read, whichever the proxy. Strimzi's goes
    # on with that record, Confluent's behind it; so a broker that mixes them up shows here.
    assert _said(packages, "use_bridge_client.py", broker) == {
        "strimzi": [stored, stored[-1:]],
        "confluent": [stored, []],
    }


def test_client_that_waits_for_its_keys(broker: BrokerProcess, packages: Path) -> None:
    assert _said(packages, "use_nlp_client.py", broker) == [
        {"endpoint": "endpoint", "payload": "text"},
        {"endpoint": "endpoint", "payload": {"b": 1}},
    ]


def test_client_of_mapr(broker: BrokerProcess, packages: Path) -> None:
    assert _said(packages, "use_mapr_client.py", broker) == {
        "read": [{"n": 1}] * 4,
        "from the beginning": [0, 1, 2, 3],
        "from a position": [2, 3],
        "of another instance": [],  # all of it was committed when the first one was deleted
    }


def test_client_of_version_3(broker: BrokerProcess, packages: Path) -> None:
    said = _said(packages, "use_v3_client.py", broker)
    assert said.pop("again").endswith(
        '{"error_code":40002,"message":"Topic \'v3\' already exists."}'
    )
    assert '404 - {"error_code":40403,' in said.pop("no topic")
    assert said == {
        "topics": ["v3"],
        "partitions": [0, 1],
        "brokers": [0],
        "configs": ["7200000", "70000", "gzip"],
        "reports": [
            [200, 0, {"type": "JSON", "size": 7}],
            [200, 1, {"type": "STRING", "size": 4}],
            [200, 2, {"type": "BINARY", "size": 2}],
            [42205, None, None],
        ],
        "read": [
            [_b64(b'{"n":1}'), [{"key": "h", "value": "AAE="}]],
            [_b64(b"text"), None],
            [_b64(b"\x00\xff"), None],
        ],
        "group": "STABLE",
        "consumers": ["rest-consumer-one"],
        "lags": [1],
        "lag": 1,
        "group without consumers": "EMPTY",
    }


def test_client_of_version_1_in_javascript(broker: BrokerProcess, tmp_path: Path) -> None:
    require_tool("javascript", "npm", lambda: is_there("node", "npm"))
    for name in ("package.json", "package-lock.json", "use_kafka_rest.js"):
        shutil.copy(_PROGRAMS / name, tmp_path)
    _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], tmp_path)
    options = ["--no-deprecation"]  # it is older than Buffer.from
    assert json.loads(_run(["node", *options, "use_kafka_rest.js", broker.url], tmp_path)) == {
        "produced": [[[0, 0]], [[0, 1], [0, 2], [0, 3]], [[0, 4], [0, 5]]],
        "brokers": ["Broker{id=0}"],
        "topics": ["npm"],
        "cleanup": "delete",
        "partitions": ['Partition{topic="npm", id=0, leader=0, replicas=1}'],
        "partition": 0,
        "no topic": [404, 40403],
        "no partition": [404, 40402],
        "avro": [422, 42205],
        "committed": [],
        "gone": [404, 40403],
    }
