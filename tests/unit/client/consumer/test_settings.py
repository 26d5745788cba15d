"""A consumer's settings: Kafka's names, and what they mean to its parts."""

from collections.abc import Callable
from typing import Any

import pytest

from kafkalite.client.consumer.settings import _KAFKAS_ASSIGNORS, ConsumerSettings
from kafkalite.client.errors import ConfigError
from kafkalite.groups.assignors.registry import assignors
from kafkalite.model.errors import InvalidConfigError


def test_names_are_kafkas_with_dots_or_underscores() -> None:
    given = {"group.id": "g", "max_poll_records": "7", "enable.auto.commit": "false"}
    settings = ConsumerSettings.of(given)
    assert settings.group_id == "g"
    assert settings.max_poll_records == 7
    assert settings.enable_auto_commit is False


def test_a_wrong_name_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="auto_offset_reset"):
        ConsumerSettings.of({"auto_offset_rest": "earliest"})


@pytest.mark.parametrize(
    "given",
    [
        {"auto.offset.reset": "somewhere"},
        {"max.poll.records": 0},
        {"on.poison": "ignore"},
        {"isolation.level": "serializable"},
    ],
)
def test_values_that_do_not_do_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ConsumerSettings.of(given)


def test_an_unknown_deserializer_is_told_before_anything_is_read() -> None:
    with pytest.raises(InvalidConfigError, match="Unknown deserializer jsn"):
        ConsumerSettings.of({"value_deserializer": "jsn"})


@pytest.mark.parametrize(
    ("named", "data", "value"),
    [
        ("str", b"\xc3\xa9", "é"),
        ("json", b'{"a": 1}', {"a": 1}),
        ("msgpack", b"\x81\xa1a\x01", {"a": 1}),
        ("long", b"\x00" * 7 + b"\x05", 5),
        ("org.apache.kafka.common.serialization.StringDeserializer", b"x", "x"),
        ("IntegerDeserializer", b"\xff" * 4, -1),
        (bytes.hex, b"\x01", "01"),
    ],
)
def test_deserializers_go_by_name_or_are_callables(
    named: str | Callable[[bytes], Any], data: bytes, value: object
) -> None:
    decoding = ConsumerSettings.of({"value_deserializer": named}).decoding
    assert decoding.value is not None
    assert decoding.value(data) == value


def test_bytes_are_left_as_they_are() -> None:
    given = {"value_deserializer": "ByteArrayDeserializer", "key_deserializer": "bytes"}
    assert ConsumerSettings.of(given).decoding.is_plain


def test_kafkas_assignors_are_ones_that_brokers_have() -> None:
    assert set(_KAFKAS_ASSIGNORS.values()) <= assignors().keys()
    strategy = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
    assert ConsumerSettings.of({"partition.assignment.strategy": strategy}).assignor == "sticky"
    assert ConsumerSettings.of({"partition.assignment.strategy": "mine"}).assignor == "mine"


def test_fetches_ask_for_what_is_set() -> None:
    given = {"fetch.max.bytes": 7, "max.partition.fetch.bytes": 5, "fetch.max.wait.ms": 3}
    options = ConsumerSettings.of(given).fetch_options
    assert (options.max_bytes, options.partition_max_bytes, options.max_wait_ms) == (7, 5, 3)
