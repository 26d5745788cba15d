"""Tests for kafkalite.config.broker_config."""

import logging

import pytest

from kafkalite.config.broker_config import (
    DYNAMIC_DEFAULT,
    ConfigSynonym,
    apply_dynamic,
    check_broker_config,
    describe_broker_config,
    describe_overrides,
)
from kafkalite.config.keys import BrokerSettings
from kafkalite.model.errors import InvalidConfigError

STATIC = BrokerSettings(zookeeper_connect="localhost:2181", message_max_bytes=900)


def test_live_keys_can_be_changed() -> None:
    check_broker_config({"log.retention.ms": "5", "message.max.bytes": "7"})


def test_other_keys_cannot_be_changed() -> None:
    with pytest.raises(InvalidConfigError) as raised:
        check_broker_config({"broker.id": "1", "bogus": "1", "log.retention.ms": "5"})
    assert raised.value.detail == "Cannot update these configs dynamically: Set(bogus, broker.id)"


def test_wrong_values_are_refused_all_at_once() -> None:
    with pytest.raises(InvalidConfigError) as raised:
        check_broker_config({"log.retention.ms": "x", "log.segment.bytes": "1"})
    assert sorted(raised.value.detail.split("; ")) == [
        "Invalid value 1 for configuration log.segment.bytes: 1 is too small, it must be at least "
        "14",
        "Invalid value x for configuration log.retention.ms: 'x' is not a whole number",
    ]


def test_own_setting_counts_before_the_default_and_both_before_the_static_one() -> None:
    settings = apply_dynamic(
        STATIC,
        {"message.max.bytes": "1000", "log.retention.ms": "5"},
        {"message.max.bytes": "2000"},
    )
    assert settings.message_max_bytes == 2000
    assert settings.retention_ms == 5
    assert settings.zookeeper_connect == STATIC.zookeeper_connect
    assert STATIC.message_max_bytes == 900


def test_removing_a_dynamic_setting_restores_the_static_one() -> None:
    assert apply_dynamic(STATIC, {}, {"message.max.bytes": "7"}).message_max_bytes == 7
    settings = apply_dynamic(STATIC, {}, {})
    assert settings.model_dump() == STATIC.model_dump()
    assert settings.model_fields_set == STATIC.model_fields_set


def test_unusable_entry_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        settings = apply_dynamic(
            STATIC, {"bogus": "1", "log.retention.ms": "5"}, {"message.max.bytes": "x"}
        )
    assert settings.retention_ms == 5
    assert settings.message_max_bytes == 900
    assert len(caplog.records) == 2


def test_description_tells_where_a_value_comes_from() -> None:
    settings = apply_dynamic(STATIC, {"message.max.bytes": "1000"}, {"message.max.bytes": "2000"})
    described = {entry.name: entry for entry in describe_broker_config(settings)}
    assert list(described) == sorted(described)
    entry = described["message.max.bytes"]
    assert (entry.value, entry.source) == ("2000", "DYNAMIC_BROKER_CONFIG")
    assert entry.synonyms == (
        ConfigSynonym("DYNAMIC_BROKER_CONFIG", "message.max.bytes", "2000"),
        ConfigSynonym("DYNAMIC_DEFAULT_BROKER_CONFIG", "message.max.bytes", "1000"),
        ConfigSynonym("STATIC_BROKER_CONFIG", "message.max.bytes", "900"),
        ConfigSynonym("DEFAULT_CONFIG", "message.max.bytes", "1048588"),
    )
    assert described["zookeeper.connect"].source == "STATIC_BROKER_CONFIG"
    assert described["listeners"].value == "HTTP://:9092"
    assert described["delete.topic.enable"].value == "true"
    assert described["log.dirs"][1:3] == (None, "DEFAULT_CONFIG")


def test_description_of_one_place_names_what_it_sets() -> None:
    (entry,) = describe_overrides({"message.max.bytes": "5"}, DYNAMIC_DEFAULT)
    assert (entry.name, entry.value, entry.source) == ("message.max.bytes", "5", DYNAMIC_DEFAULT)
    assert entry.doc.startswith("The largest record batch")
