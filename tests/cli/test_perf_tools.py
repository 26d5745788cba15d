"""kafka-producer-perf-test, kafka-consumer-perf-test and kafka-e2e-latency: lines and exit codes as
Kafka's tools have them."""

import re
from pathlib import Path

import pytest

from tests.cli.command import Outcome, run_command, run_script
from tests.cli.conftest import MakeTopic
from tests.support.broker import BrokerProcess

pytestmark = pytest.mark.slow

_TOTAL = re.compile(
    r"(?P<count>\d+) records sent, \d+\.\d{6} records/sec \(\d+\.\d{2} MB/sec\), "
    r"\d+\.\d{2} ms avg latency, \d+\.\d{2} ms max latency, \d+ ms 50th, \d+ ms 95th, "
    r"\d+ ms 99th, \d+ ms 99\.9th\.\n"
)
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}"
_RATES = r"\d+\.\d{4}, \d+\.\d{4}, (?P<count>\d+), \d+\.\d{4}, \d+, \d+, \d+\.\d{4}, \d+\.\d{4}\n"
_HEADER = (
    "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, "
    "rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n"
)


def _produce(broker: BrokerProcess, topic: str, *arguments: str) -> Outcome:
    return run_script(
        *("kafka-producer-perf-test", "--topic", topic, *arguments),
        *("--producer-props", f"bootstrap.servers={broker.address}", "acks=all"),
    )


def _records(broker: BrokerProcess, topic: str, count: int) -> list[str]:
    connection = ("--bootstrap-server", broker.address, "--topic", topic)
    options = ("--from-beginning", "--max-messages", str(count))
    return run_command("console-consumer", *connection, *options).out.splitlines()


def test_producing_prints_kafkas_line(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic()
    done = _produce(
        broker, topic, "--num-records", "2000", "--record-size", "10", "--throughput", "-1"
    )
    found = _TOTAL.fullmatch(done.out)
    assert found is not None, done
    assert (found["count"], done.exit_code, done.err) == ("2000", 0, "")
    offsets = run_command("get-offsets", "--bootstrap-server", broker.address, "--topic", topic)
    assert offsets.out == f"{topic}:0:2000\n"


def test_producing_at_a_rate_takes_its_time(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    options = ("--num-records", "300", "--payload-monotonic", "--throughput", "200")
    topic = make_topic()
    done = _produce(broker, topic, *options)
    rate = float(done.out.split(", ")[1].split()[0])
    assert rate <= 205
    assert _records(broker, topic, 3) == ["0", "1", "2"]


def test_payloads_come_from_a_file(
    broker: BrokerProcess, make_topic: MakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "payloads"
    file.write_text("one;two;three")
    topic = make_topic()
    options = ("--payload-file", str(file), "--payload-delimiter", ";", "--throughput", "-1")
    done = _produce(broker, topic, "--num-records", "50", *options)
    reading, count, total = done.out.splitlines(keepends=True)
    assert (reading, count) == (f"Reading payloads from: {file}\n", "Number of messages read: 3\n")
    assert _TOTAL.fullmatch(total)
    assert set(_records(broker, topic, 50)) == {"one", "two", "three"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), 'Missing required argument "[topic]"'),
        (
            ("--topic", "t", "--num-records", "1", "--throughput", "-1"),
            "one of the arguments --record-size --payload-file --payload-monotonic is required",
        ),
        (
            ("--topic", "t", "--num-records", "1", "--throughput", "-1", "--record-size", "1"),
            "Either --producer-props or --producer.config must be specified.",
        ),
        (("--num-records", "x"), "'x' is not a whole number"),
        (
            (
                *("--topic", "t", "--num-records", "1", "--throughput", "-1"),
                *("--record-size", "1", "--producer-props", "acks=1"),
            ),
            'Missing required configuration "bootstrap.servers" which has no default value.',
        ),
    ],
)
def test_producer_command_line_that_cannot_be_is_refused(
    options: tuple[str, ...], sentence: str
) -> None:
    done = run_command("producer-perf-test", *options)
    assert (done.exit_code, done.out) == (1, "")
    assert sentence in done.err


