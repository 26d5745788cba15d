from typing import NoReturn, Self

import pytest

from kafkalite.cli import producer_perf_test
from kafkalite.cli.main import main
from kafkalite.model.errors import UnknownTopicOrPartitionError


class _Producer:
    """One whose brokers have no topics, and make none."""

    def __init__(self, **settings: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, topic: str, value: bytes) -> NoReturn:
        raise UnknownTopicOrPartitionError(f"Topic '{topic}' does not exist.")


def test_a_topic_that_is_missing_is_said_how_to_make(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(producer_perf_test, "Producer", _Producer)
    options = ("--topic", "t", "--num-records", "1", "--throughput", "-1", "--record-size", "1")
    code = main(["producer-perf-test", *options, "--producer-props", "bootstrap.servers=a"])
    assert code == 1
    assert capsys.readouterr().err.strip() == (
        "Topic 't' does not exist. Brokers do not create it here (auto.create.topics.enable): do "
        "so with kafka-topics --create --topic t"
    )
