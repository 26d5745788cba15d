"""Every program in `examples`, run against a real broker."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.example_program import (
    DIRECTORY,
    LANGUAGES,
    REST_V3,
    ExampleProgram,
    RunningExample,
    needed,
)
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_PYTHON: Final = DIRECTORY.parent / "python"
_SENT: Final = {
    "UA": {"flight": 1545, "dest": "IAH"},
    "AA": {"flight": 1141, "dest": "MIA"},
    "B6": {"flight": 725, "dest": "BQN"},
}
_PATIENCE_S: Final = 120.0
_COMES_BACK: Final = ("javascript", "go", "java")
"""Whose tail goes on when its connection breaks; curl's ends."""
_numbers = itertools.count()


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    directory = tmp_path_factory.mktemp("examples")
    with BrokerProcess(directory, f"{embedded_zookeeper.hosts}/examples") as running:
        yield running


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def example(language: str, tmp_path_factory: pytest.TempPathFactory) -> ExampleProgram:
    command = needed(language)
    file = DIRECTORY / command.file
    if language != "go":
        return ExampleProgram([*command.command, str(file)])
    # As `go run` does; but a program that it has started outlives it.
    program = str(tmp_path_factory.mktemp("go") / "example")
    subprocess.run(["go", "build", "-o", program, str(file)], check=True, timeout=280)
    return ExampleProgram([program])


@pytest.fixture
def topic(broker: BrokerProcess) -> str:
    name = f"flights-{next(_numbers)}"
    created = httpx.post(f"{broker.url}/v1/topics", json={"name": name, "partitions": 2})
    assert created.status_code == 201, created.text
    return name


def _values(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {record["key"]: record["value"] for record in records}


def _send(broker: BrokerProcess, topic: str, value: object) -> None:
    sent = httpx.post(
        f"{broker.url}/v1/topics/{topic}/records",
        json={"records": [{"value": value, "partition": partition} for partition in (0, 1)]},
        timeout=_PATIENCE_S,
    )
    assert sent.status_code == 200, sent.text


def test_a_group_reads_what_was_sent_and_nothing_of_it_again(
    broker: BrokerProcess, topic: str, example: ExampleProgram
) -> None:
    for _ in range(2):
        sent = example.run("produce", broker.url, topic)
        assert (sent.exit_code, sent.errors) == (0, "")
        assert sent.output.count('"offset":') == len(_SENT)
        read = example.run("consume", broker.url, topic, f"of-{topic}")
        assert read.exit_code == 0, read.errors
        assert len(read.records) == len(_SENT)
        assert _values(read.records) == _SENT
    group = httpx.get(f"{broker.url}/v1/groups/of-{topic}").json()
    assert group["members"] == []
    assert sum(each["committed_offset"] for each in group["offsets"]) == 2 * len(_SENT)


def test_a_tail_shows_what_comes(
    broker: BrokerProcess, topic: str, example: ExampleProgram, tmp_path: Path
) -> None:
    _send(broker, topic, "before it listens")
    with example.start(tmp_path, "tail", broker.url, topic) as tail:
        _send_until_shown(broker, topic, tail)
        values = [record["value"] for record in tail.records]
    assert set(values) == {"live"}


def _send_until_shown(broker: BrokerProcess, topic: str, tail: RunningExample) -> None:
    # Nothing says when it has begun to listen.
    def is_shown() -> bool:
        _send(broker, topic, "live")
        return bool(tail.records)

    wait_until(is_shown, f"a record is shown ({tail.errors})", _PATIENCE_S)


def test_a_tail_goes_on_where_it_was_when_the_broker_is_back(
    broker: BrokerProcess, topic: str, language: str, example: ExampleProgram, tmp_path: Path
) -> None:
    if language not in _COMES_BACK:
        return
    with example.start(tmp_path, "tail", broker.url, topic) as tail:
        _send_until_shown(broker, topic, tail)
        tail.pause()
        broker.restart()
        for number in range(4):
            _send(broker, topic, number)
        tail.resume()
        wait_until(
            lambda: [record["value"] for record in tail.records].count(3) == 2,
            "what was sent afterwards is shown",
            _PATIENCE_S,
        )
        shown = tail.records
    for partition in (0, 1):
        offsets = [each["offset"] for each in shown if each["partition"] == partition]
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))


@pytest.mark.parametrize("command", ["produce", "consume", "tail"])
def test_it_says_what_the_broker_refuses(
    broker: BrokerProcess, example: ExampleProgram, command: str
) -> None:
    refused = example.run(command, broker.url, "not@a@topic", "group")
    assert refused.exit_code not in (0, 2)
    said = refused.output + refused.errors
    assert "ASCII alphanumerics" in said
    assert "\tat " not in said  # no stack


def test_it_says_what_cannot_be_read_and_leaves_the_group(
    broker: BrokerProcess, topic: str, example: ExampleProgram
) -> None:
    sent = httpx.post(
        f"{broker.url}/v1/topics/{topic}/records?partition=0",
        content="no JSON",
        headers={"content-type": "text/plain"},
    )
    assert sent.status_code == 200, sent.text
    refused = example.run("consume", broker.url, topic, f"of-{topic}")
    assert refused.exit_code not in (0, 2)
    assert "deserialization error" in refused.errors
    assert httpx.get(f"{broker.url}/v1/groups/of-{topic}").json()["members"] == []


def test_it_says_that_there_is_no_broker(example: ExampleProgram) -> None:
    # Port 1 is nobody's.
    refused = example.run("produce", "http://127.0.0.1:1", "flights")
    assert refused.exit_code not in (0, 2)
    assert refused.errors


def test_it_says_how_it_is_run(example: ExampleProgram) -> None:
    for arguments in (("consume", "http://x", "flights"), ("frob", "a", "b")):
        asked = example.run(*arguments)
        assert asked.exit_code == 2
        assert "BASE_URL TOPIC" in asked.errors


def test_no_program_is_left_out() -> None:
    programs = {file.name for file in DIRECTORY.iterdir()} - {"README.md"}
    assert programs == {language.file for language in LANGUAGES.values()} | set(REST_V3.values())


@pytest.mark.parametrize("program", sorted(_PYTHON.glob("*.py")), ids=lambda file: str(file.name))
def test_python_program_runs(broker: BrokerProcess, program: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(program), broker.address],
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
