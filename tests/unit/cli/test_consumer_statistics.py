"""What kafka-consumer-perf-test prints."""

from datetime import datetime

from kafkalite.cli.consumer_statistics import DETAILED_HEADER, HEADER, ConsumerStatistics
from kafkalite.cli.date_format import DateFormat

_DATES = DateFormat("ss.SSS")
_BEGUN_MS = int(datetime(2026, 11, 25, 9, 18, 7).timestamp() * 1000)  # noqa: DTZ001 - local time


def test_total_has_the_columns_of_the_header() -> None:
    statistics = ConsumerStatistics(_BEGUN_MS, _DATES)
    statistics.assigned(_BEGUN_MS + 1_500)
    statistics.count, statistics.size = 500, 3 << 20
    line = statistics.total(_BEGUN_MS + 3_000)
    assert line == "07.000, 10.000, 3.0000, 1.0000, 500, 166.6667, 1500, 1500, 2.0000, 333.3333"
    assert len(line.split(", ")) == len(HEADER.split(", "))


def test_interval_counts_what_came_since_the_last_one() -> None:
    statistics = ConsumerStatistics(_BEGUN_MS, _DATES)
    statistics.assigned(_BEGUN_MS + 500)
    statistics.count, statistics.size = 100, 1 << 20
    assert not statistics.is_due(_BEGUN_MS + 999, 1_000)
    assert statistics.is_due(_BEGUN_MS + 1_000, 1_000)
    assert statistics.interval(_BEGUN_MS + 1_000) == (
        "08.000, 0, 1.0000, 1.0000, 100, 100.0000, 500, 500, 2.0000, 200.0000"
    )
    statistics.count, statistics.size = 300, 2 << 20
    line = statistics.interval(_BEGUN_MS + 3_000)
    assert line == "10.000, 0, 2.0000, 0.5000, 300, 100.0000, 0, 2000, 0.5000, 100.0000"
    assert len(line.split(", ")) == len(DETAILED_HEADER.split(", "))


def test_time_between_partitions_counts_as_rebalancing() -> None:
    statistics = ConsumerStatistics(_BEGUN_MS, _DATES)
    statistics.assigned(_BEGUN_MS + 100)
    statistics.revoked(_BEGUN_MS + 1_000)
    statistics.assigned(_BEGUN_MS + 1_250)
    assert statistics.total(_BEGUN_MS + 2_000).split(", ")[6:8] == ["350", "1650"]


def test_no_time_is_no_rate() -> None:
    assert (
        ConsumerStatistics(_BEGUN_MS, _DATES)
        .total(_BEGUN_MS)
        .endswith(", 0.0000, 0.0000, 0, 0.0000, 0, 0, 0.0000, 0.0000")
    )
