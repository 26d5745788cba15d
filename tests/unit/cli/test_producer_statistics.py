"""What kafka-producer-perf-test prints: Kafka's lines, to the digit."""

from kafkalite.cli.producer_statistics import ProducerStatistics


def test_total_is_kafkas_line() -> None:
    statistics = ProducerStatistics(4, 5_000, 1_000, lambda _: None)
    for latency in (1, 118, 134, 306):
        statistics.record(latency, 1 << 20, 1_100)
    assert statistics.total(3_000) == (
        "4 records sent, 2.000000 records/sec (2.00 MB/sec), 139.75 ms avg latency, "
        "306.00 ms max latency, 134 ms 50th, 306 ms 95th, 306 ms 99th, 306 ms 99.9th."
    )


def test_window_is_shown_when_it_is_over_and_begins_anew() -> None:
    shown: list[str] = []
    statistics = ProducerStatistics(4, 5_000, 0, shown.append)
    statistics.record(10, 1 << 20, 4_999)
    assert shown == []
    statistics.record(20, 1 << 20, 5_000)
    statistics.record(7, 1 << 20, 10_000)
    assert shown == [
        "2 records sent, 0.4 records/sec (0.40 MB/sec), 15.0 ms avg latency, 20.0 ms max latency.",
        "1 records sent, 0.2 records/sec (0.20 MB/sec), 7.0 ms avg latency, 7.0 ms max latency.",
    ]
    statistics.record(3, 1 << 20, 10_001)
    assert statistics.total(20_000).startswith(
        "4 records sent, 0.200000 records/sec (0.20 MB/sec), 10.00 ms avg latency, "
        "20.00 ms max latency, "
    )


def test_percentiles_are_of_evenly_spread_records_when_there_are_many() -> None:
    statistics = ProducerStatistics(1_000_000, 10**9, 0, lambda _: None)
    for number in range(1_000_000):
        statistics.record(number % 2 * 100, 0, 1)
    assert ", 0 ms 50th, 0 ms 95th, " in statistics.total(1_000)


def test_nothing_acknowledged_is_a_line_too() -> None:
    assert ProducerStatistics(4, 5_000, 0, lambda _: None).total(1_000) == (
        "0 records sent, 0.000000 records/sec (0.00 MB/sec), 0.00 ms avg latency, "
        "0.00 ms max latency, 0 ms 50th, 0 ms 95th, 0 ms 99th, 0 ms 99.9th."
    )
