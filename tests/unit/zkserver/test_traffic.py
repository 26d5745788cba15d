"""Counters of requests and their latencies."""

from kafkalite.zkserver.traffic import Traffic


def test_latencies_are_kept_as_least_average_and_largest() -> None:
    traffic = Traffic()
    traffic.outstanding = 3
    for latency_ms in (4, 2, 9):
        traffic.answered(latency_ms)
    assert (traffic.min_latency_ms, traffic.max_latency_ms) == (2, 9)
    assert traffic.average_latency_ms == 5.0
    assert traffic.outstanding == 0


def test_latencies_are_zero_when_nothing_was_answered() -> None:
    traffic = Traffic()
    assert (traffic.min_latency_ms, traffic.average_latency_ms, traffic.max_latency_ms) == (0, 0, 0)
