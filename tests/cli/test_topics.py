"""kafka-topics: outputs and exit codes as Kafka's tool has them."""

import re

import pytest

from tests.cli.command import SCRIPTS, Outcome, run_command, run_script, run_shell
from tests.cli.conftest import MakeTopic
from tests.support.broker import BrokerProcess

pytestmark = pytest.mark.slow

WARNING = (
    "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') "
    "could collide. To avoid issues it is best to use either, but not both.\n"
)
FAILED = "Error while executing topic command : "


class Topics:
    """kafka-topics against the shared broker."""

    def __init__(self, bootstrap: tuple[str, str]) -> None:
        self._bootstrap = bootstrap

    def __call__(self, *arguments: str) -> Outcome:
        return run_command("topics", *arguments, *self._bootstrap)


@pytest.fixture
def topics(bootstrap: tuple[str, str]) -> Topics:
    return Topics(bootstrap)


def test_a_topic_lives_as_kafkas_tool_says(topics: Topics) -> None:
    create = ("--create", "--topic", "zz1", "--partitions", "2", "--replication-factor", "1")
    assert topics(*create) == (0, "Created topic zz1.\n", "")
    assert topics(*create) == (1, f"{FAILED}Topic 'zz1' already exists.\n", "")
    assert topics(*create, "--if-not-exists") == (0, "", "")
    described = topics("--describe", "--topic", "zz1")
    assert described.exit_code == 0
    assert re.fullmatch(
        r"Topic: zz1\tTopicId: [A-Za-z0-9_-]{22}\tPartitionCount: 2\tReplicationFactor: 1\t"
        r"Configs: \n"
        r"\tTopic: zz1\tPartition: 0\tLeader: 0\tReplicas: 0\tIsr: 0\n"
        r"\tTopic: zz1\tPartition: 1\tLeader: 0\tReplicas: 0\tIsr: 0\n",
        described.out,
    )
    assert topics("--alter", "--topic", "zz1", "--partitions", "4") == (0, "", "")
    assert topics("--describe", "--topic", "zz1").out.count("\tPartition: ") == 4
    assert topics("--alter", "--topic", "zz1", "--partitions", "1") == (
        1,
        f"{FAILED}Topic currently has 4 partitions, which is higher than the requested 1.\n",
        "",
    )
    assert topics("--delete", "--topic", "zz1") == (0, "", "")
    assert topics("--delete", "--topic", "zz1") == (
        1,
        f"{FAILED}Topic 'zz1' does not exist as expected\n",
        "",
    )
    assert topics("--delete", "--topic", "zz1", "--if-exists") == (0, "", "")
    assert "zz1\n" not in topics("--list").out.splitlines(keepends=True)


def test_the_lines_of_old_work_as_typed(cli_zookeeper: str, broker: BrokerProcess) -> None:
    del broker
    create = (
        *("--create", "--zookeeper", cli_zookeeper, "--partitions", "2"),
        *("--replication-factor", "1", "--topic", "firstTopic"),
    )
    assert run_script("kafka-topics", *create) == (0, "Created topic firstTopic.\n", "")
    listed = run_script("kafka-topics", "--list", "--zookeeper", cli_zookeeper)
    assert "firstTopic" in listed.out.splitlines()
    deleted = run_script(
        "kafka-topics", "--delete", "--zookeeper", cli_zookeeper, "--topic", "firstTopic"
    )
    assert deleted == (
        0,
        "Topic firstTopic is marked for deletion.\n"
        "Note: This will have no impact if delete.topic.enable is not set to true.\n",
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ("--topic", "big", "--replication-factor", "3"),
            "Replication factor: 3 larger than available brokers: 1.",
        ),
        (
            ("--topic", "bad name"),
            "Topic name is invalid: 'bad name' contains one or more characters other than ASCII "
            "alphanumerics, '.', '_' and '-'",
        ),
        (("--topic", ".."), "Topic name is invalid: '..' is not allowed"),
        (("--topic", "none", "--partitions", "0"), "The partitions must be greater than 0"),
        (
            ("--topic", "none", "--replication-factor", "0"),
            "The replication factor must be between 1 and 32767 inclusive",
        ),
        (("--topic", "odd", "--config", "bogus=1"), "Unknown topic config name: bogus"),
        (
            ("--topic", "odd", "--replica-assignment", "0:0"),
            "Partition replica lists may not contain duplicate entries: 0",
        ),
    ],
)
def test_what_cannot_be_created_is_refused_in_kafkas_words(
    topics: Topics, arguments: tuple[str, ...], reason: str
) -> None:
    assert topics("--create", *arguments) == (1, f"{FAILED}{reason}\n", "")


def test_names_that_may_collide_are_warned_about_and_those_that_do_are_refused(
    topics: Topics,
) -> None:
    assert topics("--create", "--topic", "a.b") == (0, f"{WARNING}Created topic a.b.\n", "")
    assert topics("--create", "--topic", "a_b") == (
        1,
        f"{WARNING}{FAILED}Topic 'a_b' collides with existing topics: a.b\n",
        "",
    )


