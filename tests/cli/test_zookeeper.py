"""The scripts that run the embedded ZooKeeper, as a user types them."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkalite.zkserver.data_directory import serving_pid
from tests.support.zookeeper import four_letter_word, free_port

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 30
_NOT_RUNNING = "Error contacting service. It is probably not running.\n"


class Installation:
    """A configuration file in a directory of its own, and the scripts typed there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.file = directory / "zk.properties"
        self.file.write_text(
            f"dataDir=data\nclientPort={self.port}\n4lw.commands.whitelist=srvr,ruok\ninitLimit=5\n"
        )

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_ROOT / "scripts" / script, *arguments],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )

    def zkstart(self, action: str) -> subprocess.CompletedProcess[str]:
        return self.run("zkstart.sh", action, self.file.name)

    @property
    def pid(self) -> int | None:
        return serving_pid(self.directory / "data")


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    pid = made.pid
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_no_mistake(installation: Installation, option: str) -> None:
    helped = installation.run("zkstart.sh", option)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith("Usage: zkstart.sh [start|status|stop] [FILE]\n")
    mistaken = installation.run("zkstart.sh", "begin")
    assert (mistaken.returncode, mistaken.stdout) == (1, "")
    assert mistaken.stderr.startswith("Usage: zkstart.sh [start|status|stop] [FILE]\n")


def test_server_is_started_asked_and_stopped(installation: Installation) -> None:
    shown_address = f"Client port found: {installation.port}. Client address: localhost.\n"
    status = installation.zkstart("status")
    assert (status.returncode, status.stdout) == (1, shown_address + _NOT_RUNNING)

    started = installation.zkstart("start")
    pid = installation.pid
    assert (started.returncode, started.stdout) == (
        0,
        f"ZooKeeper listens on localhost:{installation.port} (pid {pid}).\n",
    )
    assert started.stderr == "zk.properties:4: initLimit is not supported and ignored\n"
    assert four_letter_word(installation.port, "ruok") == "imok"

    status = installation.zkstart("status")
    assert (status.returncode, status.stdout) == (0, shown_address + "Mode: standalone\n")
    assert status.stderr == "Using config: zk.properties\n"

    stopped = installation.zkstart("stop")
    assert (stopped.returncode, stopped.stdout) == (0, f"Stopped ZooKeeper (pid {pid}).\n")
    assert installation.pid is None
    stopped = installation.zkstart("stop")
    assert (stopped.returncode, stopped.stdout) == (1, "No zookeeper server to stop\n")


def test_second_start_is_refused_and_leaves_the_first_alone(installation: Installation) -> None:
    installation.zkstart("start")
    pid = installation.pid
    again = installation.zkstart("start")
    assert (again.returncode, again.stdout) == (
        1,
        f"A server with dataDir data is running (pid {pid}).\n",
    )
    assert installation.pid == pid


def test_start_says_why_when_the_port_is_taken(installation: Installation) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", installation.port))
        other.listen()
        started = installation.zkstart("start")
    assert (started.returncode, started.stdout) == (1, "")
    reason = f"Cannot listen on 127.0.0.1:{installation.port}: Address already in use.\n"
    assert started.stderr.endswith(reason)
    assert installation.pid is None


def test_kafkas_scripts_start_it_with_daemon_and_stop_it(installation: Installation) -> None:
    started = installation.run("zookeeper-server-start.sh", "-daemon", "zk.properties")
    assert started.returncode == 0
    assert "Mode: standalone" in four_letter_word(installation.port, "srvr")
    assert installation.run("zookeeper-server-stop.sh", "zk.properties").returncode == 0
    assert installation.pid is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_server_in_the_foreground_ends_cleanly_when_told(
    installation: Installation, how: signal.Signals
) -> None:
    with subprocess.Popen(
        [_ROOT / "scripts" / "zookeeper-server-start.sh", "zk.properties"],
        cwd=installation.directory,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        lines = [server.stderr.readline() for _ in range(2)]
        assert "initLimit is not supported and ignored" in lines[0]
        assert f"listening on 127.0.0.1:{installation.port}, data in data" in lines[1]
        server.send_signal(how)
        assert server.wait(_TIMEOUT_S) == 0
        assert server.stderr.read().endswith("stopped\n")


@pytest.mark.parametrize(
    ("script", "arguments", "said"),
    [
        ("zkstart.sh", ["restart"], "Usage: zkstart.sh [start|status|stop] [FILE]\n"),
        (
            "zookeeper-server-start.sh",
            [],
            "Usage: zookeeper-server-start.sh [-daemon] zookeeper.properties\n",
        ),
        (
            "zookeeper-server-start.sh",
            ["missing.properties"],
            "missing.properties: No such file or directory\n",
        ),
        (
            "zkstart.sh",
            ["start", "bad.properties"],
            "bad.properties:2: clientPort: 'x' is not a whole number\n",
        ),
    ],
)
def test_mistake_is_said_in_a_sentence(
    installation: Installation, script: str, arguments: list[str], said: str
) -> None:
    (installation.directory / "bad.properties").write_text("dataDir=d\nclientPort=x\n")
    done = installation.run(script, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_file_of_the_repository_is_used_from_anywhere_when_none_is_named(tmp_path: Path) -> None:
    root = _copy_of_the_scripts(tmp_path, with_venv=True)
    installation = Installation(root)
    (root / "configs").mkdir()
    installation.file.rename(root / "configs" / "zookeeper.properties")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    try:
        for action in ([], ["status"], ["stop"]):
            command: list[str | Path] = [root / "scripts" / "zkstart.sh", *action]
            subprocess.run(command, cwd=elsewhere, timeout=_TIMEOUT_S, check=True)
    finally:
        if installation.pid is not None:
            os.kill(installation.pid, signal.SIGKILL)
    assert (root / "data" / "znodes.sqlite").exists()
    assert list(elsewhere.iterdir()) == []


def test_script_says_how_to_install_when_nothing_is_installed(tmp_path: Path) -> None:
    root = _copy_of_the_scripts(tmp_path, with_venv=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "python3").chmod(0o755)
    done = subprocess.run(
        [root / "scripts" / "zkstart.sh"],
        env=os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"kafkalite is not installed: run {root}/scripts/quickstart.sh, or "
        f"'pip install {root}' with Python 3.11 or later.\n",
    )


def _copy_of_the_scripts(directory: Path, *, with_venv: bool) -> Path:
    """A repository that has nothing but the scripts and, if wanted, this one's .venv."""
    root = directory / "repository"
    shutil.copytree(_ROOT / "scripts", root / "scripts")
    if with_venv:
        (root / ".venv").symlink_to(_ROOT / ".venv")
    return root
