"""The console producer and consumer together: what goes in comes out, and how it looks."""

import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.command import (
    COMMAND,
    DEADLINE_S,
    SCRIPTS,
    Outcome,
    RunningCommand,
    run_command,
    run_script,
    run_shell,
)
from tests.cli.conftest import MakeTopic
from tests.support.broker import BrokerProcess
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow


class Console:
    """The two console tools against the shared broker."""

    def __init__(self, bootstrap: tuple[str, str]) -> None:
        self.bootstrap = bootstrap
        self.url = f"http://{bootstrap[1]}"

    def produce(self, topic: str, stdin: str | bytes, *arguments: str) -> Outcome:
        return run_command(
            "console-producer", *self.bootstrap, "--topic", topic, *arguments, stdin=stdin
        )

    def consume(self, topic: str, count: int, *arguments: str) -> Outcome:
        """Read `count` records from the beginning, and print as `arguments` ask."""
        limit = ("--from-beginning", "--max-messages", str(count))
        return run_command(
            "console-consumer", *self.bootstrap, "--topic", topic, *limit, *arguments
        )


@pytest.fixture
def console(bootstrap: tuple[str, str]) -> Console:
    return Console(bootstrap)


def printing(**switches: str) -> list[str]:
    """`--property print.x=true` arguments."""
    return [part for key in switches for part in ("--property", f"print.{key}={switches[key]}")]


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


def test_a_line_with_everything_on_is_kafkas(console: Console, make_topic: MakeTopic) -> None:
    topic = make_topic()
    properties = ("--property", "parse.key=true", "--property", "parse.headers=true")
    marker = ("--property", "null.marker=NULL")
    console.produce(topic, "h1:a,h2:b\tk9\tv9\nNULL\tNULL\tNULL\n", *properties, *marker)
    everything = printing(
        timestamp="true", partition="true", offset="true", headers="true", key="true"
    )
    out = console.consume(topic, 2, *everything).out
    assert re.fullmatch(
        r"CreateTime:\d{13}\tPartition:0\tOffset:0\th1:a,h2:b\tk9\tv9\n"
        r"CreateTime:\d{13}\tPartition:0\tOffset:1\tNO_HEADERS\tnull\tnull\n",
        out,
    )


