"""Tests for kafkalite.config.topic_config."""

import logging

import pytest

from kafkalite.config.broker_config import ConfigEntry, ConfigSynonym, apply_dynamic
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.topic_config import (
    check_topic_config,
    describe_topic_config,
    topic_settings,
)
from kafkalite.config.views import LogOptions
from kafkalite.model.compression import Compression
from kafkalite.model.errors import InvalidConfigError

DEFAULTS = BrokerSettings(zookeeper_connect="localhost:2181")


def entry(settings: BrokerSettings, overrides: dict[str, str], name: str) -> ConfigEntry:
    return next(e for e in describe_topic_config(settings, overrides) if e.name == name)


def test_broker_settings_count_when_the_topic_sets_nothing() -> None:
    settings = topic_settings(DEFAULTS, {})
    assert settings.log_options == LogOptions()
    assert settings.max_message_bytes == DEFAULTS.message_max_bytes
    assert settings.max_decompressed_bytes == DEFAULTS.message_max_decompressed_bytes
    assert settings.min_insync_replicas == 1
    assert settings.compression is None
    assert not settings.unclean_leader_election
    assert not settings.stamps_log_append_time
    assert settings.batch_target_bytes == 512 << 10


def test_every_override_arrives() -> None:
    settings = topic_settings(
        DEFAULTS,
        {
            "cleanup.policy": "delete",
            "segment.bytes": "20",
            "segment.ms": "2",
            "segment.index.bytes": "12",
            "index.interval.bytes": "4",
            "retention.ms": "5",
            "retention.bytes": "6",
            "file.delete.delay.ms": "7",
            "flush.messages": "8",
            "flush.ms": "9",
            "max.message.bytes": "10",
            "min.insync.replicas": "2",
            "unclean.leader.election.enable": "true",
            "message.timestamp.before.max.ms": "11",
            "message.timestamp.after.max.ms": "12",
            "message.timestamp.type": "LogAppendTime",
            "compression.type": "zstd",
        },
    )
    assert settings.log_options == LogOptions(
        segment_bytes=20,
        segment_ms=2,
        segment_index_bytes=12,
        index_interval_bytes=4,
        retention_ms=5,
        retention_bytes=6,
        file_delete_delay_ms=7,
        flush_messages=8,
        flush_ms=9,
    )
    assert settings.max_message_bytes == 10
    assert settings.min_insync_replicas == 2
    assert settings.unclean_leader_election
    assert settings.timestamp_before_max_ms == 11
    assert settings.timestamp_after_max_ms == 12
    assert settings.stamps_log_append_time
    assert settings.compression is Compression.ZSTD


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("producer", None),
        ("uncompressed", Compression.NONE),
        ("gzip", Compression.GZIP),
        ("snappy", Compression.SNAPPY),
        ("lz4", Compression.LZ4),
        ("zstd", Compression.ZSTD),
    ],
)
def test_each_compression_type_has_its_codec(name: str, codec: Compression | None) -> None:
    settings = topic_settings(DEFAULTS, {"compression.type": name})
    assert settings.compression is codec


@pytest.mark.parametrize("bound", ["max.message.bytes", "segment.bytes"])
def test_batches_are_made_no_larger_than_topic_and_segment_take(bound: str) -> None:
    assert topic_settings(DEFAULTS, {bound: "20000"}).batch_target_bytes == 20_000


def test_throttled_replicas_are_told_apart_by_side() -> None:
    overrides = {
        "leader.replication.throttled.replicas": "1:2, 0:1",
        "follower.replication.throttled.replicas": "*",
    }
    settings = topic_settings(DEFAULTS, overrides)
    assert settings.leader_throttled.covers(0, 1)
    assert not settings.leader_throttled.covers(1, 1)
    assert settings.follower_throttled.covers(7, 7)
    assert not topic_settings(DEFAULTS, {}).leader_throttled.covers(0, 0)


