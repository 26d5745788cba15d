"""The console producer and consumer together: what goes in comes out."""

import signal
from pathlib import Path

import pytest

from tests.cli.command import (
    RunningCommand,
    largest_memory,
    run_script,
)
from tests.cli.conftest import MakeTopic
from tests.cli.console import Console, printing
from tests.support.broker import BrokerProcess
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow


def test_lines_come_out_as_they_went_in(console: Console, make_topic: MakeTopic) -> None:
    topic = make_topic()
    assert console.produce(topic, "one\n\nthree\r\nlast, without newline") == (0, "", "")
    assert console.consume(topic, 4) == (
        0,
        "one\n\nthree\nlast, without newline\n",
        "Processed a total of 4 messages\n",
    )


def test_the_lines_of_old_work_as_typed(cli_zookeeper: str, broker: BrokerProcess) -> None:
    run_script(
        "kafka-topics",
        *("--create", "--zookeeper", cli_zookeeper, "--topic", "asTyped", "--partitions", "2"),
    )
    sent = run_script(
        "kafka-console-producer",
        *("--broker-list", broker.address, "--topic", "asTyped"),
        stdin="hello\nworld\n",
    )
    assert sent == (0, "", "")
    read = run_script(
        "kafka-console-consumer",
        *("--zookeeper", cli_zookeeper, "--topic", "asTyped", "--from-beginning"),
        *("--max-messages", "2"),
    )
    assert read == (0, "hello\nworld\n", "Processed a total of 2 messages\n")


def test_records_with_the_same_key_share_a_partition_in_order(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=3)
    lines = [f"k{number % 7}\t{number}" for number in range(200)]
    console.produce(topic, "\n".join(lines), "--property", "parse.key=true")
    out = console.consume(topic, 200, *printing(key="true", partition="true")).out
    partitions: dict[str, set[str]] = {}
    values: dict[str, list[int]] = {}
    for line in out.splitlines():
        partition, key, value = line.split("\t")
        partitions.setdefault(key, set()).add(partition)
        values.setdefault(key, []).append(int(value))
    assert len(partitions) == 7
    assert all(len(seen) == 1 for seen in partitions.values())
    assert all(seen == sorted(seen) for seen in values.values())
    assert len(set.union(*partitions.values())) > 1


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_records_come_out_whole(
    console: Console, make_topic: MakeTopic, codec: str
) -> None:
    topic = make_topic()
    text = "".join(f"line {number}\n" for number in range(1000))
    assert console.produce(topic, text, "--compression-codec", codec).exit_code == 0
    assert console.consume(topic, 1000).out == text


def test_a_typed_line_goes_out_at_once_and_is_printed_at_once(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = ("--topic", make_topic(), *console.bootstrap)
    with (
        RunningCommand("console-consumer", *topic, "--from-beginning") as consumer,
        RunningCommand("console-producer", *topic) as producer,
    ):
        for line in ("first\n", "second\n"):
            producer.write(line)
            consumer.wait_for_out(line)
        producer.close_stdin()
        assert producer.wait() == (0, "", "")
        consumer.signal(signal.SIGINT)
        assert consumer.wait() == (
            130,
            "first\nsecond\n",
            "Processed a total of 2 messages\n",
        )


def test_both_go_on_when_the_broker_is_killed_and_comes_back(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    connect = f"{embedded_zookeeper.hosts}/cli-restart"
    with BrokerProcess(tmp_path, connect) as broker:
        topic = ("--topic", "t", "--bootstrap-server", broker.address)
        with (
            RunningCommand("console-producer", *topic) as producer,
            RunningCommand("console-consumer", *topic, "--from-beginning") as consumer,
        ):
            producer.write("before\n")
            consumer.wait_for_out("before\n")
            broker.kill()
            consumer.wait_for_err("Trying again until it works.\n")
            producer.write("meanwhile\n")
            producer.wait_for_err("Trying again for 60 s.\n")
            broker.start()
            consumer.wait_for_out("meanwhile\n")
            producer.close_stdin()
            assert producer.wait().exit_code == 0
            consumer.signal(signal.SIGINT)
            outcome = consumer.wait()
    assert outcome.out == "before\nmeanwhile\n"
    assert outcome.err.count("Trying again") == 1


def test_neither_needs_more_memory_for_more_records(
    console: Console, make_topic: MakeTopic, tmp_path: Path
) -> None:
    topic = make_topic()
    file = tmp_path / "lines"
    count, length = 1 << 19, 128
    with file.open("wb") as lines:
        for _ in range(count >> 13):
            lines.write((b"x" * (length - 1) + b"\n") * (1 << 13))
    with file.open("rb") as stdin:
        # What compresses well is many records in few bytes: they must not be held all at once.
        options = ("--topic", topic, "--compression-codec", "zstd")
        produced = largest_memory("console-producer", *console.bootstrap, *options, stdin=stdin)
    limit = ("--topic", topic, "--from-beginning", "--max-messages", str(count))
    consumed = largest_memory("console-consumer", *console.bootstrap, *limit)
    assert produced < count * length
    assert consumed < count * length
