"""Clients that others' generators make of `/openapi.json` compile, and work against a broker.

The programs that use them are in `openapi_clients`; they say the same in either language.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.tools import is_there, require_tool
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_PROGRAMS: Final = Path(__file__).parent / "openapi_clients"
_EXPECTED: Final = ['0 "UA" {"flight": 1545}', "UNKNOWN_TOPIC_OR_PARTITION true"]
_TIMEOUT_S: Final = 250.0
_NO_JSON: Final = {"fetch", "produce", "produce_stream"}
"""Operations whose bodies are msgpack or lines of JSON only: the generator does not know these."""
_GENERATOR_SETTINGS: Final = "package_name_override: kafkalite_http\npost_hooks: []\n"
_TYPES_CONFIG: Final = """\
[mypy]
# The generator's own, the same for every document.
[mypy-kafkalite_http.client]
ignore_errors = True
"""


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    directory = tmp_path_factory.mktemp("openapi-clients")
    with BrokerProcess(directory, f"{embedded_zookeeper.hosts}/openapi-clients") as running:
        yield running


def _run(command: Sequence[str | Path], directory: Path) -> str:
    """What a command that goes well says, its complaints included."""
    done = subprocess.run(
        command,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _document(broker: BrokerProcess) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{broker.url}/openapi.json", timeout=_TIMEOUT_S).json()
    return found


def _save_document(broker: BrokerProcess, directory: Path) -> Path:
    saved = directory / "openapi.json"
    saved.write_bytes(httpx.get(f"{broker.url}/openapi.json", timeout=_TIMEOUT_S).content)
    return saved


def test_typescript(broker: BrokerProcess, tmp_path: Path) -> None:
    require_tool("typescript", "npm", lambda: is_there("node", "npm"))
    for file in _PROGRAMS.iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    _save_document(broker, tmp_path)
    _run(["npm", "ci", "--no-audit", "--no-fund"], tmp_path)
    commands = tmp_path / "node_modules" / ".bin"
    # What has a default may be left out of a request; this generator thinks of answers.
    options = ["--default-non-nullable=false", "--output", "api.d.ts"]
    _run([commands / "openapi-typescript", "openapi.json", *options], tmp_path)
    _run([commands / "tsc", "--project", "."], tmp_path)
    said = _run(["node", "use_client.js", broker.url], tmp_path)
    assert said.replace('{"flight":1545}', '{"flight": 1545}').splitlines() == _EXPECTED


def test_python(broker: BrokerProcess, tmp_path: Path) -> None:
    _save_document(broker, tmp_path)
    (tmp_path / "generator.yaml").write_text(_GENERATOR_SETTINGS)
    (tmp_path / "mypy.ini").write_text(_TYPES_CONFIG)
    shutil.copy(_PROGRAMS / "use_client.py", tmp_path)
    bin_ = Path(sys.executable).parent
    options = ["--path", "openapi.json", "--meta", "none", "--config", "generator.yaml"]
    said = _run(
        [bin_ / "openapi-python-client", "generate", *options, "--output-path", "kafkalite_http"],
        tmp_path,
    )
    # Beside media types that it does not know there is nothing that it does not understand.
    troubles = re.findall(r"^(?:Unable|Unsupported|Cannot|Invalid|ERROR).*", said, re.MULTILINE)
    assert troubles, "it knows msgpack, or complains in other words"
    assert all(re.match("Unsupported content type", trouble) for trouble in troubles), said
    operations = {
        operation["operationId"]
        for item in _document(broker)["paths"].values()
        for operation in item.values()
    }
    made = {file.stem for file in (tmp_path / "kafkalite_http" / "api").glob("*/*.py")}
    assert operations - made == _NO_JSON
    _run([sys.executable, "-m", "mypy", "kafkalite_http", "use_client.py"], tmp_path)
    assert _run([sys.executable, "use_client.py", broker.url], tmp_path).splitlines() == _EXPECTED
