"""kafka-configs: outputs and exit codes as Kafka's tool has them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Outcome, run_command, run_script
from tests.cli.conftest import MakeTopic

pytestmark = pytest.mark.slow


class Configs:
    """kafka-configs against the shared broker."""

    def __init__(self, bootstrap: tuple[str, str]) -> None:
        self._bootstrap = bootstrap

    def __call__(self, *arguments: str) -> Outcome:
        return run_command("configs", *self._bootstrap, *arguments)

    def topic(self, name: str, *arguments: str) -> Outcome:
        return self("--entity-type", "topics", "--entity-name", name, *arguments)


@pytest.fixture
def configs(bootstrap: tuple[str, str]) -> Configs:
    return Configs(bootstrap)


def test_a_topics_settings_are_set_shown_and_removed(
    configs: Configs, make_topic: MakeTopic, bootstrap: tuple[str, str]
) -> None:
    topic = make_topic()
    entity = ("--entity-type", "topics", "--entity-name", topic)
    assert run_script(
        "kafka-configs", *bootstrap, "--alter", *entity, "--add-config", "retention.ms=1000"
    ) == (0, f"Completed updating config for topic {topic}.\n", "")
    described = configs.topic(topic, "--describe")
    first, second = described.out.splitlines()
    assert first == f"Dynamic configs for topic {topic} are:"
    assert second.startswith(
        "  retention.ms=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1000"
    )
    assert second.endswith("}")
    both = ("--add-config", "segment.bytes=2000000", "--delete-config", "retention.ms")
    assert configs.topic(topic, "--alter", *both).exit_code == 0
    names = [line.split("=")[0] for line in configs.topic(topic, "--describe").out.splitlines()]
    assert names[1:] == ["  segment.bytes"]


def test_all_settings_of_a_topic_are_shown(configs: Configs, make_topic: MakeTopic) -> None:
    topic = make_topic()
    described = configs("--topic", topic, "--describe", "--all").out.splitlines()
    assert described[0] == f"All configs for topic {topic} are:"
    names = [line.split("=")[0].strip() for line in described[1:]]
    assert {"retention.ms", "max.message.bytes", "min.insync.replicas"} <= set(names)


def test_every_topic_is_described_when_none_is_named(
    configs: Configs, make_topic: MakeTopic
) -> None:
    names = [make_topic(), make_topic()]
    out = configs("--entity-type", "topics", "--describe").out
    assert all(f"Dynamic configs for topic {name} are:\n" in out for name in names)


def test_a_value_in_brackets_may_hold_commas(configs: Configs, make_topic: MakeTopic) -> None:
    topic = make_topic()
    added = "cleanup.policy=[delete],retention.ms=5000"
    assert configs.topic(topic, "--alter", "--add-config", added).exit_code == 0
    out = configs.topic(topic, "--describe").out
    assert "  cleanup.policy=delete " in out
    assert "  retention.ms=5000 " in out


def test_settings_come_from_a_file_too(
    configs: Configs, make_topic: MakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "topic.properties"
    file.write_text("# ours\nretention.ms=7000\n")
    topic = make_topic()
    assert configs.topic(topic, "--alter", "--add-config-file", str(file)).exit_code == 0
    assert "  retention.ms=7000 " in configs.topic(topic, "--describe").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--add-config", "bogus=1"), "Unknown topic config name: bogus\n"),
        (("--add-config", "bogus"), 'must be in the format "key=val".\n'),
        (("--delete-config", "retention.ms"), "Invalid config(s): retention.ms\n"),
        (
            ("--add-config", "retention.ms=1", "--delete-config", "retention.ms"),
            "Settings to add and to delete at once: retention.ms\n",
        ),
    ],
)
def test_what_cannot_be_set_is_one_sentence(
    configs: Configs, make_topic: MakeTopic, arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = configs.topic(make_topic(), "--alter", *arguments)
    assert (outcome.exit_code, outcome.out) == (1, "")
    assert outcome.err.endswith(sentence)


def test_an_unknown_topic_is_an_error(configs: Configs) -> None:
    for action in (("--describe",), ("--alter", "--add-config", "retention.ms=1")):
        outcome = configs.topic("nope", *action)
        assert (outcome.exit_code, outcome.out) == (1, "")
        assert "nope" in outcome.err


@pytest.fixture
def live_key(configs: Configs) -> Iterator[str]:
    """A setting of brokers that may change while they run; removed again."""
    key = "log.retention.ms"
    yield key
    for entity in (("--broker", "0"), ("--broker-defaults",)):
        configs(*entity, "--alter", "--delete-config", key)


def test_a_brokers_settings_are_set_shown_and_removed(configs: Configs, live_key: str) -> None:
    entity = ("--entity-type", "brokers", "--entity-name", "0")
    added = configs(*entity, "--alter", "--add-config", f"{live_key}=123456789")
    assert added == (0, "Completed updating config for broker 0.\n", "")
    described = configs(*entity, "--describe").out
    assert described.startswith("Dynamic configs for broker 0 are:\n")
    assert f"  {live_key}=123456789 sensitive=false synonyms={{DYNAMIC_BROKER_CONFIG:" in described
    assert configs(*entity, "--alter", "--delete-config", live_key).exit_code == 0
    assert f"  {live_key}=123456789" not in configs(*entity, "--describe").out


def test_the_settings_of_all_brokers_are_set_and_shown(configs: Configs, live_key: str) -> None:
    entity = ("--entity-type", "brokers", "--entity-default")
    added = configs(*entity, "--alter", "--add-config", f"{live_key}=987654321")
    assert added == (0, "Completed updating default config for brokers in the cluster.\n", "")
    described = configs(*entity, "--describe").out
    assert described.startswith("Default configs for brokers in the cluster are:\n")
    assert f"  {live_key}=987654321 " in described


def test_a_setting_that_needs_a_restart_is_refused(configs: Configs) -> None:
    outcome = configs("--broker", "0", "--alter", "--add-config", "log.dirs=/elsewhere")
    assert (outcome.exit_code, outcome.out) == (1, "")
    assert "Cannot update these configs dynamically" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Command must include exactly one action: --describe, --alter."),
        (("--describe",), 'Missing required argument "[entity-type]"'),
        (
            ("--describe", "--entity-type", "users", "--entity-name", "u"),
            "Settings of users are not supported yet.",
        ),
        (
            ("--describe", "--entity-type", "clients"),
            "Settings of clients are not supported yet.",
        ),
        (("--describe", "--entity-type", "cats"), "Invalid entity type cats"),
        (
            ("--alter", "--entity-type", "topics", "--add-config", "a=b"),
            "--entity-name or --entity-default must be specified with --alter",
        ),
        (("--alter", "--topic", "t"), "At least one of --add-config"),
        (("--describe", "--broker", "one"), "The entity name for brokers must be a valid integer"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_one_sentence(
    configs: Configs, arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = configs(*arguments)
    assert (outcome.exit_code, outcome.out) == (1, "")
    assert outcome.err.startswith(sentence)
