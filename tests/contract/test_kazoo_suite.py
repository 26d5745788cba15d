"""kazoo's own test suite passes against the embedded ZooKeeper as it does against Apache's.

What is left out, with its reason, was found by running the suite against Apache ZooKeeper 3.8 as a
standalone server.
"""

import os
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import kazoo.tests
import kazoo.version
import pytest

_REPOSITORY = Path(__file__).parents[2]
_SUITE = Path(kazoo.tests.__file__).parent
_TIMEOUT_S = 200

_IGNORED_FILES = {
    "test_sasl.py": "needs pure-sasl and a server with JAAS",
    "test_gevent_handler.py": "needs gevent",
    "test_eventlet_handler.py": "needs eventlet",
}
_DESELECTED = {
    "test_client.py::TestSSLClient::test_create": "needs a TLS port",
    "test_client.py::TestReconfig::test_no_super_auth": "a standalone server has no quorum",
    "test_client.py::TestReconfig::test_add_remove_observer": "a standalone server has no quorum",
    "test_client.py::TestReconfig::test_bad_input": "a standalone server has no quorum",
    "test_connection.py::TestReadOnlyMode::test_read_only": "needs an ensemble of three",
}
# Apache's server, busy starting again, can leave the client's first connect without an answer for
# longer than these two tests wait.
_DESELECTED_FOR_REAL = {
    "test_client.py::TestClient::test_request_queuing_session_recovered": "restarts the server",
    "test_client.py::TestClient::test_request_queuing_session_expired": "restarts the server",
}
# It counts on nobody at ZooKeeper's own port, where a developer's cluster may be running.
_NEEDS_FREE_PORT = "test_utils.py::TestCreateTCPConnection::test_slow_connect"
_SKIPPED_BY_KAZOO = 2  # one runs in kazoo's CI only, one needs eventlet
_PASSED_OF_2_11 = {"embedded": 307, "real": 305}

# The suite mostly sleeps; these parts run side by side, each against a server of its own.
_PARTS = (
    ["test_watchers.py", "test_threading_handler.py"],
    ["test_partitioner.py", "test_connection.py"],
    ["test_selectors_select.py", "test_lock.py", "test_cache.py"],
)


def _parts() -> Iterator[list[str]]:
    """The files of each part; the last part is all files that no other part names."""
    named = {name for part in _PARTS for name in part} | set(_IGNORED_FILES)
    yield from _PARTS
    yield sorted(path.name for path in _SUITE.glob("test_*.py") if path.name not in named)


def _start(part: list[str], server: str, directory: Path) -> subprocess.Popen[bytes]:
    directory.mkdir()
    names = [*_DESELECTED, *(_DESELECTED_FOR_REAL if server == "real" else ())]
    if _default_port_is_taken():
        names.append(_NEEDS_FREE_PORT)
    deselected = [f"--deselect={name}" for name in names]
    command = [
        *[sys.executable, "-m", "pytest", "-p", "tests.support.kazoo_harness"],
        # Schemathesis' plugin keeps objects alive that kazoo's tests count.
        *["-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:schemathesis"],
        *[
            "-c",
            os.devnull,
            "--rootdir",
            str(_SUITE),
        ],
        *["-q", "--timeout=60", "--junitxml", str(directory / "results.xml"), *deselected],
        *[str(_SUITE / name) for name in part],
    ]
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {
        "PYTHONPATH": str(_REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "KAZOO_SUITE_SERVER": server,
        "KAZOO_SUITE_DIRECTORY": str(directory / "server"),
    }
    with (directory / "output.txt").open("wb") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=output)


def _default_port_is_taken() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", 2181)) == 0


def _count(directory: Path) -> tuple[int, int]:
    """Tests that passed and tests that were skipped."""
    suite = ET.parse(directory / "results.xml").getroot()[0]
    tests, skipped, failures, errors = (
        int(suite.attrib[name]) for name in ("tests", "skipped", "failures", "errors")
    )
    return tests - skipped - failures - errors, skipped


@pytest.mark.slow
@pytest.mark.timeout(_TIMEOUT_S + 30)
@pytest.mark.parametrize("server", ["embedded", pytest.param("real", marks=pytest.mark.zookeeper)])
def test_kazoo_suite_passes_when_run_against_standalone_server(
    server: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if server == "real":
        request.getfixturevalue("real_zookeeper")  # skips or fails where it is not installed
    directories = [tmp_path / str(number) for number in range(len(_PARTS) + 1)]
    processes = [
        _start(part, server, directory)
        for part, directory in zip(_parts(), directories, strict=True)
    ]
    try:
        codes = [process.wait(_TIMEOUT_S) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
                process.wait()
    outputs = [(directory / "output.txt").read_text() for directory in directories]
    assert codes == [0] * len(codes), "\n".join(
        output[-6000:] for output, code in zip(outputs, codes, strict=True) if code
    )
    counts = [_count(directory) for directory in directories]
    assert sum(skipped for _, skipped in counts) == _SKIPPED_BY_KAZOO
    if kazoo.version.__version__.startswith("2.11."):
        expected = _PASSED_OF_2_11[server] - _default_port_is_taken()
        assert sum(passed for passed, _ in counts) == expected
