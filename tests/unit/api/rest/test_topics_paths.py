"""Paths of REST Proxy beside consumers are told from all others."""

import pytest

from kafkalite.api.rest import topics_paths as paths
from kafkalite.api.rest.topics_paths import TopicsPath, parse_topics_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", TopicsPath(paths.ROOT)),
        ("//", TopicsPath(paths.ROOT)),
        ("/topics", TopicsPath(paths.TOPICS)),
        ("//topics/", TopicsPath(paths.TOPICS)),
        ("/topics/t", TopicsPath(paths.TOPIC, "t")),
        ("/topics//t//partitions/", TopicsPath(paths.PARTITIONS, "t")),
        ("/topics/t/partitions/12", TopicsPath(paths.PARTITION, "t", 12)),
        ("/topics/t/partitions/0012/", TopicsPath(paths.PARTITION, "t", 12)),
        ("/topics/t/partitions/00000000000012", TopicsPath(paths.PARTITION, "t", 12)),
        ("/topics/t/partitions/0", TopicsPath(paths.PARTITION, "t", 0)),
        ("/topics/t/partitions/1/offsets", TopicsPath(paths.OFFSETS, "t", 1)),
        ("/topics/t/partitions/1/records", TopicsPath(paths.RECORDS, "t", 1)),
        ("/topics/t/partitions/-1", TopicsPath(paths.BAD_PARTITION, "t")),
        ("/topics/t/partitions/foo", TopicsPath(paths.NOTHING)),
        ("/topics/t/partitions/-", TopicsPath(paths.NOTHING)),
        ("/topics/t/partitions/٣", TopicsPath(paths.NOTHING)),
        ("/topics/t/partitions/1/x", TopicsPath(paths.NOTHING)),
        ("/topics/t/x", TopicsPath(paths.NOTHING)),
        ("/admin/topics", TopicsPath(paths.ADMIN_TOPICS)),
        ("/admin", TopicsPath(paths.NOTHING)),
        ("/brokers", TopicsPath(paths.BROKERS)),
        ("/brokers/1", TopicsPath(paths.NOTHING)),
        ("/healthy", TopicsPath(paths.HEALTHY)),
        ("/ready", TopicsPath(paths.READY)),
        ("/topicsx", None),
        ("/v1/topics", None),
        ("/consumers/g", None),
        ("/healthz", None),
        ("/docs", None),
    ],
)
def test_paths_are_taken_apart(path: str, expected: TopicsPath | None) -> None:
    assert parse_topics_path(path) == expected


def test_number_too_long_is_one_that_no_topic_has() -> None:
    found = parse_topics_path("/topics/t/partitions/" + "9" * 5000)
    assert found is not None
    assert found.partition is not None
    assert found.partition > 2**31


def test_every_operation_has_its_methods() -> None:
    for operation, methods in paths.METHODS.items():
        found = parse_topics_path(operation.format(topic="t", partition=1))
        assert found is not None
        assert found.operation == operation
        assert methods
