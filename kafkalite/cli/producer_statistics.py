"""What kafka-producer-perf-test counts and prints."""

from collections.abc import Callable
from typing import Final

_SAMPLES: Final = 500_000
_MEBI: Final = 1 << 20
_PERCENTILES: Final = (("50th", 0.5), ("95th", 0.95), ("99th", 0.99), ("99.9th", 0.999))


class ProducerStatistics:
    """Latencies of acknowledged records: of a window, which ends now and then, and of all.

    For one thread. Of the many records that a test sends at most half a million are remembered
    for the percentiles, evenly spread.
    """

    def __init__(
        self, expected: int, reporting_ms: int, now_ms: int, show: Callable[[str], None]
    ) -> None:
        """Begin to count.

        Args:
            expected: how many records there will be.
            reporting_ms: how long a window is.
            now_ms: the time, in milliseconds since whenever.
            show: given a line for each window that ends.
        """
        self._every = max(expected // min(max(expected, 1), _SAMPLES), 1)
        self._reporting_ms = reporting_ms
        self._show = show
        self._begun_ms = self._window_begun_ms = now_ms
        self._latencies: list[int] = []
        self.count = 0
        self._size = self._total_ms = self._max_ms = 0
        self._window = _Window()

    def record(self, latency_ms: int, size: int, now_ms: int) -> None:
        """Count a record of `size` bytes that took `latency_ms`."""
        if self.count % self._every == 0:
            self._latencies.append(latency_ms)
        self.count += 1
        self._size += size
        self._total_ms += latency_ms
        self._max_ms = max(self._max_ms, latency_ms)
        window = self._window
        window.count += 1
        window.size += size
        window.total_ms += latency_ms
        window.max_ms = max(window.max_ms, latency_ms)
        if now_ms - self._window_begun_ms >= self._reporting_ms:
            self._show(window.line(now_ms - self._window_begun_ms))
            self._window = _Window()
            self._window_begun_ms = now_ms

    def total(self, now_ms: int) -> str:
        """The last line of the test."""
        elapsed_s = max(now_ms - self._begun_ms, 1) / 1000
        average = self._total_ms / self.count if self.count else 0.0
        ordered = sorted(self._latencies)
        percentiles = ", ".join(
            f"{ordered[int(share * len(ordered))] if ordered else 0} ms {name}"
            for name, share in _PERCENTILES
        )
        return (
            f"{self.count} records sent, {self.count / elapsed_s:.6f} records/sec "
            f"({self._size / _MEBI / elapsed_s:.2f} MB/sec), {average:.2f} ms avg latency, "
            f"{self._max_ms:.2f} ms max latency, {percentiles}."
        )


class _Window:
    """What was acknowledged since the last line."""

    __slots__ = ("count", "max_ms", "size", "total_ms")

    def __init__(self) -> None:
        self.count = self.size = self.total_ms = self.max_ms = 0

    def line(self, elapsed_ms: int) -> str:
        elapsed_s = elapsed_ms / 1000
        return (
            f"{self.count} records sent, {self.count / elapsed_s:.1f} records/sec "
            f"({self.size / _MEBI / elapsed_s:.2f} MB/sec), "
            f"{self.total_ms / self.count:.1f} ms avg latency, {self.max_ms:.1f} ms max latency."
        )