def test_list_is_sorted_and_takes_a_regular_expression(topics: Topics) -> None:
    for name in ("list-b", "list-a", "unlisted"):
        topics("--create", "--topic", name)
    assert topics("--list", "--topic", "list-.*") == (0, "list-a\nlist-b\n", "")
    assert topics("--list", "--topic", "nothing-.*") == (0, "", "")
    described = topics("--describe", "--topic", "list-.*")
    assert [line.split("\t")[0] for line in described.out.splitlines() if line[0] == "T"] == [
        "Topic: list-a",
        "Topic: list-b",
    ]


def test_describe_shows_overrides_and_filters(topics: Topics, make_topic: MakeTopic) -> None:
    name = make_topic(config={"retention.ms": "1000", "min.insync.replicas": "2"})
    plain = make_topic()
    both = f"{name},{plain}"
    described = topics("--describe", "--topic", name).out.splitlines()[0]
    assert described.endswith("\tConfigs: min.insync.replicas=2,retention.ms=1000")
    overrides = topics("--describe", "--topic", both, "--topics-with-overrides").out
    assert overrides == f"{described}\n"
    partition = f"\tTopic: {name}\tPartition: 0\tLeader: 0\tReplicas: 0\tIsr: 0\n"
    assert topics("--describe", "--topic", both, "--under-min-isr-partitions").out == partition
    at_min_isr = topics("--describe", "--topic", both, "--at-min-isr-partitions").out
    assert at_min_isr == partition.replace(name, plain)
    for option in ("--under-replicated-partitions", "--unavailable-partitions"):
        assert topics("--describe", "--topic", both, option) == (0, "", "")


def test_describing_what_is_not_there_is_an_error(topics: Topics) -> None:
    assert topics("--describe", "--topic", "nope") == (
        1,
        f"{FAILED}Topic 'nope' does not exist as expected\n",
        "",
    )
    assert topics("--describe", "--topic", "nope", "--if-exists") == (0, "", "")


def test_an_assignment_of_replicas_is_taken(topics: Topics) -> None:
    assigned = topics("--create", "--topic", "assigned", "--replica-assignment", "0,0,0")
    assert assigned == (0, "Created topic assigned.\n", "")
    grown = topics("--alter", "--topic", "assigned", "--replica-assignment", "0,0,0,0")
    assert grown == (0, "", "")
    assert "PartitionCount: 4" in topics("--describe", "--topic", "assigned").out


def test_no_action_is_an_error_with_help(topics: Topics) -> None:
    outcome = topics("--topic", "t")
    assert outcome.exit_code == 1
    sentence, *help_text = outcome.err.splitlines()
    assert sentence == (
        "Command must include exactly one action: --list, --describe, --create, --alter or --delete"
    )
    assert any("--replica-assignment" in line for line in help_text)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--create",), 'Missing required argument "[topic]"'),
        (("--alter", "--topic", "t"), 'Missing required argument "[partitions]"'),
        (("--list", "--partitions", "3"), '"[list]" can\'t be used with option "[partitions]"'),
        (("--alter", "--topic", "t", "--partitions", "3", "--config", "a=b"), "[config]"),
        (("--list", "--bogus"), "bogus is not a recognized option"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_one_sentence(
    topics: Topics, arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = topics(*arguments)
    assert (outcome.exit_code, outcome.out) == (1, "")
    assert sentence in outcome.err.splitlines()[0]


def test_a_way_to_the_brokers_is_required() -> None:
    outcome = run_command("topics", "--list")
    assert outcome.exit_code == 1
    assert outcome.err.startswith('Missing required argument "[bootstrap-server]"')


def test_a_broker_that_is_not_there_is_named() -> None:
    outcome = run_command("topics", "--list", "--bootstrap-server", "127.0.0.1:1")
    assert outcome == (
        1,
        f"{FAILED}No broker can be reached: 127.0.0.1:1 (Connection refused).\n",
        "",
    )


def test_one_live_broker_of_the_list_is_enough(broker: BrokerProcess) -> None:
    outcome = run_command("topics", "--list", "--bootstrap-server", f"127.0.0.1:1,{broker.address}")
    assert outcome.exit_code == 0


def test_a_broker_is_told_from_a_zookeeper(broker: BrokerProcess) -> None:
    outcome = run_script("kafka-topics", "--list", "--zookeeper", broker.address)
    assert outcome.exit_code == 1
    assert outcome.out.endswith(
        f": {broker.address} answers in HTTP. If that is a broker, name it with --bootstrap-server "
        f"{broker.address} instead.\n"
    )


def test_a_server_of_another_kind_is_told_from_a_broker(cli_zookeeper: str) -> None:
    address = cli_zookeeper.partition("/")[0]
    outcome = run_command("topics", "--list", "--bootstrap-server", address)
    assert outcome.exit_code == 1
    assert address in outcome.out
    assert outcome.out.count("\n") == 1


def test_a_listing_ends_quietly_when_nobody_reads_it(bootstrap: tuple[str, str]) -> None:
    listing = f"{SCRIPTS}/kafka-topics.sh --list {' '.join(bootstrap)}"
    assert run_shell(f"{listing} | true") == (0, "", "")