def test_a_key_that_brokers_do_not_have_is_described_with_its_default() -> None:
    described = entry(DEFAULTS, {}, "leader.replication.throttled.replicas")
    assert (described.value, described.source, described.synonyms) == ("", "DEFAULT_CONFIG", ())
    own = {"leader.replication.throttled.replicas": "0:1"}
    assert entry(DEFAULTS, own, "leader.replication.throttled.replicas").value == "0:1"


def test_zero_retention_is_allowed_for_a_topic() -> None:
    check_topic_config({"retention.ms": "0"})
    assert topic_settings(DEFAULTS, {"retention.ms": "0"}).log_options.retention_ms == 0


def test_unusable_override_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        settings = topic_settings(
            DEFAULTS, {"from.the.future": "1", "retention.ms": "x", "segment.ms": "5"}
        )
    assert settings.log_options == LogOptions(segment_ms=5)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "Ignoring the topic setting from.the.future=1",
        "Ignoring the topic setting retention.ms=x",
    ]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("bogus", "1", "Unknown topic config name: bogus"),
        ("retention.m", "1", "Unknown topic config name: retention.m (did you mean retention.ms?)"),
        (
            "cleanup.policy",
            "compact,delete",
            "Invalid value compact,delete for configuration cleanup.policy: compact is not "
            "supported yet; write delete",
        ),
        (
            "cleanup.policy",
            "keep",
            "Invalid value keep for configuration cleanup.policy: 'keep' is not one of 'delete'",
        ),
        (
            "retention.ms",
            "abc",
            "Invalid value abc for configuration retention.ms: 'abc' is not a whole number",
        ),
        (
            "segment.bytes",
            "1",
            "Invalid value 1 for configuration segment.bytes: 1 is too small, it must be at least "
            "14",
        ),
        (
            "min.compaction.lag.ms",
            "1",
            "min.compaction.lag.ms is a setting of Kafka that kafkalite does not have yet",
        ),
    ],
)
def test_config_is_refused_in_kafkas_words(key: str, value: str, reason: str) -> None:
    with pytest.raises(InvalidConfigError) as raised:
        check_topic_config({"segment.ms": "1", key: value})
    assert raised.value.detail == reason


def test_description_names_every_key_once_sorted() -> None:
    names = [e.name for e in describe_topic_config(DEFAULTS, {})]
    assert names == sorted(set(names))
    assert {"retention.ms", "cleanup.policy"} <= set(names)


def test_description_tells_where_a_value_comes_from() -> None:
    static = BrokerSettings(
        zookeeper_connect="localhost:2181", log_retention_hours=2, log_retention_ms=90
    )
    settings = apply_dynamic(static, {"log.retention.ms": "80"}, {"log.retention.ms": "70"})
    described = entry(settings, {"retention.ms": "60"}, "retention.ms")
    assert (described.value, described.source) == ("60", "DYNAMIC_TOPIC_CONFIG")
    assert described.synonyms == (
        ConfigSynonym("DYNAMIC_TOPIC_CONFIG", "retention.ms", "60"),
        ConfigSynonym("DYNAMIC_BROKER_CONFIG", "log.retention.ms", "70"),
        ConfigSynonym("DYNAMIC_DEFAULT_BROKER_CONFIG", "log.retention.ms", "80"),
        ConfigSynonym("STATIC_BROKER_CONFIG", "log.retention.ms", "90"),
        ConfigSynonym("STATIC_BROKER_CONFIG", "log.retention.hours", "2"),
        ConfigSynonym("DEFAULT_CONFIG", "log.retention.hours", "168"),
    )
    described = entry(settings, {}, "retention.ms")
    assert (described.value, described.source) == ("70", "DYNAMIC_BROKER_CONFIG")
    described = entry(static, {}, "retention.ms")
    assert (described.value, described.source) == ("90", "STATIC_BROKER_CONFIG")
    described = entry(DEFAULTS, {}, "retention.ms")
    assert (described.value, described.source) == ("604800000", "DEFAULT_CONFIG")


def test_every_described_value_could_be_set() -> None:
    described = describe_topic_config(DEFAULTS, {})
    check_topic_config({e.name: e.value for e in described if e.value is not None})
