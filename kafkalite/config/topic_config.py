"""What a topic sets for itself, over the broker's settings."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from kafkalite.config.broker_config import (
    DEFAULT,
    ConfigEntry,
    ConfigSynonym,
    invalid_values,
    synonyms_of,
)
from kafkalite.config.kafka_keys import topic_refusal
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.names import attribute_of, nearest
from kafkalite.config.setting import MAX_LONG, as_text, declared
from kafkalite.config.throttled_replicas import ThrottledReplicas
from kafkalite.config.topic_overrides import TopicOverrides
from kafkalite.config.views import LogOptions
from kafkalite.model.compression import Compression
from kafkalite.model.errors import InvalidConfigError

DYNAMIC_TOPIC = "DYNAMIC_TOPIC_CONFIG"

_BATCH_TARGET_BYTES: Final = 512 << 10
"""Where neither the largest batch nor the segment of a topic is smaller."""

_SETTINGS = tuple(declared(TopicOverrides))
_KEYS = tuple(setting.key for setting in _SETTINGS)
_DEFAULT_OF = {attribute_of(setting.key): setting.default_of for setting in _SETTINGS}
_CODECS = {
    "producer": None,
    "uncompressed": Compression.NONE,
    "gzip": Compression.GZIP,
    "snappy": Compression.SNAPPY,
    "lz4": Compression.LZ4,
    "zstd": Compression.ZSTD,
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """The settings in force for the partitions of one topic."""

    max_message_bytes: int
    """The largest batch, in bytes as sent."""
    max_decompressed_bytes: int
    """The largest payload of a batch, in bytes once decompressed."""
    batch_target_bytes: int
    """Records that come together share a batch until it is about this large."""
    min_insync_replicas: int
    unclean_leader_election: bool
    compression: Compression | None
    """How batches are stored; None: as the producer sent them."""
    stamps_log_append_time: bool
    """Whether the broker's clock replaces the producer's."""
    timestamp_before_max_ms: int
    """How far in the past a producer's timestamp may be."""
    timestamp_after_max_ms: int
    """How far in the future a producer's timestamp may be."""
    leader_throttled: ThrottledReplicas
    """From which followers that are not in sync are sent records at a bounded rate."""
    follower_throttled: ThrottledReplicas
    """Which fetch at a bounded rate while they are not in sync."""
    log_options: LogOptions

    @property
    def bounds_timestamps(self) -> bool:
        """Whether any timestamp could be refused."""
        most = min(self.timestamp_before_max_ms, self.timestamp_after_max_ms)
        return most < MAX_LONG and not self.stamps_log_append_time


def topic_settings(defaults: BrokerSettings, overrides: Mapping[str, str]) -> TopicSettings:
    """The settings in force for a topic.

    Args:
        defaults: the broker's settings in force.
        overrides: what the topic sets. An entry that cannot be used (written by another version,
            say) is logged and left out, since the partition must be served; who sets one is told
            by `check_topic_config`.
    """
    values = _in_force(defaults, _parsed(_usable(overrides)))
    return TopicSettings(
        max_message_bytes=values["max_message_bytes"],
        max_decompressed_bytes=defaults.message_max_decompressed_bytes,
        batch_target_bytes=min(
            _BATCH_TARGET_BYTES, values["max_message_bytes"], values["segment_bytes"]
        ),
        min_insync_replicas=values["min_insync_replicas"],
        unclean_leader_election=values["unclean_leader_election_enable"],
        compression=_CODECS[values["compression_type"]],
        stamps_log_append_time=values["message_timestamp_type"] == "LogAppendTime",
        timestamp_before_max_ms=values["message_timestamp_before_max_ms"],
        timestamp_after_max_ms=values["message_timestamp_after_max_ms"],
        leader_throttled=values["leader_replication_throttled_replicas"],
        follower_throttled=values["follower_replication_throttled_replicas"],
        log_options=LogOptions(
            segment_bytes=values["segment_bytes"],
            segment_ms=values["segment_ms"],
            segment_index_bytes=values["segment_index_bytes"],
            index_interval_bytes=values["index_interval_bytes"],
            retention_ms=values["retention_ms"],
            retention_bytes=values["retention_bytes"],
            file_delete_delay_ms=values["file_delete_delay_ms"],
            flush_messages=values["flush_messages"],
            flush_ms=values["flush_ms"],
            max_producer_ids=defaults.producer_id_count_max,
        ),
    )


def check_topic_config(overrides: Mapping[str, str]) -> None:
    """Raise InvalidConfigError, in Kafka's words, unless a topic can have `overrides`."""
    for key in overrides:
        if key not in _KEYS:
            refusal = topic_refusal(key)
            if refusal is not None:
                raise InvalidConfigError(f"{key} {refusal}")
            raise InvalidConfigError(f"Unknown topic config name: {key}{nearest(key, _KEYS)}")
    _parsed(overrides)


def describe_topic_config(
    defaults: BrokerSettings, overrides: Mapping[str, str]
) -> list[ConfigEntry]:
    """Every key of a topic as it is in force, sorted by name.

    Args:
        defaults: the broker's settings in force.
        overrides: what the topic sets.
    """
    entries = []
    for setting in _SETTINGS:
        synonyms = list(synonyms_of(setting.synonyms, defaults))
        if setting.key in overrides:
            value: str | None = overrides[setting.key]
            synonyms.insert(0, ConfigSynonym(DYNAMIC_TOPIC, setting.key, value))
        else:
            value = as_text(getattr(defaults, setting.default_of))
        entries.append(
            ConfigEntry(
                setting.key,
                value,
                synonyms[0].source if synonyms else DEFAULT,
                tuple(synonyms),
                setting.doc,
            )
        )
    return sorted(entries)


def _parsed(overrides: Mapping[str, str]) -> TopicOverrides:
    try:
        return TopicOverrides.model_validate({k: v.strip() for k, v in overrides.items()})
    except ValidationError as error:
        raise invalid_values(overrides, error) from None


def _usable(overrides: Mapping[str, str]) -> Mapping[str, str]:
    usable = {}
    for key, text in overrides.items():
        try:
            check_topic_config({key: text})
        except InvalidConfigError as error:
            _log.warning("Ignoring the topic setting %s=%s: %s", key, text, error)
        else:
            usable[key] = text
    return usable


def _in_force(defaults: BrokerSettings, topic: TopicOverrides) -> dict[str, Any]:
    """The value of each attribute of TopicOverrides: the topic's, else the broker's."""
    values = {}
    for name, default_of in _DEFAULT_OF.items():
        own = getattr(topic, name)
        values[name] = getattr(defaults, default_of) if own is None else own
    return values
