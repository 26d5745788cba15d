"""What bodies of consumer requests mean."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from kafkalite.api.rest.consumer_bodies import (
    ConsumerDefaults,
    parse_commit,
    parse_create,
    parse_positions,
)
from kafkalite.api.rest.errors import RestError
from kafkalite.broker.consumers.commits import OffsetToKeep
from kafkalite.model.ids import TopicPartition

_PLACE = {"topic": "t", "partition": 0}


@pytest.mark.parametrize(
    ("body", "default", "dialect"),
    [
        ({}, "confluent", "confluent"),
        ({}, "strimzi", "strimzi"),
        ({"auto.commit.enable": True}, "strimzi", "confluent"),
        ({"id": "x"}, "strimzi", "confluent"),
        ({"responseMinBytes": 1}, "strimzi", "confluent"),
        ({"requestWaitMs": 1}, "strimzi", "confluent"),
        ({"format": "avro"}, "strimzi", "confluent"),
        ({"enable.auto.commit": True}, "confluent", "strimzi"),
        ({"isolation.level": "read_committed"}, "confluent", "strimzi"),
        ({"format": "text"}, "confluent", "strimzi"),
        ({"format": "text", "id": "x"}, "confluent", "confluent"),
        ({"name": "x", "auto.offset.reset": "latest"}, "strimzi", "strimzi"),
    ],
)
def test_keys_of_the_body_tell_whose_client_it_is(
    body: Mapping[str, Any], default: Any, dialect: str
) -> None:
    made = parse_create(json.dumps(body).encode(), ConsumerDefaults(default))
    assert made.definition.dialect == dialect


def test_settings_are_read_by_either_name() -> None:
    made = parse_create(
        b'{"responseMinBytes":"-1","requestWaitMs":"5","enable.auto.commit":"FALSE",'
        b'"auto.offset.reset":"Earliest","name":null}',
        ConsumerDefaults(),
    )
    assert made.name is None
    assert made.definition.fetch_min_bytes == 1
    assert made.definition.request_timeout_ms == 5
    assert made.definition.auto_commit is False
    assert made.definition.auto_offset_reset == "earliest"


@pytest.mark.parametrize(("dialect", "stored"), [("confluent", 6), ("strimzi", 5)])
def test_offset_to_commit_is_the_last_or_the_next(dialect: Any, stored: int) -> None:
    body = json.dumps({"offsets": [{**_PLACE, "offset": 5, "metadata": "m"}]}).encode()
    assert parse_commit(body, dialect) == {TopicPartition("t", 0): OffsetToKeep(stored, "m")}
    assert parse_commit(b"", dialect) is None
    assert parse_commit(b" {} ", dialect) is None
    assert parse_commit(b'{"offsets":[]}', dialect) == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:01.5+01:00", 1500),
        ("1970-01-01T00:00:01", 1000),
        (1234, 1234),
        ("1234", 1234),
        ("1960-01-01T00:00:00Z", 0),
    ],
)
def test_points_in_time_are_read(given: object, expected: int) -> None:
    body = json.dumps({"timestamps": [{**_PLACE, "timestamp": given}]}).encode()
    assert parse_positions(body).times == {TopicPartition("t", 0): expected}


@pytest.mark.parametrize("given", ["yesterday", None, [], "99999999999999999999-01-01"])
def test_what_is_no_point_in_time_is_refused(given: object) -> None:
    body = json.dumps({"timestamps": [{**_PLACE, "timestamp": given}]}).encode()
    with pytest.raises(RestError, match="timestamp"):
        parse_positions(body)
