"""The command itself: what it loads, and how it names its parts."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import SCRIPTS, run_command, run_script
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow


def test_a_listing_loads_no_server_no_zookeeper_client_and_no_progress_bar() -> None:
    script = (
        "import sys; from kafkalite.cli.main import main; "
        "main(['topics', '--list', '--bootstrap-server', '127.0.0.1:1']); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "httptools" in loaded
    assert not loaded & {"fastapi", "httpx", "uvicorn", "uvloop", "kazoo", "tqdm", "pydantic"}


def test_commands_are_listed() -> None:
    assert run_command("--help").exit_code == 0
    assert "console-producer" in run_command("--help").out
    for arguments, sentence in (((), "Name a command."), (("topic",), "Unknown command: topic")):
        outcome = run_command(*arguments)
        assert (outcome.exit_code, outcome.out) == (1, "")
        assert outcome.err.splitlines()[0] == sentence
        assert "console-consumer" in outcome.err


@pytest.mark.parametrize(
    "command",
    [
        "topics",
        "console-producer",
        "console-consumer",
        "get-offsets",
        "configs",
        "dump-log",
        "delete-records",
        "zookeeper",
    ],
)
def test_each_command_describes_itself(command: str) -> None:
    outcome = run_command(command, "--help")
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"usage: kafkalite {command}")


@pytest.mark.parametrize(
    "script", sorted(path.stem for path in SCRIPTS.glob("*.sh") if "-" in path.stem)
)
def test_each_script_is_described_by_the_name_that_was_typed(script: str) -> None:
    outcome = run_script(script, "--help")
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"usage: {script}.sh [-h]")


def test_the_name_that_was_typed_is_not_taken_for_a_setting(tmp_path: Path) -> None:
    """Settings come from the environment, too."""
    file = tmp_path / "server.properties"
    file.write_text(f"broker.id=0\nlog.dirs={tmp_path}/logs\nzookeeper.connect=localhost:2181\n")
    outcome = run_script("kafka-server-stop", str(file))
    assert outcome == (1, "No kafka server to stop\n", "")


def test_a_mistake_points_to_the_help_of_what_was_typed() -> None:
    expected = "bogus is not a recognized option\n'{} --help' describes the options.\n"
    assert run_command("topics", "--bogus").err == expected.format("kafkalite topics")
    assert run_script("kafka-topics", "--bogus").err == expected.format("kafka-topics.sh")


@pytest.mark.parametrize("action", ["--list", "--create"])
def test_a_server_that_is_no_broker_is_told_from_one_that_is_gone(
    embedded_zookeeper: EmbeddedZooKeeper, action: str
) -> None:
    address = embedded_zookeeper.hosts
    outcome = run_command("topics", action, "--topic", "t", "--bootstrap-server", address)
    assert outcome.exit_code == 1
    assert address in outcome.out
    assert "without an answer in HTTP; is it a broker's port, and not ZooKeeper's?" in outcome.out
