"""scripts/quickstart.sh, as a person would call it."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import BrokerProcess
from tests.support.zookeeper import EmbeddedZooKeeper, free_port

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "scripts" / "quickstart.sh"
DEPARTURES = 842


def quickstart(
    *arguments: object, script: Path = QUICKSTART, **environ: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *map(str, arguments)],
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "data"
    yield directory
    quickstart("stop", "--data", directory)


def a_tree_without_venv(directory: Path) -> Path:
    """The scripts as in a fresh clone; gives the copy's quickstart."""
    scripts = shutil.copytree(ROOT / "scripts", directory / "scripts")
    shutil.copy(ROOT / "pyproject.toml", directory)
    return scripts / "quickstart.sh"


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listened on a moment ago."""
    while True:
        first = free_port()
        try:
            with contextlib.ExitStack() as probes:
                for number in range(count):
                    probes.enter_context(socket.create_server(("127.0.0.1", first + number)))
        except (OSError, OverflowError):
            continue
        return first


def assert_shared_and_taken_over(out: str) -> None:
    """Two consumers of a group had a part each, and one that was left had everything."""
    shares = re.search(r"One consumer got (\d+), the other (\d+) departures", out)
    assert shares, out
    first, second = map(int, shares.groups())
    assert first + second == DEPARTURES
    assert min(first, second) > 0
    # On a machine that stalls for a session timeout some are read twice, and the script says so.
    all_of_them = rf"got all( {DEPARTURES}\.|, \d+ of them twice)"
    assert re.search(rf"The second took over after the session timeout, and {all_of_them}", out)


@pytest.mark.slow
def test_broker_is_killed_and_the_records_are_still_there(data: Path) -> None:
    port = free_ports(3)
    arguments = ("--data", data, "--port", port, "--zookeeper-port", free_port())
    first = quickstart(*arguments)
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"{DEPARTURES} departures went in, {DEPARTURES} records came out." in first.stdout
    assert_shared_and_taken_over(first.stdout)
    assert re.search(r"Killed broker [0-2] \(kill -9\)", first.stdout)
    assert f"All {DEPARTURES} records are still there." in first.stdout
    for broker in range(3):
        url = f"http://127.0.0.1:{port + broker}/v1/topics/firstTopic"
        with urllib.request.urlopen(url) as answer:
            partitions = json.load(answer)["partitions"]
        assert [len(each["replicas"]) for each in partitions] == [2, 2]

    second = quickstart("--data", data)  # the ports are those of the running cluster
    assert second.returncode == 0, second.stdout + second.stderr
    assert f"All {2 * DEPARTURES} records are still there." in second.stdout
    assert_shared_and_taken_over(second.stdout)
    assert "Stopped the broker" in quickstart("stop", "--data", data).stdout
    for broker in range(3):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port + broker))


@pytest.mark.slow
def test_one_broker_is_left_running_and_a_second_run_works_too(data: Path) -> None:
    port = free_port()
    one = ("--data", data, "--brokers", 1)
    arguments = (*one, "--port", port, "--zookeeper-port", free_port())
    first = quickstart(*arguments)
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"{DEPARTURES} departures went in, {DEPARTURES} records came out." in first.stdout
    assert_shared_and_taken_over(first.stdout)
    assert f"http://localhost:{port}" in first.stdout
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/topics/firstTopic") as answer:
        assert len(json.load(answer)["partitions"]) == 2

    second = quickstart(*one)  # the ports are those of the running cluster
    assert second.returncode == 0, second.stdout + second.stderr
    assert (
        f"{DEPARTURES} departures went in, {2 * DEPARTURES} records came out "
        f"({DEPARTURES} were there before)."
    ) in second.stdout

    stopped = quickstart("stop", "--data", data)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz")

    third = quickstart(*arguments)  # what was stored is still there
    assert f"{3 * DEPARTURES} records came out" in third.stdout, third.stdout + third.stderr


@pytest.mark.slow
def test_ephemeral_run_leaves_nothing_behind(tmp_path: Path) -> None:
    port, zookeeper_port = free_ports(3), free_port()
    run = quickstart(
        "--ephemeral", "--port", port, "--zookeeper-port", zookeeper_port, TMPDIR=str(tmp_path)
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{DEPARTURES} departures went in, {DEPARTURES} records came out." in run.stdout
    assert list(tmp_path.iterdir()) == []
    for number in (port, port + 1, port + 2, zookeeper_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", number))


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--port", "--zookeeper-port"])
def test_taken_port_is_named_and_nothing_is_left_running(data: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        free = {"--port", "--zookeeper-port"} - {option}
        one = ("--data", data, "--brokers", 1)
        run = quickstart(*one, option, taken, free.pop(), free_port())
    assert run.returncode == 1
    assert run.stderr == (
        f"Port {taken} is taken by another program; choose another with {option} N.\n"
    )
    assert "Nothing to stop" in quickstart("stop", "--data", data).stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "who"),
    [
        (
            "--zookeeper-port",
            "a ZooKeeper (what started it stops it: scripts/quickstart.sh stop, or"
            " scripts/zkstart.sh stop)",
        ),
        ("--port", "a server of HTTP (scripts/kafka-server-stop.sh ends brokers)"),
    ],
)
def test_port_that_one_of_ours_has_is_told_from_another_programs(
    data: Path,
    embedded_zookeeper: EmbeddedZooKeeper,
    broker: BrokerProcess,
    option: str,
    who: str,
) -> None:
    taken = embedded_zookeeper.port if option == "--zookeeper-port" else broker.port
    free = {"--port", "--zookeeper-port"} - {option}
    one = ("--data", data, "--brokers", 1)
    run = quickstart(*one, option, taken, free.pop(), free_port())
    assert run.returncode == 1
    assert run.stderr == f"Port {taken} is taken by {who}; choose another with {option} N.\n"


@pytest.mark.slow
def test_directory_that_cannot_be_written_is_named() -> None:
    run = quickstart("--data", "/proc/kafkalite")
    assert run.returncode == 1
    assert run.stderr == (
        "No permission to write to /proc/kafkalite; choose another directory with --data DIR.\n"
    )


@pytest.mark.slow
def test_missing_venv_module_is_named(tmp_path: Path) -> None:
    script = a_tree_without_venv(tmp_path)
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\n')
    python.chmod(0o755)
    run = quickstart(script=script, PATH=f"{python.parent}:{os.environ['PATH']}")
    assert run.returncode == 1
    assert run.stderr == (
        "Python's venv module is missing; install it (Debian, Ubuntu: apt-get install "
        "python3-venv).\n"
    )


@pytest.mark.slow
def test_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    script = a_tree_without_venv(tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname", "env"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    run = quickstart(script=script, PATH=str(tools))
    assert run.returncode == 1
    assert "Python 3.11 or later" in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "x"], "--port needs a number from 1 to 65535."),
        (["--port", "65536"], "--port needs a number from 1 to 65535."),
        (["--zookeeper-port"], "--zookeeper-port needs a number from 1 to 65535."),
        (["--brokers", "0"], "--brokers needs a number from 1 to 9."),
        (["--data"], "--data needs a directory."),
        (["stop", "--ephemeral"], "--ephemeral stops by itself."),
        (["begin"], "There is no option begin.\nUsage: quickstart.sh"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], reason: str) -> None:
    run = quickstart(*arguments)
    assert run.returncode == 1
    assert run.stderr.startswith(reason)


@pytest.mark.slow
def test_help_names_every_option() -> None:
    text = quickstart("--help").stdout
    accepted = set(re.findall(r"--[a-z-]+(?=\)| \|)", QUICKSTART.read_text(encoding="utf-8")))
    assert {"--ephemeral", "--port", "--zookeeper-port", "--data"} <= accepted
    assert all(option in text for option in accepted - {"--help"})
