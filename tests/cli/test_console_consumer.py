"""The console consumer: what it prints, where it begins, and how it ends."""

import re
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.command import (
    DEADLINE_S,
    SCRIPTS,
    RunningCommand,
    run_command,
    run_shell,
)
from tests.cli.conftest import MakeTopic
from tests.cli.console import Console, printing
from tests.support.broker import BrokerProcess
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow


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


def test_a_damaged_record_costs_no_other_record(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    with BrokerProcess(tmp_path, f"{embedded_zookeeper.hosts}/cli-damage") as broker:
        console = Console(("--bootstrap-server", broker.address))
        console.produce("t", "".join(f"line {number}\n" for number in range(5)), "--sync")
        broker.stop()
        log = broker.log_dir / "t-0" / f"{0:020}.log"
        log.write_bytes(log.read_bytes().replace(b"line 2", b"line X"))
        broker.start()
        stopped = console.consume("t", 5)
        skipping = console.consume("t", 4, "--skip-message-on-error", "--timeout-ms", "5000")
    assert (stopped.exit_code, stopped.out) == (1, "line 0\nline 1\n")
    sentence, told = stopped.err.splitlines()
    assert told == "Processed a total of 2 messages"
    assert sentence.startswith("t-0 cannot be read at offset 2: CORRUPT_MESSAGE: ")
    assert skipping[:2] == (0, "line 0\nline 1\nline 3\nline 4\n")


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
            ("--topic", "t", "--group", "g", "--consumer-property", "group.id=h"),
            "The group ids provided in different places (directly using '--group', via "
            "'--consumer-property', or via '--consumer.config') do not match. Detected group ids: "
            "'g', 'h'",
        ),
        (
            ("--topic", "t", "--group", "g", "--partition", "0"),
            "--partition cannot be used with --group: a group assigns its partitions.",
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
        (
            ("--topic", "t", "--group", ""),
            "The group id is invalid: the empty string is not allowed",
        ),
        (
            ("--topic", "t", "--consumer-property", "session.timeout.ms=-5"),
            "Invalid value -5 for configuration session.timeout.ms: at least 0",
        ),
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