def test_records_that_are_refused_are_counted(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic(config={"max.message.bytes": "1000"})
    done = _produce(
        broker, topic, "--num-records", "12", "--record-size", "5000", "--throughput", "-1"
    )
    assert done.exit_code == 1
    assert done.out.startswith("0 records sent, ")
    assert done.err.endswith("12 records were not stored.\n")


def test_consuming_prints_a_header_and_a_line(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=2)
    _produce(broker, topic, "--num-records", "3000", "--record-size", "10", "--throughput", "-1")
    options = ("--bootstrap-server", broker.address, "--topic", topic, "--messages", "3000")
    done = run_script("kafka-consumer-perf-test", *options)
    assert (done.exit_code, done.err) == (0, "")
    assert done.out.startswith(_HEADER)
    found = re.fullmatch(f"{_TIME}, {_TIME}, {_RATES}", done.out.removeprefix(_HEADER))
    assert found is not None, done.out
    assert found["count"] == "3000"
    assert done.out.split("\n")[1].split(", ")[2] == "0.0286"  # 30,000 bytes


def test_consuming_stops_when_nothing_comes(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic()
    _produce(broker, topic, "--num-records", "30", "--record-size", "10", "--throughput", "-1")
    options = ("--bootstrap-server", broker.address, "--topic", topic, "--messages", "31")
    done = run_command("consumer-perf-test", *options, "--timeout", "700", "--hide-header")
    assert done.exit_code == 0
    warning, line = done.out.splitlines()
    assert warning == (
        "WARNING: Exiting before consuming the expected number of messages: timeout (700 ms) "
        "exceeded. You can use the --timeout option to increase the timeout."
    )
    assert line.split(", ")[4] == "30"


def test_consuming_says_where_to_look_when_nothing_comes_at_all() -> None:
    options = ("--bootstrap-server", "localhost:1", "--topic", "none", "--messages", "1")
    done = run_command("consumer-perf-test", *options, "--timeout", "300")
    unreachable, advice = done.err.splitlines()
    assert unreachable.startswith("No broker can be reached: Nobody listens at localhost:1")
    assert advice.startswith("Nothing was read. See that there is a broker at localhost:1, and ")
    assert "topic 'none' exists" in advice


def test_producing_says_for_how_long_it_looks_for_a_broker() -> None:
    done = run_command(
        *("producer-perf-test", "--topic", "t", "--num-records", "1", "--record-size", "1"),
        *("--throughput", "-1", "--producer-props", "bootstrap.servers=localhost:1"),
        "max.block.ms=300",
    )
    first, last = done.err.splitlines()
    assert first == (
        "No broker can be reached: Nobody listens at localhost:1. "
        "Trying again for 0.3 s (max.block.ms)."
    )
    assert "were not known within max.block.ms (300): No broker can be reached" in last
    assert done.exit_code == 1


def test_consuming_shows_intervals(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic()
    _produce(broker, topic, "--num-records", "30", "--record-size", "10", "--throughput", "-1")
    done = run_command(
        *("consumer-perf-test", "--bootstrap-server", broker.address, "--topic", topic),
        *("--messages", "30", "--show-detailed-stats", "--reporting-interval", "1"),
        *("--date-format", "HH:mm"),
    )
    header, *lines = done.out.splitlines(keepends=True)
    assert header.startswith("time, threadId, data.consumed.in.MB, ")
    assert re.fullmatch(rf"\d\d:\d\d, 0, {_RATES}", lines[-1]), lines
    assert lines[-1].split(", ")[4] == "30"


def test_latency_is_measured_on_a_topic_that_it_makes(broker: BrokerProcess) -> None:
    done = run_script("kafka-e2e-latency", broker.address, "latency", "50", "all", "100")
    assert (done.exit_code, done.err) == (0, "")
    assert re.fullmatch(
        r'Topic "latency" does not exist\. Will create topic with 1 partition\(s\) and '
        r"replication factor = 1\n"
        r"0\t\d+\.\d+\n"
        r"Avg latency: \d+\.\d{4} ms\n"
        r"Percentiles: 50th = \d+, 99th = \d+, 99\.9th = \d+\n",
        done.out,
    )
    again = run_command("e2e-latency", broker.address, "latency", "5", "1", "10")
    assert again.out.startswith("0\t")


def test_latency_without_acknowledgement_is_refused(broker: BrokerProcess) -> None:
    done = run_command("e2e-latency", broker.address, "latency", "50", "0", "100")
    assert (done.exit_code, done.out) == (1, "")
    assert done.err == "Latency testing requires synchronous acknowledgement. Please use 1 or all\n"
