"""Tests for kafkalite.config.render."""

from kafkalite.config.kafka_keys import WITHOUT_EFFECT
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.render import render
from kafkalite.config.setting import declared
from kafkalite.config.topic_overrides import TopicOverrides


def test_page_has_one_row_a_key() -> None:
    rows = [line.split(" | ")[0] for line in render().splitlines() if line.startswith("| `")]
    expected = [
        setting.key for model in (BrokerSettings, TopicOverrides) for setting in declared(model)
    ]
    assert sorted(rows) == sorted(f"| `{key}`" for key in [*expected, *WITHOUT_EFFECT])


def test_row_shows_type_bounds_default_and_marks() -> None:
    assert (
        "| `min.insync.replicas` | int: 1 or more | `1` | live, cluster | With acks=all: how many "
        "replicas must be in sync for a record to be taken. |"
    ) in render().splitlines()
    assert "| `log.retention.ms` | long: -1 or more | not set | live |" in render()
    assert "| `log.flush.policy` | string: commit, interval, os | `commit` (ours) |" in render()
    assert "| `zookeeper.connect` | string | required | cluster |" in render()
