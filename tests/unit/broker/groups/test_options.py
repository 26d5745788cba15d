from pathlib import Path

import pytest

from kafkalite.broker.groups.options import GroupOptions, group_options
from kafkalite.config.load import ConfigError, load_settings


def _load(tmp_path: Path, text: str) -> GroupOptions:
    file = tmp_path / "server.properties"
    file.write_text(f"zookeeper.connect=localhost:2181\n{text}", encoding="utf-8")
    return group_options(load_settings(file, (), {}).settings)


def test_what_is_not_set_is_as_kafka_has_it(tmp_path: Path) -> None:
    assert _load(tmp_path, "") == GroupOptions()


def test_every_key_reaches_the_coordinator(tmp_path: Path) -> None:
    options = _load(
        tmp_path,
        "group.max.size=1\ngroup.min.session.timeout.ms=2\ngroup.max.session.timeout.ms=3\n"
        "group.consumer.session.timeout.ms=4\ngroup.consumer.heartbeat.interval.ms=5\n"
        "offset.metadata.max.bytes=6\noffsets.retention.minutes=7\n"
        "offsets.retention.check.interval.ms=8\ngroup.coordinator.max.groups=9\n"
        "group.coordinator.max.waiting.heartbeats=10\n"
        "group.coordinator.max.gathered.offsets=11\n",
    )
    limits = options.limits
    assert limits.max_members == 1
    assert (limits.min_session_timeout_ms, limits.max_session_timeout_ms) == (2, 3)
    assert (limits.default_session_timeout_ms, limits.heartbeat_interval_ms) == (4, 5)
    assert (options.max_metadata_bytes, options.retention_ms) == (6, 7 * 60_000)
    assert (options.check_interval_ms, options.max_groups) == (8, 9)
    assert (options.max_waiting_heartbeats, options.max_gathered_offsets) == (10, 11)


def test_session_timeouts_that_leave_no_choice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"7 is larger than group.max.session.timeout.ms \(5\)"):
        _load(tmp_path, "group.min.session.timeout.ms=7\ngroup.max.session.timeout.ms=5\n")