def test_a_line_without_key_separator_ends_the_producer_and_the_lines_before_are_there(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    sent = console.produce(topic, "k\tv\nnokey\nk\tw\n", "--property", "parse.key=true")
    assert sent == (1, "", "No key separator found on line number 2: 'nokey'\n")
    end = run_command("get-offsets", *console.bootstrap, "--topic", topic)
    assert end.out == f"{topic}:0:1\n"


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


@pytest.mark.parametrize(
    "options",
    [
        ("--sync",),
        ("--request-required-acks", "0"),
        ("--request-required-acks", "1"),
        ("--batch-size", "10"),
        ("--timeout", "50"),
        ("--producer-property", "linger.ms=5", "--producer-property", "acks=all"),
        ("--compression-codec",),
    ],
)
def test_every_way_of_sending_stores_the_lines(
    console: Console, make_topic: MakeTopic, options: tuple[str, ...]
) -> None:
    topic = make_topic()
    assert console.produce(topic, "a\nb\nc\n", *options) == (0, "", "")
    assert console.consume(topic, 3).out == "a\nb\nc\n"


def test_a_topic_that_does_not_exist_is_created_by_the_brokers(console: Console) -> None:
    assert console.produce("made-by-producing", "a\n") == (0, "", "")
    assert console.consume("made-by-producing", 1).out == "a\n"


def test_a_record_that_is_too_large_is_named_and_the_others_are_stored(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic(config={"max.message.bytes": "1000"})
    lines = [f"small {number}" for number in range(50)]
    lines[20] = "x" * 5000
    sent = console.produce(topic, "\n".join(lines))
    first, last = sent.err.splitlines()
    assert sent.exit_code == 1
    assert first.startswith("Line 21: MESSAGE_TOO_LARGE: ")
    assert last == "1 of 50 records were not stored (MESSAGE_TOO_LARGE 1)."
    del lines[20]
    assert console.consume(topic, 49).out.splitlines() == lines


def test_a_line_that_does_not_fit_in_memory_is_named_and_the_others_are_stored(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    sent = console.produce(topic, f"a\n{'x' * 5000}\nb\n", "--max-memory-bytes", "1000")
    assert sent.exit_code == 1
    assert sent.err.startswith("Line 2: MESSAGE_TOO_LARGE: ")
    assert console.consume(topic, 2).out == "a\nb\n"


def test_brokers_that_cannot_be_reached_are_named_and_the_loss_is_told(console: Console) -> None:
    sent = run_command(
        *("console-producer", "--bootstrap-server", "127.0.0.1:1", "--topic", "t"),
        *("--max-block-ms", "100"),
        stdin="a\n",
    )
    assert sent == (
        1,
        "",
        "No broker can be reached: 127.0.0.1:1 (Connection refused). Trying again for 0.1 s.\n"
        "No broker can be reached: 127.0.0.1:1 (Connection refused).\n",
    )
    read = run_command(*("console-consumer", "--bootstrap-server", "127.0.0.1:1", "--topic", "t"))
    assert read == (
        1,
        "",
        "Processed a total of 0 messages\n"
        "No broker can be reached: 127.0.0.1:1 (Connection refused).\n",
    )


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


def test_ctrl_c_ends_the_producer_and_keeps_what_was_typed(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    with RunningCommand(
        "console-producer", "--topic", topic, *console.bootstrap, "--timeout", "60000"
    ) as producer:
        producer.write("kept\n")
        producer.wait_until_read()
        producer.signal(signal.SIGINT)
        assert producer.wait() == (130, "", "")
    assert console.consume(topic, 1).out == "kept\n"


def test_a_closed_pipe_ends_the_consumer_quietly(
    console: Console, make_topic: MakeTopic, tmp_path: Path
) -> None:
    topic = make_topic()
    console.produce(topic, "".join(f"{number}\n" for number in range(100_000)))
    consumer = f"{SCRIPTS}/kafka-console-consumer.sh {' '.join(console.bootstrap)} --topic {topic}"
    outcome = run_shell(f"{consumer} --from-beginning | head -n 2")
    assert outcome[:2] == (0, "0\n1\n")
    assert re.fullmatch(r"Processed a total of \d+ messages\n", outcome.err)


def test_a_consumer_goes_when_its_reader_went_though_nothing_comes(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    consumer = f"{SCRIPTS}/kafka-console-consumer.sh {' '.join(console.bootstrap)} --topic {topic}"
    assert run_shell(f"{consumer} | true") == (0, "", "Processed a total of 0 messages\n")


def test_a_listing_ends_quietly_when_nobody_reads_it(bootstrap: tuple[str, str]) -> None:
    listing = f"{SCRIPTS}/kafka-topics.sh --list {' '.join(bootstrap)}"
    assert run_shell(f"{listing} | true") == (0, "", "")


def test_the_producer_has_a_prompt_on_a_terminal_only(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    controller, terminal = pty.openpty()
    producer = subprocess.Popen(
        [*COMMAND, "console-producer", *console.bootstrap, "--topic", topic],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    screen = b""
    while not screen.endswith(b">"):
        screen += os.read(controller, 100)
    os.write(controller, b"typed\n")
    while screen.count(b">") < 2:
        screen += os.read(controller, 100)
    os.write(controller, b"\x04")  # Ctrl-D
    assert producer.wait(DEADLINE_S) == 0
    os.close(controller)
    assert screen == b">typed\r\n>"
    assert console.consume(topic, 1).out == "typed\n"


def test_a_file_has_a_progress_bar_on_a_terminal(
    console: Console, make_topic: MakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "lines"
    file.write_text("line\n" * 1000)
    controller, terminal = pty.openpty()
    with file.open("rb") as stdin:
        producer = subprocess.Popen(
            [*COMMAND, "console-producer", *console.bootstrap, "--topic", make_topic()],
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=terminal,
        )
        os.close(terminal)
        screen = b""
        while b"100%" not in screen:
            screen += os.read(controller, 1000)
        assert producer.wait(DEADLINE_S) == 0
    os.close(controller)
    assert b"4.88k/4.88k" in screen


def test_input_of_any_size_needs_no_more_memory(
    console: Console, make_topic: MakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "lines"
    size = 64 << 20
    with file.open("wb") as lines:
        for _ in range(size >> 20):
            lines.write((b"x" * 127 + b"\n") * (1 << 13))
    with file.open("rb") as stdin:
        producer = subprocess.Popen(
            [*COMMAND, "console-producer", *console.bootstrap, "--topic", make_topic()],
            stdin=stdin,
        )
        _, status, usage = os.wait4(producer.pid, 0)
    producer.returncode = os.waitstatus_to_exitcode(status)
    assert producer.returncode == 0
    assert usage.ru_maxrss << 10 < size


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


def test_partitions_that_are_added_are_read_from_their_beginning(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    with RunningCommand(
        "console-consumer", *console.bootstrap, "--topic", topic, *printing(partition="true")
    ) as consumer:
        with RunningCommand("console-producer", *console.bootstrap, "--topic", topic) as producer:
            deadline = time.monotonic() + DEADLINE_S
            while not consumer.out:  # from its first line on we know that it reads
                assert time.monotonic() < deadline
                producer.write("x\n")
                producer.wait_until_read()
        run_command("topics", "--alter", "--topic", topic, "--partitions", "40", *console.bootstrap)
        keyed = "".join(f"{number}\tv\n" for number in range(400))
        console.produce(topic, keyed, "--property", "parse.key=true")
        consumer.wait_for_out("Partition:39\t")
        consumer.signal(signal.SIGINT)
        consumer.wait()


def test_latest_is_where_a_consumer_begins_unless_told(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    console.produce(topic, "a\nb\nc\n")
    base = ("console-consumer", *console.bootstrap, "--topic", topic, "--timeout-ms", "300")
    assert run_command(*base) == (0, "", "Processed a total of 0 messages\n")
    one = ("--partition", "0", "--max-messages", "1")
    assert run_command(*base, *one, "--offset", "1").out == "b\n"
    assert run_command(*base, *one, "--offset", "earliest").out == "a\n"
    assert run_command(*base, "--consumer-property", "auto.offset.reset=earliest").out == (
        "a\nb\nc\n"
    )


def test_an_offset_that_is_gone_or_not_there_yet_is_told(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    console.produce(topic, "a\nb\nc\n")
    base = ("console-consumer", *console.bootstrap, "--topic", topic, "--timeout-ms", "500")
    beyond = run_command(*base, "--partition", "0", "--offset", "99")
    assert beyond.err.splitlines()[0] == f"Offset 99 of {topic}-0 is out of range; going on at 3."
    httpx.post(
        f"{console.url}/v1/topics/{topic}/partitions/0/delete-records", json={"before_offset": 2}
    ).raise_for_status()
    gone = run_command(*base, "--partition", "0", "--offset", "0")
    assert gone == (
        0,
        "c\n",
        f"Offset 0 of {topic}-0 is out of range; going on at 2.\nProcessed a total of 1 messages\n",
    )


def test_a_consumer_reads_all_topics_that_match(console: Console, make_topic: MakeTopic) -> None:
    topics = [make_topic() for _ in range(3)]
    for topic in topics:
        console.produce(topic, f"from {topic}\n")
    read = run_command(
        *("console-consumer", *console.bootstrap, "--from-beginning", "--max-messages", "2"),
        *("--whitelist", ",".join(topics[:2])),
    )
    assert sorted(read.out.splitlines()) == sorted(f"from {topic}" for topic in topics[:2])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Exactly one of --include/--topic is required. "),
        (("--topic", "t", "--include", "t"), "Exactly one of --include/--topic is required. "),
        (
            ("--topic", "t", "--group", "g"),
            "--group is not supported yet: consumer groups do not exist here.",
        ),
        (("--topic", "t", "--offset", "1"), "The partition is required when offset is specified."),
        (
            ("--include", "t", "--partition", "1"),
            "The topic is required when partition is specified.",
        ),
        (
            ("--topic", "t", "--partition", "0", "--offset", "x"),
            "The provided offset value 'x' is incorrect. Valid values are 'earliest', 'latest', "
            "or a non-negative long.",
        ),
        (
            ("--topic", "t", "--partition", "0", "--offset", "1", "--from-beginning"),
            "from-beginning and offset cannot be specified together.",
        ),
        (("--topic", "t", "--consumer-property", "group.id=g"), "group.id is not supported yet"),
        (
            ("--topic", "t", "--formatter", "x.Y"),
            "Unknown formatter x.Y; there are DefaultMessageFormatter and NoOpMessageFormatter",
        ),
    ],
)
def test_a_consumers_command_line_that_makes_no_sense_is_one_sentence(
    bootstrap: tuple[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = run_command("console-consumer", *bootstrap, *arguments)
    assert (outcome.exit_code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[0] == sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), 'Missing required argument "[topic]"'),
        (("--topic", "a b"), "Topic name is invalid: 'a b' contains"),
        (("--topic", "t", "--compression-codec", "rar"), "Unknown compression 'rar'"),
        (("--topic", "t", "--property", "parse.kee=true"), "Unknown property parse.kee"),
        (("--topic", "t", "--producer-property", "transactional.id=x"), "transactional.id is not"),
        (("--topic", "t", "--request-required-acks", "2"), "argument --request-required-acks"),
    ],
)
def test_a_producers_command_line_that_makes_no_sense_is_one_sentence(
    bootstrap: tuple[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = run_command("console-producer", *bootstrap, *arguments)
    assert (outcome.exit_code, outcome.out) == (1, "")
    assert outcome.err.startswith(sentence)
