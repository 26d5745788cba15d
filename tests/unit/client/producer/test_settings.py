from pathlib import Path
from typing import Any

import pytest

from kafkalite.client.errors import ConfigError
from kafkalite.client.producer.partitioner import RoundRobin
from kafkalite.client.producer.settings import ProducerSettings
from kafkalite.model.compression import Compression
from tests.support.settings_table import settings_table

_PAGE = Path(__file__).parents[4] / "docs" / "client" / "producer.md"


def test_the_page_lists_every_setting_as_it_is() -> None:
    assert settings_table(ProducerSettings) in _PAGE.read_text()


def test_kafkas_names_and_texts_are_taken() -> None:
    settings = ProducerSettings.of(
        {"acks": "all", "linger.ms": "5", "compression.type": "zstd", "batch_size": 100}
    )
    options = settings.core_options()
    assert options.send.acks == -1
    assert options.send.linger_s == 0.005
    assert options.batch.compression is Compression.ZSTD
    assert options.batch.batch_bytes == 100


@pytest.mark.parametrize(
    ("given", "is_on"),
    [
        ({}, True),
        ({"acks": 1}, True),
        ({"acks": 0}, False),
        ({"retries": 0}, False),
        ({"max_in_flight_requests_per_connection": 6}, False),
        ({"enable_idempotence": False}, False),
        ({"enable_idempotence": "true", "acks": "1"}, True),
    ],
)
def test_idempotence_is_on_unless_something_is_against_it(
    given: dict[str, object], is_on: bool
) -> None:
    assert ProducerSettings.of(given).is_idempotent is is_on


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"enable_idempotence": True, "acks": 0}, "enable.idempotence.*acks=0"),
        ({"enable_idempotence": True, "retries": 0}, "retries=0"),
        ({"enable.idempotence": True, "max.in.flight.requests.per.connection": 6}, "above 5"),
        ({"delivery_timeout_ms": 10}, r"delivery\.timeout\.ms.*at least"),
        ({"acks": 2}, "acks"),
        ({"compression_type": "rar"}, "compression.type"),
        ({"partitioner_class": "nearest"}, "partitioner.class"),
        ({"value_serializer": "yaml"}, "Unknown serializer yaml"),
        ({"liger_ms": 5}, "did you mean linger_ms"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        ProducerSettings.of(given)


def test_partitioners_go_by_kafkas_classes_by_names_and_by_functions() -> None:
    def first(topic: str, key: bytes | None, value: bytes | None, count: int) -> int:
        return 0

    kafkas = "org.apache.kafka.clients.producer.RoundRobinPartitioner"
    assert isinstance(ProducerSettings.of({"partitioner.class": kafkas}).partitioner(), RoundRobin)
    assert ProducerSettings.of({}).partitioner() is None
    assert ProducerSettings.of({"partitioner_class": first}).partitioner() is first


def test_pauses_double_up_to_their_bound_and_are_anything_below() -> None:
    settings = ProducerSettings.of({"retry_backoff_ms": 100, "retry_backoff_max_ms": 1_000})
    for failures, bound_s in ((1, 0.1), (2, 0.2), (4, 0.8), (5, 1.0), (1_000, 1.0)):
        pauses = [settings.backoff_s(failures) for _ in range(200)]
        assert 0 <= min(pauses) < bound_s / 4 < bound_s * 3 / 4 < max(pauses) <= bound_s
