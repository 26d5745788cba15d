"""The programs in `examples` for REST Proxy's version 3, run against a real broker."""

import itertools
import json
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.example_program import DIRECTORY, REST_V3, ExampleProgram, needed
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_PATIENCE_S: Final = 120.0
_numbers = itertools.count()


@pytest.fixture(params=REST_V3)
def example(request: pytest.FixtureRequest) -> ExampleProgram:
    command = needed(request.param).command
    return ExampleProgram([*command, str(DIRECTORY / REST_V3[request.param])])


@pytest.fixture
def topic(broker: BrokerProcess) -> str:
    name = f"flights-{next(_numbers)}"
    created = httpx.post(f"{broker.url}/v1/topics", json={"name": name, "partitions": 1})
    assert created.status_code == 201, created.text
    return name


def _values(broker: BrokerProcess, topic: str) -> list[Any]:
    page = httpx.get(f"{broker.url}/v1/topics/{topic}/partitions/0/records").json()
    return [record["value"] for record in page["records"]]


def _codes(output: str) -> list[int]:
    """The error code of each report of a record."""
    return [json.loads(line)["error_code"] for line in output.splitlines() if line.startswith("{")]


def test_topics_are_listed(broker: BrokerProcess, topic: str, example: ExampleProgram) -> None:
    listed = example.run("topics", broker.url)
    assert (listed.exit_code, listed.errors) == (0, "")
    assert f'"topic_name":"{topic}"' in listed.output


def test_each_line_is_a_record_and_is_reported_while_more_may_come(
    broker: BrokerProcess, topic: str, example: ExampleProgram, tmp_path: Path
) -> None:
    with example.start(tmp_path, "produce", broker.url, topic) as running:
        running.enter('{"flight": 1545}')
        entered = 1

        def is_shown() -> bool:
            nonlocal entered
            running.enter('"late"')  # curl shows a report when a later line has come
            entered += 1
            return "\n" in running.output

        wait_until(is_shown, f"a report is shown ({running.errors})", _PATIENCE_S)
        assert running.finish() == 0, running.errors
    assert _codes(running.output) == [200] * entered
    assert _values(broker, topic) == [{"flight": 1545}, *["late"] * (entered - 1)]


def test_many_records_go_into_one_stream(
    broker: BrokerProcess, topic: str, example: ExampleProgram
) -> None:
    lines = "".join(f"{number}\n" for number in range(5_000))
    sent = example.run("produce", broker.url, topic, entered=lines.removesuffix("\n"))
    assert (sent.exit_code, sent.errors) == (0, "")
    assert _codes(sent.output) == [200] * 5_000
    assert _values(broker, topic) == list(range(5_000))


def test_a_record_that_is_not_stored_is_told_and_the_others_are(
    broker: BrokerProcess, topic: str, example: ExampleProgram
) -> None:
    too_large = json.dumps("x" * 3_000_000)
    sent = example.run("produce", broker.url, topic, entered=f"1\n{too_large}\n2\n")
    assert (sent.exit_code, _codes(sent.output), _codes(sent.errors)) == (1, [200, 200], [413])
    assert _values(broker, topic) == [1, 2]


def test_what_is_no_json_ends_it(
    broker: BrokerProcess, topic: str, example: ExampleProgram
) -> None:
    sent = example.run("produce", broker.url, topic, entered="1\n]\n2\n")
    assert (sent.exit_code, _codes(sent.output), _codes(sent.errors)) == (1, [200], [400])
    assert _values(broker, topic) == [1]


def test_node_does_not_wait_for_lines_that_nobody_reads(
    broker: BrokerProcess, topic: str, tmp_path: Path
) -> None:
    command = needed("javascript").command
    example = ExampleProgram([*command, str(DIRECTORY / REST_V3["javascript"])])
    with example.start(tmp_path, "produce", broker.url, topic) as running:
        running.enter("]")
        assert running.wait() == 1
    assert _codes(running.errors) == [400]


def test_it_says_what_the_broker_refuses(broker: BrokerProcess, example: ExampleProgram) -> None:
    refused = example.run("produce", broker.url, "not@a@topic", entered="1\n")
    assert (refused.exit_code, refused.output) == (1, "")
    assert "ASCII alphanumerics" in refused.errors


def test_it_says_that_there_is_no_broker(example: ExampleProgram) -> None:
    # Port 1 is nobody's.
    for arguments in (("topics",), ("produce", "flights")):
        refused = example.run(arguments[0], "http://127.0.0.1:1", *arguments[1:])
        assert refused.exit_code not in (0, 2)
        assert refused.errors


def test_it_says_how_it_is_run(example: ExampleProgram) -> None:
    for arguments in ((), ("topics",), ("produce", "http://x"), ("frob", "a")):
        asked = example.run(*arguments)
        assert asked.exit_code == 2
        assert "BASE_URL" in asked.errors
