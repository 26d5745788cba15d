import pytest

from kafkalite.config.views import LogOptions
from kafkalite.storage.retention import SegmentAge, expired_segments

_SEGMENTS = [
    SegmentAge(10, 100, 1000),
    SegmentAge(20, 100, 2000),
    SegmentAge(30, 100, 3000),
]


def _expired(options: LogOptions, **given: int) -> int:
    values = {"now_ms": 0, "start_offset": 0, "high_watermark": 30} | given
    return expired_segments(_SEGMENTS, options, total_bytes=300, **values)


@pytest.mark.parametrize(("now", "count"), [(1500, 0), (1501, 1), (2501, 2), (3501, 3)])
def test_segments_go_when_their_newest_record_is_too_old(now: int, count: int) -> None:
    assert _expired(LogOptions(retention_ms=500), now_ms=now) == count


@pytest.mark.parametrize(
    ("kept", "count"), [(300, 0), (201, 0), (200, 1), (101, 1), (100, 2), (0, 3)]
)
def test_segments_go_while_the_rest_is_large_enough(kept: int, count: int) -> None:
    assert _expired(LogOptions(retention_ms=-1, retention_bytes=kept)) == count


def test_nothing_goes_above_the_high_watermark() -> None:
    assert _expired(LogOptions(retention_ms=0), now_ms=10**9, high_watermark=29) == 2


def test_segments_below_the_start_offset_go_whatever_is_kept() -> None:
    options = LogOptions(retention_ms=-1)
    assert _expired(options, start_offset=19) == 1
    assert _expired(options, start_offset=20) == 2


def test_a_segment_that_stays_keeps_those_behind_it() -> None:
    segments = [SegmentAge(10, 100, 9000), SegmentAge(20, 100, 1000)]
    count = expired_segments(
        segments,
        LogOptions(retention_ms=10),
        total_bytes=200,
        now_ms=5000,
        start_offset=0,
        high_watermark=20,
    )
    assert count == 0


@pytest.mark.parametrize(
    ("newer", "count"), [([], 0), ([9_900], 0), ([1_000], 2), ([-1, 1_000, 9_900], 3)]
)
def test_a_segment_of_unknown_age_is_as_old_as_what_follows(newer: list[int], count: int) -> None:
    """Of one whose every batch is damaged nothing is known but where it stands."""
    ages = [SegmentAge(number * 10, 100, at) for number, at in enumerate([-1, *newer], 1)]
    given = {"total_bytes": 100 * len(ages), "now_ms": 10_000, "start_offset": 0}
    options = LogOptions(retention_ms=500)
    assert expired_segments(ages, options, **given, high_watermark=10 * len(ages)) == count


def test_a_segment_of_unknown_age_goes_by_its_size_and_place() -> None:
    ages = [SegmentAge(10, 100, -1), SegmentAge(20, 100, 9_900)]
    given = {"total_bytes": 200, "now_ms": 10_000, "high_watermark": 20}
    kept = LogOptions(retention_ms=500, retention_bytes=100)
    assert expired_segments(ages, kept, **given, start_offset=0) == 1
    assert expired_segments(ages, LogOptions(retention_ms=500), **given, start_offset=10) == 1


def test_an_empty_segment_stays() -> None:
    count = expired_segments(
        [SegmentAge(0, 0, -1)],
        LogOptions(retention_ms=0),
        total_bytes=0,
        now_ms=10**9,
        start_offset=0,
        high_watermark=0,
    )
    assert count == 0
