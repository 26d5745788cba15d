"""Tests for kafkalite.config.keys: what is declared holds together."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from kafkalite.config.kafka_keys import WITHOUT_EFFECT, WRITE_INSTEAD, refusal, topic_refusal
from kafkalite.config.keys import SECTIONS, BrokerSettings
from kafkalite.config.names import attribute_of
from kafkalite.config.setting import as_text, declared
from kafkalite.config.topic_overrides import TopicOverrides
from kafkalite.config.views import FlushPolicy, LogOptions, ReplicaOptions

MINIMAL = {"zookeeper.connect": "localhost:2181"}
BROKER_SETTINGS = tuple(declared(BrokerSettings))
TOPIC_SETTINGS = tuple(declared(TopicOverrides))


@pytest.mark.parametrize("model", [BrokerSettings, TopicOverrides])
def test_every_key_says_what_it_does(model: type[BaseModel]) -> None:
    for setting in declared(model):
        assert setting.doc.endswith("."), setting.key
        assert "|" not in setting.doc, f"{setting.key}: it would break the reference's table"


def test_every_default_is_a_value_that_may_be_written() -> None:
    written = {
        setting.key: text
        for setting in BROKER_SETTINGS
        if (text := as_text(setting.default)) is not None
    }
    assert BrokerSettings.model_validate(MINIMAL | written) == BrokerSettings.model_validate(
        MINIMAL
    )


def test_every_key_is_in_one_section() -> None:
    listed = [name for section in SECTIONS for name in section.model_fields]
    assert sorted(listed) == sorted(BrokerSettings.model_fields)


def test_every_topic_key_falls_back_to_live_keys_of_the_broker() -> None:
    broker = {setting.key: setting for setting in BROKER_SETTINGS}
    defaults = BrokerSettings.model_validate(MINIMAL)
    for setting in TOPIC_SETTINGS:
        assert hasattr(defaults, setting.default_of), setting.key
        assert set(setting.synonyms) <= set(broker), setting.key
        for key in setting.synonyms[:1]:
            assert broker[key].live or setting.key == "cleanup.policy"


def test_replica_options_have_the_same_defaults_as_the_keys() -> None:
    assert BrokerSettings.model_validate(MINIMAL).replica_options == ReplicaOptions()


def test_no_key_is_both_ours_and_refused_as_kafkas() -> None:
    for setting in BROKER_SETTINGS:
        assert setting.key not in WITHOUT_EFFECT
        assert refusal(setting.key) is None
    assert all(topic_refusal(setting.key) is None for setting in TOPIC_SETTINGS)
    assert not set(WITHOUT_EFFECT) & set(WRITE_INSTEAD)


def test_log_options_have_the_same_defaults_as_the_keys() -> None:
    defaults, options = BrokerSettings.model_validate(MINIMAL), LogOptions()
    assert options == LogOptions(
        segment_bytes=defaults.log_segment_bytes,
        segment_ms=defaults.roll_ms,
        segment_index_bytes=defaults.log_index_size_max_bytes,
        index_interval_bytes=defaults.log_index_interval_bytes,
        retention_ms=defaults.retention_ms,
        retention_bytes=defaults.log_retention_bytes,
        file_delete_delay_ms=defaults.log_segment_delete_delay_ms,
        flush_messages=defaults.log_flush_interval_messages,
        flush_ms=defaults.flush_interval_ms,
    )


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ({}, 168 * 3_600_000),
        ({"log.retention.hours": "2"}, 2 * 3_600_000),
        ({"log.retention.hours": "2", "log.retention.minutes": "3"}, 3 * 60_000),
        ({"log.retention.minutes": "3", "log.retention.ms": "4"}, 4),
        ({"log.retention.ms": "-1", "log.retention.hours": "2"}, -1),
        ({"log.retention.minutes": "-1"}, -1),
        ({"log.retention.hours": "-1"}, -1),
    ],
)
def test_finest_retention_key_counts(written: dict[str, str], milliseconds: int) -> None:
    assert BrokerSettings.model_validate(MINIMAL | written).retention_ms == milliseconds


def test_roll_ms_counts_before_hours() -> None:
    assert BrokerSettings.model_validate(MINIMAL | {"log.roll.hours": "2"}).roll_ms == 7_200_000
    both = MINIMAL | {"log.roll.hours": "2", "log.roll.ms": "3"}
    assert BrokerSettings.model_validate(both).roll_ms == 3


def test_derived_values_fall_back_when_their_key_is_not_set() -> None:
    settings = BrokerSettings.model_validate(
        MINIMAL | {"log.flush.scheduler.interval.ms": "70", "zookeeper.session.timeout.ms": "80"}
    )
    assert (settings.flush_interval_ms, settings.connection_timeout_ms) == (70, 80)
    settings = BrokerSettings.model_validate(
        MINIMAL | {"log.flush.interval.ms": "7", "zookeeper.connection.timeout.ms": "8"}
    )
    assert (settings.flush_interval_ms, settings.connection_timeout_ms) == (7, 8)


def test_log_dirs_count_before_log_dir() -> None:
    settings = BrokerSettings.model_validate(MINIMAL | {"log.dir": "/a"})
    assert settings.log_directories == (Path("/a"),)
    settings = BrokerSettings.model_validate(MINIMAL | {"log.dir": "/a", "log.dirs": "/b,/c"})
    assert settings.log_directories == (Path("/b"), Path("/c"))


def test_durability_is_the_default() -> None:
    settings = BrokerSettings.model_validate(MINIMAL)
    assert settings.log_flush_policy is FlushPolicy.COMMIT
    assert settings.unclean_leader_election_enable is False


@pytest.mark.parametrize("key", [setting.key for setting in BROKER_SETTINGS])
def test_blank_is_no_value_of_any_key(key: str) -> None:
    with pytest.raises(ValidationError):
        BrokerSettings.model_validate(MINIMAL | {key: " "})


@pytest.mark.parametrize("text", ["1_000", "1e3", "0x10", "+1", "٣", "1.0", "--1", "9" * 5000])
def test_only_plain_digits_are_a_number(text: str) -> None:
    with pytest.raises(ValidationError):
        BrokerSettings.model_validate(MINIMAL | {"num.partitions": text})


def test_settings_cannot_be_changed() -> None:
    settings, name = BrokerSettings.model_validate(MINIMAL), "num_partitions"
    with pytest.raises(ValidationError):
        setattr(settings, name, 2)


def test_keys_are_described_with_their_type_and_bounds() -> None:
    described = {
        setting.key: (setting.type_name, setting.valid_values) for setting in BROKER_SETTINGS
    }
    assert described["broker.id"] == ("int", "-1 or more")
    assert described["default.replication.factor"] == ("int", "1 to 32767")
    assert described["log.retention.ms"] == ("long", "-1 or more")
    assert described["log.flush.policy"] == ("string", "commit, interval, os")
    assert described["log.cleanup.policy"] == ("string", "delete")
    assert described["delete.topic.enable"] == ("boolean", "")
    assert described["log.dirs"] == ("list", "")
    assert all(attribute_of(key) in BrokerSettings.model_fields for key in described)
